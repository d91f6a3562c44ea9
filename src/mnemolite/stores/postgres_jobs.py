"""Jobs in PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from mnemolite.stores.jobs import Tell
from mnemolite.stores.postgres_connection import Connection, Database

LOCK = 0x4D4E4C56  # of whoever changes jobs: a change takes a millisecond, a task a thousand times as long


class PostgresTables:
    """The :class:`~mnemolite.stores.jobs.Tables` of *database*."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def reading(self) -> Iterator[Tell]:
        with self._database.reading() as connection:
            yield _teller(connection)

    @contextmanager
    def writing(self) -> Iterator[Tell]:
        with self._database.writing() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            yield _teller(connection)

    def close(self) -> None:
        self._database.close()


def _teller(connection: Connection) -> Tell:
    def tell(sql: str, **values: Any) -> list[tuple[Any, ...]]:
        cursor = connection.execute(_placed(sql), values)
        return cursor.fetchall() if cursor.description else []

    return tell


@lru_cache(maxsize=256)
def _placed(sql: str) -> str:
    """With psycopg's placeholders."""
    return re.sub(r":(\w+)", r"%(\1)s", sql)
