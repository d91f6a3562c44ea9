"""
Whether anything found is about the query: a score of 0..1 that means the same for every query and tree.

What lists say of a hit is relative to the best of its query, which may be the best of nothing. So the best hit's score
comes from signs that are not relative, by a logistic regression fitted on questions that a tree answers and on those of
other trees: the chance that a query is answered here, were half of all queries. Constants and figures are from

    python -m mnemolite.lab.calibrate PAIRS --mirror MIRROR --test PAIRS
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mnemolite.ports import Index
from mnemolite.search.retrieve import Candidates
from mnemolite.search.understand import Intent, query_terms
from mnemolite.types import Hit, Ranking

RELEVANT = 0.1  # under it, nothing in the tree seems to be about the query; see docs/performance.md
MOST_TERMS = 64  # of a query, that are looked at
FEWEST = 250  # chunks that an index is taken to have: about as many as the smallest that weights were fitted on

BIAS = "bias"
BM25_MOST = 2.2  # of what a word tells, at most: 1 + k1
MOST_NAMED = 4.0  # the score of Index.named for a whole name

WEIGHTS: Mapping[str, Mapping[str, float]] = {  # of each sign, by what was searched
    "words and meaning": {
        "size": -0.58,
        "words": 3.02,
        "known": 1.63,
        "symbol": -1.96,
        "name": 8.97,
        "meaning": 1.59,
        BIAS: 0.60,
    },
    "words": {"size": -0.36, "words": 6.08, "known": 1.79, "symbol": -2.52, "name": 9.56, BIAS: -0.76},
    "meaning": {"size": -0.50, "meaning": 2.14, BIAS: 1.83},
}


def relevance(text: str, intent: Intent, candidates: Candidates, store: Index) -> float:
    """Of the best that a search found."""
    found = signs(text, intent, candidates, store)
    return chance(found, WEIGHTS[" and ".join(name for name in ("words", "meaning") if name in found)])


def rated(hit: Hit, factor: float) -> Hit:
    """*hit* on the scale on which the best has the search's relevance."""
    return replace(hit, score=hit.score * factor, signals={**hit.signals, "relevance": factor})


def chance(found: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """That what has these signs answers the query."""
    total = weights[BIAS] + sum(weight * found[name] for name, weight in weights.items() if name != BIAS)
    return 0.5 + 0.5 * math.tanh(0.5 * total)  # the logistic function, which cannot overflow so


def doubt(shown: int, best: float, relevant: bool) -> str:
    """What to say to a reader of *shown* hits, the best of all having the score *best*; "" where all is well."""
    if not shown:
        return f"nothing relevant found: the best score is {best:.2f}" if best else "nothing found"
    return "" if relevant else f"nothing here seems relevant: the best score is {best:.2f}"


def signs(text: str, intent: Intent, candidates: Candidates, store: Index) -> dict[str, float]:
    """What a search found, in numbers that do not depend on how good its best is."""
    lists, spaces = candidates.lists, candidates.spaces
    by_words = "lexical" in lists
    terms = query_terms(text)[:MOST_TERMS] if by_words else []
    frequencies, chunks = store.frequencies(terms)
    found = {"size": math.log(max(chunks, FEWEST))}  # the more there is, the better the best of nothing
    if by_words:
        told = information(terms, frequencies, chunks)
        whole = sum(told.values()) or 1.0
        found["words"] = min(_best(lists["lexical"]) / (BM25_MOST * whole), 1.0)
        found["known"] = sum(told[term] for term in terms if frequencies.get(term)) / whole
        found["symbol"] = float(intent.is_symbol)
        found["name"] = _best(lists.get("name", [])) / MOST_NAMED
    if spaces:
        found["meaning"] = max(space.nearness(_best(lists[name])) for name, space in spaces.items())
    return found


def information(wanted: Sequence[str], frequencies: Mapping[str, int], chunks: int) -> dict[str, float]:
    """What each term tells, by how few of *chunks* it stands in: the weight BM25 gives it."""
    found = {term: frequencies.get(term, 0) for term in wanted}
    return {term: max(math.log((chunks - n + 0.5) / (n + 0.5)), 1e-6) for term, n in found.items()}


def _best(ranking: Ranking) -> float:
    return ranking[0][1] if ranking else 0.0
