"""The writer's lock between processes: held by the database for a connection, so it dies with its holder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from psycopg import errors

from mnemolite.errors import Conflict
from mnemolite.stores.postgres_connection import Connection, Database

SPACE = 0x4D4E4C54  # of advisory locks, that others' are not met: "MNLT"


class WriterLock:
    """One writer of a collection, or of one source of it, over all threads and processes; reentrant in a thread."""

    def __init__(self, database: Database, collection: str) -> None:
        self._database = database
        self._collection = collection
        self._held = threading.local()

    @property
    def is_mine(self) -> bool:
        """Whether this thread holds it, of whatever source."""
        return bool(self._held.__dict__)

    @contextmanager
    def held(self, source: str, *, shared: bool = False) -> Iterator[None]:
        """
        *source* "" for all of them. *shared* with others who hold it so.

        Raises:
            Conflict: another writer still holds it after the wait; the message names it.
        """
        depths: dict[str, int] = self._held.__dict__
        outer = next((key for key in ("", source) if key in depths), None)
        if outer is not None:
            yield
            return
        with self._database.alone() as connection:
            connection.execute(f"SET lock_timeout = {max(1, int(self._database.wait_seconds * 1000))}")
            whole, own = _key(self._collection), _key(f"{self._collection} {source}")
            if source:
                self._acquire(connection, "pg_advisory_lock_shared", whole)
            self._acquire(connection, f"pg_advisory_lock{'_shared' if shared else ''}", own if source else whole)
            depths[source] = 1
            try:
                yield
            finally:
                del depths[source]

    def _acquire(self, connection: Connection, function: str, key: int) -> None:
        try:
            connection.execute(f"SELECT {function}(%s, %s)", (SPACE, key))
        except errors.LockNotAvailable as error:
            raise Conflict(
                f"the index in {self._database.label} is being written by {_holder(connection, key)};"
                " wait for it or stop it"
            ) from error


def _key(name: str) -> int:
    return crc32(name.encode()) - 2**31


def _holder(connection: Connection, key: int) -> str:
    found = connection.execute(
        "SELECT application_name, backend_start::time(0) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND classid = %s AND objid::bigint = %s AND granted LIMIT 1",
        (SPACE, key % 2**32),
    ).fetchone()
    return f"{found[0]} (since {found[1]})" if found else "another writer"
