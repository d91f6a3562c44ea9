"""Spaces beside those that are searched: filled chunk by chunk, made the active ones, dropped. Of some sources each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnemolite.errors import Conflict, NotFound
from mnemolite.stores.postgres_connection import Connection
from mnemolite.stores.postgres_spaces import Source, StoredSpace, forget_unused, space_to_fill, stored_spaces
from mnemolite.stores.postgres_words import halfvecs
from mnemolite.stores.postgres_write import bump, copy
from mnemolite.stores.spaces import in_use, incomplete, unknown
from mnemolite.stores.vectors import unit_rows
from mnemolite.types import Space, SpaceState

if TYPE_CHECKING:
    from mnemolite.types import Vector


def states(connection: Connection, collection: str, sources: Sequence[Source]) -> list[SpaceState]:
    held = [source for source in sources if source.chunks]
    used = {id for source in held for id in source.spaces}
    return [_state(connection, stored, held) for stored in stored_spaces(connection, collection) if stored.id in used]


def lacking(connection: Connection, collection: str, space: Space) -> str:
    """A condition on the table c of chunks: those without a vector in *space*."""
    stored = _find(connection, collection, space)
    return f"NOT EXISTS (SELECT FROM {stored.table} WHERE chunk = c.id)" if stored else "true"


def fill(connection: Connection, collection: str, space: Space, vectors: Mapping[int, Vector]) -> int:
    """How many were put."""
    owners = (
        "SELECT w.source, s.name FROM words w JOIN sources s ON s.id = w.source WHERE w.chunk = ANY(%s) GROUP BY 1, 2"
    )
    names = {name for _, name in connection.execute(owners, (list(vectors),))}
    bump(connection, collection, names)  # from here on nobody else writes to them
    put = 0
    for source, _ in connection.execute(owners, (list(vectors),)).fetchall():
        stored = space_to_fill(connection, collection, source, space)
        ids = [
            id
            for (id,) in connection.execute(
                f"SELECT chunk FROM words w WHERE chunk = ANY(%s) AND source = %s"
                f" AND NOT EXISTS (SELECT FROM {stored.table} v WHERE v.chunk = w.chunk)",
                (list(vectors), source),
            )
        ]
        if ids:
            sent = halfvecs(unit_rows(np.stack([vectors[id] for id in ids]), space, len(ids)))
            rows = [(id, source, each) for id, each in zip(ids, sent, strict=True)]
            copy(connection, f"{stored.table} (chunk, source, vector)", ["int8", "int4", "bytea"], rows)
            put += len(rows)
    return put


def activate(connection: Connection, collection: str, sources: Sequence[Source], wanted: Sequence[Space]) -> None:
    bump(connection, collection, [source.name for source in sources])
    chosen = []
    for space in wanted:
        stored = _find(connection, collection, space)
        if stored is None:
            raise Conflict(incomplete(space))
        if missing := _state(connection, stored, sources).missing:
            raise Conflict(incomplete(space, missing))
        chosen.append(stored.id)
    connection.execute(
        "UPDATE source_spaces SET active = space = ANY(%s) WHERE source = ANY(%s)",
        (chosen, [source.id for source in sources]),
    )


def drop(connection: Connection, collection: str, sources: Sequence[Source], space: Space) -> None:
    bump(connection, collection, [source.name for source in sources])
    stored = _find(connection, collection, space)
    numbers = [source.id for source in sources]
    used = connection.execute(
        "SELECT active FROM source_spaces WHERE space = %s AND source = ANY(%s)",
        (stored.id if stored else 0, numbers),
    ).fetchall()
    if stored is None or not used:
        raise NotFound(unknown(space))
    if any(active for (active,) in used):
        raise Conflict(in_use(space))
    connection.execute(f"DELETE FROM {stored.table} WHERE source = ANY(%s)", (numbers,))
    forget_unused(connection, numbers, [stored])


def _find(connection: Connection, collection: str, space: Space) -> StoredSpace | None:
    return next((each for each in stored_spaces(connection, collection) if each.space == space), None)


def _state(connection: Connection, stored: StoredSpace, sources: Sequence[Source]) -> SpaceState:
    numbers = [source.id for source in sources]
    [(chunks, vectors, missing)] = connection.execute(
        f"SELECT count(*), count(vector), (SELECT count(*) FROM words WHERE source = ANY(%(sources)s)) - count(*)"
        f" FROM {stored.table} WHERE source = ANY(%(sources)s)",
        {"sources": numbers},
    )
    active = all(source.spaces.get(stored.id) for source in sources if source.chunks)
    return SpaceState(space=stored.space, active=active, chunks=chunks, vectors=vectors, missing=missing)
