"""An embedder that remembers what it was asked lately."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnemolite.caches.embeddings import EmbeddingCache
from mnemolite.caches.single_flight import SingleFlight
from mnemolite.ports import Embedder
from mnemolite.types import ModelState, Role, Space, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix, Vector


class CachedEmbedder:
    """
    Queries of *embedder* from *cache* where they are there; one that several threads ask at once is embedded once.
    Passages are embedded once anyway, and would only push queries out.

    The key holds the text and the model's fingerprint, so nothing stored can make an entry wrong.
    """

    def __init__(self, embedder: Embedder, cache: EmbeddingCache) -> None:
        self.cache = cache
        self.embedder = embedder
        self._flights: SingleFlight[Vector] = SingleFlight()

    @property
    def space(self) -> Space:
        return self.embedder.space

    @property
    def degraded(self) -> str:
        return self.cache.degraded

    @property
    def state(self) -> ModelState:
        return self.embedder.state

    @property
    def max_tokens(self) -> int:
        return self.embedder.max_tokens

    def tokens(self, text: str) -> Sequence[int]:
        return self.embedder.tokens(text)

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        if role is not Role.QUERY or not texts:
            return self.embedder.embed(texts, role)
        import numpy as np

        space = self.space
        keys = [_key(space, text) for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        vectors = self._flights.get(keys, lambda own: self._vectors({key: by_key[key] for key in own}))
        return np.array([vectors[key] for key in keys])

    def _vectors(self, texts: dict[str, Text]) -> dict[str, Vector]:
        keys = list(texts)
        held, rows = self.cache.matrix(keys)
        vectors: dict[str, Vector] = {keys[place]: row for place, row in zip(held, rows, strict=True)}
        if missing := [key for key in keys if key not in vectors]:
            made = self.embedder.embed([texts[key] for key in missing], Role.QUERY)
            fresh: dict[str, Vector] = dict(zip(missing, made, strict=True))
            self.cache.put_many(fresh)
            vectors |= fresh
        return vectors


def _key(space: Space, text: Text) -> str:
    digest = hashlib.blake2b(ascii(text).encode(), digest_size=16).hexdigest()  # a text may be no valid Unicode
    return f"{space.domain}:{space.fingerprint}:{digest}"
