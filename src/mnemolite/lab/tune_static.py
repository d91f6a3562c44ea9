"""A static model that goes on learning: its table of token vectors, by :mod:`contrastive`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnemolite.embedders.static import read_manifest
from mnemolite.embedders.wordpiece import WordPiece
from mnemolite.lab import quantise, vocabulary
from mnemolite.lab.contrastive import Options, batches, begin, train
from mnemolite.lab.corpus import Corpus, Vectors, tokenise, vectors
from mnemolite.lab.lesson import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnemolite.embedders.manifest import Relevance
    from mnemolite.lab.lesson import Lesson
    from mnemolite.types import Matrix

# how often an example is used in an epoch; chosen by hand, after experiment 6 of docs/model/experiments.md
TIMES = {"docstring": 4, "commit": 4, "comment": 2, "test": 2, "name": 1, "heading": 1}
TIMES_OTHERS = 4
TOKENS = 256  # of a text


class StaticLearner:
    """A :class:`~mnemolite.lab.tune.Learner`."""

    plan = Plan(epochs=3, batch=256, rate=1e-3, warm_up=None)
    shares = (0.25, 0.5, 0.75, 1.0)
    asked = None

    def __init__(self, start: Path) -> None:
        manifest = read_manifest(start)
        self.fingerprint = manifest.space.fingerprint
        self.relevance = manifest.relevance
        self._tokens = vocabulary.read(start / "vocab.txt")
        self._pieces = WordPiece(self._tokens)
        self._rows = self._learnt = quantise.read(start)

    def times(self, relation: str) -> int:
        return TIMES.get(relation, TIMES_OTHERS)

    def learn(self, lesson: Lesson, plan: Plan, say: Callable[[str], None]) -> float:
        steps = plan.epochs * len(batches(lesson.repositories, plan.batch, plan.seed, 0))
        options = Options(
            seed=plan.seed,
            epochs=plan.epochs,
            batch=plan.batch,
            rate=plan.rate,
            warm_up=plan.warm_up_share(steps),
        )
        state = begin(self._rows)
        loss = train(self._corpus(lesson), state, options, negatives=lesson.negatives)
        length = np.float32(np.linalg.norm(self._rows, axis=1).mean())  # begin makes lengths 1 on average
        self._learnt = state.table.rows() * length
        return loss

    def vectors(self, lesson: Lesson) -> dict[float, Vectors]:
        data = self._corpus(lesson)
        return {share: vectors(data, self._mixed(share)) for share in (0.0, *self.shares)}

    def write(self, folder: Path, share: float, *, name: str, relevance: Relevance) -> None:
        quantise.write(folder, self._mixed(share), self._tokens, name=name, relevance=relevance)

    def _mixed(self, share: float) -> Matrix:
        return (1 - share) * self._rows + share * self._learnt if share else self._rows

    def _corpus(self, lesson: Lesson) -> Corpus:
        return Corpus(
            queries=tokenise(lesson.queries, self._pieces, TOKENS),
            passages=tokenise(lesson.passages, self._pieces, TOKENS),
            query_keys=lesson.query_keys,
            passage_keys=lesson.passage_keys,
            repositories=lesson.repositories,
            relations=np.zeros(len(lesson.queries), np.uint8),
        )
