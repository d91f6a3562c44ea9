"""
How well a search answers a set of queries.

A set is JSON: ``[{"query", "expected_results": [...], "category"}]``. An expected result is a path (``src/a.py``), a
name (``validate_email``, ``Parent.name``), or both (``src/a.py:validate_email``); a hit matches it when its path ends
with that path and the name is among the symbols it holds. Relevance is binary.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import msgspec

from mnemolite.errors import InvalidInput
from mnemolite.types import Chunk, Hit

K = 10


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One query of a set."""

    query: str
    expected_results: tuple[str, ...]
    category: str = "all"


@dataclass(frozen=True)
class Score:
    """Of one query, over the first K hits."""

    recall: float  # expected results found
    precision: float  # at k = number expected
    f1: float  # at k = number expected, where precision and recall are the same number
    reciprocal_rank: float
    ndcg: float
    hit_at_1: float
    milliseconds: float


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
        if not case.query.strip() or not case.expected_results:
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


def score(expected: Sequence[str], chunks: Sequence[Chunk], milliseconds: float = 0.0) -> Score:
    """A result counts at the first chunk that matches it; several results in one chunk are one find."""
    ranks = [first_rank(result, chunks[:K]) for result in expected]
    found = sorted(rank for rank in ranks if rank)
    distinct = set(found)
    at_expected = sum(rank <= len(expected) for rank in found) / len(expected)
    wanted = min(K, len(expected) - (len(found) - len(distinct)))
    ideal = sum(1 / math.log2(1 + rank) for rank in range(1, wanted + 1))
    return Score(
        recall=len(found) / len(expected),
        precision=at_expected,
        f1=at_expected,
        reciprocal_rank=1 / found[0] if found else 0.0,
        ndcg=sum(1 / math.log2(1 + rank) for rank in distinct) / ideal,
        hit_at_1=float(1 in distinct),
        milliseconds=milliseconds,
    )


def first_rank(result: str, chunks: Sequence[Chunk]) -> int | None:
    """1 for the first chunk."""
    return next((rank for rank, chunk in enumerate(chunks, 1) if matches(result, chunk)), None)


def matches(result: str, chunk: Chunk) -> bool:
    path, colon, name = result.partition(":")
    if colon and not name.startswith(":"):
        return _is_path(path, chunk) and _is_name(name, chunk)
    return _is_path(result, chunk) or _is_name(result, chunk)


def mean(scores: Sequence[Score], field: str) -> float:
    return fmean(getattr(score, field) for score in scores)


def _is_path(path: str, chunk: Chunk) -> bool:
    return f"/{chunk.path}".endswith(f"/{path}")


def _is_name(name: str, chunk: Chunk) -> bool:
    """Of the chunk or of a definition in it; qualified by its parent, or by the chunk's own name for what is inside."""
    names = {chunk.name, *chunk.symbols}
    if name in names:
        return True
    parent, _, own = name.rpartition(".")
    return own in names and any(f".{outer}".endswith(f".{parent}") for outer in (chunk.parent, chunk.name) if outer)
