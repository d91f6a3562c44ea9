"""Examples as a model that goes on learning takes them: what it is taught, and what it is asked before it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

import numpy as np

import mnemolite
from mnemolite.errors import InvalidInput
from mnemolite.ingest.passage import passage
from mnemolite.lab.corpus import key_of
from mnemolite.lab.corpus import passage as passage_of_pair
from mnemolite.lab.examples import QUESTIONS, Part, Resolved
from mnemolite.lab.mine import mine_tree
from mnemolite.lab.pairs import Relation
from mnemolite.lab.questions import without

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.lab.corpus import Indices

LEAST = 50  # examples to train on: fewer teach it by heart

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a lesson is gone through."""

    seed: int = 0
    epochs: int
    batch: int  # pairs
    rate: float  # at its peak
    warm_up: int | None  # steps until then, at most half of all; None is a twentieth of them

    def warm_up_share(self, steps: int) -> float:
        return 0.05 if self.warm_up is None else min(0.5, self.warm_up / max(1, steps))


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Pairs of texts; after their passages come those that seem to answer and do not."""

    queries: Sequence[str]
    passages: Sequence[str]
    query_keys: NDArray[np.uint64]  # equal for equal texts; of all passages, 0 for those of no pair
    passage_keys: NDArray[np.uint64]
    repositories: NDArray[np.int32]  # of each pair
    negatives: Indices  # of each pair, the place of a passage; empty where nothing is trained


def taught(examples: Sequence[Resolved]) -> list[Resolved]:
    """
    Of the files to train on, what neither asks nor shows what is asked or shown in the other files.

    Raises:
        InvalidInput: there are too few.
    """
    others = [one for one in examples if one.part is not Part.TRAIN]
    asked = {one.query.lower() for one in others}
    shown = {one.positive.text for one in others}
    found = [
        one
        for one in examples
        if one.part is Part.TRAIN and one.query.lower() not in asked and one.positive.text not in shown
    ]
    if len(found) < LEAST:
        raise InvalidInput(f"{len(found)} examples are too few to learn from, {LEAST} are needed; mine larger trees")
    return found


def lesson(examples: Sequence[Resolved], times: Callable[[str], int] = lambda _: 1) -> Lesson:
    """*times* says of a relation how often one of its examples is there."""
    repeated = [one for one in examples for _ in range(times(one.relation))]
    wrong = {(one.tree, chunk.id): chunk for one in repeated for chunk in one.negatives}
    places = {key: len(repeated) + number for number, key in enumerate(wrong)}
    trees = {tree: number for number, tree in enumerate(sorted({one.tree for one in repeated}))}
    shown = [*(one.positive for one in repeated), *wrong.values()]
    return Lesson(
        queries=[one.query for one in repeated],
        passages=[*map(cut_passage, repeated), *map(passage, wrong.values())],
        query_keys=np.array([*(key_of(one.query.lower()) for one in repeated), *([0] * len(wrong))], np.uint64),
        passage_keys=np.array([key_of(chunk.text) for chunk in shown], np.uint64),
        repositories=np.array([trees[one.tree] for one in repeated], np.int32),
        negatives=np.array(list(_negatives(repeated, places)), np.int64),
    )


def _negatives(examples: Sequence[Resolved], places: Mapping[tuple[Path, int], int]) -> Iterator[int]:
    """An example that is there several times has another one each time; one that has none, some other passage."""
    times: Counter[Resolved] = Counter()
    for number, one in enumerate(examples):
        if one.negatives:
            yield places[one.tree, one.negatives[times[one] % len(one.negatives)].id]
        else:
            yield (number + len(examples) // 2) % len(examples)
        times[one] += 1


def cut_passage(example: Resolved) -> str:
    """As the index embeds the answer, without the words of the query, by which it would be found all too well."""
    return passage(replace(example.positive, text=without(example.positive.text, example.query)))


def questions(examples: Sequence[Resolved], most: int | None) -> Lesson:
    """
    Of the files that choose; with *most* that many of them, each with one wrong passage beside.

    Raises:
        InvalidInput: there is none.
    """
    asked = [one for one in examples if one.part is Part.VALIDATION and one.relation in QUESTIONS]
    if not asked:
        raise InvalidInput("no example of a file that is not trained on is left to choose by; mine larger trees")
    if most is not None:
        asked = [replace(one, negatives=one.negatives[:1]) for one in _some(asked, most)]
    return lesson(asked)


def general_questions(most: int | None) -> Lesson:
    """The docstrings of this program's own source, which is wherever it is installed."""
    pairs = mine_tree(Path(mnemolite.__file__).parent, commits=0).pairs
    said = _some([pair for pair in pairs if pair.relation is Relation.DOCSTRING], most)
    return Lesson(
        queries=[pair.query for pair in said],
        passages=[passage_of_pair(pair, with_path=True) for pair in said],
        query_keys=np.array([key_of(pair.query) for pair in said], np.uint64),
        passage_keys=np.array([key_of(pair.passage) for pair in said], np.uint64),
        repositories=np.zeros(len(said), np.int32),
        negatives=np.zeros(0, np.int64),
    )


def _some(items: Sequence[T], most: int | None) -> Sequence[T]:
    return items if most is None or len(items) <= most else Random(0).sample(items, most)
