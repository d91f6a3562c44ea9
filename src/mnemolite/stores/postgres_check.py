"""Whether the tables of a collection agree with one another: reads all of it."""

from __future__ import annotations

from mnemolite.stores.postgres_connection import Connection
from mnemolite.stores.postgres_spaces import stored_spaces
from mnemolite.stores.postgres_words import MARK

_COUNTS = {
    "documents without a source": "SELECT count(*) FROM documents WHERE source NOT IN (SELECT id FROM sources)",
    "chunks without a document": "SELECT count(*) FROM chunks WHERE document NOT IN (SELECT id FROM documents)",
    "words without a chunk": "SELECT count(*) FROM words WHERE chunk NOT IN (SELECT id FROM chunks)",
    "chunks without words": "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk FROM words)",
    "sources that miscount their chunks": "SELECT count(*) FROM sources"
    " WHERE chunks <> (SELECT count(*) FROM words WHERE source = sources.id)",
    "terms that are miscounted": f"""
        SELECT count(*) FROM terms FULL JOIN (
            SELECT lexeme AS term, source, count(*) AS n FROM words, unnest(words)
            WHERE NOT starts_with(lexeme, '{MARK}') GROUP BY 1, 2
        ) AS counted USING (term, source) WHERE chunks IS DISTINCT FROM n
    """,
    "spaces that no source uses": "SELECT count(*) FROM spaces WHERE id NOT IN (SELECT space FROM source_spaces)",
}


def problems(connection: Connection, collection: str) -> list[str]:
    """A line per kind of inconsistency; empty when all is well."""
    found = []
    for label, sql in _COUNTS.items():
        [(count,)] = connection.execute(sql)
        if count:
            found.append(f"{count} {label}")
    for stored in stored_spaces(connection, collection):
        [(orphans,)] = connection.execute(
            f"SELECT count(*) FROM {stored.table} v WHERE NOT EXISTS ("
            "SELECT FROM words JOIN source_spaces s ON s.source = words.source"
            f" WHERE words.chunk = v.chunk AND words.source = v.source AND s.space = {stored.id})"
        )
        if orphans:
            found.append(f"{orphans} vectors without a chunk, of {stored.space.model}")
    return found
