"""Reciprocal rank fusion: one ranking of several lists whose scores cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mnemolite.types import Place, Ranking

RRF_K = 60  # Cormack, Clarke and Büttcher, SIGIR 2009; not tuned on our data


@dataclass
class Fused:
    id: int
    score: float = 0.0
    places: dict[str, Place] = field(default_factory=dict)


def fuse(lists: Mapping[str, Ranking], weights: Mapping[str, float]) -> list[Fused]:
    """
    Best first: the sum over the lists of weight / (RRF_K + rank), ties by id.

    Scores are divided by what a first place in every list would give, so they lie in 0..1.
    """
    best = sum(weights[name] for name in lists) / (RRF_K + 1) or 1.0
    found: dict[int, Fused] = {}
    for name, ranking in lists.items():
        for rank, (id, score) in enumerate(ranking, 1):
            contribution = weights[name] / (RRF_K + rank) / best
            fused = found.setdefault(id, Fused(id))
            fused.score += contribution
            fused.places[name] = Place(rank=rank, score=score, contribution=contribution)
    return sorted(found.values(), key=lambda f: (-f.score, f.id))
