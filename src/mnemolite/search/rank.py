"""What a chunk is decides among what was found: named factors on the fused score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mnemolite.types import Hit

COHERENCE = 0.3  # best of 0, .15, .3, .5 in docs/performance.md
SATURATION = 0.5  # each further chunk of a file counts half as much again, so that one file does not fill the page


def rank(hits: Sequence[Hit]) -> list[Hit]:
    """The hits reordered, each with the factors that moved it."""
    return saturate(cohere(hits))


def cohere(hits: Sequence[Hit]) -> list[Hit]:
    """A file that is found by many of its chunks is likelier to be what is meant than one found by a single one."""
    mass: dict[tuple[str, str], float] = defaultdict(float)
    for hit in hits:
        mass[_file(hit)] += hit.score
    most = max(mass.values(), default=0.0) or 1.0
    return _ordered(_scaled(hit, "coherence", 1 + COHERENCE * mass[_file(hit)] / most) for hit in hits)


def saturate(hits: Sequence[Hit]) -> list[Hit]:
    """*hits* must be best first."""
    seen: dict[tuple[str, str], int] = defaultdict(int)
    ranked = []
    for hit in hits:
        file = _file(hit)
        ranked.append(_scaled(hit, "saturation", SATURATION ** seen[file]))
        seen[file] += 1
    return _ordered(ranked)


def _file(hit: Hit) -> tuple[str, str]:
    return hit.chunk.source, hit.chunk.path


def _scaled(hit: Hit, signal: str, factor: float) -> Hit:
    return hit if factor == 1 else replace(hit, score=hit.score * factor, signals={**hit.signals, signal: factor})


def _ordered(hits: Iterable[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk.id))
