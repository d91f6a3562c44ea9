"""Feature hashing of terms: an embedder that needs no model, for tests. Texts that share terms are near."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from mnemolite.search.tokens import terms
from mnemolite.types import Domain, ModelState, Role, Space, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix


class HashingEmbedder:
    max_tokens = 10_000

    def __init__(self, dimension: int = 64, domain: Domain = Domain.HYBRID, model: str = "hashing") -> None:
        self.space = Space(domain=domain, model=model, dimension=dimension, fingerprint=f"crc32-{dimension}")

    @property
    def state(self) -> ModelState:
        return ModelState(space=self.space, loaded=True)

    def tokens(self, text: str) -> Sequence[int]:
        return [crc32(term.encode()) for term in terms(text)]

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        import numpy as np

        rows = np.zeros((len(texts), self.space.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for hashed in self.tokens(text) if isinstance(text, str) else text:
                row[hashed % self.space.dimension] += 1 if hashed & 0x10000 else -1
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.maximum(lengths, 1e-9)
        return rows
