"""Events in SQLite: each is written together with the document that makes it found."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw

from mnemolite.errors import Conflict
from mnemolite.records import EVENTS, Event, EventFilter
from mnemolite.stores import sqlite_write
from mnemolite.stores.sqlite_connection import Database, fetch
from mnemolite.stores.sqlite_write import to_json
from mnemolite.types import Indexed, Space, microseconds, moment

_COLUMNS = "id, timestamp, content, metadata, embedding"


class SqliteEvents:
    """An :class:`~mnemolite.ports.EventStore` in the database of a SqliteStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write_events(self, events: Iterable[tuple[Event, Indexed | None]]) -> None:
        batch = tuple(events)
        if not batch:
            return
        rows = [_row(event) for event, _ in batch]
        with self._database.writing() as connection:
            ids = apsw.carray(tuple(event.id for event, _ in batch))
            for (id,) in fetch(connection, "SELECT id FROM events WHERE id IN carray(?)", (ids,)):
                raise Conflict(f"event {id} is there already; nothing was written")
            connection.executemany(f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", rows)
            sqlite_write.put(connection, [indexed for _, indexed in batch if indexed is not None])

    def events(self, ids: Sequence[str]) -> list[Event]:
        if not ids:
            return []
        with self._database.reading() as connection:
            rows = fetch(
                connection,
                f"SELECT {_COLUMNS} FROM events WHERE id IN carray(?)",
                (apsw.carray(tuple(ids)),),
            )
        found = {row[0]: _event(*row) for row in rows}
        return [found[id] for id in ids if id in found]

    def count_events(self) -> int:
        with self._database.reading() as connection:
            [(count,)] = fetch(connection, "SELECT count(*) FROM events")
        return int(count)

    def event_ids(self, filter: EventFilter) -> list[str]:
        conditions, parameters = ["true"], dict[str, Any](limit=-1 if filter.limit is None else filter.limit)
        if filter.metadata:
            conditions.append("json_contains(metadata, :metadata)")
            parameters["metadata"] = to_json(filter.metadata)
        if filter.since is not None:
            conditions.append("timestamp >= :since")
            parameters["since"] = microseconds(filter.since)
        if filter.until is not None:
            conditions.append("timestamp < :until")
            parameters["until"] = microseconds(filter.until)
        sql = f"SELECT id FROM events WHERE {' AND '.join(conditions)} ORDER BY timestamp DESC, id DESC LIMIT :limit"
        with self._database.reading() as connection:
            return [id for (id,) in fetch(connection, sql, parameters)]

    def unindexed_events(self, spaces: Sequence[Space]) -> list[str]:
        with self._database.reading() as connection:
            return sqlite_write.unindexed(connection, "events WHERE true", EVENTS, spaces)

    def index_events(self, events: Iterable[tuple[Event, Indexed]]) -> None:
        batch = {event.id: indexed for event, indexed in events}
        with self._database.writing() as connection:
            present = fetch(connection, "SELECT id FROM events WHERE id IN carray(?)", (apsw.carray(tuple(batch)),))
            sqlite_write.put(connection, [batch[id] for (id,) in present])

    def set_event_metadata(self, id: str, metadata: Mapping[str, Any]) -> bool:
        text = to_json(metadata)
        with self._database.writing() as connection:
            connection.execute("UPDATE events SET metadata = ? WHERE id = ?", (text, id))
            there = connection.changes() > 0
            connection.execute(
                "UPDATE documents SET metadata = ? WHERE path = ? AND source = (SELECT id FROM sources WHERE name = ?)",
                (text, id, EVENTS),
            )
        return there

    def delete_events(self, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        with self._database.writing() as connection:
            connection.execute("DELETE FROM events WHERE id IN carray(?)", (apsw.carray(tuple(ids)),))
            gone = connection.changes()
            sqlite_write.drop(connection, EVENTS, ids)
        return gone


def _row(event: Event) -> tuple[Any, ...]:
    embedding = None if event.embedding is None else array("d", event.embedding).tobytes()
    return event.id, microseconds(event.timestamp), to_json(event.content), to_json(event.metadata), embedding


def _event(id: str, timestamp: int, content: str, metadata: str, embedding: bytes | None) -> Event:
    return Event(
        id=id,
        timestamp=moment(timestamp),
        content=json.loads(content),
        metadata=json.loads(metadata),
        embedding=None if embedding is None else tuple(array("d", embedding)),
    )
