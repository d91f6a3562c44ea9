import pytest

from mnemolite.errors import InvalidInput
from mnemolite.search.fuse import Fused
from mnemolite.search.purposes import Purpose, purposes
from mnemolite.search.rank import SATURATION, SIGNALS, rank, signals_named
from mnemolite.search.understand import BEGINNING, Kin, query_terms, understand
from mnemolite.types import Card


def card(path: str, name: str = "", *, language: str = "python", parent: str = "", symbols: str = "") -> Card:
    return Card(id=0, source=".", path=path, language=language, name=name, parent=parent, symbols=symbols or name)


def ranked(query: str, *cards: Card, scores: tuple[float, ...] = (), off: tuple[str, ...] = ()) -> list[Fused]:
    """Of candidates with the numbers 0, 1, ... that were found equally well, unless *scores* says otherwise."""
    fused = [Fused(id, score) for id, score in enumerate(scores or [1.0] * len(cards))]
    return rank(understand(query), fused, [card._replace(id=id) for id, card in enumerate(cards)], off)


def first(query: str, *cards: Card, off: tuple[str, ...] = ()) -> str:
    return cards[ranked(query, *cards, off=off)[0].id].path


def test_words_of_questions_are_no_terms_unless_alone() -> None:
    assert query_terms("where do we validate an email?") == ["validate", "email"]
    assert query_terms("how to") == ["how", "to"]


@pytest.mark.parametrize("query", ["Foo::bar", "src/app.py", " get_user ", "_private"])
def test_a_symbol_is_one_run(query: str) -> None:
    assert understand(query).is_symbol


def test_a_question_is_no_symbol_but_may_name_some() -> None:
    asked = understand("how does TokenIssuer.revoke_family end HTTP sessions in get_user")
    assert not asked.is_symbol
    assert asked.symbols == {"revoke_family", "get_user"}
    assert asked.owners == {"TokenIssuer"}


def test_a_query_says_which_files_it_wants() -> None:
    assert understand("tests of the parser").wanted == {Purpose.TEST}
    assert understand("where is the parser").wanted == set()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/app.py", set()),
        ("src/latest.py", set()),
        ("src/contest/spec.py", {Purpose.TEST}),
        ("pkg/planner_test.go", {Purpose.TEST}),
        ("src/FooTests.cs", {Purpose.TEST}),
        ("web/__tests__/a.ts", {Purpose.TEST}),
        ("web/a.spec.ts", {Purpose.TEST}),
        ("examples/tests/run.py", {Purpose.EXAMPLE, Purpose.TEST}),
        ("legacy/helpers.py", {Purpose.LEGACY}),
        ("api/schema.gen.ts", {Purpose.GENERATED}),
        ("api/user_pb2.py", {Purpose.GENERATED}),
        ("web/globals.d.ts", {Purpose.DECLARATION}),
    ],
)
def test_a_path_says_what_a_file_is_for(path: str, expected: set[Purpose]) -> None:
    assert purposes(path, "python") == expected


def test_a_language_says_it_too() -> None:
    assert purposes("docs/guide.md", "markdown") == {Purpose.PROSE}
    assert purposes("a.yaml", "yaml") == {Purpose.CONFIG}


@pytest.mark.parametrize(
    ("one", "other"), [("routes", "routing"), ("validators", "validate"), ("cache", "caching"), ("parser", "parses")]
)
def test_forms_of_a_word_are_kin(one: str, other: str) -> None:
    assert Kin([one])[other] == Kin([other])[one] == 1


def test_a_beginning_is_near_kin_and_a_short_one_none() -> None:
    assert Kin(["auth"])["authentication"] == Kin(["authentication"])["auth"] == BEGINNING < 1
    assert Kin(["id"])["idle"] == 0


@pytest.mark.parametrize(
    ("signal", "query", "wanted", "other"),
    [
        ("file_name", "where is an email validated", card("a/validators.ts"), card("a/mailer.ts")),
        ("file_name", "extract the form", card("extract/mod.rs"), card("other/mod.rs")),
        ("namesake", "HttpClient", card("a/http_client.py"), card("a/http_clients.py")),
        ("definition", "get_user", card("b.py", "get_user"), card("a.py", "call")),
        ("definition", "get_user", card("b.py", "Users", symbols="Users\nget_user"), card("a.py", "call")),
        ("member", "Cart.total", card("b.py", "sum", parent="shop.Cart"), card("a.py", "sum", parent="shop.Order")),
        ("names", "retry a request", card("b.py", "retry_request"), card("a.py", "send_message")),
        ("test", "parse a date", card("src/c.py"), card("tests/c.py")),
        ("example", "parse a date", card("src/c.py"), card("examples/c.py")),
        ("legacy", "parse a date", card("src/c.py"), card("legacy/c.py")),
        ("generated", "parse a date", card("src/c.py"), card("generated/c.py")),
        ("declaration", "parse a date", card("src/c.ts"), card("c.d.ts")),
        ("prose", "parse a date", card("src/c.py"), card("c.md", language="markdown")),
        ("config", "parse a date", card("src/c.py"), card("c.toml", language="toml")),
    ],
)
def test_each_signal_decides_between_equals_unless_it_is_off(
    signal: str, query: str, wanted: Card, other: Card
) -> None:
    assert first(query, other, wanted) == wanted.path
    assert signal in {name for hit in ranked(query, other, wanted) for name in hit.signals}
    assert first(query, other, wanted, off=SIGNALS) == other.path
    assert signal not in {name for hit in ranked(query, other, wanted, off=(signal,)) for name in hit.signals}


def test_what_is_asked_for_by_name_is_not_held_back() -> None:
    tests, code = card("tests/test_parser.py"), card("src/parser.py")
    assert first("parser", tests, code) == code.path
    assert first("tests of the parser", tests, code) == tests.path


def test_a_file_found_by_many_of_its_chunks_leads() -> None:
    many, one = card("b.py", "x"), card("a.py", "y")
    assert first("q w", one, many, many) == "b.py"
    assert first("q w", one, many, many, off=("coherence",)) == "a.py"


def test_chunks_after_the_best_of_their_file_count_less() -> None:
    hits = ranked("q w", card("a.py"), card("a.py"), card("b.py"), scores=(1.0, 0.9, 0.6), off=("coherence",))
    assert [hit.id for hit in hits] == [0, 2, 1]
    assert hits[2].signals == {"saturation": SATURATION}


def test_factors_and_contributions_explain_the_score() -> None:
    [hit] = ranked("get_user", card("tests/get_user.py", "get_user"), scores=(0.7,))
    product = 0.7
    for factor in hit.signals.values():
        product *= factor
    assert hit.score == pytest.approx(product)
    assert {"file_name", "namesake", "definition", "names", "test", "coherence"} <= hit.signals.keys()


def test_an_unknown_signal_is_named() -> None:
    assert signals_named(" test, prose ,") == {"test", "prose"}
    with pytest.raises(InvalidInput, match="no ranking signal tset; there are file_name"):
        signals_named("tset")
