"""The writer's lock between processes: held by the operating system, so it dies with its holder."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mnemolite.errors import Conflict, StoreUnavailable

POLL_SECONDS = 0.02  # the OS lock has no wait with a time limit

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        file.seek(1 << 30)  # a locked byte cannot be read by others, so it lies far behind the holder's name
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: BinaryIO) -> None:
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


class WriterLock:
    """
    One writer of the index at *database*, over all threads and processes; reentrant within a thread.

    The holder's name stands in ``<database>.lock`` for messages only: what it says after a crash blocks nobody.
    """

    def __init__(self, database: Path | None, wait_seconds: float) -> None:
        self._database = database
        self._wait_seconds = wait_seconds
        self._thread = threading.RLock()
        self._depth = 0
        self._file: BinaryIO | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """
        Raises:
            Conflict: another writer still holds it after the wait; the message names it.
            StoreUnavailable: the lock file cannot be written.
        """
        deadline = time.monotonic() + self._wait_seconds
        if not self._thread.acquire(timeout=self._wait_seconds):
            raise Conflict(self.busy())
        try:
            self._depth += 1
            if self._depth == 1 and self._database is not None:
                self._file = self._acquire(lock_path(self._database), deadline)
            yield
        finally:
            self._depth -= 1
            if self._depth == 0 and self._file is not None:
                _release(self._file)
                self._file = None
            self._thread.release()

    def busy(self) -> str:
        """The message for whoever cannot write now."""
        holder = self._database and _holder(lock_path(self._database))
        return (
            f"the index {self._database or 'in memory'} is being written by {holder or 'another writer'};"
            " wait for it or stop it"
        )

    def _acquire(self, path: Path, deadline: float) -> BinaryIO:
        try:
            file = path.open("ab+", buffering=0)
        except OSError as error:
            raise StoreUnavailable(f"cannot write {path}: {error.strerror}") from error
        try:
            while not _try_lock(file):
                if time.monotonic() >= deadline:
                    raise Conflict(self.busy())
                time.sleep(POLL_SECONDS)
            name = f"process {os.getpid()} ({_program()}, since {time.strftime('%H:%M:%S')})"
            with suppress(OSError):  # on a full disk it is held without a name
                file.truncate(0)
                file.write(name.encode("utf-8", "replace"))
        except BaseException:
            file.close()
            raise
        return file


def lock_path(database: Path) -> Path:
    return database.with_name(database.name + ".lock")


def _release(file: BinaryIO) -> None:
    with file:
        with suppress(OSError):
            file.truncate(0)
        _unlock(file)


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _program() -> str:
    """Program and subcommand; further arguments may be private."""
    name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    command = [argument for argument in sys.argv[1:2] if argument.isidentifier()]
    return " ".join([name, *command])
