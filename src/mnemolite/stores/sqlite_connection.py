"""Connections to one index file: one that writes, as many that read as threads need at once."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import apsw

from mnemolite import ram
from mnemolite.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from mnemolite.stores.lock import WriterLock
from mnemolite.stores.sqlite_schema import STEPS, migrate, stored_version

READER_CACHE_KIB = 8 * 1024
WRITER_CACHE_KIB = 32 * 1024
HEADER_BYTES = 100
LOG_BYTES = 32 * 1024  # of the index of its log
SYNC_SECONDS = 0.05
REBUILD = "run 'mnemolite index rebuild' to make it anew"  # a tree's index can be; notes cannot
CHECKPOINT_PAGES = 4000  # 16 MB of log: a page written by many batches is copied once


class Database:
    """
    Transactions on the index at *path*, or on one in memory for None. Thread-safe.

    *prepare* is called on every new connection, to load an extension. What was committed outlives the end of the
    process, however it comes; *durable*: a loss of power too, except what followed within SYNC_SECONDS of the last
    sync. *damage_advice* is what to do about a damaged file, *steps* make its tables.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        wait_seconds: float,
        readonly: bool = False,
        durable: bool = False,
        damage_advice: str = REBUILD,
        prepare: Callable[[apsw.Connection], None] | None = None,
        steps: Sequence[str] = STEPS,
    ) -> None:
        self.path = path
        self.readonly = readonly
        self.lock = WriterLock(path, wait_seconds)
        self._wait_ms = int(wait_seconds * 1000)
        self._durable = durable
        self._synced = -1e9
        self._damage_advice = damage_advice
        self._prepare = prepare
        self._steps = steps
        self._writing = threading.RLock()
        self._opening = threading.RLock()
        self._idle: list[apsw.Connection] = []  # another list once the file has been replaced
        self._writer: apsw.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._closed = False
        with self._translated():
            self._open_file()
        ram.watch(self)

    def let_go(self) -> None:
        """What connections have read, but for those in use."""
        with self._opening:
            for connection in self._idle:
                connection.release_memory()

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """A connection within a transaction: all its reads see the same state."""
        with self._translated():
            if self.path is None:
                with self._writing:
                    yield self._memory()
                return
            connection, pool = self._borrow()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._give_back(connection, pool)

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """A connection within a transaction that is committed at the end, or leaves no trace."""
        with self._translated(), self._writing:
            connection = self._write_connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("UPDATE state SET changes = changes + 1")
                connection.execute("COMMIT")
                self._sync()
            except BaseException:
                if connection.in_transaction:  # some errors have rolled back already
                    connection.execute("ROLLBACK")
                raise

    def _sync(self) -> None:
        """Brings the log to the disk, but not for each of many writes in a row: a sync takes milliseconds."""
        now = time.monotonic()
        if self._durable and self.path is not None and now - self._synced >= SYNC_SECONDS:
            with suppress(OSError):  # the commit stands either way
                log = os.open(self.path.with_name(self.path.name + "-wal"), os.O_RDWR)
                try:
                    os.fsync(log)
                finally:
                    os.close(log)
            self._synced = now

    def shrink(self) -> None:
        """Gives free space back to the file system."""
        with self._translated(), self._writing:
            connection = self._write_connection()
            connection.execute("VACUUM")
            if self.path is not None:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def bytes_on_disk(self) -> int:
        if self.path is None:
            return 0
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Ends all connections, one in use when its call ends; the last one copies the log into the file."""
        with self._writing, self._opening:
            self._closed = True
            if self._writer is not None:
                self._writer.close()
            self._forget_connections()

    def _open_file(self) -> None:
        """The first connection: makes the tables, or brings them to the newest version."""
        if self.readonly and self.path is not None and not self.path.exists():
            raise NotFound(f"no index at {self.path}; run 'mnemolite index' first")
        if not self.readonly and self.path is not None:
            _make_folder(self.path.parent)
        if self.path is not None and self.path.is_file() and 0 < self.path.stat().st_size < HEADER_BYTES:
            raise self._damaged("it is shorter than a database's header")  # SQLite would take it for an empty one
        connection = self._open()
        try:
            self._upgrade(connection)
        except BaseException:
            connection.close()
            raise
        if self.path is None:
            self._writer = connection
        else:
            self._idle.append(connection)
            self._file = _identity(self.path)

    def _upgrade(self, connection: apsw.Connection) -> None:
        version, newest = stored_version(connection, self.path, self._steps), len(self._steps)
        if version == newest:
            return
        if self.readonly:
            raise StoreUnavailable(
                f"{self.path} has schema version {version}, this program needs {newest}; run 'mnemolite index'"
            )
        with self.lock.held():
            connection.pragma("journal_mode", "wal")
            migrate(connection, self.path, self._steps)

    def _open(self, cache_kib: int = READER_CACHE_KIB) -> apsw.Connection:
        connection = self._connect()
        try:
            connection.pragma("synchronous", "normal")
            connection.pragma("cache_size", -cache_kib)
            connection.create_scalar_function("regexp", _regexp, 2, deterministic=True)
            connection.create_scalar_function("json_contains", _json_contains, 2, deterministic=True)
            if self._prepare is not None:
                self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> apsw.Connection:
        """Also reads the schema, where a damaged file shows."""
        if self.path is None:
            return apsw.Connection(":memory:")
        if not self.readonly:
            return self._touched(apsw.Connection(str(self.path)))
        try:
            return self._touched(apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY))
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            # SQLite wants to make the log's files, but may not write to the folder; without a log nobody is writing
            if not self.path.exists() or self.path.with_name(self.path.name + "-wal").exists():
                raise
            uri = f"{self.path.absolute().as_uri()}?immutable=1"
            return self._touched(apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI))

    def _touched(self, connection: apsw.Connection) -> apsw.Connection:
        try:
            connection.set_busy_timeout(self._wait_ms)  # first: another process may be closing its log just now
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    def _borrow(self) -> tuple[apsw.Connection, list[apsw.Connection]]:
        with self._opening:
            self._follow_file()
            return self._idle.pop() if self._idle else self._open(), self._idle

    def _give_back(self, connection: apsw.Connection, pool: list[apsw.Connection]) -> None:
        with self._opening:
            if pool is self._idle and not self._closed:
                pool.append(connection)
            else:
                connection.close()

    def _write_connection(self) -> apsw.Connection:
        if self.readonly:
            raise StoreUnavailable(f"{self.path} was opened for reading only")
        with self._opening:
            self._follow_file()
            if self._writer is None:
                self._writer = self._open(WRITER_CACHE_KIB)
                self._writer.wal_autocheckpoint(CHECKPOINT_PAGES)
            return self._writer

    def _memory(self) -> apsw.Connection:
        self._follow_file()
        assert self._writer is not None
        return self._writer

    def _follow_file(self) -> None:
        """Turns to the file that is at the path now: what is written to one that was deleted would be lost."""
        if self._closed:
            raise StoreUnavailable(f"the index {self.path or 'in memory'} has been closed")
        if self.path is not None and _identity(self.path) != self._file:
            self._forget_connections()
            self._open_file()

    def _forget_connections(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle = []
        self._writer = None  # a thread may be writing with it: it closes with the last reference

    def _disk_is_full(self) -> bool:
        """SQLite makes a file of LOG_BYTES to read, too, and says of a full disk only that it failed."""
        import shutil

        return self.path is not None and shutil.disk_usage(self.path.parent).free < LOG_BYTES

    def _damaged(self, detail: object) -> StoreUnavailable:
        return StoreUnavailable(f"{self.path} is damaged: {detail}; {self._damage_advice}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Every error of SQLite that a user can meet, in words to act on."""
        try:
            yield
        except (apsw.BusyError, apsw.LockedError) as error:
            raise Conflict(self.lock.busy()) from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise self._damaged(error) from error
        except apsw.FullError as error:
            raise StoreUnavailable(f"no space left to write {self.path}: the last batch was not stored") from error
        except apsw.IOError as error:
            why = "no space left" if self._disk_is_full() else error
            raise StoreUnavailable(f"cannot read or write {self.path}: {why}; the last batch was not stored") from error
        except apsw.ReadOnlyError as error:
            raise StoreUnavailable(f"{self.path} cannot be written: the file or its folder is read-only") from error
        except (apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError) as error:
            raise StoreUnavailable(f"cannot open {self.path}: {error}") from error
        except UnicodeEncodeError as error:
            raise InvalidInput(f"{error.object!r} is not valid Unicode and cannot be stored") from error


def fetch(connection: apsw.Connection, sql: str, parameters: apsw.Bindings = ()) -> list[tuple[Any, ...]]:
    return connection.execute(sql, parameters).fetchall()


def changes(connection: apsw.Connection) -> int:
    """How many transactions have written to the index, by whatever process; rises at each commit."""
    [(count,)] = fetch(connection, "SELECT changes FROM state")
    return int(count)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"cannot create {folder}: {error.strerror}") from error


def _regexp(*arguments: apsw.SQLiteValue) -> bool:
    pattern, text = map(str, arguments)
    return _compiled(pattern).fullmatch(text) is not None


def _json_contains(*arguments: apsw.SQLiteValue) -> bool:
    from mnemolite.records import contains  # most searches have no such filter

    held, wanted = map(str, arguments)
    return contains(json.loads(held or "{}"), _parsed(wanted))


@lru_cache(maxsize=64)
def _parsed(text: str) -> object:
    return json.loads(text)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)
