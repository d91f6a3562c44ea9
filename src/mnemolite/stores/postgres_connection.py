"""Connections to one PostgreSQL database: a few, shared by all threads."""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, errors
from psycopg.adapt import Dumper
from psycopg.pq import Format

from mnemolite.errors import Conflict, InvalidInput, StoreUnavailable

SCHEMA = "0003"  # the newest migration
VERSION_TABLE = "mnemolite_schema"  # which migration the database stands at
Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]

# Helpers and jit cost more than they gain in queries of milliseconds; a prepared statement's generic plan does not know
# how common the asked terms are. What is searched lies in memory, so a page looked up costs what a page read in order
# costs: else a hundred chunks are joined with all documents. More of the graph is walked than pgvector does by default,
# and on until a filter is satisfied.
_SESSION = (
    "SET jit = off; SET max_parallel_workers_per_gather = 0; SET plan_cache_mode = force_custom_plan;"
    " SET enable_seqscan = off;"  # the planner takes matching a tsquery for as cheap as comparing a number
    " SET random_page_cost = 1.1; SET hnsw.ef_search = 100; SET hnsw.iterative_scan = relaxed_order;"
    " SET idle_in_transaction_session_timeout = '5min';"
)


class Binary(bytes):
    """A parameter in the binary form of whatever type its cast in the statement names."""


class _BinaryDumper(Dumper):
    format = Format.BINARY
    oid = 0

    def dump(self, obj: Binary) -> bytes:
        return bytes(obj)


class Database:
    """
    At most *pool_size* connections to the database at *url*, opened as they are needed. Thread-safe.

    A connection whose server has gone is noticed before it is used, so a server that is back is found at once.

    Raises:
        InvalidInput: *url* is none of a PostgreSQL database.
    """

    def __init__(
        self, url: str, *, pool_size: int = 10, wait_seconds: float = 10.0, statement_seconds: float = 60.0
    ) -> None:
        self.url = url
        self.wait_seconds = wait_seconds
        self.label = label(url)
        self._statement_ms = int(statement_seconds * 1000)
        self._pool_size = pool_size
        self._free = threading.BoundedSemaphore(pool_size)
        self._idle: list[Connection] = []
        self._busy = 0
        self._lock = threading.Lock()
        self._checked = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on which each statement is a transaction."""
        with self.translated():
            if not self._free.acquire(timeout=self.wait_seconds):
                raise StoreUnavailable(
                    f"all {self._pool_size} connections to {self.label} have been busy for {self.wait_seconds:g} s;"
                    " ask less at once, or raise database_pool_size"
                )
            try:
                connection = self._borrow()
                try:
                    yield connection
                finally:
                    self._give_back(connection)
            finally:
                self._free.release()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection within a transaction that is committed at the end, or leaves no trace."""
        with self.reading() as connection, connection.transaction():
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection of one's own, for what lasts: a lock, an index. No statement of it is timed out."""
        with self.translated():
            connection = self._open()
            try:
                connection.execute("SET statement_timeout = 0")
                yield connection
            finally:
                connection.close()

    def connections(self) -> dict[str, int]:
        with self._lock:
            return {"busy": self._busy, "idle": len(self._idle), "most": self._pool_size}

    def close(self) -> None:
        """Ends the connections nobody is using; the next call opens one again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Every error of PostgreSQL that a user can meet, in words to act on."""
        try:
            yield
        except errors.LockNotAvailable as error:
            raise Conflict(f"{self.label} is being written by another process; try again") from error
        except (errors.DeadlockDetected, errors.SerializationFailure) as error:
            raise Conflict(f"another writer of {self.label} was faster; nothing was written, try again") from error
        except errors.QueryCanceled as error:
            raise StoreUnavailable(
                f"{self.label} took longer than {self._statement_ms / 1000:g} s to answer; nothing was written"
            ) from error
        except errors.DiskFull as error:
            raise StoreUnavailable(f"no space left at {self.label}: the last batch was not stored") from error
        except (errors.UndefinedTable, errors.UndefinedColumn) as error:
            raise StoreUnavailable(
                f"{self.label} lacks a table: {_first_line(error)}; run 'mnemolite db upgrade'"
            ) from error
        except UnicodeEncodeError as error:
            raise InvalidInput(f"{error.object!r} is not valid Unicode and cannot be stored") from error
        except psycopg.OperationalError as error:
            raise StoreUnavailable(
                f"the database {self.label} cannot be reached: {_first_line(error)}; start it, or mend DATABASE_URL"
            ) from error
        except psycopg.Error as error:
            raise StoreUnavailable(f"{self.label} refused: {_first_line(error)}") from error

    def _borrow(self) -> Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._open()
                try:
                    self._check(connection)
                except BaseException:
                    connection.close()
                    raise
                break
            if not _is_stale(connection):
                break
            connection.close()
        with self._lock:
            self._busy += 1
        return connection

    def _give_back(self, connection: Connection) -> None:
        broken = connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            self._busy -= 1
            if not broken:
                self._idle.append(connection)
                return
        connection.close()

    def _open(self) -> Connection:
        connection = psycopg.connect(
            self.url,
            autocommit=True,
            connect_timeout=max(2, int(self.wait_seconds)),
            application_name=program(),
            keepalives_idle=30,
        )
        connection.adapters.register_dumper(Binary, _BinaryDumper)
        try:
            connection.execute(f"{_SESSION} SET statement_timeout = {self._statement_ms}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: Connection) -> None:
        if self._checked:
            return
        is_at = schema_version(connection)
        if is_at is None:
            raise StoreUnavailable(
                f"the database {self.label} is not set up; run 'mnemolite db upgrade', or unset DATABASE_URL to keep"
                " everything in files"
            )
        if is_at < SCHEMA:
            raise StoreUnavailable(
                f"the database {self.label} has schema {is_at}, this program needs {SCHEMA}; run 'mnemolite db upgrade'"
            )
        if is_at > SCHEMA:
            raise StoreUnavailable(
                f"the database {self.label} has schema {is_at}, this program knows up to {SCHEMA}; upgrade mnemolite"
            )
        self._checked = True


def schema_version(connection: Connection) -> str | None:
    """None when the database is not set up."""
    [(there,)] = connection.execute(f"SELECT to_regclass('{VERSION_TABLE}') IS NOT NULL")
    found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone() if there else None
    return str(found[0]) if found else None


def label(url: str) -> str:
    """
    *url* as it may be shown: without the password.

    Raises:
        InvalidInput: it is none of a PostgreSQL database.
    """
    if not url.startswith(("postgresql://", "postgres://")):
        raise InvalidInput(f"database_url must begin with postgresql://, begins with {url.partition(':')[0]!r}")
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise InvalidInput("database_url cannot be read; it is postgresql://user:password@host:port/name") from error
    host, port = parts.get("host") or "localhost", parts.get("port")
    return f"{host}{f':{port}' if port else ''}/{str(parts.get('dbname') or '').lstrip('/')}"


def program() -> str:
    """What the database shows of this process; further arguments may be private."""
    name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    command = [argument for argument in sys.argv[1:2] if argument.isidentifier()]
    return f"{' '.join([name, *command])}, process {os.getpid()} on {socket.gethostname()}"[:63]


def _is_stale(connection: Connection) -> bool:
    """Whether the server has ended it: then there is something to read, where nothing was asked."""
    if connection.closed:
        return True
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return bool(readable)


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
