"""What every Store does. A new backend is a new entry of STORES."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mnemolite.errors import Conflict, InvalidInput, NotFound, SpaceMismatch
from mnemolite.ports import Store
from mnemolite.search.tokens import terms
from mnemolite.stores.federated import FederatedIndex, Member
from mnemolite.stores.postgres import PostgresStore
from mnemolite.stores.postgres_connection import Database
from mnemolite.stores.sharded import ShardedStore
from mnemolite.stores.shards import Shards
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import Chunk, Document, Domain, FileState, Indexed, Kind, Ranking, Scope, Source, Space

# a folder, and what gives the URLs of an empty PostgreSQL database and of three more
Place = tuple[Path, Callable[[], str], Callable[[], list[str]]]


def sharded(place: Place) -> ShardedStore:
    coordinator = Database(place[1]())
    others = {f"s{number}": Database(url, shard=f"s{number}") for number, url in enumerate(place[2]())}
    return ShardedStore(Shards(coordinator, others))


STORES: dict[str, Callable[[Place], Store]] = {
    "sqlite in memory": lambda place: SqliteStore(None),
    "sqlite on disk": lambda place: SqliteStore(place[0] / "memory.db"),
    "sqlite with sqlite-vec": lambda place: SqliteStore(place[0] / "memory.db", vector_backend="sqlite-vec"),
    "postgresql": lambda place: PostgresStore(Database(place[1]())),
    "postgresql, sharded": sharded,
}
SPACE = Space(domain=Domain.HYBRID, model="letters", dimension=26, fingerprint="1")
EVERYWHERE = Scope()


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    empty_database: Callable[[], str],
    empty_shards: Callable[[], list[str]],
) -> Iterator[Store]:
    store = STORES[request.param]((tmp_path, empty_database, empty_shards))
    yield store
    store.close()


def letters(text: str) -> list[float]:
    """How often each letter occurs: a vector of which one can see what is near."""
    return [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]


def chunk(path: str, text: str, line: int, *, source: str = "s", language: str = "python", **more: object) -> Chunk:
    known: dict[str, object] = {"kind": Kind.FUNCTION, **more}
    return Chunk(source=source, path=path, language=language, text=text, first_line=line, last_line=line, **known)  # type: ignore[arg-type]


def document(*chunks: Chunk, digest: str = "d", space: Space = SPACE) -> Indexed:
    first = chunks[0]
    matrix = np.array([letters(c.text) for c in chunks], np.float32)
    return Indexed(
        document=Document(
            source=first.source, path=first.path, digest=digest, language=first.language, size=9, mtime_ns=7
        ),
        chunks=chunks,
        digests=tuple(c.text.encode() for c in chunks),
        vectors={space: matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)},
    )


def indexed(path: str, text: str, **more: object) -> Indexed:
    """A document with a chunk per line of *text*."""
    return document(*(chunk(path, line, i, **more) for i, line in enumerate(text.split("\n"), start=1)))  # type: ignore[arg-type]


def texts(store: Store, ranking: Ranking) -> list[str]:
    return [c.text for c in store.chunks([id for id, _ in ranking])]


def near(store: Store, text: str, scope: Scope = EVERYWHERE, limit: int = 10) -> list[str]:
    return texts(store, store.nearest(SPACE, np.array(letters(text), np.float32), scope, limit))


def words(store: Store, text: str, scope: Scope = EVERYWHERE, limit: int = 10) -> list[str]:
    return texts(store, store.lexical(terms(text), scope, limit))


def test_an_alternative_counts_less_than_the_word_itself(store: Store) -> None:
    lines = ["check mail", "validate it", "check it", *(f"grey {i}" for i in range(10))]
    store.put([indexed("a.py", "\n".join(lines))])

    def found(*terms: str, limit: int = 5) -> list[str]:
        return texts(store, store.lexical(terms, EVERYWHERE, limit, ["check"]))

    assert found("validate") == ["validate it", "check mail", "check it"]
    assert found("validate", "mail") == ["check mail", "validate it", "check it"]
    assert found("absent") == ["check mail", "check it"]
    assert found("validate", limit=2) == ["validate it", "check mail"]


def test_an_alternative_of_several_words_is_found_only_as_a_phrase(store: Store) -> None:
    store.put([indexed("a.py", "a json web token\njsonWebToken()\nthe web token is json")])
    found = texts(store, store.lexical(["jwt"], EVERYWHERE, 5, ["json web token"]))
    assert sorted(found) == ["a json web token", "jsonWebToken()"]


def test_what_is_put_comes_back_unchanged(store: Store) -> None:
    given = chunk(
        "src/mail.py",
        "def héllo():\r\n\treturn '\x00😀'\n",
        3,
        kind=Kind.METHOD,
        name="héllo",
        parent="A.B",
        signature="def héllo()",
        docstring="Says it.",
        symbols=("héllo", "inner"),
    )
    store.put([document(given)])
    [(id, _)] = store.lexical(["hello"], EVERYWHERE, 5)
    [found] = store.chunks([id])
    assert found == Chunk(**{**{k: getattr(given, k) for k in given.__dataclass_fields__}, "id": id})


def test_chunks_come_in_the_order_asked_without_those_that_are_gone(store: Store) -> None:
    store.put([indexed("a.py", "one\ntwo\nthree")])
    ids = [store.lexical([word], EVERYWHERE, 1)[0][0] for word in ("three", "one")]
    assert [c.text for c in store.chunks([ids[0], 10**9, ids[1], ids[0]])] == ["three", "one", "three"]
    assert store.chunks([]) == []


def test_a_card_says_what_its_chunk_says(store: Store) -> None:
    store.put([indexed("a.py", "one\ntwo"), indexed("b.py", "three")])
    ids = [store.lexical([word], EVERYWHERE, 1)[0][0] for word in ("three", "one")]
    for index in (store, FederatedIndex([Member(store, "x"), Member(store, "y")])):
        wanted = ids if index is store else [2 * ids[0], 2 * ids[1] + 1]
        cards = {card.id: card for card in index.cards([wanted[0], 10**9, wanted[1]])}
        assert cards.keys() == set(wanted)
        for chunk in index.chunks(wanted):
            card = cards[chunk.id]
            assert card[1:6] == (chunk.source, chunk.path, chunk.language, chunk.name, chunk.parent)
            assert tuple(filter(None, card.symbols.split("\n"))) == chunk.symbols
        assert index.cards([]) == []


def test_documents_come_back_whole(store: Store) -> None:
    two = replace(indexed("a.py", "one\ntwo"), digests=(b"1", b"2"))
    skipped = Document(source="s", path="b", digest="d", language="text", size=1, mtime_ns=2, skipped="binary")
    store.put([two, Indexed(document=skipped, chunks=(), digests=(), vectors={}), indexed("c.py", "three", source="t")])
    found = {each.document.path: each for each in store.documents("s", ["a.py", "b", "c.py", "never"])}
    assert found["b"] == Indexed(document=skipped, chunks=(), digests=(), vectors={})
    again = found["a.py"]
    assert found.keys() == {"a.py", "b"} and (again.document, again.digests) == (two.document, two.digests)
    assert tuple(replace(each, id=0) for each in again.chunks) == two.chunks
    assert again.vectors[SPACE] == pytest.approx(two.vectors[SPACE], abs=1e-3)
    store.put([replace(indexed("a.py", "one\ntwo"), vectors={})])
    assert store.documents("s", ["a.py"])[0].vectors == {}


def test_frequencies_count_chunks_and_not_repetitions(store: Store) -> None:
    store.put([indexed("a.py", "one one\none two\nthree")])
    assert store.frequencies(["one", "two", "never"]) == ({"one": 2, "two": 1}, 3)
    both = FederatedIndex([Member(store, "x"), Member(store, "y")])
    assert both.frequencies(["one", "never"]) == ({"one": 4}, 6)


def test_a_document_that_shrank_leaves_no_chunk_behind(store: Store) -> None:
    store.put([indexed("a.py", "one\ntwo")])
    store.put([indexed("a.py", "one")])
    assert store.lexical(["two"], EVERYWHERE, limit=5) == []
    assert near(store, "two") == ["one"]
    assert store.stats().chunks == 1


def test_a_dropped_document_is_found_by_nothing(store: Store) -> None:
    store.put([indexed("a.py", "alpha", name="alpha"), indexed("b.py", "beta", name="beta")])
    assert near(store, "alpha") == ["alpha", "beta"]
    store.drop("s", ["a.py", "never.py"])
    assert (
        words(store, "alpha") == near(store, "beta", limit=1)[1:] == texts(store, store.named("alpha", EVERYWHERE, 5))
    )
    assert near(store, "alpha") == ["beta"]
    assert list(store.files("s")) == ["b.py"]


def test_a_document_put_twice_in_one_call_is_stored_as_given_last(store: Store) -> None:
    store.put([indexed("a.py", "one"), indexed("a.py", "two")])
    assert (words(store, "one"), words(store, "two")) == ([], ["two"])


def test_the_same_path_in_two_sources_is_two_documents(store: Store) -> None:
    store.put([indexed("a.py", "one", source="x"), indexed("a.py", "one more", source="y")])
    store.drop("x", ["a.py"])
    assert words(store, "one") == ["one more"]


def test_sources_are_counted_by_name_without_what_has_no_chunks(store: Store) -> None:
    store.put(
        [indexed("a.py", "one\ntwo", source="s"), indexed("b.py", "one", source="s"), indexed("a.py", "x", source="r")]
    )
    empty = Document(source="z", path="e", digest="", language="", size=0, mtime_ns=0, skipped="binary")
    beside = [replace(empty, source="s", path=path, skipped=why) for path, why in (("f", "binary"), ("g", "minified"))]
    store.put(Indexed(document=each, chunks=(), digests=(), vectors={}) for each in (empty, *beside))
    assert store.sources() == [
        Source(name="r", documents=1, chunks=1),
        Source(name="s", documents=2, chunks=3, skipped={"binary": 1, "minified": 1}),
    ]


def test_an_id_is_never_given_twice(store: Store) -> None:
    store.put([indexed("a.py", "one\ntwo")])
    before = {id for id, _ in store.lexical(["one"], EVERYWHERE, 5) + store.lexical(["two"], EVERYWHERE, 5)}
    store.put([indexed("a.py", "one\ntwo")])
    store.clear()
    store.put([indexed("a.py", "one\ntwo")])
    assert before.isdisjoint(id for id, _ in store.lexical(["one"], EVERYWHERE, 5))


def test_files_tell_what_is_stored_and_touch_updates_only_unchanged_content(store: Store) -> None:
    store.put([indexed("a.py", "one"), indexed("b.py", "two"), indexed("c.py", "x", source="other")])
    moved = FileState(digest="d", size=10, mtime_ns=11)
    changed = FileState(digest="another", size=1, mtime_ns=1)
    store.touch("s", {"a.py": moved, "b.py": changed, "never.py": moved})
    assert store.files("s") == {"a.py": moved, "b.py": FileState(digest="d", size=9, mtime_ns=7)}
    assert store.files("never") == {}


def test_all_terms_come_before_any_term(store: Store) -> None:
    filler = "\n".join(f"filler {i}" for i in range(20))
    store.put([indexed("a.py", f"open the file\nclose the door\nopen the door\n{filler}")])
    assert words(store, "open door", limit=1) == ["open the door"]
    found = words(store, "open door", limit=10)
    assert found[0] == "open the door"
    assert set(found[1:]) == {"open the file", "close the door"}


def test_identifiers_and_accents_meet_their_words(store: Store) -> None:
    store.put([indexed("a.py", "class HTTPServer2: pass\nprint('Übergröße')\nmax_retry_count = 3")])
    assert words(store, "http server") == words(store, "httpserver2") == ["class HTTPServer2: pass"]
    assert words(store, "ubergrosse") == words(store, "ÜBERGRÖSSE") == ["print('Übergröße')"]
    assert words(store, "maxRetryCount") == ["max_retry_count = 3"]


def test_a_match_in_the_name_outranks_one_in_the_body(store: Store) -> None:
    plain = [chunk("a.py", f"something else {i}", i + 3) for i in range(20)]
    store.put([document(chunk("a.py", "validate", 1), chunk("a.py", "pass", 2, name="validate"), *plain)])
    assert words(store, "validate") == ["pass", "validate"]


def test_scores_are_positive_and_best_first(store: Store) -> None:
    store.put([indexed("a.py", "\n".join(["red green", "red", "blue", *(f"grey {i}" for i in range(10))]))])
    scores = [score for _, score in store.lexical(["red", "green"], EVERYWHERE, 10)]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.characters(exclude_categories=())) | st.sampled_from(['"', "AND", "NEAR(", "*", "a:b", "\0"]))
)
@example(["00\ud800"])
def test_any_text_may_be_asked_for(store: Store, asked: list[str]) -> None:
    if not store.files("s"):
        store.put([indexed("a.py", "one")])
    assert len(store.lexical(asked, EVERYWHERE, 5, asked)) <= 1
    assert len(store.named(" ".join(asked), EVERYWHERE, 5)) <= 1
    store.lexical(asked, Scope(paths=tuple(asked), languages=tuple(asked)), 5)


def test_no_terms_find_nothing(store: Store) -> None:
    store.put([indexed("a.py", "one")])
    assert store.lexical([], EVERYWHERE, 5) == []


def test_a_fragment_finds_names_then_paths(store: Store) -> None:
    store.put(
        [
            document(
                chunk("lib/x.py", "inside", 1, name="reparse_all"),
                chunk("lib/x.py", "start", 2, name="parseHeader"),
                chunk("lib/x.py", "short start", 3, name="Parser"),
                chunk("lib/x.py", "whole", 4, name="PARSE"),
                chunk("lib/x.py", "holds it", 5, name="Reader", symbols=("Reader", "parse")),
                chunk("lib/x.py", "other", 6, name="emit"),
            ),
            document(chunk("lib/parse.py", "by path", 1)),
        ]
    )
    found = texts(store, store.named("parse", EVERYWHERE, 10))
    assert found == ["whole", "holds it", "short start", "start", "inside", "by path"]
    assert store.named("pa", EVERYWHERE, 10) == []
    assert texts(store, store.named("%ars_", EVERYWHERE, 10)) == []


def test_nearest_is_by_cosine_whatever_the_length(store: Store) -> None:
    store.put([indexed("a.py", "aab\nabb\nzzz")])
    query = np.array(letters("aaab"), np.float32)
    ranking = store.nearest(SPACE, query * 50, EVERYWHERE, 2)
    assert texts(store, ranking) == ["aab", "abb"]
    assert [score for _, score in ranking] == pytest.approx([7 / 50**0.5, 5 / 50**0.5], abs=1e-3)


def test_a_zero_vector_finds_nothing_and_is_never_found(store: Store) -> None:
    store.put([indexed("a.py", "one\n123")])
    assert store.nearest(SPACE, np.zeros(26, np.float32), EVERYWHERE, 5) == []
    assert near(store, "zzz") == ["one"]
    assert not store.known_vectors(SPACE, [b"123"])[b"123"].any()


@pytest.mark.parametrize("bad", [np.ones(25), np.full(26, np.nan), np.full(26, np.inf), np.ones((1, 26))])
def test_a_vector_that_cannot_be_compared_is_refused(
    store: Store, bad: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> None:
    store.put([indexed("a.py", "one")])
    with pytest.raises(InvalidInput):
        store.nearest(SPACE, bad.astype(np.float32), EVERYWHERE, 5)


def test_vectors_that_do_not_fit_their_chunks_are_refused_and_nothing_is_stored(store: Store) -> None:
    good = indexed("a.py", "one\ntwo")
    for matrix in (np.ones((1, 26)), np.ones((2, 25)), np.full((2, 26), np.nan)):
        bad = Indexed(
            document=good.document, chunks=good.chunks, digests=good.digests, vectors={SPACE: matrix.astype(np.float32)}
        )
        with pytest.raises(InvalidInput):
            store.put([bad])
    assert store.stats().chunks == 0


@pytest.mark.parametrize(
    "other",
    [
        Space(domain=Domain.HYBRID, model="letters", dimension=26, fingerprint="2"),
        Space(domain=Domain.HYBRID, model="words", dimension=26, fingerprint="1"),
    ],
)
def test_vectors_of_two_models_never_meet(store: Store, other: Space) -> None:
    store.put([indexed("a.py", "one")])
    with pytest.raises(SpaceMismatch, match=rf"letters .*{other.model} .*spaces build.*mnemolite index rebuild"):
        store.nearest(other, np.ones(26, np.float32), EVERYWHERE, 5)
    with pytest.raises(SpaceMismatch):
        store.put([document(chunk("b.py", "two", 1), space=other)])
    assert list(store.files("s")) == ["a.py"]
    assert store.spaces() == [SPACE]


def test_two_domains_live_side_by_side(store: Store) -> None:
    text, code = replace(SPACE, domain=Domain.TEXT), Space(domain=Domain.CODE, model="c", dimension=5, fingerprint="1")
    both = indexed("a.py", "prose\nstatement\nwith a docstring")
    vectors = {text: both.vectors[SPACE] * [[1], [0], [1]], code: np.eye(3, 5) * [[0], [1], [1]]}
    both = replace(both, vectors={space: rows.astype(np.float32) for space, rows in vectors.items()})
    store.put([both])
    assert set(store.spaces()) == {text, code}
    assert store.stats().vectors == {"letters (26)": 2, "c (5)": 2}
    found = {
        space: set(texts(store, store.nearest(space, np.ones(space.dimension, np.float32), EVERYWHERE, 5)))
        for space in (text, code)
    }
    assert found == {text: {"prose", "with a docstring"}, code: {"statement", "with a docstring"}}
    [again] = store.documents("s", ["a.py"])
    for space in (text, code):
        assert again.vectors[space] == pytest.approx(both.vectors[space], abs=1e-3)
    assert not store.known_vectors(text, [b"statement"])[b"statement"].any()
    assert store.check() == []


def test_one_model_for_all_and_another_for_code_never_serve_one_index(store: Store) -> None:
    code = Space(domain=Domain.CODE, model="c", dimension=26, fingerprint="1")
    store.put([indexed("a.py", "one")])
    with pytest.raises(SpaceMismatch, match=r"letters .* c "):
        store.nearest(code, np.ones(26, np.float32), EVERYWHERE, 5)
    with pytest.raises(SpaceMismatch):
        store.put([document(chunk("b.py", "two", 1), space=code)])
    assert store.spaces() == [SPACE]


def fill(store: Store, space: Space, limit: int = 2) -> int:
    """A page of what lacks a vector; how many there were."""
    lacking = store.lacking(space, 0, limit)
    store.fill(space, {c.id: np.array(letters(c.text), np.float32) for c in lacking})
    return len(lacking)


def test_another_space_is_filled_beside_the_one_that_is_searched(store: Store) -> None:
    new = Space(domain=Domain.HYBRID, model="words", dimension=26, fingerprint="2")
    store.put([indexed("b.py", "four", source="t"), indexed("a.py", "one\ntwo\nthree")])
    assert [c.text for c in store.lacking(new, 0, 10)] == ["four", "one", "two", "three"]
    assert fill(store, new) == 2
    states = {state.space.model: state for state in store.space_states()}
    assert [(s.active, s.chunks, s.vectors, s.missing) for s in states.values()] == [(True, 4, 4, 0), (False, 2, 2, 2)]
    with pytest.raises(Conflict, match=r"vectors of words .* of 2 chunks yet; run 'mnemolite spaces build'"):
        store.activate([new])
    with pytest.raises(SpaceMismatch):
        store.put([document(chunk("c.py", "five", 1), space=new)])
    assert near(store, "two", limit=1) == ["two"]
    assert (store.spaces(), store.stats().vectors) == ([SPACE], {"letters (26)": 4})

    store.put([indexed("a.py", "one\nsix")])  # of what is gone, nothing is left in either
    held = store.lacking(new, 0, 10)
    store.put([indexed("a.py", "one\nsix")])
    store.fill(new, {c.id: np.zeros(26, np.float32) for c in held})  # they are gone meanwhile
    assert {state.space: state.missing for state in store.space_states()} == {SPACE: 0, new: 2}
    assert (fill(store, new), fill(store, new)) == (2, 0)
    assert store.check() == []

    version = store.version()
    store.activate([new])
    assert store.version() != version
    assert store.spaces() == [new]
    assert near(store, "four", limit=1) == ["four"]  # whoever has not noticed yet
    with pytest.raises(SpaceMismatch):
        store.put([indexed("d.py", "seven")])
    with pytest.raises(Conflict, match="searches go by the vectors of words"):
        store.drop_space(new)
    store.drop_space(SPACE)
    with pytest.raises(SpaceMismatch):
        near(store, "one")
    with pytest.raises(NotFound, match="'mnemolite spaces list'"):
        store.drop_space(SPACE)
    assert [state.space for state in store.space_states()] == [new]
    assert store.check() == []


def test_one_space_makes_way_for_one_of_text_and_one_of_code_at_once(store: Store) -> None:
    text, code = (replace(SPACE, domain=domain, model=str(domain)) for domain in (Domain.TEXT, Domain.CODE))
    store.put([indexed("a.py", "one\ntwo")])
    fill(store, text)
    with pytest.raises(Conflict, match=r"no vectors of code .* of any chunk"):
        store.activate([text, code])
    assert store.spaces() == [SPACE]
    fill(store, code)
    store.activate([text, code])
    assert store.spaces() == [text, code]
    store.put([replace(indexed("b.py", "six"), vectors={s: np.ones((1, 26), np.float32) for s in (text, code)})])
    assert {state.space: state.missing for state in store.space_states()} == {SPACE: 1, text: 0, code: 0}


def test_a_space_without_vectors_makes_way_for_another_model(store: Store) -> None:
    other = Space(domain=Domain.HYBRID, model="words", dimension=26, fingerprint="1")
    store.put([indexed("a.py", "one")])
    assert near(store, "one") == ["one"]
    store.drop("s", ["a.py"])
    store.put([document(chunk("a.py", "two", 1), space=other)])
    assert store.spaces() == [other]
    assert texts(store, store.nearest(other, np.array(letters("two"), np.float32), EVERYWHERE, 5)) == ["two"]


def test_vectors_are_known_by_the_digest_of_their_passage(store: Store) -> None:
    store.put([indexed("a.py", "one\ntwo"), indexed("b.py", "one")])
    known = store.known_vectors(SPACE, [b"one", b"never"])
    assert list(known) == [b"one"]
    expected = np.array(letters("one")) / 3**0.5
    assert known[b"one"] == pytest.approx(expected, abs=3e-4)  # half precision at least
    store.drop("s", ["a.py"])
    assert list(store.known_vectors(SPACE, [b"one", b"two"])) == [b"one"]
    assert store.known_vectors(SPACE, []) == {}


def test_a_chunk_has_its_vector(store: Store) -> None:
    store.put([indexed("a.py", "one")])
    [(id, _)] = store.lexical(["one"], EVERYWHERE, 1)
    vector = store.vector(SPACE, id)
    assert vector is not None
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
    assert store.vector(SPACE, id + 1) is None


def test_a_line_belongs_to_its_chunk(store: Store) -> None:
    store.put([indexed("a.py", "one\ntwo")])
    found = store.chunk_at("a.py", 2)
    assert found is not None
    assert found.text == "two"
    assert store.chunk_at("a.py", 3) is None
    assert store.chunk_at("b.py", 1) is None


def test_the_chunks_of_a_document_are_its_text(store: Store) -> None:
    store.put([indexed("a.py", "one\ntwo"), indexed("b.py", "three"), indexed("a.py", "four", source="two")])
    store.put([indexed("b.py", "five\nsix\nseven")])
    assert [chunk.text for chunk in store.chunks_of("a.py")] == ["one", "two"]
    found = store.chunks_of("b.py")
    assert [chunk.text for chunk in found] == ["five", "six", "seven"]
    assert store.origin(found[1]) == (store, "b.py")
    assert store.chunks_of("c.py") == []


SCOPES: list[tuple[Scope, Sequence[str]]] = [
    (Scope(sources=("two",)), ["shared four"]),
    (Scope(languages=("go", "python")), ["shared one", "shared two"]),
    (Scope(kinds=(Kind.SECTION,)), ["shared three"]),
    (Scope(paths=("src",)), ["shared one", "shared two", "shared four"]),
    (Scope(paths=("src/*.py",)), ["shared one"]),
    (Scope(paths=("docs/**", "*.go")), ["shared two", "shared three"]),
    (Scope(below="src/deep"), ["shared two"]),
    (Scope(paths=("src",), languages=("go",)), ["shared two"]),
    (Scope(paths=("nowhere",)), []),
    (Scope(sources=("nowhere",)), []),
]


@pytest.mark.parametrize(("scope", "expected"), SCOPES, ids=repr)
def test_every_list_keeps_to_the_scope_even_when_better_hits_lie_outside(
    store: Store, scope: Scope, expected: Sequence[str]
) -> None:
    outside = "\n".join(["shared"] * 30)
    store.put(
        [
            indexed("zz/outside.rs", outside, source="other", language="rust", kind=Kind.LINES, name="shared"),
            indexed("src/a.py", "shared one", name="shared_1"),
            indexed("src/deep/b.go", "shared two", language="go", name="shared_2"),
            indexed("docs/c.md", "shared three", language="markdown", kind=Kind.SECTION, name="shared_3"),
            indexed("src/d.rb", "shared four", source="two", language="ruby", name="shared_4"),
        ]
    )
    limit = max(1, len(expected))
    assert sorted(words(store, "shared", scope, limit)) == sorted(expected)
    assert sorted(near(store, "shared", scope, limit)) == sorted(expected)
    assert sorted(texts(store, store.named("shared", scope, limit))) == sorted(expected)


def test_a_scope_of_all_sources_is_no_scope_until_there_is_another(store: Store) -> None:
    store.put([indexed("a.py", "alpha beta"), indexed("b.py", "alpha")])
    scope = Scope(sources=("s", "unknown"))
    for found in (words, near):
        assert found(store, "alpha beta", scope) == found(store, "alpha beta") != []
    store.put([document(chunk("c.py", "alpha beta gamma", 1, source="other"))])
    for found in (words, near):
        assert "alpha beta gamma" in found(store, "alpha beta gamma")
        assert "alpha beta gamma" not in found(store, "alpha beta gamma", scope)


def test_poison_is_remembered_until_all_is_cleared(store: Store) -> None:
    store.add_poison("abc", "hung")
    store.add_poison("abc", "crashed")
    assert store.poisoned() == {"abc": "crashed"}
    store.clear()
    assert store.poisoned() == {}


def test_the_version_changes_with_every_change_and_only_then(store: Store) -> None:
    seen = [store.version()]
    changes: list[Callable[[], None]] = [
        lambda: store.put([indexed("a.py", "one")]),
        lambda: store.touch("s", {"a.py": FileState(digest="d", size=1, mtime_ns=2)}),
        lambda: store.drop("s", ["a.py"]),
        lambda: store.add_poison("x", "y"),
        store.clear,
    ]
    for change in changes:
        change()
        seen.append(store.version())
    assert len(set(seen)) == len(seen)
    assert store.version() == seen[-1]


def test_stats_count_what_is_stored(store: Store) -> None:
    store.put([indexed("a.py", "one\ntwo"), indexed("b.md", "x", language="markdown", kind=Kind.SECTION)])
    stats = store.stats()
    assert (stats.documents, stats.chunks) == (2, 3)
    assert stats.vectors == {"letters (26)": 3}
    assert stats.languages == {"python": 2, "markdown": 1}
    assert stats.kinds == {"function": 2, "section": 1}
    store.clear()
    stats = store.stats()
    assert (stats.documents, stats.chunks, stats.vectors) == (0, 0, {})
    assert store.spaces() == []


def test_a_batch_that_fails_leaves_nothing(store: Store) -> None:
    bad = indexed("b.py", "two")
    with pytest.raises(InvalidInput):
        store.put(
            [
                indexed("a.py", "one"),
                Indexed(document=bad.document, chunks=bad.chunks, digests=(), vectors=bad.vectors),
            ]
        )
    with pytest.raises(InvalidInput, match="not valid Unicode"):
        store.put([indexed("a.py", "one"), indexed("\udcff.py", "two")])
    assert store.files("s") == {}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop", "both"]),
        st.sets(st.sampled_from(["a.py", "b.py", "c/d.py"]), min_size=1),
        st.integers(1, 4),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_no_change_leaves_anything_behind(store: Store, changes: list[tuple[str, set[str], int]]) -> None:
    left: dict[str, int] = {}
    for action, paths, size in changes:
        if action != "put":
            store.drop("s", paths)
        if action != "drop":
            store.put([indexed(path, "\n".join("xyz"[:size]), name=path) for path in paths])
        left = {path: n for path, n in left.items() if path not in paths}
        left |= dict.fromkeys(paths, min(size, 3)) if action != "drop" else {}
        assert len(near(store, "xyz")) == sum(left.values())
    assert store.check() == []
    assert store.stats().chunks == len(store.named(".py", EVERYWHERE, 99)) == sum(left.values())
    store.clear()
    assert store.check() == []


def test_threads_read_while_one_writes(store: Store) -> None:
    store.put([indexed("stable.py", "stable word")])
    done = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                assert words(store, "stable", limit=1) == ["stable word"]
                assert near(store, "stable word", limit=1) == ["stable word"]
        except BaseException as error:  # noqa: BLE001 (told to the test below)
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    with store.writer(), store.writer():
        for i in range(25):
            store.put([indexed(f"{i % 5}.py", f"qqq {i}")])
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
