"""The C library's heap, which keeps freed memory unless it is told otherwise. Only glibc listens."""

from __future__ import annotations

import gc
from contextlib import suppress

_M_ARENA_MAX = -8  # of malloc.h


def release() -> None:
    """Freed memory goes back to the system."""
    gc.collect()
    _call("malloc_trim", 0)


def share() -> None:
    """
    All threads to come have one heap.

    Else each has its own, and what one thread loaded and another let go leaves holes that add up: some 20 MB for a
    model in ONNX.
    """
    _call("mallopt", _M_ARENA_MAX, 1)


def _call(function: str, *arguments: int) -> None:
    import ctypes

    with suppress(OSError, AttributeError, TypeError):  # other C libraries have no such function
        getattr(ctypes.CDLL(None), function)(*arguments)
