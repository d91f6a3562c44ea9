"""Events in PostgreSQL: each is written together with the document that makes it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Json, Jsonb

from mnemolite.errors import Conflict
from mnemolite.records import EVENTS, Event, EventFilter
from mnemolite.stores import postgres_write
from mnemolite.stores.documents import checked
from mnemolite.stores.postgres import PostgresStore
from mnemolite.stores.postgres_connection import Row
from mnemolite.types import Indexed, Space

ADOPTED_DIMENSION = 768  # of the column that other programs read

# Content that another program has changed since is what it made of it.
_EVENTS = """
    SELECT key, timestamp, CASE WHEN verbatim::jsonb = content THEN verbatim ELSE content::json END, metadata,
        coalesce(components, embedding::real[]::float8[])
    FROM events
"""


class PostgresEvents:
    """An :class:`~mnemolite.ports.EventStore` in the database of *store*, which holds the documents."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._database = store.database

    def write_events(self, events: Iterable[tuple[Event, Indexed | None]]) -> None:
        batch = tuple(events)
        rows = [_row(event) for event, _ in batch]
        with self._store.writing() as connection:
            with connection.cursor() as cursor:
                for row in rows:
                    cursor.execute(
                        "INSERT INTO events (id, own_id, timestamp, content, verbatim, metadata, components, embedding)"
                        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s::vector) ON CONFLICT DO NOTHING",
                        row,
                    )
                    if not cursor.rowcount:
                        raise Conflict(f"event {row[1] or row[0]} is there already; nothing was written")
            documents = checked(indexed for _, indexed in batch if indexed is not None)
            postgres_write.put(connection, self._store.collection, documents)

    def events(self, ids: Sequence[str]) -> list[Event]:
        if not ids:
            return []
        with self._database.reading() as connection:
            rows = connection.execute(f"{_EVENTS} WHERE key = ANY(%s)", (list(ids),)).fetchall()
        found = {row[0]: _event(row) for row in rows}
        return [found[id] for id in ids if id in found]

    def count_events(self) -> int:
        with self._database.reading() as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM events")
        return int(count)

    def event_ids(self, filter: EventFilter) -> list[str]:
        conditions, parameters = ["true"], dict[str, Any](limit=filter.limit)
        if filter.metadata:
            conditions.append("metadata @> %(metadata)s")
            parameters["metadata"] = Jsonb(filter.metadata)
        if filter.since is not None:
            conditions.append("timestamp >= %(since)s")
            parameters["since"] = filter.since
        if filter.until is not None:
            conditions.append("timestamp < %(until)s")
            parameters["until"] = filter.until
        sql = f"SELECT key FROM events WHERE {' AND '.join(conditions)} ORDER BY timestamp DESC, key DESC"
        with self._database.reading() as connection:
            return [id for (id,) in connection.execute(f"{sql} LIMIT %(limit)s", parameters)]

    def unindexed_events(self, spaces: Sequence[Space]) -> list[str]:
        with self._database.reading() as connection:
            every = "SELECT key FROM events"
            return postgres_write.unindexed(connection, self._store.collection, every, EVENTS, spaces)

    def index_events(self, events: Iterable[tuple[Event, Indexed]]) -> None:
        batch = {event.id: indexed for event, indexed in events}
        with self._store.writing() as connection:
            present = connection.execute("SELECT key FROM events WHERE key = ANY(%s) FOR UPDATE", (list(batch),))
            postgres_write.put(connection, self._store.collection, checked(batch[id] for (id,) in present))

    def set_event_metadata(self, id: str, metadata: Mapping[str, Any]) -> bool:
        with self._store.writing() as connection:
            changed = connection.execute("UPDATE events SET metadata = %s WHERE key = %s", (Jsonb(metadata), id))
            sources = postgres_write.bump(connection, self._store.collection, [EVENTS])
            connection.execute(
                "UPDATE documents SET metadata = %s WHERE path = %s AND source = %s",
                (Jsonb(metadata), id, sources[EVENTS]),
            )
            return changed.rowcount > 0

    def delete_events(self, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        with self._store.writing() as connection:
            gone = connection.execute("DELETE FROM events WHERE key = ANY(%s)", (list(ids),)).rowcount
            postgres_write.drop(connection, self._store.collection, EVENTS, ids)
        return gone


def _row(event: Event) -> Row:
    vector = list(event.embedding) if event.embedding is not None else None
    own = _as_uuid(event.id) is None
    return (
        uuid4() if own else UUID(event.id),
        event.id if own else None,
        event.timestamp,
        Jsonb(event.content),
        Json(event.content),
        Jsonb(event.metadata),
        vector,
        vector if vector is not None and len(vector) == ADOPTED_DIMENSION else None,
    )


def _as_uuid(id: str) -> UUID | None:
    try:
        found = UUID(id)
    except ValueError:
        return None
    return found if str(found) == id else None


def _event(row: Row) -> Event:
    id, timestamp, content, metadata, embedding = row
    return Event(
        id=id,
        timestamp=timestamp,
        content=content if isinstance(content, dict) else {"content": content},  # of an earlier program
        metadata=metadata if isinstance(metadata, dict) else {},
        embedding=None if embedding is None else tuple(embedding),
    )
