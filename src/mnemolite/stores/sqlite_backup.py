"""Copies of SQLite files that may be in use, and what was copied put back into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from mnemolite.archive import COUNTED, Part
from mnemolite.errors import Conflict, StoreUnavailable
from mnemolite.stores.lock import WriterLock
from mnemolite.stores.sqlite_connection import fetch
from mnemolite.stores.sqlite_schema import stored_version


class SqliteFile:
    """The one at *path*, whose tables *steps* make."""

    def __init__(self, path: Path, steps: Sequence[str], wait_seconds: float) -> None:
        self._path = path
        self._steps = steps
        self._wait_seconds = wait_seconds

    def held(self) -> bool:
        return self._path.is_file()

    def save(self, copy: Path) -> Part:
        """As it is at one moment, whoever reads and writes it meanwhile."""
        with self._translated(self._path):
            self._copy(self._path, copy)
            with closing(apsw.Connection(str(copy))) as connection:
                tables = {name for (name,) in fetch(connection, "SELECT name FROM sqlite_schema")}
                counts = {
                    table: fetch(connection, f"SELECT count(*) FROM {table}")[0][0]
                    for table in COUNTED
                    if table in tables
                }
                return Part(schema=str(stored_version(connection, self._path, self._steps)), counts=counts)

    def check(self, copy: Path, part: Part) -> None:
        """
        Raises:
            StoreUnavailable: it is none of ours, damaged, or of a newer version of the program.
        """
        with self._translated(copy), closing(apsw.Connection(str(copy))) as connection:
            stored_version(connection, copy.name, self._steps)
            if (found := connection.pragma("quick_check")) != "ok":
                raise StoreUnavailable(f"{copy.name} of the backup is damaged: {found}")

    def put_back(self, copy: Path) -> None:
        """
        In one transaction: others see what was there, or what is put back.

        Raises:
            Conflict: somebody is writing.
        """
        with self._translated(copy), closing(apsw.Connection(str(copy))) as connection:
            # so that no process takes what it has kept of another state for that of this one
            connection.execute("UPDATE state SET changes = abs(random() >> 20)")
        with WriterLock(self._path, self._wait_seconds).held(), self._translated(self._path):
            self._copy(copy, self._path)

    def remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _copy(self, origin: Path, target: Path) -> None:
        with (
            closing(apsw.Connection(str(origin))) as source,
            closing(apsw.Connection(str(target))) as destination,
        ):
            for each in (source, destination):
                each.set_busy_timeout(int(self._wait_seconds * 1000))
            with destination.backup("main", source, "main") as running:
                running.step(-1)

    @contextmanager
    def _translated(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (apsw.BusyError, apsw.LockedError) as error:
            raise Conflict(f"{path} is being written; wait for its writer or stop it") from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise StoreUnavailable(f"{path} is damaged: {error}; move it away to restore a backup") from error
        except apsw.FullError as error:
            raise StoreUnavailable(f"no space left to copy {path}") from error
        except apsw.Error as error:
            raise StoreUnavailable(f"cannot copy {path}: {error}") from error
