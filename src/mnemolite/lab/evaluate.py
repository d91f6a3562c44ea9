"""
How well a search answers a set of queries.

A set is JSON: ``[{"query", "expected_results": [...], "category"}]``. An expected result is a path (``src/a.py``), a
name (``validate_email``, ``Parent.name``), or both (``src/a.py:validate_email``); a hit matches it when its path ends
with that path and the name is among the symbols it holds, or is the symbol it is a piece of. All results of the list
are wanted; a list inside it names alternatives, of which any one will do. Relevance is binary.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean

import msgspec
import numpy as np

from mnemolite.errors import InvalidInput
from mnemolite.types import Chunk, Hit

K = 10
METRICS = {  # as a reader writes them: the fields of Score
    f"recall@{K}": "recall",
    "precision": "precision",
    "F1": "f1",
    "MRR": "reciprocal_rank",
    f"nDCG@{K}": "ndcg",
    "hit@1": "hit_at_1",
}
RESAMPLES = 2000

Expected = str | tuple[str, ...]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One query of a set."""

    query: str
    expected_results: tuple[Expected, ...]
    category: str = "all"


@dataclass(frozen=True)
class Score:
    """Of one query, over the first K hits."""

    recall: float  # share of the expected results found
    precision: float  # share of right hits among the first k, k being the number expected
    f1: float  # of that precision and the recall among the same k
    reciprocal_rank: float
    ndcg: float
    hit_at_1: float
    milliseconds: float


@dataclass(frozen=True)
class Target:
    """A mean that a set should reach, written ``METRIC=VALUE`` or ``CATEGORY:METRIC=VALUE``."""

    metric: str
    value: float
    category: str = "all"

    @classmethod
    def parse(cls, text: str) -> Target:
        """
        Raises:
            InvalidInput: it names no metric or no value from 0 to 1.
        """
        what, _, value = text.rpartition("=")
        category, _, name = what.rpartition(":")
        metric = next((known for known in METRICS if known.casefold() == name.casefold()), "")
        if not metric:
            raise InvalidInput(f"{text!r} is no target: write METRIC=VALUE, METRIC one of {', '.join(METRICS)}")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 1:
            raise InvalidInput(f"{text!r} is no target: the value must be from 0 to 1, is {value!r}")
        return cls(metric, number, category or "all")


def read_cases(file: Path) -> list[Case]:
    """
    The set in *file*.

    Raises:
        InvalidInput: it cannot be read, or an entry lacks something.
    """
    try:
        cases = msgspec.json.decode(file.read_bytes(), type=list[Case])
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{file} is no set of queries: {error}") from error
    for number, case in enumerate(cases):
        wanted = [_names(result) for result in case.expected_results]
        if not case.query.strip() or not wanted or not all(names and all(map(str.strip, names)) for names in wanted):
            raise InvalidInput(f"{file}, entry {number}: a query and at least one expected result are needed")
    if not cases:
        raise InvalidInput(f"{file} holds no query")
    return cases


def evaluate(cases: Sequence[Case], search: Callable[[str], Sequence[Hit]]) -> dict[str, list[Score]]:
    """Scores by category, and under "all" everything. *search* gives at least K hits, best first."""
    scores: dict[str, list[Score]] = defaultdict(list)
    for case in cases:
        start = time.perf_counter()
        hits = search(case.query)
        milliseconds = 1000 * (time.perf_counter() - start)
        found = score(case.expected_results, [hit.chunk for hit in hits], milliseconds)
        scores["all"].append(found)
        if case.category != "all":
            scores[case.category].append(found)
    return dict(scores)


def score(expected: Sequence[Expected], chunks: Sequence[Chunk], milliseconds: float = 0.0) -> Score:
    """
    A result counts at the first chunk that matches it, several results in one chunk as one find.

    Another piece of what was found is no wrong hit, so it costs no precision; it takes a place all the same.
    """
    k = len(expected)
    ranks = [first_rank(result, chunks[:K]) for result in expected]
    found = sorted(rank for rank in ranks if rank)
    distinct = set(found)
    precision = sum(any(matches(result, chunk) for result in expected) for chunk in chunks[:k]) / k
    recall_at_k = sum(rank <= k for rank in found) / k
    wanted = min(K, k - (len(found) - len(distinct)))
    ideal = sum(1 / math.log2(1 + rank) for rank in range(1, wanted + 1))
    return Score(
        recall=len(found) / k,
        precision=precision,
        f1=2 * precision * recall_at_k / (precision + recall_at_k) if precision else 0.0,
        reciprocal_rank=1 / found[0] if found else 0.0,
        ndcg=sum(1 / math.log2(1 + rank) for rank in distinct) / ideal,
        hit_at_1=float(1 in distinct),
        milliseconds=milliseconds,
    )


def first_rank(result: Expected, chunks: Sequence[Chunk]) -> int | None:
    """1 for the first chunk."""
    return next((rank for rank, chunk in enumerate(chunks, 1) if matches(result, chunk)), None)


def mean(scores: Sequence[Score], metric: str) -> float:
    return fmean(_values(scores, metric))


def interval(scores: Sequence[Score], metric: str) -> tuple[float, float]:
    """Of the mean: 95 %, by the bootstrap over queries; the same each time."""
    return bounds(_values(scores, metric))


def bounds(figures: Sequence[float]) -> tuple[float, float]:
    """Of the mean of *figures*, as :func:`interval`."""
    values = np.array(figures)
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """Of two runs over the same queries, the second less the first."""

    mean: float  # over groups, of the mean over their queries
    low: float  # of the 95 % bootstrap interval
    high: float
    better: int  # groups
    worse: int


def compare(one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> Difference:
    """
    Figures of the same queries in the same order, by group: a repository, or a category.

    The bootstrap draws groups, then queries in each: queries about one repository resemble each other.
    """
    pairs = {name: (own, other[name]) for name, own in one.items()}
    differences = [[b - a for a, b in zip(*own, strict=True)] for own in pairs.values()]
    means = [fmean(own) for own in differences]
    random = Random(0)
    drawn = sorted(
        fmean(fmean(random.choices(own, k=len(own))) for own in random.choices(differences, k=len(differences)))
        for _ in range(RESAMPLES)
    )
    return Difference(
        mean=fmean(means),
        low=drawn[int(0.025 * RESAMPLES)],
        high=drawn[int(0.975 * RESAMPLES)],
        better=sum(mean > 0 for mean in means),
        worse=sum(mean < 0 for mean in means),
    )


def matches(result: Expected, chunk: Chunk) -> bool:
    return any(_matches(name, chunk) for name in _names(result))


def _matches(result: str, chunk: Chunk) -> bool:
    path, colon, name = result.partition(":")
    if colon and not name.startswith(":"):
        return _is_path(path, chunk) and _is_name(name, chunk)
    return _is_path(result, chunk) or _is_name(result, chunk)


def _names(result: Expected) -> tuple[str, ...]:
    return (result,) if isinstance(result, str) else result


def _values(scores: Sequence[Score], metric: str) -> list[float]:
    return [getattr(score, METRICS[metric]) for score in scores]


def _is_path(path: str, chunk: Chunk) -> bool:
    return f"/{chunk.path}".endswith(f"/{path}")


def _is_name(name: str, chunk: Chunk) -> bool:
    """Of the chunk or of a definition in it; qualified by its parent, or by the chunk's own name for what is inside."""
    names = {chunk.name, *chunk.symbols}
    if name in names:
        return True
    parent, _, own = name.rpartition(".")
    return own in names and any(f".{outer}".endswith(f".{parent}") for outer in (chunk.parent, chunk.name) if outer)
