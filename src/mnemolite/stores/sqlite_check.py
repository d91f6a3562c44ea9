"""Whether the tables of an index agree with one another: reads all of it."""

from __future__ import annotations

import apsw

from mnemolite.stores.sqlite_connection import fetch
from mnemolite.stores.sqlite_spaces import StoredSpace, stored_spaces

_COUNTS = {
    "documents without a source": "SELECT count(*) FROM documents WHERE source NOT IN (SELECT id FROM sources)",
    "sources without a document": "SELECT count(*) FROM sources WHERE id NOT IN (SELECT source FROM documents)",
    "chunks without a document": "SELECT count(*) FROM chunks WHERE document NOT IN (SELECT id FROM documents)",
    "words without a chunk": "SELECT count(*) FROM (SELECT rowid FROM words EXCEPT SELECT id FROM chunks)",
    "chunks without words": "SELECT count(*) FROM (SELECT id FROM chunks EXCEPT SELECT rowid FROM words)",
    "names without a chunk": "SELECT count(*) FROM (SELECT rowid FROM names EXCEPT SELECT id FROM chunks)",
    "named chunks without a name in the index": "SELECT count(*) FROM"
    " (SELECT id FROM chunks WHERE name || symbols <> '' EXCEPT SELECT rowid FROM names)",
    "paths without a document": "SELECT count(*) FROM (SELECT rowid FROM paths EXCEPT SELECT id FROM documents)",
    "documents without a path in the index": "SELECT count(*) FROM"
    " (SELECT id FROM documents WHERE skipped = '' EXCEPT SELECT rowid FROM paths)",
    "blocks without a space": "SELECT count(*) FROM blocks WHERE space NOT IN (SELECT id FROM spaces)",
    "vector tables without a space": "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'vectors_[0-9]*'"
    " AND name NOT IN (SELECT 'vectors_' || id FROM spaces)",
}


def problems(connection: apsw.Connection) -> list[str]:
    """A line per kind of inconsistency; empty when all is well."""
    found = [f"SQLite: {line}" for (line,) in fetch(connection, "PRAGMA integrity_check") if line != "ok"]
    for label, sql in _COUNTS.items():
        [(count,)] = fetch(connection, sql)
        if count:
            found.append(f"{count} {label}")
    for stored in stored_spaces(connection):
        found += [f"{problem}, of {stored.space.model}" for problem in _of_space(connection, stored)]
    return found


def _of_space(connection: apsw.Connection, stored: StoredSpace) -> list[str]:
    import numpy as np

    from mnemolite.stores.sqlite_vectors import read_all, signs

    found = []
    [(orphans,)] = fetch(
        connection, f"SELECT count(*) FROM vectors_{stored.id} WHERE chunk NOT IN (SELECT id FROM chunks)"
    )
    if orphans:
        found.append(f"{orphans} vectors without a chunk")
    blocks, chunks, rows = read_all(connection, stored)
    expected = dict(zip(chunks.tolist(), signs(rows).T, strict=True))
    places = [(block, place) for block in blocks for place in np.flatnonzero(block.chunks)]
    if len(places) != len(expected):
        found.append(f"{len(places)} vectors in blocks instead of {len(expected)}")
    wrong = sum(
        not np.array_equal(block.bits[:, place], expected.get(int(block.chunks[place]), ())) for block, place in places
    )
    if wrong:
        found.append(f"{wrong} places in blocks that are not the signs of their vector")
    used = fetch(connection, "SELECT used FROM blocks WHERE space = ? ORDER BY id", (stored.id,))
    if [np.count_nonzero(block.chunks) for block in blocks] != [count for (count,) in used]:
        found.append("blocks that miscount their vectors")
    return found
