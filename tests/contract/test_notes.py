"""What every NoteStore does, seen through the Notebook that uses it. A new backend is a new entry of STORES."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.errors import InvalidInput, NotFound, Outdated
from mnemolite.notebook import Notebook
from mnemolite.notes.rules import new_id
from mnemolite.ports import NoteStore, Store
from mnemolite.records import GLOBAL, Anchor, Context, Note, NoteChange, NoteFilter, NoteHit, Relation, Status
from mnemolite.stores.postgres import RECORDS, PostgresStore
from mnemolite.stores.postgres_connection import Database
from mnemolite.stores.postgres_notes import PostgresNotes
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.stores.sqlite_notes import SqliteNotes
from mnemolite.types import Kind, Query, Results, Scope

WEIGHTS = {"lexical": 1.0, "name": 1.0, "vector": 1.0}


def sqlite(path: Path | None) -> tuple[Store, NoteStore]:
    store = SqliteStore(path)
    return store, SqliteNotes(store.database)


def postgres(url: str) -> tuple[Store, NoteStore]:
    store = PostgresStore(Database(url), RECORDS)
    return store, PostgresNotes(store)


Place = tuple[Path, Callable[[], str]]  # a folder, and what gives the URL of an empty PostgreSQL database
STORES: dict[str, Callable[[Place], tuple[Store, NoteStore]]] = {
    "sqlite in memory": lambda place: sqlite(None),
    "sqlite on disk": lambda place: sqlite(place[0] / "notes.db"),
    "postgresql": lambda place: postgres(place[1]()),
}


@dataclass
class Clock:
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass
class Desk:
    """One database, and notebooks of several projects in it."""

    index: Store
    store: NoteStore
    clock: Clock
    embedder: HashingEmbedder

    def __call__(self, *projects: str, everywhere: bool = False) -> Notebook:
        return Notebook(
            self.index,
            self.store,
            [self.embedder],
            WEIGHTS,
            projects=projects,
            everywhere=everywhere,
            clock=self.clock,
        )


@pytest.fixture(params=STORES)
def desk(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Callable[[], str]) -> Iterator[Desk]:
    index, store = STORES[request.param]((tmp_path, empty_database))
    yield Desk(index, store, Clock(), HashingEmbedder())
    assert index.check() == []
    index.close()


@pytest.fixture
def notes(desk: Desk) -> Notebook:
    return desk("shop")


def titles(results: Results) -> list[str]:
    return [hit.note.title for hit in results.hits if isinstance(hit, NoteHit)]


def test_what_is_added_comes_back_unchanged(notes: Notebook) -> None:
    added = notes.add(
        "  Ünïcode títle 😀 ",
        "line\r\n---\n\ttab \x1b[31m\n\n",
        kind=Kind.DECISION,
        tags=["a b", "c", "a b", " "],
        context=Context(situation="s", solution="t", what_failed="w", keywords=("k",)),
        confidence=5,
        metadata={"ticket": [1, {"x": None}], "big": 10**30},
    )
    assert notes.get(added.id) == added
    assert (added.project, added.tags, added.revision) == ("shop", ("a b", "c"), 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"title": " "}, "title is empty"),
        ({"title": "x" * 1001}, "1,001 characters"),
        ({"title": "a\0b"}, "title has a NUL character at position 1"),
        ({"title": "t", "body": "ab\0"}, "body has a NUL character at position 2"),
        ({"title": "t", "body": "\udc80"}, "body is not valid Unicode"),
        ({"title": "t", "kind": Kind.FUNCTION}, "no kind of note 'function'"),
        ({"title": "t", "confidence": 6}, "0..5, is 6"),
        ({"title": "t", "metadata": {"x": float("nan")}}, "metadata.x is nan"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(notes: Notebook, values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        notes.add(**values)  # type: ignore[arg-type]
    assert notes.select() == []


def test_a_note_is_found_by_its_title_body_tags_and_context(notes: Notebook) -> None:
    wanted = notes.add(
        "Checkout hangs",
        "The gateway blocks.",
        tags=["payments"],
        context=Context(situation="under load", keywords=("stall",)),
    )
    notes.add("Unrelated", "Something else.")
    for words in ("checkout", "gateway", "payments", "load", "stall"):
        assert titles(notes.search(Query(text=words, vector=False))) == ["Checkout hangs"], words
    assert titles(notes.search(Query(text=wanted.id, vector=False))) == []  # an id has no words


def test_a_note_of_a_million_characters_is_kept_and_found(notes: Notebook) -> None:
    body = "lorem ipsum dolor\n" * 60_000 + "needle"
    added = notes.add("Large", body)
    assert notes.get(added.id).body == body
    assert titles(notes.search("needle")) == ["Large"]


def test_an_edit_replaces_what_is_found(notes: Notebook) -> None:
    note = notes.add("Port", "The port is 8080.")
    edited = notes.edit(note.id, body="The port is 9090.", tags=("net",))
    assert (edited.revision, edited.created_at) == (2, note.created_at)
    assert edited.updated_at > note.updated_at
    assert titles(notes.search(Query(text="8080", vector=False))) == []
    assert titles(notes.search(Query(text="9090", vector=False))) == ["Port"]
    with pytest.raises(InvalidInput, match="revision of a note cannot be edited"):
        notes.edit(note.id, revision=7)


def test_a_removed_note_is_found_by_nothing_until_it_is_restored(notes: Notebook) -> None:
    note = notes.add("Keep", "alpha", tags=["t"])
    notes.forget(note.id)
    assert (notes.select(), titles(notes.search("alpha"))) == ([], [])
    with pytest.raises(NotFound, match="has been removed; 'note restore"):
        notes.get(note.id)
    assert [each.id for each in notes.select(NoteFilter(deleted=True))] == [note.id]
    restored = notes.restore(note.id)
    assert replace(restored, revision=1) == note
    assert titles(notes.search("alpha")) == ["Keep"]
    with pytest.raises(NotFound, match="is not removed"):
        notes.restore(note.id)


def test_a_purged_note_is_gone_for_good(notes: Notebook) -> None:
    note = notes.add("Secret", "alpha")
    notes.forget(note.id)
    notes.purge(note.id)
    with pytest.raises(NotFound, match=f"no note '{note.id}' in project 'shop'"):
        notes.restore(note.id)
    assert notes.select(NoteFilter(deleted=True)) == []


def test_notes_of_another_project_are_out_of_reach(desk: Desk) -> None:
    shop, bank = desk("shop"), desk("bank")
    own = shop.add("Own alpha", "alpha", tags=["t"])
    shared = shop.add("Shared alpha", "alpha", project=GLOBAL)
    assert titles(bank.search("alpha")) == ["Shared alpha"]
    assert set(titles(shop.search("alpha"))) == {"Own alpha", "Shared alpha"}
    assert [note.id for note in bank.select()] == [shared.id]
    assert bank.counts() == {"reference": 1}
    for attempt in (
        lambda: bank.get(own.id),
        lambda: bank.edit(own.id, body="x"),
        lambda: bank.forget(own.id),
        lambda: bank.purge(own.id),
        lambda: bank.similar(own.id),
        lambda: bank.link(shared.id, Relation.RELATED, own.id),
    ):
        with pytest.raises(NotFound, match=f"no note '{own.id}' in project 'bank' or among the global ones"):
            attempt()
    everything = desk(everywhere=True)
    assert len(everything.select()) == len(everything.search("alpha").hits) == 2
    # a scope in the query cannot widen it
    assert titles(bank.search(Query(text="alpha", scope=Scope(sources=("note:shop",))))) == ["Shared alpha"]


def test_a_note_that_moves_to_another_project_leaves_nothing_behind(desk: Desk) -> None:
    note = desk("shop").add("Moves", "alpha")
    desk("shop").edit(note.id, project="bank")
    assert titles(desk("shop").search("alpha")) == []
    assert titles(desk("bank").search("alpha")) == ["Moves"]


def test_the_beginning_of_an_id_is_enough_while_it_is_unambiguous(desk: Desk) -> None:
    notes = desk("shop")
    now = desk.clock()
    for id in ("abcd1", "abcd2", "abcd", "xyz10"):
        list(
            notes.put([Note(id=id, kind=Kind.BUG, title=f"Note {id}", created_at=now, updated_at=now, project="shop")])
        )
    assert notes.get("x").id == "xyz10"
    assert notes.get("XYZIO").id == "xyz10"
    assert notes.get("abcd").id == "abcd"
    with pytest.raises(InvalidInput, match=r"'abc' may mean abcd \(Note abcd\), abcd1 .*; type more"):
        notes.get("abc")
    for wrong in ("q", "", "%", "_", "ab'"):
        with pytest.raises(NotFound, match="no note"):
            notes.get(wrong)


def test_filters_narrow_lists_and_searches_alike(desk: Desk) -> None:
    notes = desk("shop")
    bug = notes.add("alpha bug", kind=Kind.BUG, tags=["x", "y"])
    between = desk.clock()
    old = notes.add("alpha decision", kind=Kind.DECISION, tags=["x"], metadata={"team": {"name": "core", "size": 3}})
    notes.edit(old.id, status=Status.OBSOLETE)
    cases = [
        (NoteFilter(kinds=(Kind.BUG, Kind.PATTERN)), [bug.id]),
        (NoteFilter(tags=("x",)), [old.id, bug.id]),
        (NoteFilter(tags=("x", "y")), [bug.id]),
        (NoteFilter(statuses=(Status.OBSOLETE,)), [old.id]),
        (NoteFilter(since=between), [old.id]),
        (NoteFilter(until=between), [bug.id]),
        (NoteFilter(metadata={"team": {"name": "core"}}), [old.id]),
    ]
    for filter, expected in cases:
        assert [note.id for note in notes.select(filter)] == expected, filter
        found = [hit.chunk.path for hit in notes.search("alpha", filter).hits]
        assert sorted(found) == sorted(expected), filter
    assert len(notes.select(NoteFilter(limit=1))) == 1


def test_a_superseded_note_stands_below_what_replaced_it_and_says_so(notes: Notebook) -> None:
    old = notes.add("Cache time to live", "cache time to live is ten minutes cache cache time live")
    new = notes.add("New value", "the cache now keeps things for an hour")
    assert titles(notes.search("cache time to live")) == ["Cache time to live", "New value"]
    notes.link(new.id, Relation.SUPERSEDES, old.id, "measured")
    first, second = notes.search("cache time to live").hits
    assert isinstance(first, NoteHit) and isinstance(second, NoteHit)
    assert (first.note.title, second.note.superseded_by) == ("New value", (new.id,))
    assert second.signals["superseded"] < 1
    notes.forget(new.id)
    assert titles(notes.search("cache time to live")) == ["Cache time to live"]
    assert notes.get(old.id).superseded_by == ()


def test_an_obsolete_note_goes_down(notes: Notebook) -> None:
    old = notes.add("alpha beta gamma", "alpha beta gamma")
    notes.add("alpha beta", "gamma, and some other words")
    assert titles(notes.search("alpha beta gamma")) == ["alpha beta gamma", "alpha beta"]
    notes.edit(old.id, status=Status.OBSOLETE)
    assert titles(notes.search("alpha beta gamma")) == ["alpha beta", "alpha beta gamma"]


def test_a_note_is_found_once_however_many_of_its_parts_match(notes: Notebook) -> None:
    notes.add("Long", "\n\n".join(f"alpha part {i} " + "word " * 150 for i in range(20)))
    notes.add("Short", "alpha")
    assert sorted(titles(notes.search("alpha"))) == ["Long", "Short"]


def test_links_have_a_reason_and_two_ends(notes: Notebook) -> None:
    a, b = notes.add("A"), notes.add("B")
    linked = notes.link(a.id, Relation.CONTRADICTS, b.id, "because")
    assert [(link.relation, link.target, link.reason) for link in linked.links] == [("contradicts", b.id, "because")]
    assert [(id, link.reason) for id, link in notes.links_to(b.id)] == [(a.id, "because")]
    notes.link(a.id, Relation.CONTRADICTS, b.id, "another reason")
    notes.link(a.id, Relation.RELATED, b.id)
    assert [link.reason for link in notes.get(a.id).links] == ["another reason", ""]
    notes.unlink(a.id, b.id, Relation.RELATED)
    assert len(notes.get(a.id).links) == 1
    notes.unlink(a.id, b.id)
    assert notes.links_to(b.id) == []
    with pytest.raises(NotFound, match="has no link to"):
        notes.unlink(a.id, b.id)
    with pytest.raises(InvalidInput, match="linked to itself"):
        notes.link(a.id, Relation.RELATED, a.id)


def test_notes_cannot_supersede_each_other_in_a_circle(notes: Notebook) -> None:
    a, b, c = (notes.add(title) for title in "ABC")
    notes.link(a.id, Relation.SUPERSEDES, b.id)
    notes.link(b.id, Relation.SUPERSEDES, c.id)
    with pytest.raises(InvalidInput, match="cannot supersede each other"):
        notes.link(c.id, Relation.SUPERSEDES, a.id)


def test_similar_notes_come_without_the_note_itself(notes: Notebook) -> None:
    note = notes.add("Retry with backoff", "retry backoff jitter")
    notes.add("Backoff", "retry backoff")
    notes.add("Colours", "red green")
    found = notes.similar(note.id, limit=2)
    assert titles(found)[0] == "Backoff"
    assert "Retry with backoff" not in titles(found)


def test_reviews_follow_sm_2(notes: Notebook, desk: Desk) -> None:
    note = notes.add("Learn")
    assert [each.id for each in notes.due()] == [note.id]
    intervals = []
    for quality in (5, 5, 5, 2, 3):
        reviewed = notes.review(note.id, quality)
        intervals.append(reviewed.review.interval_days)
    assert intervals == [1, 6, 17, 1, 1]  # 6 * 2.8 = 16.8; forgotten: from the start
    assert reviewed.review.ease == pytest.approx(2.5 + 3 * 0.1 - 0.32 - 0.14)
    assert notes.due() == []
    desk.clock.now += timedelta(days=2)
    assert [each.id for each in notes.due()] == [note.id]
    with pytest.raises(InvalidInput, match=r"must be 0 \(forgotten\) to 5"):
        notes.review(note.id, 6)
    newer = notes.add("Learn this instead")
    notes.link(newer.id, Relation.SUPERSEDES, note.id)
    assert [each.id for each in notes.due(1)] == [newer.id]


def test_looking_counts_and_changes_nothing_else(notes: Notebook) -> None:
    note = notes.add("Seen")
    notes.get(note.id, count=True)
    seen = notes.get(note.id)
    assert (seen.accesses, seen.revision, seen.updated_at) == (1, 1, note.updated_at)
    assert seen.accessed_at is not None


def test_a_change_made_from_an_outdated_note_is_refused_whole(desk: Desk, notes: Notebook) -> None:
    note, other = notes.add("One"), notes.add("Two")
    notes.edit(note.id, title="One more")
    fresh = replace(other, title="Two more", revision=2)
    stale = replace(note, title="Lost", revision=2)
    with pytest.raises(Outdated, match=f"note {note.id} has been changed meanwhile"):
        desk.store.write([NoteChange(note=n, indexed=None, was=1) for n in (fresh, stale)])
    assert {each.title for each in notes.select()} == {"One more", "Two"}


def test_threads_that_change_one_note_lose_no_change(notes: Notebook) -> None:
    note = notes.add("Shared", tags=[])
    targets = [notes.add(f"Target {i}") for i in range(4)]
    threads = [threading.Thread(target=notes.link, args=(note.id, Relation.RELATED, target.id)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {link.target for link in notes.get(note.id).links} == {target.id for target in targets}


def test_put_takes_what_is_new_and_keeps_what_is_newer(notes: Notebook, desk: Desk) -> None:
    note = notes.add("Original")
    later = replace(note, title="Later", updated_at=desk.clock())
    earlier = replace(note, title="Earlier", updated_at=note.updated_at - timedelta(days=1))
    fresh = replace(note, id=new_id(), title="Fresh")
    given = [note, fresh]
    assert [fate for _, fate in notes.put(given)] == ["unchanged", "added"]
    assert [fate for _, fate in notes.put([earlier])] == ["older"]
    assert [fate for _, fate in notes.put([later])] == ["updated"]
    assert [fate for _, fate in notes.put([earlier], overwrite=True)] == ["updated"]
    notes.forget(fresh.id)
    assert [fate for _, fate in notes.put([fresh])] == ["older"]
    assert [each.title for each in notes.select()] == ["Earlier"]


def test_another_model_indexes_all_notes_anew(desk: Desk) -> None:
    first = desk("shop")
    note = first.add("Alpha", "beta")
    gone = first.add("Gone", "beta")
    first.forget(gone.id)
    desk.embedder = HashingEmbedder(dimension=32, model="other")
    notes = desk("shop")
    assert titles(notes.search(Query(text="beta", lexical=False))) == ["Alpha"]
    assert notes.get(note.id) == note
    assert [space.model for space in desk.index.spaces()] == ["other"]


def test_notes_are_found_by_what_they_point_at(desk: Desk) -> None:
    notes = desk("shop")
    anchors = [Anchor(path="a.py", text="x\n", first_line=1, last_line=1, name=name) for name in ("f", "A.g")]
    first = notes.add("First", anchors=anchors)
    second = notes.add("Second", anchors=[replace(anchors[0], path="b.py")])
    elsewhere = desk("bank").add("Elsewhere", anchors=anchors)
    gone = notes.add("Gone", anchors=anchors)
    notes.forget(gone.id)
    assert notes.get(first.id) == first and notes.get(gone.id, deleted=True).anchors == tuple(anchors)

    def found(*paths: str, names: tuple[str, ...] = ()) -> list[str]:
        return [note.title for note in notes.anchored(paths, names, 10)]

    assert found("a.py", "c.py") == found(names=("A.g",)) == ["First"]
    assert found("a.py", names=("f",)) == ["Second", "First"]
    assert found("c.py", names=("h",)) == []
    assert notes.anchored(["a.py", "b.py"], [], 1) == [second]
    assert desk("bank").anchored(["a.py"], [], 10) == [elsewhere]
    notes.edit(first.id, anchors=())
    assert found("a.py") == []
    notes.purge(second.id)
    assert found("b.py") == []


def test_a_rebuild_makes_the_same_index_from_the_notes(desk: Desk) -> None:
    notes = desk("shop")
    for i in range(5):
        notes.add(f"Note {i}", "alpha beta", tags=[str(i)])
    before = titles(notes.search("alpha"))
    desk.index.clear()
    assert titles(notes.search("alpha")) == []
    assert desk("bank").rebuild() == 5
    assert titles(notes.search("alpha")) == before
