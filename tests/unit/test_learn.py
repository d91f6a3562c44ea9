"""Weights learnt from what a real search ranks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mnemolite.lab.evaluate import read_cases
from mnemolite.lab.learn import BY_HAND, NAMES, Asked, Options, ask, cross_validated, learn, slope
from mnemolite.memory import Memory
from mnemolite.types import Chunk, Query
from mnemolite.wiring import open_tree

GOLDEN = Path(__file__).parents[1] / "golden"
TEXTS = [case.query for case in read_cases(GOLDEN / "queries.json") if case.category == "concept"][:12]


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    root = Path(shutil.copytree(GOLDEN / "tree", tmp_path_factory.mktemp("golden") / "tree"))
    with open_tree(root, create=True) as memory:
        memory.index()
        yield memory


def is_prose(chunk: Chunk) -> bool:
    return chunk.language == "markdown"


@pytest.fixture(scope="module")
def for_prose(memory: Memory) -> list[Asked]:
    """As if all that is asked for were documents, which the hand-set weights put below code."""
    found = [ask(memory, text, [is_prose]) for text in TEXTS]
    return [asked for asked in found if asked is not None and asked.wanted.any()]


@pytest.mark.parametrize("text", [*TEXTS[:3], "tests of the rate limiter", "charge_once", "StockLedger.reserve"])
def test_with_the_hand_set_weights_the_order_is_that_of_a_search(memory: Memory, text: str) -> None:
    asked = ask(memory, text, [is_prose])
    hits = memory.search(Query(text=text), freshness="skip").hits
    assert asked is not None
    assert [int(asked.ids[row]) for row in asked.order(BY_HAND)[:10]] == [hit.chunk.id for hit in hits]


def test_learning_raises_what_the_answers_have(for_prose: list[Asked]) -> None:
    learnt = learn({"tree": for_prose})
    weights = dict(zip(NAMES, learnt, strict=True))
    assert weights["prose"] > max(0.0, BY_HAND[NAMES.index("prose")])
    assert np.mean([a.ndcg(learnt) for a in for_prose]) > np.mean([a.ndcg(BY_HAND) for a in for_prose]) + 0.1


def test_a_pull_keeps_the_weights_near_the_hand_set_ones(for_prose: list[Asked]) -> None:
    near, far = (learn({"tree": for_prose}, Options(pull=pull)) for pull in (10.0, 0.0))
    assert np.linalg.norm(near - BY_HAND) < 0.5 * np.linalg.norm(far - BY_HAND)


def test_weights_for_a_repository_are_learnt_from_the_others(memory: Memory, for_prose: list[Asked]) -> None:
    code = [ask(memory, text, [lambda chunk: not is_prose(chunk)]) for text in TEXTS]
    mostly = dict.fromkeys("abcd", for_prose) | {"e": [asked for asked in code if asked is not None]}
    found = cross_validated(mostly, Options(steps=3))
    assert (found["e"] == learn(dict.fromkeys("abcd", for_prose), Options(steps=3))).all()
    assert (found["a"] != found["e"]).any()


def test_a_query_without_an_answer_among_the_candidates_teaches_nothing(memory: Memory) -> None:
    asked = ask(memory, TEXTS[0], [lambda chunk: False])
    assert asked is not None
    assert not slope(asked, BY_HAND, 6.0).any()
    assert asked.ndcg(BY_HAND) == 0


def test_a_query_that_finds_nothing_has_no_candidates(tmp_path: Path) -> None:
    with open_tree(tmp_path, create=True) as empty:
        empty.index()
        assert ask(empty, "anything", []) is None
