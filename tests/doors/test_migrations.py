"""The schema of a PostgreSQL database: made, adopted, compared, taken back; and `mnemolite db`, which does so."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from mnemolite.cli import run
from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.errors import Conflict, InvalidInput, StoreUnavailable
from mnemolite.event_log import EventLog
from mnemolite.lab.local_postgres import LocalPostgres
from mnemolite.stores.postgres import RECORDS, PostgresStore
from mnemolite.stores.postgres_connection import SCHEMA, Database
from mnemolite.stores.postgres_events import PostgresEvents
from mnemolite.stores.postgres_migrate import Schema
from mnemolite.types import Query

EARLIER = """
CREATE EXTENSION vector;
CREATE TABLE events (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    timestamp TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    content JSONB NOT NULL,
    embedding VECTOR(768),
    metadata JSONB DEFAULT '{}'::jsonb
);
CREATE INDEX events_embedding_idx ON events USING hnsw (embedding vector_cosine_ops);
CREATE TABLE nodes (
    node_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    node_type TEXT NOT NULL,
    label TEXT,
    properties JSONB DEFAULT '{}'::jsonb,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE TABLE edges (
    edge_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    source_node UUID NOT NULL,
    target_node UUID NOT NULL,
    relation_type TEXT NOT NULL,
    properties JSONB DEFAULT '{}'::jsonb,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
INSERT INTO events (id, timestamp, content, embedding, metadata) VALUES
    ('00000000-0000-0000-0000-000000000001', '2024-02-03 04:05:06.789+01', '{"text": "the mail service went down"}',
        array_fill(0.5, ARRAY[768])::vector, '{"topic": "mail"}'),
    ('00000000-0000-0000-0000-000000000002', '2024-02-04', '{"text": "deployed again", "by": ["me"]}', NULL, NULL),
    ('00000000-0000-0000-0000-000000000003', '2024-02-05', '"a bare string"', NULL, '{}');
INSERT INTO nodes (node_type, label) VALUES ('event', 'down');
"""
WEIGHTS = {"lexical": 1.0, "vector": 1.0}
SHAPE = """
    SELECT format('%s.%s %s %s %s %s', table_name, column_name, udt_name, is_nullable, column_default,
        generation_expression) FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
"""


def ask(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql).fetchall()


def tell(url: str, sql: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(sql)


@pytest.fixture
def make_database(postgres: LocalPostgres, request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Makes a database of nothing but what it is told to hold."""
    made: list[str] = []

    def make(sql: str = "") -> str:
        made.append(f"migrated_{len(made)}")
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {made[-1]}")
        if sql:
            tell(postgres.url(made[-1]), sql)
        return postgres.url(made[-1])

    yield make
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_an_empty_database_and_one_of_an_earlier_program_end_at_one_schema(
    make_database: Callable[..., str],
) -> None:
    empty, adopted = make_database(), make_database(EARLIER)
    before = ask(adopted, "SELECT id, timestamp, content, embedding::text, metadata FROM events ORDER BY id")
    for url in (empty, adopted):
        Schema(url).upgrade()
        assert Schema(url).current() == SCHEMA
        assert Schema(url).differences() == []
    tell(adopted, "DROP INDEX events_embedding_idx")  # which is kept, and all that is different
    assert sorted(ask(empty, SHAPE)) == sorted(ask(adopted, SHAPE))
    assert ask(adopted, "SELECT id, timestamp, content, embedding::text, metadata FROM events ORDER BY id") == before
    assert ask(adopted, "SELECT label FROM nodes") == [("down",)]


def test_every_event_of_an_earlier_program_is_read_found_and_still_its_own(make_database: Callable[..., str]) -> None:
    url = make_database(EARLIER)
    Schema(url).upgrade()
    store = PostgresStore(Database(url), RECORDS)
    log = EventLog(store, PostgresEvents(store), [HashingEmbedder(dimension=32)], WEIGHTS)
    third, second, first = log.select()
    assert first.content == {"text": "the mail service went down"}
    assert (first.metadata, first.timestamp.isoformat()) == ({"topic": "mail"}, "2024-02-03T03:05:06.789000+00:00")
    assert first.embedding == (0.5,) * 768
    assert (second.content, second.metadata) == ({"text": "deployed again", "by": ["me"]}, {})
    assert third.content == {"content": "a bare string"}
    results = log.search("mail service")
    assert (results.hits[0].chunk.path, results.degraded) == (first.id, ())
    assert log.search(Query(text="deployed again", lexical=False)).hits[0].chunk.path == second.id
    log.set_metadata(first.id, {"topic": "post"})
    # the earlier program goes on as before, and sees what we do
    tell(url, 'INSERT INTO events (content) VALUES (\'{"text": "written by the earlier program"}\')')
    tell(url, "UPDATE events SET content = '{\"text\": \"up again\"}' WHERE content ->> 'text' LIKE 'the mail%'")
    ours = log.create({"z": "ours", "a": 1})
    assert ask(url, f"SELECT content FROM events WHERE key = '{ours.id}'") == [({"z": "ours", "a": 1},)]
    assert ask(url, "SELECT content ->> 'text' FROM events WHERE metadata ->> 'topic' = 'post'") == [("up again",)]
    assert log.get(first.id).content == {"text": "up again"}
    assert log.count() == 5
    assert log.delete(first.id, second.id) == 2
    store.close()


def test_the_migrations_make_what_the_metadata_says(make_database: Callable[..., str]) -> None:
    url = make_database()
    assert Schema(url).differences() == [f"stands at revision none, not {SCHEMA}: run 'mnemolite db upgrade'"]
    Schema(url).upgrade()
    assert Schema(url).differences() == []
    tell(url, "ALTER TABLE notes DROP COLUMN body; ALTER TABLE chunks ALTER COLUMN kind TYPE varchar(9)")
    tell(url, "DROP INDEX words_words; DROP TABLE poison; CREATE TABLE of_somebody_else (id int)")
    found = Schema(url).differences()
    for what in ("notes.body", "words_words", "poison", "modify type: chunks, kind"):
        assert any(what in line for line in found), (what, found)
    assert len(found) == 4


def test_upgrades_at_once_wait_for_each_other(make_database: Callable[..., str]) -> None:
    url = make_database(EARLIER)
    errors: list[BaseException] = []
    begin = threading.Barrier(4)

    def upgrade() -> None:
        try:
            begin.wait()
            Schema(url).upgrade()
        except BaseException as error:  # noqa: BLE001 (told below)
            errors.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Schema(url).differences() == []


def test_what_would_be_lost_is_not_taken_back(make_database: Callable[..., str]) -> None:
    url = make_database(EARLIER)
    schema = Schema(url)
    schema.upgrade()
    store = PostgresStore(Database(url), RECORDS)
    log = EventLog(store, PostgresEvents(store), [HashingEmbedder(dimension=32)], WEIGHTS)
    own = log.create({"text": "ours"}, id="not-a-uuid")
    with pytest.raises(Conflict, match=r"would lose 0 notes, and ids and vectors of 1 events"):
        schema.downgrade("0001")
    log.delete(own.id)
    shape = sorted(ask(url, SHAPE))
    with pytest.raises(
        Conflict, match=r"0001 cannot be taken back: events, nodes and edges may have been there before"
    ):
        schema.downgrade("base")  # whole or not at all
    assert (schema.current(), sorted(ask(url, SHAPE))) == (SCHEMA, shape)
    store.close()
    schema.downgrade("0001")
    assert (schema.current(), ask(url, "SELECT count(*) FROM events")) == ("0001", [(3,)])
    assert ask(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(4,)]
    schema.upgrade()
    assert schema.differences() == []


def test_a_table_of_another_program_is_not_taken_over(make_database: Callable[..., str]) -> None:
    url = make_database("CREATE TABLE events (id bigint PRIMARY KEY, name text)")
    with pytest.raises(StoreUnavailable, match=r"another program's: its column id is int8, not uuid"):
        Schema(url).upgrade()
    assert Schema(url).current() is None
    assert ask(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]
    with pytest.raises(InvalidInput, match=r"'0099'.*'mnemolite db current'"):
        Schema(url).upgrade("0099")


def test_the_command_line_says_where_a_database_stands(
    make_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def db(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mnemolite", "db", *arguments])
        code = run()
        out, err = capsys.readouterr()
        return code, err if code == 2 else out

    assert db("current")[0] == 2 and "set DATABASE_URL=postgresql://" in db("current")[1]
    monkeypatch.setenv("DATABASE_URL", make_database())
    assert db("current") == (0, "none\n")
    assert db("check") == (1, f"stands at revision none, not {SCHEMA}: run 'mnemolite db upgrade'\n")
    assert db("upgrade")[1].endswith(f": from none to {SCHEMA}\n")
    assert db("upgrade")[1].endswith(f": at {SCHEMA} already\n")
    assert db("check") == (0, "the tables are as this program expects them\n")
    code, said = db("downgrade", "base")
    assert code == 2 and "0001 cannot be taken back" in said
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:geheim@127.0.0.1:1/db")
    code, said = db("upgrade")
    assert code == 2 and "127.0.0.1:1/db cannot be migrated" in said and "geheim" not in said
