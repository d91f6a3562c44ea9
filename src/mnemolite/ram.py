"""How much memory this process has, and giving back what it no longer needs."""

from __future__ import annotations

import gc
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

MB = 10**6
_M_ARENA_MAX = -8  # of malloc.h
_helpers: set[int] = set()


def resident_bytes() -> int:
    """Of this process and its helpers, now; where the system does not tell, of this one at its peak."""
    try:
        total = _resident("self")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    for helper in list(_helpers):
        with suppress(OSError):  # it has ended
            total += _resident(str(helper))
    return total


def add_helper(process: int) -> None:
    """Counts the memory of another process as that of this one."""
    _helpers.add(process)


def remove_helper(process: int) -> None:
    _helpers.discard(process)


class Keeper(Protocol):
    """Holds something in memory that it can read again."""

    def let_go(self) -> None: ...


_keepers: WeakSet[Keeper] = WeakSet()
_listing = threading.Lock()


def watch(keeper: Keeper) -> None:
    """Has *keeper* let go at each :func:`give_back`, as long as somebody else holds it."""
    with _listing:
        _keepers.add(keeper)


def give_back() -> None:
    """What keepers hold to answer faster, what nothing refers to, and what the C library keeps of freed memory."""
    with _listing:
        keepers = list(_keepers)
    for keeper in keepers:
        keeper.let_go()
    del keepers
    gc.collect()
    _malloc("malloc_trim", 0)


def share_heap() -> None:
    """
    All threads to come have one heap.

    Else each has its own, and what one thread loaded and another let go leaves holes that add up: some 20 MB for a
    model in ONNX.
    """
    _malloc("mallopt", _M_ARENA_MAX, 1)


def _resident(process: str) -> int:
    import mmap

    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * mmap.PAGESIZE


def _malloc(function: str, *arguments: int) -> None:
    import ctypes  # 5 ms, which a search does without

    with suppress(OSError, AttributeError, TypeError):  # only glibc has these
        getattr(ctypes.CDLL(None), function)(*arguments)
