"""
The weights of the ranking signals, learnt from queries whose answer is known.

A candidate's score is what the lists give it times the factors of its signals, so its logarithm is linear in the
weights of the signals. Learnt are these weights, that of coherence and that of the lists by words, by LambdaRank and
from the hand-set ones on: they could be written where those stand. Run by ``bench/learnt.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from mnemolite.memory import Memory, list_weights
from mnemolite.search.fuse import WORD_LISTS
from mnemolite.search.rank import COHERENCE, SATURATION
from mnemolite.search.search import search
from mnemolite.search.signals import CARD_SIGNALS, FILE_SIGNALS, PURPOSES
from mnemolite.types import Chunk, Hit, Query

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

K = 10
_SIGNALS: dict[str, float] = {
    **{name: weight for name, (weight, _) in FILE_SIGNALS.items()},
    **{str(purpose): weight for purpose, weight in PURPOSES.items()},
    **{name: weight for name, (weight, _) in CARD_SIGNALS.items()},
}
NAMES = ("words", "coherence", *_SIGNALS)  # of what is learnt; "words": the lists' by words, as a power of e
BY_HAND = np.array([0.0, COHERENCE, *_SIGNALS.values()])
_DISCOUNTS = 1 / np.log2(2 + np.arange(K))


@dataclass(frozen=True)
class Asked:
    """A query and its candidates: in arrays, one row for each."""

    words: Floats  # what the lists by words gave it
    meaning: Floats  # what those by vectors did
    strengths: Floats  # of each signal
    files: Indices  # numbers from 0 on
    answers: NDArray[np.bool_]  # by target, whether it is a hit
    ids: Indices

    def parts(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """The score's logarithm, before saturation; the words' share of what the lists gave; the coherence, 0..1."""
        words = self.words * np.exp(weights[0])
        base = np.maximum(words + self.meaning, 1e-12)
        mass = np.bincount(self.files, base)
        coherence: Floats = mass[self.files] / mass.max()
        score: Floats = np.log(base) + np.log1p(weights[1] * coherence) + self.strengths @ weights[2:]
        return score, words / base, coherence

    def order(self, weights: Floats) -> Indices:
        """Of the candidates, best first, as a search has it."""
        score = self.parts(weights)[0]
        order = np.lexsort((self.ids, -score))
        score[np.setdiff1d(order, _firsts(self.files, order))] += math.log(SATURATION)
        return np.lexsort((self.ids, -score))

    def ndcg(self, weights: Floats) -> float:
        """Binary, each rank counted once, as in bench/quality.py."""
        top = self.answers[self.order(weights)[:K]]
        ranks = np.unique(top.argmax(0)[top.any(0)])
        return float(_DISCOUNTS[ranks].sum() / self.ideal)

    @cached_property
    def ideal(self) -> float:
        return float(_DISCOUNTS[: self.answers.shape[1]].sum())

    @cached_property
    def wanted(self) -> NDArray[np.bool_]:
        """By file, whether it holds an answer."""
        return np.bincount(self.files, self.answers.any(1)) > 0


def _firsts(files: Indices, order: Indices) -> Indices:
    """By file, its first candidate in *order*."""
    return order[np.unique(files[order], return_index=True)[1]]


def ask(memory: Memory, text: str, targets: Sequence[Callable[[Chunk], bool]]) -> Asked | None:
    """What a search of a memory of one tree ranks; None where it finds nothing."""
    ranked: list[Hit] = []

    def keep(hits: Sequence[Hit]) -> Sequence[Hit]:
        ranked.extend(hits)
        return hits

    [tree] = memory.trees
    search(Query(text=text), tree.store, memory.embedders, list_weights(memory.settings), settle=keep)
    if not ranked:
        return None
    places = [[(name in WORD_LISTS, place.contribution) for name, place in hit.ranks.items()] for hit in ranked]
    files: dict[str, int] = {}
    return Asked(
        words=np.array([sum(given for by_words, given in own if by_words) for own in places], float),
        meaning=np.array([sum(given for by_words, given in own if not by_words) for own in places], float),
        strengths=np.array(
            [[math.log(h.signals.get(n, 1.0)) / weight for n, weight in _SIGNALS.items()] for h in ranked]
        ),
        files=np.array([files.setdefault(hit.chunk.path, len(files)) for hit in ranked]),
        answers=np.array([[matches(hit.chunk) for matches in targets] for hit in ranked]),
        ids=np.array([hit.chunk.id for hit in ranked]),
    )


# Learning

Groups = Mapping[str, Sequence[Asked]]  # by repository


@dataclass(frozen=True)
class Options:
    steps: int = 30
    rate: float = 0.04
    steepness: float = 6.0  # of the chance that one file is above another, in the difference of their scores
    pull: float = 0.02  # back to the hand-set weights
    folds: int = 5


def learn(groups: Groups, options: Options = Options()) -> Floats:
    """Weights in the order of NAMES, by Adam. A repository counts as much as any other."""
    weights = BY_HAND.copy()
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, options.steps + 1):
        slopes = [np.mean([slope(asked, weights, options.steepness) for asked in own], 0) for own in groups.values()]
        way = np.mean(slopes, 0) - options.pull * (weights - BY_HAND)
        mean = 0.9 * mean + 0.1 * way
        square = 0.99 * square + 0.01 * way**2
        weights += options.rate * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-6)
        weights[1] = max(weights[1], 0.0)  # nothing speaks against a file that is found often
    return weights


def slope(asked: Asked, weights: Floats, steepness: float) -> Floats:
    """
    Where better weights lie, for one query: LambdaRank between files, each by its best chunk.

    Further chunks of a file are left out, for saturation leaves little of them.
    """
    if asked.wanted.all() or not asked.wanted.any():
        return np.zeros_like(weights)
    score, share, coherence = asked.parts(weights)
    best = _firsts(asked.files, np.argsort(-score, kind="stable"))
    rank = np.argsort(np.argsort(-score[best], kind="stable"))
    gain = np.where(rank < K, _DISCOUNTS[np.minimum(rank, K - 1)], 0.0)
    right, wrong = np.flatnonzero(asked.wanted), np.flatnonzero(~asked.wanted)
    apart = score[best[right]][:, None] - score[best[wrong]]
    force = np.abs(gain[right][:, None] - gain[wrong]) / asked.ideal / (1 + np.exp(steepness * apart))
    forces = np.zeros(len(best))
    forces[right], forces[wrong] = force.sum(1), -force.sum(0)
    slopes = np.column_stack((share, coherence / (1 + weights[1] * coherence), asked.strengths))
    way: Floats = forces @ slopes[best]
    return way


def cross_validated(groups: Groups, options: Options = Options()) -> dict[str, Floats]:
    """For each repository, weights learnt from others."""
    return {name: weights for held, weights in _folds(groups, options) for name in held}


def _folds(groups: Groups, options: Options) -> Iterator[tuple[Sequence[str], Floats]]:
    names = sorted(groups)
    Random(0).shuffle(names)
    for first in range(options.folds):
        held = names[first :: options.folds]
        yield held, learn({name: own for name, own in groups.items() if name not in held}, options)
