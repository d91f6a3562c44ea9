"""Which models' vectors an index holds."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from mnemolite.errors import Conflict, NotFound
from mnemolite.stores.spaces import in_use, incomplete, mismatch, unknown
from mnemolite.stores.sqlite_connection import changes, fetch
from mnemolite.types import Domain, Space, SpaceState

if TYPE_CHECKING:
    from mnemolite.types import Vector


@dataclass(frozen=True)
class StoredSpace:
    """A space as the store knows it; *changed* tells one state of its vectors from another."""

    id: int
    space: Space
    active: bool
    changed: int
    mirrored: int | None  # the state its sqlite-vec table stands at

    @property
    def table(self) -> str:
        return f"vectors_{self.id}"


def stored_spaces(connection: apsw.Connection) -> list[StoredSpace]:
    rows = fetch(
        connection,
        "SELECT id, active, changed, mirrored, domain, model, dimension, fingerprint FROM spaces ORDER BY id",
    )
    return [
        StoredSpace(
            id=number,
            active=bool(active),
            changed=changed,
            mirrored=mirrored,
            space=Space(domain=Domain(domain), model=model, dimension=dimension, fingerprint=fingerprint),
        )
        for number, active, changed, mirrored, domain, model, dimension, fingerprint in rows
    ]


def stored_space(connection: apsw.Connection, space: Space) -> StoredSpace | None:
    """
    What the index holds of *space*, active or not; None when it holds nothing of its domain.

    Raises:
        SpaceMismatch: it holds another model's vectors for this domain.
    """
    held = stored_spaces(connection)
    for stored in held:
        if stored.space == space:
            return stored
    if rival := _rival(held, space):
        raise mismatch(rival.space, space)
    return None


def space_to_put_into(connection: apsw.Connection, space: Space) -> StoredSpace:
    """
    Made when it is new.

    Raises:
        SpaceMismatch: another model's vectors are what is searched in this domain.
    """
    held = stored_spaces(connection)
    if rival := _rival(held, space):
        raise mismatch(rival.space, space)
    stored = next((each for each in held if each.space == space), None)
    if stored is not None and not stored.active:
        connection.execute("UPDATE spaces SET active = 1 WHERE id = ?", (stored.id,))
    return stored or _make(connection, space, active=True)


def states(connection: apsw.Connection) -> list[SpaceState]:
    return [_state(connection, stored) for stored in stored_spaces(connection)]


def fill(connection: apsw.Connection, space: Space, vectors: Mapping[int, Vector]) -> None:
    """Vectors of chunks; of those that are gone, or have one already, nothing."""
    import numpy as np

    from mnemolite.stores import sqlite_vectors

    held = stored_spaces(connection)
    stored = next((each for each in held if each.space == space), None)
    stored = stored or _make(connection, space, active=_rival(held, space) is None)
    rows = fetch(
        connection,
        f"SELECT id FROM chunks WHERE id IN carray(?) AND id NOT IN (SELECT chunk FROM {stored.table}) ORDER BY id",
        (apsw.carray(array("q", vectors)),),
    )
    if rows:
        change = changes(connection) + 1
        matrix = np.stack([vectors[id] for (id,) in rows])
        quantised = sqlite_vectors.quantise(matrix, space, len(rows))
        sqlite_vectors.add(connection, stored.id, np.array([id for (id,) in rows], np.int64), quantised, change)
        connection.execute("UPDATE spaces SET changed = ? WHERE id = ?", (change, stored.id))


def activate(connection: apsw.Connection, wanted: Sequence[Space]) -> None:
    held = {stored.space: stored for stored in stored_spaces(connection)}
    for space in wanted:
        if space not in held:
            raise Conflict(incomplete(space))
        if missing := _state(connection, held[space]).missing:
            raise Conflict(incomplete(space, missing))
    chosen = apsw.carray(array("q", [held[space].id for space in wanted]))
    connection.execute("UPDATE spaces SET active = id IN carray(?)", (chosen,))


def drop(connection: apsw.Connection, space: Space) -> None:
    stored = next((each for each in stored_spaces(connection) if each.space == space), None)
    if stored is None:
        raise NotFound(unknown(space))
    if stored.active:
        raise Conflict(in_use(space))
    connection.execute(f"DROP TABLE {stored.table}")
    connection.execute("DELETE FROM blocks WHERE space = ?", (stored.id,))
    connection.execute("DELETE FROM spaces WHERE id = ?", (stored.id,))


def lacking(connection: apsw.Connection, space: Space) -> str:
    """A condition on the ids of chunks: those without a vector in *space*."""
    stored = next((each for each in stored_spaces(connection) if each.space == space), None)
    return f"chunks.id NOT IN (SELECT chunk FROM {stored.table})" if stored else "true"


def _make(connection: apsw.Connection, space: Space, *, active: bool) -> StoredSpace:
    connection.execute(
        "INSERT INTO spaces (domain, model, dimension, fingerprint, active, changed) VALUES (?, ?, ?, ?, ?, 0)",
        (space.domain.value, space.model, space.dimension, space.fingerprint, int(active)),
    )
    number = connection.last_insert_rowid()
    connection.execute(
        f"CREATE TABLE vectors_{number} (chunk INTEGER PRIMARY KEY, block INTEGER, vector BLOB NOT NULL)"
    )
    return StoredSpace(id=number, space=space, active=active, changed=0, mirrored=None)


def _rival(held: Sequence[StoredSpace], space: Space) -> StoredSpace | None:
    """Of another model, and searched in the domain of *space*."""
    of_domain = (stored for stored in held if stored.active and stored.space.domain.overlaps(space.domain))
    return next((stored for stored in of_domain if stored.space != space), None)


def _state(connection: apsw.Connection, stored: StoredSpace) -> SpaceState:
    [(chunks, vectors, missing)] = fetch(
        connection,
        f"SELECT count(*), count(block), (SELECT count(*) FROM chunks) - count(*) FROM {stored.table}",
    )
    return SpaceState(space=stored.space, active=stored.active, chunks=chunks, vectors=vectors, missing=missing)
