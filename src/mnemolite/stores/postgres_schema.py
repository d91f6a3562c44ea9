"""The tables that the migrations end with, for comparison with a database; the statements themselves are theirs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSON, JSONB, TSVECTOR, UUID
from sqlalchemy.types import UserDefinedType

expected = MetaData()


class _PgVector(UserDefinedType[Any]):
    """A type of pgvector, with its dimension where it has one."""

    cache_ok = True
    name = "vector"

    def __init__(self, *dimension: int) -> None:
        self.dimension = dimension

    def get_col_spec(self, **_: Any) -> str:
        return self.name + (f"({self.dimension[0]})" if self.dimension else "")


class Vector(_PgVector):
    pass


class SparseVec(_PgVector):
    name = "sparsevec"


# so that reflection knows them
postgresql.dialect.ischema_names.update(vector=Vector, sparsevec=SparseVec)


def ours(name: str | None, kind: str, _: object) -> bool:
    """Whether what is found in a database counts: spaces have tables of their own, others may add what they need."""
    if kind == "index":
        return name in {index.name for table in expected.tables.values() for index in table.indexes}
    return kind != "table" or name in expected.tables


def _table(name: str, *columns: Any) -> None:
    Table(name, expected, *columns)


def _column(name: str, kind: Any, *more: Any, null: bool = False) -> Column[Any]:
    return Column(name, kind, *more, nullable=null)


_C = Text(collation="C")
_TIME = DateTime(timezone=True)

_table(
    "sources",
    Column("id", Integer, Identity(always=True), primary_key=True),
    _column("collection", Text),
    _column("name", _C),
    _column("root", Text),
    _column("changes", BigInteger),
    _column("chunks", BigInteger),
    _column("shard", Text),
    UniqueConstraint("collection", "name"),
)
_table(
    "documents",
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _column("source", Integer),
    _column("path", _C),
    _column("digest", Text),
    _column("language", Text),
    _column("size", BigInteger),
    _column("mtime_ns", BigInteger),
    _column("skipped", Text),
    _column("metadata", JSONB, null=True),
    _column("folded", _C),
    _column("trigrams", TSVECTOR, null=True),
    UniqueConstraint("source", "path"),
    Index("documents_trigrams", "trigrams", postgresql_using="gin"),
    Index("documents_metadata", "metadata", postgresql_using="gin", postgresql_ops={"metadata": "jsonb_path_ops"}),
)
_table(
    "chunks",
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _column("document", BigInteger),
    _column("kind", Text),
    _column("first_line", Integer),
    _column("last_line", Integer),
    *(_column(name, Text) for name in ("name", "parent", "signature", "docstring", "symbols")),
    _column("digest", LargeBinary),
    _column("text", Text),
    _column("folded", _C),
    _column("trigrams", TSVECTOR, null=True),
    Index("chunks_document", "document"),
    Index("chunks_digest", "digest"),
    Index("chunks_trigrams", "trigrams", postgresql_using="gin"),
)
_table(
    "words",
    Column("chunk", BigInteger, primary_key=True, autoincrement=False),
    _column("document", BigInteger),
    _column("source", Integer),
    _column("words", TSVECTOR),
    _column("impacts", SparseVec()),
    Index("words_words", "words", postgresql_using="gin"),
)
_table(
    "terms",
    _column("term", _C),
    _column("source", Integer),
    _column("chunks", Integer),
    PrimaryKeyConstraint("term", "source"),
)
_table(
    "spaces",
    Column("id", Integer, Identity(always=True), primary_key=True),
    _column("collection", Text),
    _column("domain", Text),
    _column("model", Text),
    _column("dimension", Integer),
    _column("fingerprint", Text),
    _column("indexed_to", BigInteger),
    UniqueConstraint("collection", "domain", "model", "dimension", "fingerprint"),
)
_table(
    "source_spaces",
    _column("source", Integer),
    _column("domain", Text),
    _column("space", Integer),
    _column("active", Boolean),
    PrimaryKeyConstraint("source", "space"),
)
_table(
    "poison",
    _column("collection", Text),
    _column("digest", Text),
    _column("reason", Text),
    PrimaryKeyConstraint("collection", "digest"),
)
_table(
    "notes",
    _column("id", _C),
    _column("project", _C),
    *(_column(name, Text) for name in ("kind", "title", "body")),
    _column("tags", JSONB),
    _column("context", JSON),
    _column("confidence", Integer),
    _column("status", Text),
    _column("review", JSON),
    _column("metadata", JSON),
    _column("created_at", _TIME),
    _column("updated_at", _TIME),
    _column("due", _TIME, null=True),
    _column("revision", BigInteger),
    _column("accesses", BigInteger),
    _column("accessed_at", _TIME, null=True),
    _column("deleted_at", _TIME, null=True),
    PrimaryKeyConstraint("id"),
    Index("notes_project", "project", "updated_at"),
)
_table(
    "links",
    _column("note", _C),
    _column("place", Integer),
    _column("relation", Text),
    _column("target", _C),
    _column("reason", Text),
    _column("created_at", _TIME, null=True),
    PrimaryKeyConstraint("note", "place"),
    Index("links_target", "target", "relation"),
)
_table(
    "anchors",
    _column("note", _C),
    _column("place", Integer),
    _column("path", _C),
    _column("text", Text),
    _column("first_line", Integer),
    _column("last_line", Integer),
    _column("name", _C),
    _column("project", Text),
    _column("commit", Text),
    PrimaryKeyConstraint("note", "place"),
    Index("anchors_path", "path"),
    Index("anchors_name", "name"),
)
_table(
    "events",
    Column("id", UUID, primary_key=True),
    _column("timestamp", _TIME),
    _column("content", JSONB),
    _column("metadata", JSONB, null=True),
    _column("embedding", Vector(768), null=True),
    _column("own_id", _C, null=True),
    _column("key", _C, Computed("COALESCE(own_id, (id)::text)", persisted=True), null=True),
    _column("verbatim", JSON, null=True),
    _column("components", ARRAY(Double), null=True),
    UniqueConstraint("key", name="events_key"),
    Index("events_by_time", "timestamp"),
    Index("events_by_metadata", "metadata", postgresql_using="gin", postgresql_ops={"metadata": "jsonb_path_ops"}),
)
_table(
    "jobs",
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    _column("id", Text),
    _column("repository", _C),
    *(_column(name, Text) for name in "path git_url callback_url state errors failure waiting_for revision".split()),
    *(_column(name, BigInteger) for name in "progress total chunks removed failed turn created_at".split()),
    _column("attempts", Integer),
    _column("started_at", BigInteger, null=True),
    _column("finished_at", BigInteger, null=True),
    UniqueConstraint("id"),
    Index("jobs_repository", "repository", "state", "number"),
    Index("jobs_state", "state", "number"),
)
_table(
    "job_tasks",
    *(_column(name, BigInteger) for name in "job number run_at lease_until".split()),
    *(_column(name, Text) for name in "kind paths state worker token".split()),
    _column("contents", LargeBinary, null=True),
    _column("attempts", Integer),
    _column("sent_at", BigInteger, null=True),
    PrimaryKeyConstraint("job", "number"),
    Index("job_tasks_state", "state", "lease_until"),
    Index("job_tasks_token", "token"),
)
_table(
    "deliveries",
    *(_column(name, Text) for name in "id job url body state failure".split()),
    *(_column(name, BigInteger) for name in "job_number run_at created_at".split()),
    _column("attempts", Integer),
    _column("delivered_at", BigInteger, null=True),
    PrimaryKeyConstraint("id"),
    Index("deliveries_job", "job"),
    Index("deliveries_state", "state", "run_at"),
)
_table(
    "nodes",
    Column("node_id", UUID, primary_key=True),
    _column("node_type", Text),
    _column("label", Text, null=True),
    _column("properties", JSONB, null=True),
    _column("created_at", _TIME),
)
_table(
    "edges",
    Column("edge_id", UUID, primary_key=True),
    _column("source_node", UUID),
    _column("target_node", UUID),
    _column("relation_type", Text),
    _column("properties", JSONB, null=True),
    _column("created_at", _TIME),
)
_table(
    "feedback",
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _column("given_at", _TIME),
    _column("query", Text),
    _column("chosen", Integer),
    _column("shown", JSON),
)
