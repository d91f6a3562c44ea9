"""A PostgreSQL server that stops, comes back, is busy, or is not what it should be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest

from mnemolite.errors import Conflict, InvalidInput, StoreUnavailable
from mnemolite.lab.local_postgres import LocalPostgres, local_postgres
from mnemolite.stores.postgres import PostgresStore
from mnemolite.stores.postgres_connection import SCHEMA, VERSION_TABLE, Database
from mnemolite.stores.postgres_migrate import Schema
from mnemolite.types import Chunk, Document, Domain, Indexed, Kind, Scope, Space

SPACE = Space(domain=Domain.HYBRID, model="m", dimension=4, fingerprint="1")


def document(path: str, text: str, source: str = "s") -> Indexed:
    made = Chunk(source=source, path=path, language="python", kind=Kind.LINES, text=text, first_line=1, last_line=1)
    return Indexed(
        document=Document(source=source, path=path, digest="", language="python", size=0, mtime_ns=0),
        chunks=(made,),
        digests=(text.encode(),),
        vectors={SPACE: np.ones((1, 4), np.float32)},
    )


@pytest.fixture
def own_server() -> Iterator[LocalPostgres]:
    """A durable one, which this test may stop."""
    with local_postgres({}) as server:
        Schema(server.url()).upgrade()
        yield server


@pytest.fixture
def store(empty_database: Callable[[], str]) -> Iterator[PostgresStore]:
    store = PostgresStore(Database(empty_database(), wait_seconds=0.1))
    yield store
    store.close()


def test_a_server_that_stops_is_said_and_found_again_when_it_is_back(own_server: LocalPostgres) -> None:
    store = PostgresStore(Database(own_server.url(), wait_seconds=2))
    store.put([document("a.py", "alpha")])
    found = store.lexical(["alpha"], Scope(), 5)
    own_server.stop()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"postgres cannot be reached: .*; start it, or mend DATABASE_URL"):
            store.lexical(["alpha"], Scope(), 5)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.put([document("b.py", "beta")])
    own_server.start()
    assert store.lexical(["alpha"], Scope(), 5) == found
    own_server.stop("immediate")  # as a crash: nothing is said to the connections
    own_server.start()
    store.put([document("b.py", "beta")])
    assert len(store.lexical(["beta"], Scope(), 5)) == 1
    assert store.check() == []
    store.close()


def test_a_server_that_stops_in_a_transaction_leaves_nothing_of_it(own_server: LocalPostgres) -> None:
    store = PostgresStore(Database(own_server.url(), wait_seconds=2))
    store.put([document("a.py", "alpha")])
    with pytest.raises(StoreUnavailable), store.writing() as connection:
        connection.execute("DELETE FROM documents")
        own_server.stop("immediate")
        connection.execute("DELETE FROM chunks")
    own_server.start()
    assert store.check() == []
    assert list(store.files("s")) == ["a.py"]
    store.close()


def test_a_database_that_is_not_set_up_says_what_to_do(migrated: str) -> None:
    store = PostgresStore(Database(migrated.replace("/mnemolite?", "/template1?")))
    with pytest.raises(StoreUnavailable, match=r"template1 is not set up; run 'mnemolite db upgrade'"):
        store.version()


@pytest.mark.parametrize(
    ("stands_at", "message"),
    [("0001", f"has schema 0001, this program needs {SCHEMA}; run 'mnemolite db upgrade'"), ("9999", "upgrade mnemo")],
)
def test_a_schema_of_another_version_is_refused(store: PostgresStore, stands_at: str, message: str) -> None:
    with psycopg.connect(store.database.url, autocommit=True) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = %s", (stands_at,))
        try:
            with pytest.raises(StoreUnavailable, match=message):
                store.version()
        finally:
            connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = %s", (SCHEMA,))


def test_a_password_is_not_shown() -> None:
    store = PostgresStore(Database("postgresql://me:geheim@127.0.0.1:1/db", wait_seconds=1))
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1/db cannot be reached") as failed:
        store.version()
    assert "geheim" not in str(failed.value)
    for wrong in ("mysql://me:geheim@h/db", "postgresql://me:geheim@h/db?nonsense=1"):
        with pytest.raises(InvalidInput, match="database_url") as refused:
            Database(wrong)
        assert "geheim" not in str(refused.value)


def test_a_pool_that_is_used_up_is_said(empty_database: Callable[[], str]) -> None:
    database = Database(empty_database(), pool_size=1, wait_seconds=0.05)
    store = PostgresStore(database)
    store.version()
    with database.reading():
        failed: list[str] = []

        def ask() -> None:
            try:
                store.version()
            except StoreUnavailable as error:
                failed.append(str(error))

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join()
    assert ["all 1 connections" in message and "database_pool_size" in message for message in failed] == [True]
    store.version()
    store.close()


def test_a_statement_without_end_is_given_up(empty_database: Callable[[], str]) -> None:
    database = Database(empty_database(), statement_seconds=0.05)
    with pytest.raises(StoreUnavailable, match=r"longer than 0.05 s"), database.reading() as connection:
        connection.execute("SELECT pg_sleep(60)")
    database.close()


def test_one_writer_at_a_time_of_a_source_and_its_name_is_told(store: PostgresStore) -> None:
    other = PostgresStore(store.database)
    failed: list[str] = []

    def write(source: str) -> None:
        try:
            with other.writer(source):
                other.put([document("b.py", "beta", source or "s")])
        except Conflict as error:
            failed.append(str(error))

    with store.writer("s"):
        for source in ("t", "s", ""):
            thread = threading.Thread(target=write, args=(source,))
            thread.start()
            thread.join()
    assert ["is being written by" in message and "process" in message for message in failed] == [True, True]
    assert list(store.files("t")) == ["b.py"]
    assert list(store.files("s")) == []
    write("s")
    assert list(store.files("s")) == ["b.py"]


def test_two_who_put_the_first_vectors_of_a_model_make_one_space(store: PostgresStore) -> None:
    stores = [PostgresStore(store.database) for _ in range(4)]
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for round in range(5):
                stores[number].put([document("a.py", f"text {round}", f"source{number}")])
                stores[number].drop(f"source{number}", ["a.py"])
            stores[number].put([document("a.py", "last", f"source{number}")])
        except BaseException as error:  # noqa: BLE001 (told below)
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.spaces() == [SPACE]
    assert len(store.nearest(SPACE, np.ones(4, np.float32), Scope(), 10)) == 4
    assert store.check() == []


def test_what_is_kept_of_rows_goes_when_another_process_writes(
    empty_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnemolite.stores.postgres.CATALOGUE_SECONDS", 0.0)
    url = empty_database()
    reading, writing = PostgresStore(Database(url)), PostgresStore(Database(url))
    try:
        writing.put([document("a.py", "alpha")])
        [(old, _)] = reading.lexical(["alpha"], Scope(), 5)
        assert [reading.cards([old])[0].path, reading.chunks([old])[0].text] == ["a.py", "alpha"]
        assert reading.frequencies(["alpha", "beta"]) == ({"alpha": 1}, 1)

        writing.put([document("a.py", "beta"), document("b.py", "beta")])
        assert reading.frequencies(["alpha", "beta"]) == ({"beta": 2}, 2)
        assert [reading.lexical(["alpha"], Scope(), 5), reading.cards([old]), reading.chunks([old])] == [[], [], []]
        assert sorted(card.path for card in reading.cards([id for id, _ in reading.lexical(["beta"], Scope(), 5)])) == [
            "a.py",
            "b.py",
        ]
    finally:
        reading.close()
        writing.close()
