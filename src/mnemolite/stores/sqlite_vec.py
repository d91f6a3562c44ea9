"""
Vectors searched by the sqlite-vec extension: a vec0 table per space, ``mirror_<id>``, beside ``vectors_<id>``.

The mirror is brought up to date before a search. That needs no record of what changed: chunk ids are never given twice
and a chunk's vector never changes, so the difference of the two sets of ids is all there is to do.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import apsw
import numpy as np

from mnemolite.errors import InvalidInput
from mnemolite.stores.sqlite_connection import Database, fetch
from mnemolite.stores.sqlite_spaces import StoredSpace
from mnemolite.stores.sqlite_vectors import Ids, restore
from mnemolite.types import Ranking

if TYPE_CHECKING:
    from mnemolite.types import Vector

MAX_K = 4096  # vec0 refuses more
BATCH = 4096

_GONE = """
    SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%USING vec0%'
    AND name NOT IN (SELECT 'mirror_' || id FROM spaces)
"""


class SqliteVecVectors:
    """Ranks the vectors of a store with sqlite-vec."""

    name = "sqlite-vec"

    def __init__(self) -> None:
        self._extension = _extension().loadable_path()

    def load(self, connection: apsw.Connection) -> None:
        connection.enable_load_extension(True)
        connection.load_extension(self._extension)
        connection.enable_load_extension(False)

    def refresh(self, database: Database) -> None:
        """Brings every mirror up to the state of its space."""
        with database.reading() as connection:
            stale = fetch(connection, f"SELECT 1 FROM spaces WHERE mirrored IS NOT changed UNION ALL {_GONE} LIMIT 1")
        if stale:
            with database.writing() as connection:
                for space, dimension in fetch(
                    connection, "SELECT id, dimension FROM spaces WHERE mirrored IS NOT changed"
                ):
                    _mirror(connection, space, dimension)
                connection.execute("UPDATE spaces SET mirrored = changed")
                self.drop_mirrors(connection)

    def drop_mirrors(self, connection: apsw.Connection) -> None:
        """Drops those whose space is gone."""
        gone = fetch(connection, _GONE)
        for (name,) in gone:
            connection.execute(f"DROP TABLE {name}")

    def nearest(
        self, connection: apsw.Connection, stored: StoredSpace, query: Vector, allowed: Ids | None, limit: int
    ) -> Ranking:
        """Chunks of *allowed* (None: all) by cosine with *query*, a unit vector."""
        if allowed is not None and not len(allowed):
            return []
        scope, binding = ("", ()) if allowed is None else ("AND rowid IN carray(?)", (apsw.carray(allowed),))
        found = fetch(
            connection,
            f"SELECT rowid, 1 - distance FROM mirror_{stored.id} WHERE vector MATCH ? AND k = ? {scope}",
            (query.astype(np.float32).tobytes(), min(limit, MAX_K), *binding),
        )
        present = _present(connection, stored.id, [chunk for chunk, _ in found])
        return sorted(((chunk, score) for chunk, score in found if chunk in present), key=lambda hit: (-hit[1], hit[0]))


def _extension() -> ModuleType:
    try:
        import sqlite_vec
    except ImportError as error:
        raise InvalidInput(
            "vector backend 'sqlite-vec' is not installed; install mnemolite[sqlite-vec], or choose 'numpy'"
        ) from error
    assert isinstance(sqlite_vec, ModuleType)
    return sqlite_vec


def _present(connection: apsw.Connection, space: int, chunks: list[int]) -> set[int]:
    """Those that still exist: the mirror stands at an older state when another process has just written."""
    if not chunks:
        return set()
    wanted = apsw.carray(np.array(chunks, np.int64))
    rows = fetch(connection, f"SELECT chunk FROM vectors_{space} WHERE chunk IN carray(?)", (wanted,))
    return {chunk for (chunk,) in rows}


def _mirror(connection: apsw.Connection, space: int, dimension: int) -> None:
    connection.execute(
        f"CREATE VIRTUAL TABLE IF NOT EXISTS mirror_{space}"
        f" USING vec0(vector float[{dimension}] distance_metric=cosine)"
    )
    mirrored = {chunk for (chunk,) in fetch(connection, f"SELECT rowid FROM mirror_{space}")}
    wanted = {chunk for (chunk,) in fetch(connection, f"SELECT chunk FROM vectors_{space} WHERE block IS NOT NULL")}
    connection.executemany(f"DELETE FROM mirror_{space} WHERE rowid = ?", [(chunk,) for chunk in mirrored - wanted])
    missing = sorted(wanted - mirrored)
    for start in range(0, len(missing), BATCH):
        part = apsw.carray(np.array(missing[start : start + BATCH], np.int64))
        rows = fetch(connection, f"SELECT chunk, vector FROM vectors_{space} WHERE chunk IN carray(?)", (part,))
        connection.executemany(
            f"INSERT INTO mirror_{space} (rowid, vector) VALUES (?, ?)",
            ((chunk, restore(vector, dimension).tobytes()) for chunk, vector in rows),
        )
