"""The candidate lists of a query: by words, by names, and one by vectors for each space."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mnemolite.errors import EmbedderUnavailable, InvalidInput, SpaceMismatch
from mnemolite.ports import Embedder, Index
from mnemolite.search.expand import expand_query
from mnemolite.search.understand import Intent, query_terms
from mnemolite.types import Domain, Query, Ranking, Role, Space

if TYPE_CHECKING:
    from mnemolite.types import Vector

POOL = 10  # candidates of each list for every hit wanted: one ranked low in both can still win once they are fused
SMALLEST_POOL = 100


@dataclass
class Candidates:
    lists: dict[str, Ranking] = field(default_factory=dict)
    spaces: dict[str, Space] = field(default_factory=dict)  # of the lists by meaning
    degraded: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def unique(self) -> int:
        return len({id for ranking in self.lists.values() for id, _ in ranking})


def retrieve(query: Query, intent: Intent, store: Index, embedders: Sequence[Embedder]) -> Candidates:
    """Raises SpaceMismatch only when nothing but vectors was asked for; otherwise it is a degradation."""
    found = Candidates()
    pool = query.pool or max(SMALLEST_POOL, POOL * query.limit)
    if query.lexical and query.text:
        start = time.perf_counter()
        expanded = query.expand if query.expand is not None else not intent.is_symbol
        alternatives = expand_query(query.text)[1:] if expanded else ()
        found.lists["lexical"] = store.lexical(query_terms(query.text), query.scope, pool, alternatives)
        if intent.is_symbol:
            found.lists["name"] = store.named(query.text.strip(), query.scope, pool)
        found.seconds["lexical"] = time.perf_counter() - start
    for embedder in embedders if query.vector else ():
        try:
            space = embedder.space
            if not space.domain.serves(query.scope.domains):
                continue
            start = time.perf_counter()
            vector = _vector(query, embedder, space)
            embedded = time.perf_counter()
            found.seconds[f"embed {space.list_name}"] = embedded - start
            found.lists[space.list_name] = store.nearest(space, vector, query.scope, pool)
            found.spaces[space.list_name] = space
            found.seconds[f"nearest {space.list_name}"] = time.perf_counter() - embedded
            if (trouble := getattr(embedder, "degraded", "")) and trouble not in found.degraded:
                found.degraded.append(trouble)
        except (EmbedderUnavailable, SpaceMismatch) as error:
            if not query.lexical:
                raise
            found.degraded.append(f"vector search: {error}")
    return found


def _vector(query: Query, embedder: Embedder, space: Space) -> Vector:
    given = query.embeddings.get(space.domain)
    if given is None and space.domain is Domain.HYBRID:  # one space of both domains takes a vector sent for either
        given = next(iter(query.embeddings.values()), None)
    if given is None:
        embedded: Vector = embedder.embed([query.text], Role.QUERY)[0]
        return embedded
    import numpy as np

    vector = np.array(given, dtype=np.float32)
    if vector.shape != (space.dimension,):
        raise InvalidInput(f"the query vector has {vector.size} components; {space.model} makes {space.dimension}")
    if not np.isfinite(vector).all():
        raise InvalidInput("the query vector has NaN or infinite components")
    return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-9))
