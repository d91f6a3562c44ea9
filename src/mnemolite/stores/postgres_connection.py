"""Connections to one PostgreSQL database: a few, shared by all threads."""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, errors
from psycopg.adapt import Dumper
from psycopg.pq import Format

from mnemolite.degraded import degrade
from mnemolite.errors import Conflict, InvalidInput, StoreUnavailable

SCHEMA = "0006"  # the newest migration
VERSION_TABLE = "mnemolite_schema"  # which migration the database stands at
PRIMARY, FOLLOWER = "read-write", "prefer-standby"  # servers, as libpq calls what they are like
FOLLOWER_SECONDS = 10.0  # so long a search does without a standby that could not be reached
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

    A connection whose server has gone is noticed before it is used, so a server that is back is found at once. Of
    several hosts in *url* one is the primary, whichever it is now, and the others follow it.

    Raises:
        InvalidInput: *url* is none of a PostgreSQL database.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        wait_seconds: float = 10.0,
        statement_seconds: float = 60.0,
        shard: str = "",
    ) -> None:
        """*shard* is its name among several, for messages."""
        self.url = url
        self.wait_seconds = wait_seconds
        self.label = label(url, shard)
        self._setting = "database_shards" if shard else "DATABASE_URL"
        self._statement_ms = int(statement_seconds * 1000)
        self._pool_size = pool_size
        self._primary = _Pool(pool_size, PRIMARY)
        self._followers = _Pool(pool_size, FOLLOWER) if _has_several(url) else self._primary
        self._checked = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on which each statement is a transaction."""
        with self._pooled(self._primary) as connection:
            yield connection

    @contextmanager
    def searching(self) -> Iterator[Connection]:
        """As reading; of several hosts from one that follows, which may be a moment behind, if any can be reached."""
        with self._pooled(self._followers) as connection:
            if self._followers is not self._primary and not follows(connection):
                degrade(f"database: no standby of {self.label} can be reached; its primary is asked instead")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection within a transaction that is committed at the end, or leaves no trace."""
        with self.reading() as connection, connection.transaction():
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection of one's own, for what lasts: a lock, an index. No statement of it is timed out."""
        with self.translated():
            connection = self._open(self._primary.attributes)
            try:
                connection.execute("SET statement_timeout = 0")
                yield connection
            finally:
                connection.close()

    def connections(self) -> dict[str, int]:
        counted: Counter[str] = Counter()
        for pool in {self._primary, self._followers}:
            counted.update(pool.counts())
        return dict(counted)

    def close(self) -> None:
        """Ends the connections nobody is using; the next call opens one again."""
        for pool in {self._primary, self._followers}:
            for connection in pool.emptied():
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
                f"the database {self.label} cannot be reached: {_first_line(error)}; start it, or mend {self._setting}"
            ) from error
        except psycopg.Error as error:
            raise StoreUnavailable(f"{self.label} refused: {_first_line(error)}") from error

    @contextmanager
    def _pooled(self, pool: _Pool) -> Iterator[Connection]:
        with self.translated():
            if not pool.free.acquire(timeout=self.wait_seconds):
                raise StoreUnavailable(
                    f"all {self._pool_size} connections to {self.label} have been busy for {self.wait_seconds:g} s;"
                    " ask less at once, or raise database_pool_size"
                )
            try:
                connection = pool.taken() or self._opened(pool)
                pool.lent()
                try:
                    yield connection
                finally:
                    pool.give_back(connection)
            finally:
                pool.free.release()

    def _opened(self, pool: _Pool) -> Connection:
        connection = self._open(pool.attributes)
        try:
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        pool.opened(connection)
        return connection

    def _open(self, attributes: str) -> Connection:
        connection = connect(self.url, attributes, self.wait_seconds, autocommit=True)
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


class _Pool:
    """Idle connections of one kind: PRIMARY or FOLLOWER."""

    def __init__(self, size: int, attributes: str) -> None:
        self.free = threading.BoundedSemaphore(size)
        self._size = size
        self._busy = 0
        self.attributes = attributes
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._look_at = 0.0  # for a standby, where the last connection is to none

    def opened(self, connection: Connection) -> None:
        self._look_at = 0.0 if follows(connection) else time.monotonic() + FOLLOWER_SECONDS

    def taken(self) -> Connection | None:
        """One that can be used; None when there is none."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or not (_is_stale(connection) or self._is_second_best(connection)):
                return connection
            connection.close()

    def lent(self) -> None:
        with self._lock:
            self._busy += 1

    def give_back(self, connection: Connection) -> None:
        broken = connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            self._busy -= 1
            if not broken:
                self._idle.append(connection)
                return
        connection.close()

    def counts(self) -> dict[str, int]:
        with self._lock:
            return {"busy": self._busy, "idle": len(self._idle), "most": self._size}

    def emptied(self) -> list[Connection]:
        with self._lock:
            idle, self._idle = self._idle, []
        return idle

    def _is_second_best(self, connection: Connection) -> bool:
        """Of one to a primary where a standby is wanted, and may be back."""
        if self.attributes != FOLLOWER or follows(connection):
            return False
        return time.monotonic() > self._look_at


def connect(url: str, attributes: str, wait_seconds: float, *, autocommit: bool = False) -> Connection:
    """*attributes* say which of several hosts will do."""
    wanted = {"target_session_attrs": attributes} if _has_several(url) else {}
    return psycopg.connect(
        url,
        autocommit=autocommit,
        connect_timeout=max(2, int(wait_seconds)),
        application_name=program(),
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        **wanted,  # type: ignore[arg-type]
    )


def schema_version(connection: Connection) -> str | None:
    """None when the database is not set up."""
    [(there,)] = connection.execute(f"SELECT to_regclass('{VERSION_TABLE}') IS NOT NULL")
    found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone() if there else None
    return str(found[0]) if found else None


def label(url: str, shard: str = "") -> str:
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
    found = f"{host}{f':{port}' if port else ''}/{str(parts.get('dbname') or '').lstrip('/')}"
    return f"{found} (shard {shard})" if shard else found


def program() -> str:
    """What the database shows of this process; further arguments may be private."""
    name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    command = [argument for argument in sys.argv[1:2] if argument.isidentifier()]
    return f"{' '.join([name, *command])}, process {os.getpid()} on {socket.gethostname()}"[:63]


def _has_several(url: str) -> bool:
    """Whether it names more than one host."""
    return "," in str(conninfo.conninfo_to_dict(url).get("host") or "")


def follows(connection: Connection) -> bool:
    """Whether its server is a standby; the server tells each change of it by itself."""
    return connection.info.parameter_status("in_hot_standby") == "on"


def _is_stale(connection: Connection) -> bool:
    """Whether the server has ended it: then there is something to read, where nothing was asked."""
    if connection.closed:
        return True
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return bool(readable)


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
