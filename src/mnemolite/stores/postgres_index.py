"""
Indexes that are made after the rows: a graph that is grown row by row takes a hundred rows a second, and is worse.

Each space has one HNSW index over the chunks up to ``indexed_to``; what was put later is scanned, and when that has
become much, a new index takes the place of the old one while both reads and writes go on.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from psycopg import errors

from mnemolite.stores.postgres_connection import Connection, Database
from mnemolite.stores.postgres_spaces import StoredSpace, stored_spaces

TAIL_ROWS = 2000  # a scan of so many costs about a millisecond
TAIL_SHARE = 0.1  # of what is indexed: a scan is allowed to grow with what making the index costs
BUILD_MEMORY = "512MB"  # the graph of half a million vectors; PostgreSQL takes what it needs of it
LOCK = 0x4D4E4C55

log = logging.getLogger(__name__)


def settle(database: Database, collection: str) -> None:
    """Brings the indexes up to what has been put; of two at once, the second leaves it to the first."""
    with database.alone() as connection:
        connection.execute("SELECT gin_clean_pending_list(i::regclass) FROM unnest(%s::text[]) AS i", (_GIN,))
        for stored in stored_spaces(connection, collection):
            _extend(connection, stored)


_GIN = ["documents_trigrams", "documents_metadata", "chunks_trigrams", "words_words"]


def _extend(connection: Connection, stored: StoredSpace) -> None:
    with suppress(errors.UndefinedTable):  # dropped meanwhile
        [(rows, tail, last)] = connection.execute(
            f"SELECT count(*), count(*) FILTER (WHERE chunk > %s), max(chunk) FROM {stored.table}", (stored.indexed_to,)
        )
        if tail <= max(TAIL_ROWS, TAIL_SHARE * rows):
            return
        [(mine,)] = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK, stored.id))
        if mine:
            log.info("indexing %s vectors of %s", f"{rows:,}", stored.space.model)
            _build(connection, stored, last)
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCK, stored.id))


def _build(connection: Connection, stored: StoredSpace, last: int) -> None:
    name = f"{stored.table}_to_{last}"
    connection.execute(f"SET maintenance_work_mem = '{BUILD_MEMORY}'")
    connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # what an interrupted build left
    connection.execute(
        f"CREATE INDEX CONCURRENTLY {name} ON {stored.table} USING hnsw (vector halfvec_ip_ops)"
        f" WITH (m = 16, ef_construction = 64) WHERE chunk <= {last}"
    )
    connection.execute("UPDATE spaces SET indexed_to = %s WHERE id = %s", (last, stored.id))
    old = connection.execute(
        "SELECT indexname FROM pg_indexes WHERE tablename = %s AND schemaname = current_schema()"
        " AND indexname LIKE %s AND indexname <> %s",
        (stored.table, f"{stored.table}\\_to\\_%", name),
    ).fetchall()
    for (each,) in old:
        connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {each}")
    connection.execute(f"ANALYZE {stored.table}, words, chunks, documents")
