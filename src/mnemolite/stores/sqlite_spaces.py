"""Which models' vectors an index holds."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from mnemolite.stores.spaces import mismatch
from mnemolite.stores.sqlite_connection import fetch
from mnemolite.types import Domain, Space


@dataclass(frozen=True)
class StoredSpace:
    """A space as the store knows it; *changed* tells one state of its vectors from another."""

    id: int
    space: Space
    changed: int
    mirrored: int | None  # the state its sqlite-vec table stands at


def stored_spaces(connection: apsw.Connection) -> list[StoredSpace]:
    rows = fetch(
        connection, "SELECT id, changed, mirrored, domain, model, dimension, fingerprint FROM spaces ORDER BY id"
    )
    return [
        StoredSpace(
            id=number,
            changed=changed,
            mirrored=mirrored,
            space=Space(domain=Domain(domain), model=model, dimension=dimension, fingerprint=fingerprint),
        )
        for number, changed, mirrored, domain, model, dimension, fingerprint in rows
    ]


def stored_space(connection: apsw.Connection, space: Space) -> StoredSpace | None:
    """
    What the index holds of *space*, None when it holds nothing of its domain.

    Raises:
        SpaceMismatch: it holds another model's vectors for this domain.
    """
    held = stored_spaces(connection)
    for stored in held:
        if stored.space == space:
            return stored
    for stored in held:
        if stored.space.domain.overlaps(space.domain):
            raise mismatch(stored.space, space)
    return None


def make_space(connection: apsw.Connection, space: Space) -> StoredSpace:
    connection.execute(
        "INSERT INTO spaces (domain, model, dimension, fingerprint, changed) VALUES (?, ?, ?, ?, 0)",
        (space.domain.value, space.model, space.dimension, space.fingerprint),
    )
    number = connection.last_insert_rowid()
    connection.execute(
        f"CREATE TABLE vectors_{number} (chunk INTEGER PRIMARY KEY, block INTEGER, vector BLOB NOT NULL)"
    )
    return StoredSpace(id=number, space=space, changed=0, mirrored=None)
