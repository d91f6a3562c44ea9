"""What every EventStore does, seen through the EventLog that uses it. A new backend is a new entry of STORES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.errors import Conflict, InvalidInput, NotFound
from mnemolite.event_log import EventLog
from mnemolite.ports import EventStore, Store
from mnemolite.records import EventFilter, EventHit, contains
from mnemolite.stores.postgres import RECORDS, PostgresStore
from mnemolite.stores.postgres_connection import Database
from mnemolite.stores.postgres_events import PostgresEvents
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.stores.sqlite_events import SqliteEvents
from mnemolite.types import Domain, Query, Results

WEIGHTS = {"lexical": 1.0, "name": 1.0, "vector": 1.0}
START = datetime(2026, 1, 1, tzinfo=UTC)


def sqlite(path: Path | None) -> tuple[Store, EventStore]:
    store = SqliteStore(path)
    return store, SqliteEvents(store.database)


def postgres(url: str) -> tuple[Store, EventStore]:
    store = PostgresStore(Database(url), RECORDS)
    return store, PostgresEvents(store)


Place = tuple[Path, Callable[[], str]]  # a folder, and what gives the URL of an empty PostgreSQL database
STORES: dict[str, Callable[[Place], tuple[Store, EventStore]]] = {
    "sqlite in memory": lambda place: sqlite(None),
    "sqlite on disk": lambda place: sqlite(place[0] / "notes.db"),
    "postgresql": lambda place: postgres(place[1]()),
}


@dataclass
class Desk:
    index: Store
    store: EventStore
    embedder: HashingEmbedder

    @property
    def log(self) -> EventLog:
        return EventLog(self.index, self.store, [self.embedder], WEIGHTS)


@pytest.fixture(params=STORES)
def desk(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Callable[[], str]) -> Iterator[Desk]:
    index, store = STORES[request.param]((tmp_path, empty_database))
    yield Desk(index, store, HashingEmbedder(dimension=32))
    assert index.check() == []
    index.close()


@pytest.fixture
def log(desk: Desk) -> EventLog:
    return desk.log


def ids(results: Results) -> list[str]:
    return [hit.event.id for hit in results.hits if isinstance(hit, EventHit)]


def test_an_event_comes_back_verbatim(log: EventLog) -> None:
    content = {"text": "déjà 😀\r\n", "n": 10**25, "f": -0.5, "deep": [{"a": [None, True]}], "": "", "z": {}}
    at = datetime(1999, 12, 31, 23, 59, 59, 123456, tzinfo=UTC)
    made = log.create(content, {"k": "v"}, timestamp=at)
    found = log.get(made.id)
    assert (found.content, list(found.content), found.metadata, found.timestamp) == (
        content,
        list(content),
        {"k": "v"},
        at,
    )
    assert log.create({}).content == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text", "content must be a JSON object, is str"),
        ({"a": float("inf")}, "content.a is inf"),
        ({"a": b""}, "content.a is of type bytes"),
        ({1: 2}, "has the key 1"),
        ({"a": "x\0"}, "content.a has a NUL"),
    ],
)
def test_what_is_no_json_is_refused_by_name(log: EventLog, content: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        log.create(content)
    assert log.select() == []


def test_nesting_without_end_is_refused(log: EventLog) -> None:
    content: dict[str, Any] = {}
    for _ in range(500):
        content = {"a": content}
    with pytest.raises(InvalidInput, match="nested deeper than 100"):
        log.create(content)


def test_events_are_filtered_by_metadata_and_time_in_lists_and_searches(log: EventLog) -> None:
    made = [
        log.create(
            {"text": f"deploy {i}"}, {"n": i, "env": {"name": name, "zone": "a"}}, timestamp=START + timedelta(days=i)
        )
        for i, name in enumerate(("test", "live", "live"))
    ]
    first, second, third = (event.id for event in made)
    cases = [
        (EventFilter(), [third, second, first]),
        (EventFilter(metadata={"env": {"name": "live"}}), [third, second]),
        (EventFilter(metadata={"env": {"name": "live"}, "n": 1}), [second]),
        (EventFilter(metadata={"n": True}), []),
        (EventFilter(since=START + timedelta(days=1)), [third, second]),
        (EventFilter(until=START + timedelta(days=1)), [first]),
    ]
    for filter, expected in cases:
        assert [event.id for event in log.select(filter)] == expected, filter
        for query in (Query(text="deploy", vector=False), Query(text="deploy", lexical=False)):
            assert sorted(ids(log.search(query, filter))) == sorted(expected), filter
    assert [event.id for event in log.select(EventFilter(limit=1))] == [third]


def test_new_metadata_is_what_filters_see(log: EventLog) -> None:
    event = log.create({"text": "alpha"}, {"state": "open"})
    assert log.set_metadata(event.id, {"state": "closed"}).content == {"text": "alpha"}
    assert ids(log.search("alpha", EventFilter(metadata={"state": "closed"}))) == [event.id]
    assert ids(log.search("alpha", EventFilter(metadata={"state": "open"}))) == []
    with pytest.raises(NotFound, match="no event 'nope1'"):
        log.set_metadata("nope1", {})


def test_a_deleted_event_is_found_by_nothing(log: EventLog) -> None:
    event = log.create({"text": "alpha"})
    assert log.delete(event.id, "nope1") == 1
    assert (log.select(), ids(log.search("alpha"))) == ([], [])
    with pytest.raises(NotFound):
        log.get(event.id)
    assert log.delete() == 0


def test_an_event_may_bring_its_own_vector(log: EventLog, desk: Desk) -> None:
    up, down = tuple([1.0] + [0.0] * 31), tuple([-1.0] + [0.0] * 31)
    for text, embedding in (("same", up), ("same", down)):
        log.create({"text": text}, {"own": True}, embedding=embedding)
    plain = log.create({"text": "same"})
    query = Query(text="", lexical=False, embeddings={Domain.TEXT: up}, limit=1)
    [found] = log.search(query).hits
    assert isinstance(found, EventHit)
    assert found.event.embedding == up
    assert found.ranks["vector"].score == pytest.approx(1, abs=1e-4)
    [by_text] = log.search(Query(text="same", lexical=False, limit=1)).hits
    assert by_text.chunk.path == plain.id  # a vector of another event of the same text was not taken for its own
    desk.index.clear()  # what follows is made from the events alone
    assert desk.log.search(query).hits[0].chunk.path == found.event.id
    with pytest.raises(InvalidInput, match="embedding has 2 components; hashing makes 32"):
        log.create({}, embedding=[1.0, 2.0])


def test_an_id_is_taken_once(log: EventLog) -> None:
    log.create({"n": 1}, id="event-1")
    with pytest.raises(Conflict, match="event event-1 is there already"):
        log.create({"n": 2}, id="event-1")
    assert log.get("event-1").content == {"n": 1}


def test_a_long_event_is_found_once(log: EventLog) -> None:
    event = log.create({"parts": [f"alpha {i} " + "word " * 100 for i in range(30)]})
    assert ids(log.search("alpha")) == [event.id]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)


@given(held=JSON)
def test_every_value_contains_itself(held: Any) -> None:
    assert contains(held, held)


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),  # as PostgreSQL's manual has them for jsonb
    [
        ([1, 2, 3], [1, 3], True),
        ([1, 2, 3], [3, 1, 1], True),
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 2}}, True),
        ([1, 2, [1, 3]], [1, 3], False),
        ([1, 2, [1, 3]], [[1, 3]], True),
        ({"foo": {"bar": "baz"}}, {"bar": "baz"}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        (1, 1.0, True),
    ],
)
def test_containment_is_that_of_postgresql(held: Any, wanted: Any, expected: bool) -> None:
    assert contains(held, wanted) is expected


def test_an_embedding_of_another_model_hides_no_event(desk: Desk) -> None:
    desk.log.create({"text": "of the first model"}, embedding=[1.0] * 32)
    desk.log.create({"text": "of none"})
    later = EventLog(desk.index, desk.store, [HashingEmbedder(dimension=16)], WEIGHTS)
    found = [hit.event for hit in later.search("of the first model").hits if isinstance(hit, EventHit)]
    assert [event.content["text"] for event in found] == ["of the first model", "of none"]
    assert found[0].embedding == (1.0,) * 32
