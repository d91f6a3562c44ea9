"""Notes in PostgreSQL: each is written together with the document that makes it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Json, Jsonb

from mnemolite.errors import Outdated
from mnemolite.records import Anchor, Context, Link, Note, NoteChange, NoteFilter, Relation, Review, Status, note_source
from mnemolite.stores import postgres_write
from mnemolite.stores.documents import checked
from mnemolite.stores.postgres import PostgresStore
from mnemolite.stores.postgres_connection import Connection, Row
from mnemolite.types import Kind, Space

_PLAIN = ("id", "project", "title", "body", "confidence", "revision", "accesses")
_TIMES = ("created_at", "updated_at", "accessed_at", "deleted_at")
_COLUMNS = (*_PLAIN, "kind", "status", *_TIMES, "tags", "context", "review", "metadata", "due")
_ANCHOR = tuple(field.name for field in fields(Anchor))
_INSERT = (
    f"INSERT INTO notes ({', '.join(_COLUMNS)}) VALUES ({', '.join(f'%({name})s' for name in _COLUMNS)})"
    " ON CONFLICT (id) DO NOTHING"
)
_UPDATE = f"UPDATE notes SET {', '.join(f'{name} = %({name})s' for name in _COLUMNS[1:])} WHERE id = %(id)s"
_NOTES = f"""
    SELECT {", ".join(_COLUMNS)},
        (SELECT json_agg(json_build_array(relation, target, reason, links.created_at) ORDER BY place)
            FROM links WHERE note = notes.id),
        (SELECT json_agg(json_build_array({", ".join(_ANCHOR)}) ORDER BY place) FROM anchors WHERE note = notes.id),
        ARRAY(SELECT note FROM links JOIN notes AS later ON later.id = note
            WHERE target = notes.id AND relation = '{Relation.SUPERSEDES.value}' AND later.deleted_at IS NULL
            ORDER BY note)
    FROM notes
"""


class PostgresNotes:
    """A :class:`~mnemolite.ports.NoteStore` in the database of *store*, which holds the documents."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._database = store.database

    def write(self, changes: Iterable[NoteChange]) -> None:
        batch = tuple(changes)
        with self._store.writing() as connection:
            ids = sorted(change.note.id for change in batch)
            rows = connection.execute(
                "SELECT id, revision, project FROM notes WHERE id = ANY(%s) ORDER BY id FOR UPDATE", (ids,)
            )
            stored = {id: (revision, project) for id, revision, project in rows}
            projects = {change.note.project for change in batch} | {project for _, project in stored.values()}
            postgres_write.bump(connection, self._store.collection, set(map(note_source, projects)))
            for change in batch:
                note = change.note
                revision, project = stored.get(note.id, (0, note.project))
                if revision != change.was or not _write_note(connection, note, is_new=not revision):
                    raise _outdated(change, revision)
                if note.deleted_at is not None or project != note.project:
                    self._drop_document(connection, project, note.id)
                stored[note.id] = (note.revision, note.project)
            indexed = checked(change.indexed for change in batch if change.indexed is not None)
            postgres_write.put(connection, self._store.collection, indexed)

    def notes(self, ids: Sequence[str]) -> list[Note]:
        if not ids:
            return []
        with self._database.reading() as connection:
            rows = connection.execute(f"{_NOTES} WHERE id = ANY(%s)", (list(ids),)).fetchall()
        found = {row[0]: _note(row) for row in rows}
        return [found[id] for id in ids if id in found]

    def note_ids(self, projects: Sequence[str], filter: NoteFilter) -> list[str]:
        conditions, parameters = _conditions(projects, filter)
        order = "due NULLS LAST, updated_at DESC" if filter.due is not None else "updated_at DESC"
        sql = f"SELECT id FROM notes WHERE {' AND '.join(conditions)} ORDER BY {order}, id DESC LIMIT %(limit)s"
        return self._ids(sql, {**parameters, "limit": filter.limit})

    def ids_like(self, prefix: str, projects: Sequence[str], limit: int) -> list[str]:
        conditions, parameters = _conditions(projects, NoteFilter())
        conditions[0] = "starts_with(id, %(prefix)s)"
        sql = f"SELECT id FROM notes WHERE {' AND '.join(conditions)} ORDER BY length(id), id LIMIT %(limit)s"
        return self._ids(sql, {**parameters, "prefix": prefix, "limit": limit})

    def links_to(self, id: str) -> list[tuple[str, Link]]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT note, relation, target, reason, links.created_at FROM links JOIN notes ON notes.id = note"
                " WHERE target = %s AND deleted_at IS NULL ORDER BY note, place",
                (id,),
            ).fetchall()
        return [(note, _link(*row)) for note, *row in rows]

    def anchored(self, paths: Sequence[str], names: Sequence[str], projects: Sequence[str], limit: int) -> list[str]:
        conditions, parameters = _conditions(projects, NoteFilter())
        sql = (
            f"SELECT id FROM notes WHERE {' AND '.join(conditions)}"
            " AND id IN (SELECT note FROM anchors WHERE path = ANY(%(paths)s)"
            " UNION SELECT note FROM anchors WHERE name = ANY(%(names)s))"
            " ORDER BY updated_at DESC, id DESC LIMIT %(limit)s"
        )
        return self._ids(sql, {**parameters, "paths": list(paths), "names": list(names), "limit": limit})

    def accessed(self, ids: Sequence[str], at: datetime) -> None:
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE notes SET accesses = accesses + 1, accessed_at = %s WHERE id = ANY(%s)", (at, list(ids))
            )

    def purge(self, ids: Sequence[str]) -> None:
        with self._store.writing() as connection:
            gone = connection.execute("DELETE FROM notes WHERE id = ANY(%s) RETURNING id, project", (list(ids),))
            for id, project in gone.fetchall():
                self._drop_document(connection, project, id)
            connection.execute("DELETE FROM links WHERE note = ANY(%s)", (list(ids),))
            connection.execute("DELETE FROM anchors WHERE note = ANY(%s)", (list(ids),))

    def unindexed(self, spaces: Sequence[Space]) -> list[str]:
        live = "SELECT id FROM notes WHERE deleted_at IS NULL"
        with self._database.reading() as connection:
            return postgres_write.unindexed(connection, self._store.collection, live, note_source(""), spaces)

    def counts(self, projects: Sequence[str]) -> Mapping[str, int]:
        conditions, parameters = _conditions(projects, NoteFilter())
        sql = f"SELECT kind, count(*) FROM notes WHERE {' AND '.join(conditions)} GROUP BY kind ORDER BY count(*) DESC"
        with self._database.reading() as connection:
            return dict(connection.execute(sql, parameters).fetchall())

    def _ids(self, sql: str, parameters: Mapping[str, Any]) -> list[str]:
        with self._database.reading() as connection:
            return [id for (id,) in connection.execute(sql, parameters)]

    def _drop_document(self, connection: Connection, project: str, id: str) -> None:
        postgres_write.drop(connection, self._store.collection, note_source(project), [id])


def _conditions(projects: Sequence[str], filter: NoteFilter) -> tuple[list[str], dict[str, Any]]:
    """At least one, that on deletion, which is the first."""
    conditions = ["deleted_at IS NOT NULL" if filter.deleted else "deleted_at IS NULL"]
    parameters: dict[str, Any] = {}

    def add(name: str, condition: str, value: Any) -> None:
        if value:
            conditions.append(condition)
            parameters[name] = value

    add("projects", "project = ANY(%(projects)s)", list(projects))
    add("kinds", "kind = ANY(%(kinds)s)", [kind.value for kind in filter.kinds])
    add("statuses", "status = ANY(%(statuses)s)", [status.value for status in filter.statuses])
    add("tags", "tags @> %(tags)s", filter.tags and Jsonb(filter.tags))
    add("metadata", "metadata::jsonb @> %(metadata)s", filter.metadata and Jsonb(filter.metadata))
    add("since", "updated_at >= %(since)s", filter.since)
    add("until", "updated_at < %(until)s", filter.until)
    add("due", "(due IS NULL OR due <= %(due)s)", filter.due)
    return conditions, parameters


def _outdated(change: NoteChange, is_now: int) -> Outdated:
    what = "is there already" if not change.was else "has been changed meanwhile" if is_now else "is gone"
    return Outdated(f"note {change.note.id} {what}; nothing was written")


def _write_note(connection: Connection, note: Note, *, is_new: bool) -> bool:
    """False when somebody else has just written a new note of this id."""
    values: dict[str, Any] = {name: getattr(note, name) for name in (*_PLAIN, *_TIMES)}
    values |= {"kind": note.kind.value, "status": note.status.value, "tags": Jsonb(note.tags)}
    values |= {"metadata": Json(note.metadata), "due": note.review.due}
    values |= {name: Json(msgspec.to_builtins(getattr(note, name))) for name in ("context", "review")}
    if not connection.execute(_INSERT if is_new else _UPDATE, values).rowcount:
        return False
    connection.execute("DELETE FROM links WHERE note = %s", (note.id,))
    connection.execute("DELETE FROM anchors WHERE note = %s", (note.id,))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO links VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (note.id, place, link.relation.value, link.target, link.reason, link.created_at)
                for place, link in enumerate(note.links)
            ],
        )
        cursor.executemany(
            f"INSERT INTO anchors (note, place, {', '.join(_ANCHOR)}) VALUES (%s, %s{', %s' * len(_ANCHOR)})",
            [
                (note.id, place, *(getattr(anchor, name) for name in _ANCHOR))
                for place, anchor in enumerate(note.anchors)
            ],
        )
    return True


def _link(relation: str, target: str, reason: str, created_at: datetime | str | None) -> Link:
    at = datetime.fromisoformat(created_at) if isinstance(created_at, str) else created_at
    return Link(relation=Relation(relation), target=target, reason=reason, created_at=at)


def _note(row: Row) -> Note:
    *columns, links, anchors, superseded_by = row
    values = dict(zip(_COLUMNS, columns, strict=True))
    del values["due"]
    return Note(
        **values
        | {
            "kind": Kind(values["kind"]),
            "status": Status(values["status"]),
            "tags": tuple(values["tags"]),
            "context": msgspec.convert(values["context"], Context),
            "review": msgspec.convert(values["review"], Review),
            "links": tuple(_link(*link) for link in links or ()),
            "anchors": tuple(Anchor(**dict(zip(_ANCHOR, anchor, strict=True))) for anchor in anchors or ()),
            "superseded_by": tuple(superseded_by),
        }
    )
