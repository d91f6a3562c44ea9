"""A search, as a column of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from mnemolite.errors import RerankerUnavailable
from mnemolite.ports import Embedder, Index, Reranker, Store
from mnemolite.search.fuse import WORD_LISTS, Fused, fuse
from mnemolite.search.rank import rank
from mnemolite.search.relevance import RELEVANT, rated, relevance
from mnemolite.search.rerank import READ, rerank
from mnemolite.search.retrieve import retrieve
from mnemolite.search.understand import understand
from mnemolite.types import Hit, Query, Ranking, Results, Scope

RANKED = 10  # candidates for every hit wanted: below, no factor brings a chunk to the page
SMALLEST_RANKED = 100
SYMBOL_LEXICAL = 3.0  # a name is looked for by its letters: the weight of words and names beside that of meaning


def search(
    query: Query,
    store: Index,
    embedders: Sequence[Embedder],
    weights: Mapping[str, float],
    reranker: Reranker | None = None,
    settle: Callable[[Sequence[Hit]], Sequence[Hit]] | None = None,
    off: Collection[str] = (),
) -> Results:
    """
    *weights* are those of the lists in the fusion, by name, where the query has none of its own; *settle* says what
    follows from what hits are beyond their text; *off* names signals of search.rank to leave out.
    """
    start = time.perf_counter()
    weights = _weights(query, weights)
    intent = understand(query.text)
    candidates = retrieve(query, intent, store, embedders)
    if intent.is_symbol:
        weights = {name: weight * SYMBOL_LEXICAL if name in WORD_LISTS else weight for name, weight in weights.items()}
    fused = fuse(candidates.lists, weights, max(SMALLEST_RANKED, RANKED * query.limit))
    ranked = rank(intent, fused, store.cards([f.id for f in fused]), off)
    hits: Sequence[Hit]
    if settle is not None:
        hits = settle(_load(ranked, store))
    else:
        hits = _load(ranked[: max(query.limit, READ) if query.rerank else query.limit], store)
    first = max((hit.score for hit in hits), default=0.0)
    best = relevance(query.text, intent, candidates, store) if hits else 0.0
    if query.rerank:
        asked = time.perf_counter()
        try:
            hits = rerank(query.text, hits, reranker)
        except RerankerUnavailable as error:
            candidates.degraded.append(f"reranking: {error}")
        candidates.seconds["rerank"] = time.perf_counter() - asked
    seconds = {**candidates.seconds, "total": time.perf_counter() - start}
    shown = [rated(hit, best / (first or 1.0)) for hit in hits[: query.limit]]
    return Results(
        hits=tuple(hit for hit in shown if hit.score >= (query.min_score or 0.0)),
        degraded=tuple(candidates.degraded),
        seconds=seconds,
        found={name: len(ranking) for name, ranking in candidates.lists.items()} | {"fused": candidates.unique},
        best=best,
        relevant=best >= RELEVANT,
    )


def similar(id: int, store: Store, embedders: Sequence[Embedder], scope: Scope, limit: int) -> Results:
    """Chunks near in meaning to the chunk *id*, itself left out, in every space it has a vector of."""
    start = time.perf_counter()
    lists: dict[str, Ranking] = {}
    for embedder in embedders:
        vector = store.vector(embedder.space, id)
        if vector is not None and vector.any():
            ranking = store.nearest(embedder.space, vector, scope, limit + 1)
            lists[embedder.space.list_name] = [found for found in ranking if found[0] != id]
    hits = _load(fuse(lists, dict.fromkeys(lists, 1.0), limit), store)
    best = hits[0].score if hits else 0.0
    return Results(hits=tuple(hits), seconds={"total": time.perf_counter() - start}, best=best)


def _weights(query: Query, weights: Mapping[str, float]) -> Mapping[str, float]:
    own = dict(weights)
    for name in weights:
        given = query.lexical_weight if name in WORD_LISTS else query.vector_weight
        if given is not None:
            own[name] = given
    return own


def _load(fused: Sequence[Fused], store: Index) -> list[Hit]:
    chunks = {chunk.id: chunk for chunk in store.chunks([f.id for f in fused])}
    return [f.hit(chunks[f.id]) for f in fused if f.id in chunks]
