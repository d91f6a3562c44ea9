"""One ranking of several lists: each gives a candidate its share of the list's best score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mnemolite.types import Chunk, Hit, Place, Ranking

# Powers of a share: how fast a list's word counts less below its best. Chosen together, see docs/performance.md.
BY_WORDS = 0.75
BY_MEANING = 2.0
WORD_LISTS = frozenset({"lexical", "name"})


@dataclass(slots=True)
class Fused:
    """A candidate on its way to becoming a hit."""

    id: int
    score: float = 0.0
    places: list[tuple[str, int, float, float]] = field(default_factory=list)  # list, rank, score, contribution
    signals: dict[str, float] = field(default_factory=dict)

    def scale(self, signal: str, factor: float) -> None:
        if factor != 1:
            self.score *= factor
            self.signals[signal] = factor

    def hit(self, chunk: Chunk) -> Hit:
        ranks = {
            name: Place(rank=rank, score=score, contribution=contribution)
            for name, rank, score, contribution in self.places
        }
        return Hit(chunk=chunk, score=self.score, ranks=ranks, signals=self.signals)


def fuse(lists: Mapping[str, Ranking], weights: Mapping[str, float], most: int | None = None) -> list[Fused]:
    """
    The *most* best, best first: the sum over the lists of weight * (score / best score) ** power, ties by id.

    Divided by the sum of the weights of the lists that found anything, so that scores lie in 0..1.
    """
    whole = sum(weights[name] for name, ranking in lists.items() if ranking) or 1.0
    scores: dict[int, float] = {}
    places: dict[int, list[tuple[str, int, float, float]]] = {}
    for name, ranking in lists.items():
        if not ranking:
            continue
        weight, best = weights[name] / whole, ranking[0][1]
        power = BY_WORDS if name in WORD_LISTS else BY_MEANING
        for rank, (id, score) in enumerate(ranking, 1):
            share = score / best if best > 0 else 1 / rank  # a list may have nothing positive to show
            contribution = weight * share**power if share > 0 else 0.0
            place = (name, rank, score, contribution)
            if id in scores:
                scores[id] += contribution
                places[id].append(place)
            else:
                scores[id] = contribution
                places[id] = [place]
    ordered = sorted(scores, key=lambda id: (-scores[id], id))[:most]
    return [Fused(id, scores[id], places[id], {}) for id in ordered]


def order(fused: Fused) -> tuple[float, int]:
    """Best first, ties by id."""
    return -fused.score, fused.id
