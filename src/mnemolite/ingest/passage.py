"""What of a chunk is embedded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from mnemolite.ports import Embedder
from mnemolite.types import Chunk, Domain, Role, Space, telling_path

if TYPE_CHECKING:
    from mnemolite.types import Matrix, Vector


def passage(chunk: Chunk) -> str:
    """
    Path, names and text. The path's words tell what a fragment of code is part of: a static model alone gains
    0.08 nDCG@10 from them.
    """
    where = telling_path(chunk).rsplit(".", 1)[0] or " ".join(chunk.symbols)  # of a note, its tags
    return f"{where} {chunk.parent} {chunk.name}\n{chunk.text}"


def digest(passage: str) -> bytes:
    """16 bytes that stand for *passage*: equal passages are embedded once."""
    return blake2b(passage.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Passages:
    """Those of some chunks, each once, and the domains in which they are to be found."""

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}
        self._domains: defaultdict[bytes, set[Domain]] = defaultdict(set)

    def add(self, chunks: Sequence[Chunk]) -> tuple[bytes, ...]:
        """The digest of each chunk's passage."""
        texts = [passage(chunk) for chunk in chunks]
        keys = tuple(map(digest, texts))
        self._texts.update(zip(keys, texts, strict=True))
        for chunk, key in zip(chunks, keys, strict=True):
            self._domains[key] |= chunk.domains
        return keys

    def of(self, space: Space) -> list[bytes]:
        """Digests of those that are to be found in *space*."""
        return [key for key in self._texts if space.domain.serves(self._domains[key])]

    def embedded(self, embedder: Embedder, known: Mapping[bytes, Vector]) -> dict[bytes, Vector]:
        """The vectors of those that are to be found in the embedder's space, as far as they are not *known*."""
        found = {key: vector for key, vector in known.items() if vector.any()}
        missing = [key for key in self.of(embedder.space) if key not in found]
        if missing:
            rows = embedder.embed([self._texts[key] for key in missing], Role.PASSAGE)
            found.update(zip(missing, rows, strict=True))
        return found

    def matrix(self, keys: Sequence[bytes], vectors: Mapping[bytes, Vector], space: Space) -> Matrix:
        """(len(keys), dimension): of each digest its vector, zero where it has none."""
        import numpy as np

        rows = np.zeros((len(keys), space.dimension), np.float32)
        for row, key in zip(rows, keys, strict=True):
            if key in vectors:
                row[:] = vectors[key]
        return rows
