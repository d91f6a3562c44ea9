"""A process that runs a module of this package: how it is started, and what is said over its pipes."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import IO

START = "import sys; sys.path[:0] = sys.argv[1:2]; sys.path += sys.argv[2:]; "  # for `python -I -c`, before the module
LENGTH_BYTES = 4


def module_folders(packages: Iterable[str]) -> list[str]:
    """
    Where a child finds its modules: this package first, then *packages*, which it depends on.

    Never the current folder or PYTHONPATH: a tree that is being indexed may hold a file called msgspec.py.
    """
    folders = [str(Path(__file__).resolve().parents[1])]
    for package in packages:
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            folders.append(str(Path(spec.origin).resolve().parents[1]))
    return list(dict.fromkeys(folders))


def write(stream: IO[bytes], data: bytes) -> None:
    stream.write(len(data).to_bytes(LENGTH_BYTES, "little") + data)
    stream.flush()


def read(stream: IO[bytes]) -> bytes | None:
    """The next message; None at the end, even in the middle of one."""
    length = stream.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    size = int.from_bytes(length, "little")
    data = stream.read(size)
    return data if len(data) == size else None


def death(status: int) -> str:
    """What an exit status says, in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
