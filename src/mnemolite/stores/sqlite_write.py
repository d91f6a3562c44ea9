"""Documents into the tables of an index and out of them, all within the caller's transaction."""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import apsw

from mnemolite.search import tokens
from mnemolite.stores.documents import checked
from mnemolite.stores.sqlite_connection import changes, fetch
from mnemolite.stores.sqlite_spaces import space_to_put_into, stored_space, stored_spaces
from mnemolite.types import Indexed, telling_path

if TYPE_CHECKING:
    from mnemolite.types import Space

Key = tuple[int, str]  # source id, path


def put(connection: apsw.Connection, items: Iterable[Indexed]) -> None:
    """Whole documents; one given twice is stored as given last."""
    batch = checked(items)
    change = changes(connection) + 1
    sources = source_ids(connection, {source for source, _ in batch})
    keys = [(sources[source], path) for source, path in batch]
    remove(connection, document_ids(connection, keys), change)
    ids = insert_text(connection, list(zip(keys, batch.values(), strict=True)))
    insert_vectors(connection, list(zip(ids, batch.values(), strict=True)), change)


def drop(connection: apsw.Connection, source: str, paths: Collection[str]) -> None:
    for (number,) in fetch(connection, "SELECT id FROM sources WHERE name = ?", (source,)):
        documents = document_ids(connection, [(number, path) for path in paths])
        remove(connection, documents, changes(connection) + 1)
    forget_empty_sources(connection)


def unindexed(connection: apsw.Connection, records: str, source: str, spaces: Sequence[Space]) -> list[str]:
    """
    Ids of *records*, a table with a condition, that have no document in a source beginning with *source*, or a chunk
    of it without a vector in one of *spaces*.
    """
    tables = []
    for space in spaces:
        stored = stored_space(connection, space)
        tables.append(f"vectors_{stored.id}" if stored else "(SELECT 0 AS chunk)")
    lacking = " OR ".join(f"chunks.id NOT IN (SELECT chunk FROM {table})" for table in tables) or "false"
    found = fetch(
        connection,
        f"""
        WITH own AS (
            SELECT path, documents.id FROM documents JOIN sources ON sources.id = source
            WHERE substr(name, 1, length(:source)) = :source
        )
        SELECT id FROM {records} AND id NOT IN (SELECT path FROM own)
        UNION
        SELECT path FROM own JOIN chunks ON document = own.id WHERE {lacking}
        """,
        {"source": source},
    )
    return [id for (id,) in found]


def source_ids(connection: apsw.Connection, names: Collection[str]) -> dict[str, int]:
    connection.executemany("INSERT OR IGNORE INTO sources (name) VALUES (?)", [(name,) for name in sorted(names)])
    return dict(fetch(connection, "SELECT name, id FROM sources"))


def forget_empty_sources(connection: apsw.Connection) -> None:
    connection.execute("DELETE FROM sources WHERE id NOT IN (SELECT source FROM documents)")


def document_ids(connection: apsw.Connection, keys: Collection[Key]) -> list[int]:
    """Ids of those documents that exist."""
    found = connection.executemany("SELECT id FROM documents WHERE source = ? AND path = ?", keys)
    return [int(document) for (document,) in found]


def remove(connection: apsw.Connection, documents: Sequence[int], change: int) -> None:
    """Documents with their chunks, words and vectors; a space left without vectors goes too."""
    if not documents:
        return
    gone = apsw.carray(array("q", documents))
    chunks = fetch(connection, "SELECT id FROM chunks WHERE document IN carray(?)", (gone,))
    if chunks:
        _remove_chunks(connection, [chunk for (chunk,) in chunks], change)
    for table, column in (("chunks", "document"), ("documents", "id"), ("paths", "rowid")):
        connection.execute(f"DELETE FROM {table} WHERE {column} IN carray(?)", (gone,))


def clear(connection: apsw.Connection) -> None:
    """Removes everything but the count of changes and the last ids given."""
    for stored in stored_spaces(connection):
        connection.execute(f"DROP TABLE vectors_{stored.id}")
    for table in ("sources", "documents", "chunks", "spaces", "blocks", "poison"):
        connection.execute(f"DELETE FROM {table}")
    for index in ("words", "names", "paths"):
        connection.execute(f"INSERT INTO {index} ({index}) VALUES ('delete-all')")


def insert_text(connection: apsw.Connection, items: Sequence[tuple[Key, Indexed]]) -> list[range]:
    """Everything but the vectors; gives the new chunk ids of each item."""
    last = fetch(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'chunks'")
    next_id = 1 + (last[0][0] if last else 0)
    ids = []
    chunks, words, names, paths = [], [], [], []
    for (source, path), item in items:
        document = item.document
        connection.execute(
            "INSERT INTO documents (source, path, digest, language, size, mtime_ns, skipped, metadata)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                source,
                path,
                document.digest,
                document.language,
                document.size,
                document.mtime_ns,
                document.skipped,
                to_json(document.metadata) if document.metadata else "",
            ),
        )
        document_id = connection.last_insert_rowid()
        if not document.skipped:
            paths.append((document_id, telling_path(document)))
        ids.append(range(next_id, next_id + len(item.chunks)))
        for number, chunk, digest in zip(ids[-1], item.chunks, item.digests, strict=True):
            fields = tokens.fields(chunk)
            words.append((number, " ".join(fields.name), " ".join(fields.path), " ".join(fields.body)))
            if chunk.name or chunk.symbols:
                names.append((number, "\n".join(dict.fromkeys((chunk.name, *chunk.symbols)))))
            chunks.append(
                (
                    number,
                    document_id,
                    chunk.kind.value,
                    chunk.first_line,
                    chunk.last_line,
                    chunk.name,
                    chunk.parent,
                    chunk.signature,
                    chunk.docstring,
                    "\n".join(chunk.symbols),
                    digest,
                    chunk.text,
                )
            )
        next_id = ids[-1].stop
    connection.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", chunks)
    connection.executemany("INSERT INTO words (rowid, name, path, body) VALUES (?, ?, ?, ?)", words)
    connection.executemany("INSERT INTO names (rowid, name) VALUES (?, ?)", names)
    connection.executemany("INSERT INTO paths (rowid, path) VALUES (?, ?)", paths)
    return ids


def insert_vectors(connection: apsw.Connection, items: Sequence[tuple[range, Indexed]], change: int) -> None:
    """
    Raises:
        SpaceMismatch: a space has the domain of a stored one, but another model.
    """
    by_space: dict[Space, list[tuple[range, Indexed]]] = {}
    for ids, item in items:
        for space in item.vectors:
            by_space.setdefault(space, []).append((ids, item))
    for space, members in by_space.items():
        _insert_space(connection, space, members, change)


def to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _insert_space(
    connection: apsw.Connection, space: Space, items: Sequence[tuple[range, Indexed]], change: int
) -> None:
    import numpy as np

    from mnemolite.stores import sqlite_vectors

    rows = np.concatenate([sqlite_vectors.quantise(item.vectors[space], space, len(ids)) for ids, item in items])
    if not len(rows):
        return
    stored = space_to_put_into(connection, space)
    chunks = np.concatenate([np.arange(ids.start, ids.stop, dtype=np.int64) for ids, _ in items])
    sqlite_vectors.add(connection, stored.id, chunks, rows, change)
    connection.execute("UPDATE spaces SET changed = ? WHERE id = ?", (change, stored.id))


def _remove_chunks(connection: apsw.Connection, ids: Sequence[int], change: int) -> None:
    gone = apsw.carray(array("q", ids))
    for index in ("words", "names"):
        connection.execute(f"DELETE FROM {index} WHERE rowid IN carray(?)", (gone,))
    spaces = stored_spaces(connection)
    if not spaces:
        return
    import numpy as np

    from mnemolite.stores import sqlite_vectors

    for stored in spaces:
        sqlite_vectors.remove(connection, stored.id, np.array(ids, np.int64), change)
        connection.execute("UPDATE spaces SET changed = ? WHERE id = ?", (change, stored.id))
        if connection.execute(f"SELECT 1 FROM vectors_{stored.id} LIMIT 1").fetchone() is None:
            connection.execute(f"DROP TABLE vectors_{stored.id}")
            connection.execute("DELETE FROM spaces WHERE id = ?", (stored.id,))
