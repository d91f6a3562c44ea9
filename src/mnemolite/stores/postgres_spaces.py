"""Which sources a database holds, and which models' vectors of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mnemolite.stores.postgres_connection import Connection
from mnemolite.stores.postgres_kept import Kept
from mnemolite.stores.spaces import mismatch
from mnemolite.types import Domain, Space


@dataclass(frozen=True)
class StoredSpace:
    id: int
    space: Space
    indexed_to: int  # chunks up to this one are in the HNSW index; later ones are scanned

    @property
    def table(self) -> str:
        return f"vectors_{self.id}"


@dataclass(frozen=True)
class Source:
    id: int
    name: str
    chunks: int
    spaces: Mapping[int, bool]  # those it has vectors in, and whether they are active
    shard: str = ""  # of several, the one it is on instead of here


@dataclass(frozen=True)
class Catalogue:
    """What there is in a collection."""

    sources: Mapping[str, Source]
    spaces: Mapping[int, StoredSpace]
    chunks: int  # of all collections
    version: int  # changes with whatever is stored in the collection
    kept: Kept = field(default_factory=Kept, compare=False)

    def find(self, space: Space, sources: Collection[Source]) -> StoredSpace | None:
        """
        What is held of *space*, active or not; None when nothing is of its domain.

        Raises:
            SpaceMismatch: one of *sources* has another model's vectors for this domain.
        """
        for source in sources:
            held = {self.spaces[id].space: active for id, active in source.spaces.items() if id in self.spaces}
            for other, active in held.items():
                if active and space not in held and other.domain.overlaps(space.domain):
                    raise mismatch(other, space, f"the index of {source.name}")
        return next((stored for stored in self.spaces.values() if stored.space == space), None)


def read_catalogue(connection: Connection, collection: str) -> Catalogue:
    spaces = {stored.id: stored for stored in stored_spaces(connection, collection)}
    rows = connection.execute(
        "SELECT id, name, chunks, changes, shard, (SELECT coalesce(sum(chunks), 0)::bigint FROM sources),"
        " (SELECT coalesce(jsonb_object_agg(space, active), '{}') FROM source_spaces WHERE source = id)"
        " FROM sources WHERE collection = %s ORDER BY name",
        (collection,),
    ).fetchall()
    sources = {}
    for id, name, chunks, _, shard, _, used in rows:
        sources[name] = Source(id, name, chunks, {int(space): active for space, active in used.items()}, shard)
    return Catalogue(sources, spaces, chunks=rows[0][5] if rows else 0, version=sum(row[3] for row in rows))


def stored_spaces(connection: Connection, collection: str) -> list[StoredSpace]:
    rows = connection.execute(
        "SELECT id, indexed_to, domain, model, dimension, fingerprint FROM spaces WHERE collection = %s ORDER BY id",
        (collection,),
    )
    return [
        StoredSpace(
            id=number,
            indexed_to=indexed_to,
            space=Space(domain=Domain(domain), model=model, dimension=dimension, fingerprint=fingerprint),
        )
        for number, indexed_to, domain, model, dimension, fingerprint in rows
    ]


def use_space(connection: Connection, collection: str, source: int, space: Space) -> StoredSpace:
    """
    The space, made when it is new, to put vectors of *source* into; nobody drops it before the transaction ends.

    Raises:
        SpaceMismatch: another model's vectors are what is searched of the source in this domain.
    """
    stored = _locked(connection, collection, space)
    if _used(connection, source).get(stored.id):
        return stored
    for rival in _rivals(connection, collection, source, space):
        if not forget_unused(connection, [source], [rival]):
            raise mismatch(rival.space, space)
    _use(connection, source, stored, active=True)
    return stored


def space_to_fill(connection: Connection, collection: str, source: int, space: Space) -> StoredSpace:
    """As use_space gives it, but beside what is active."""
    stored = _locked(connection, collection, space)
    if stored.id not in _used(connection, source):
        _use(connection, source, stored, active=not _rivals(connection, collection, source, space))
    return stored


def _used(connection: Connection, source: int) -> dict[int, bool]:
    return dict(connection.execute("SELECT space, active FROM source_spaces WHERE source = %s", (source,)).fetchall())


def _rivals(connection: Connection, collection: str, source: int, space: Space) -> list[StoredSpace]:
    """Of other models, and searched in the domain of *space*."""
    used = _used(connection, source)
    others = (each for each in stored_spaces(connection, collection) if used.get(each.id) and each.space != space)
    return [other for other in others if other.space.domain.overlaps(space.domain)]


def _use(connection: Connection, source: int, stored: StoredSpace, *, active: bool) -> None:
    connection.execute(
        "INSERT INTO source_spaces (source, domain, space, active) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (source, space) DO UPDATE SET active = excluded.active",
        (source, stored.space.domain.value, stored.id, active),
    )


def forget_unused(connection: Connection, sources: Collection[int], spaces: Collection[StoredSpace]) -> bool:
    """Takes *sources* out of those *spaces* they have no vectors in, and drops what no source is in; False if none."""
    forgotten = False
    for stored in spaces:
        left = connection.execute(
            f"DELETE FROM source_spaces WHERE space = %s AND source = ANY(%s)"
            f" AND NOT EXISTS (SELECT FROM {stored.table} WHERE {stored.table}.source = source_spaces.source)",
            (stored.id, list(sources)),
        )
        if left.rowcount:
            forgotten = True
            # the lock first, for what others have begun to put into the space is seen by a statement begun after it
            connection.execute("SELECT FROM spaces WHERE id = %s FOR UPDATE", (stored.id,))
            gone = connection.execute(
                "DELETE FROM spaces WHERE id = %s AND NOT EXISTS (SELECT FROM source_spaces WHERE space = spaces.id)",
                (stored.id,),
            )
            if gone.rowcount:
                connection.execute(f"DROP TABLE {stored.table}")
    return forgotten


def _locked(connection: Connection, collection: str, space: Space) -> StoredSpace:
    key = (collection, space.domain.value, space.model, space.dimension, space.fingerprint)
    while True:
        found = connection.execute(
            "SELECT id, indexed_to FROM spaces WHERE collection = %s AND domain = %s AND model = %s AND dimension = %s"
            " AND fingerprint = %s FOR KEY SHARE",
            key,
        ).fetchone()
        if found:
            return StoredSpace(id=found[0], space=space, indexed_to=found[1])
        made = connection.execute(
            "INSERT INTO spaces (collection, domain, model, dimension, fingerprint) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING RETURNING id",
            key,
        ).fetchone()
        if made:
            stored = StoredSpace(id=made[0], space=space, indexed_to=0)
            connection.execute(
                f"CREATE TABLE {stored.table}"
                f" (chunk bigint PRIMARY KEY, source integer NOT NULL, vector halfvec({space.dimension}));"
                f" CREATE INDEX ON {stored.table} (source)"
            )
            return stored
