"""Scores that mean the same for every query, and what they are fitted with."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from math import prod
from pathlib import Path
from random import Random

import numpy as np
import pytest

from mnemolite.errors import InvalidInput
from mnemolite.lab.calibrate import Asked, area, ask, fit
from mnemolite.lab.pairs import SUFFIX, Pair, Relation, write_pairs
from mnemolite.memory import Memory
from mnemolite.search.relevance import WEIGHTS, chance, doubt, information
from mnemolite.settings import Settings
from mnemolite.types import Query
from mnemolite.wiring import open_tree

ASKED = "where do we check that a mail address is valid?"
FOREIGN = "how to bake sourdough bread"


@pytest.fixture
def memory(tree: Path) -> Iterator[Memory]:
    with open_tree(tree, create=True) as memory:
        memory.index()
        yield memory


@pytest.mark.parametrize(("lexical", "vector"), [(True, True), (True, False), (False, True)])
def test_what_a_tree_answers_is_more_relevant_than_what_it_does_not(
    memory: Memory, lexical: bool, vector: bool
) -> None:
    asked = memory.search(Query(text=ASKED, lexical=lexical, vector=vector))
    foreign = memory.search(Query(text=FOREIGN, lexical=lexical, vector=vector))
    assert asked.relevant and asked.best > 2 * foreign.best


def test_the_best_hit_has_the_relevance_and_the_others_their_share_of_it(memory: Memory) -> None:
    results = memory.search(ASKED)
    scores = [hit.score for hit in results.hits]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(results.best)
    for hit in results.hits:
        assert hit.score == pytest.approx(sum(p.contribution for p in hit.ranks.values()) * prod(hit.signals.values()))


def test_hits_under_the_least_score_are_left_out_and_the_best_is_named(memory: Memory) -> None:
    everything = memory.search(ASKED)
    least = everything.hits[1].score
    assert len(memory.search(Query(text=ASKED, min_score=least)).hits) == 2
    nothing = memory.search(Query(text=FOREIGN, min_score=0.9))
    assert nothing.hits == () and 0 < nothing.best < 0.9


def test_a_setting_holds_the_least_score_unless_the_query_says_otherwise(tree: Path) -> None:
    with open_tree(tree, settings=Settings(min_score=0.9), create=True) as memory:
        memory.index()
        assert memory.search(FOREIGN).hits == ()
        assert memory.search(Query(text=FOREIGN, min_score=0.0)).hits


@pytest.mark.parametrize("least", [-0.1, 1.5, float("nan")])
def test_a_least_score_that_cannot_be_is_refused(least: float) -> None:
    with pytest.raises(InvalidInput, match=r"min_score must be 0\.\.1, is"):
        Query(text="a", min_score=least)


def test_a_rare_word_tells_more_than_a_common_one_and_an_unknown_one_most() -> None:
    told = information(["common", "rare", "unknown"], {"common": 90, "rare": 2}, 100)
    assert 0 < told["common"] < told["rare"] < told["unknown"]


def test_a_reader_is_told_when_to_doubt() -> None:
    assert doubt(3, 0.9, relevant=True) == ""
    assert doubt(3, 0.02, relevant=False) == "nothing here seems relevant: the best score is 0.02"
    assert doubt(0, 0.02, relevant=False) == "nothing relevant found: the best score is 0.02"
    assert doubt(0, 0.0, relevant=False) == "nothing found"


def test_the_fit_finds_which_signs_tell() -> None:
    """Of answers that follow from one sign, and of one that follows from nothing."""
    dice = Random(0)
    asked = []
    for number in range(2000):
        signs = {name: dice.random() for name in ("size", "words", "known", "symbol", "name", "meaning")}
        asked.append(Asked(str(number % 9), "", dice.random() < signs["meaning"] ** 2, signs))
    answered = np.array([each.answered for each in asked])
    for searched in ("words and meaning", "meaning"):
        weights = fit(asked, searched)
        assert weights.keys() == WEIGHTS[searched].keys()
        assert weights["meaning"] > 3 and abs(weights["size"]) < 0.5
        scores = np.array([chance(each.signs, weights) for each in asked])
        assert area(scores[answered], scores[~answered]) > 0.75


def test_questions_are_put_to_their_own_tree_and_to_others(tmp_path: Path) -> None:
    """A docstring must be cut out of the file: else it would be found by itself."""
    for name, verb in (("one", "weigh"), ("two", "paint")):
        root = tmp_path / "mirror" / f"us+{name}"
        root.mkdir(parents=True)
        pairs = []
        for number in range(3):
            sentence, path = f"Gives what it takes to {verb} parcel {number} well.", f"{verb}{number}.py"
            body = f"return [parcel.{verb} for step in range({number})]"
            (root / path).write_text(f'def {verb}_parcel_{number}(parcel):\n    """{sentence}"""\n    {body}\n')
            pairs.append(Pair(Relation.DOCSTRING, sentence, body, "python", path))
        git = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-C", str(root)]
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
            subprocess.run([*git, *command], check=True)
        write_pairs(tmp_path / f"us+{name}{SUFFIX}", pairs)
    asked = ask(sorted(tmp_path.glob(f"*{SUFFIX}")), tmp_path / "mirror")
    sentences = [each for each in asked if each.kind == "docstring"]
    assert {(each.tree, each.answered) for each in sentences} == {
        (tree, answered) for tree in ("us+one", "us+two") for answered in (True, False)
    }
    assert all(each.signs["known"] < 1 for each in sentences)
    assert {each.kind for each in asked} >= {"docstring", "short docstring", "name", "part", "file"}
