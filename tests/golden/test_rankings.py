"""
What a search over the tree beside this file answers, as text: a change of ranking is a diff to read.

`make golden` writes rankings.txt anew.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

from mnemolite.lab.evaluate import evaluate, matches, mean, read_cases
from mnemolite.memory import Memory
from mnemolite.settings import Settings
from mnemolite.types import Query
from mnemolite.wiring import open_tree

HERE = Path(__file__).parent
RANKINGS = HERE / "rankings.txt"
CASES = read_cases(HERE / "queries.json")
SHOWN = 5
NOTHING = (  # asks for what the tree has nothing to do with
    "how to bake sourdough bread",
    "protein folding simulation",
    "guitar tuner pitch detection",
    "chess engine move generation",
    "asdkjh qwelkjzx",
    "xyzzy plugh",
    "calculateMoonPhase",
    "RenderShadowMap",
)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    root = Path(shutil.copytree(HERE / "tree", tmp_path_factory.mktemp("golden") / "tree"))
    with open_tree(root, create=True) as memory:
        memory.index()
        yield memory


def rankings(memory: Memory) -> str:
    lines = []
    for case in CASES:
        lines.append(f"{case.category}: {case.query}")
        for hit in memory.search(Query(text=case.query, limit=SHOWN), freshness="skip").hits:
            chunk = hit.chunk
            lines.append(f"    {chunk.path}:{chunk.first_line}-{chunk.last_line} {chunk.name}".rstrip())
    return "\n".join(lines) + "\n"


def test_rankings_are_as_recorded(memory: Memory) -> None:
    found = rankings(memory)
    if os.environ.get("WRITE_GOLDEN"):
        RANKINGS.write_text(found, "utf-8")
    assert found.splitlines() == RANKINGS.read_text("utf-8").splitlines()


def test_the_set_is_large_enough_to_tell(memory: Memory) -> None:
    queries = Counter(case.category for case in CASES)
    assert len({case.query for case in CASES}) == len(CASES) >= 120
    assert queries.keys() == {"exact_match", "synonym", "concept", "architecture", "notes"}
    assert min(queries.values()) >= 15
    [tree] = memory.trees
    assert len({(chunk.path, name) for chunk in tree.store.chunks(range(1, 100_000)) for name in chunk.symbols}) >= 150


def test_every_expected_result_can_be_found(memory: Memory) -> None:
    """A query whose answer is in no chunk would tell nothing."""
    [tree] = memory.trees
    chunks = tree.store.chunks(range(1, 100_000))
    lost = [
        (case.query, result)
        for case in CASES
        for expected in case.expected_results
        for result in ((expected,) if isinstance(expected, str) else expected)
        if not any(matches(result, chunk) for chunk in chunks)
    ]
    assert lost == []


def test_an_answer_is_seldom_taken_for_nothing_and_nothing_for_an_answer(memory: Memory) -> None:
    doubted = [case.query for case in CASES if not memory.search(case.query, freshness="skip").relevant]
    assert len(doubted) <= 0.05 * len(CASES), doubted
    taken = [query for query in NOTHING if memory.search(query, freshness="skip").relevant]
    assert len(taken) <= len(NOTHING) / 4, taken


def ndcg(memory: Memory, lexical: bool = True, vector: bool = True) -> float:
    scores = evaluate(
        CASES,
        lambda text: memory.search(Query(text=text, lexical=lexical, vector=vector), freshness="skip").hits,
    )
    return mean(scores["all"], "nDCG@10")


def test_both_legs_together_beat_each_alone(memory: Memory) -> None:
    assert ndcg(memory) > max(ndcg(memory, vector=False), ndcg(memory, lexical=False))


def test_postgresql_answers_as_well_as_sqlite(
    memory: Memory, tmp_path: Path, empty_database: Callable[[], str]
) -> None:
    root = Path(shutil.copytree(HERE / "tree", tmp_path / "tree"))
    settings = structs.replace(Settings.load(root), database_url=empty_database())
    with open_tree(root, settings=settings, create=True) as shared:
        shared.index()
        for lexical, vector in ((True, True), (True, False), (False, True)):
            assert ndcg(shared, lexical, vector) == pytest.approx(ndcg(memory, lexical, vector), abs=0.01)
