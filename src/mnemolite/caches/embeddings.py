"""Vectors by key."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mnemolite.caches.lru import LruCache
from mnemolite.caches.tiered import TieredCache
from mnemolite.ports import Cache
from mnemolite.types import CacheLevel

if TYPE_CHECKING:
    from mnemolite.types import Matrix, Vector


class EmbeddingCache:
    """
    At most *maxsize* vectors in this process, each for *ttl_seconds*, and what *behind* holds. Thread-safe.

    Vectors are given out read-only.
    """

    def __init__(
        self,
        maxsize: int = 1000,
        ttl_seconds: float = 600,
        *,
        behind: Cache | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._near = LruCache(maxsize, ttl_seconds, clock)
        self._cache: Cache = TieredCache(self._near, behind) if behind is not None else self._near

    def __len__(self) -> int:
        """Of those in this process."""
        return len(self._near)

    @property
    def maxsize(self) -> int:
        return self._near.maxsize

    @property
    def ttl_seconds(self) -> float:
        return self._near.ttl_seconds

    @property
    def hits(self) -> int:
        return sum(level.hits for level in self.levels())

    @property
    def misses(self) -> int:
        return self.levels()[-1].misses

    @property
    def degraded(self) -> str:
        return self._cache.degraded

    def levels(self) -> list[CacheLevel]:
        """The nearest first; each is asked what those before it miss."""
        return self._cache.levels()

    def get(self, key: str) -> Vector | None:
        _, rows = self.matrix([key])
        return rows[0] if len(rows) else None

    def put(self, key: str, vector: Vector) -> None:
        self.put_many({key: vector})

    def put_many(self, vectors: Mapping[str, Vector]) -> None:
        self._cache.put_many({key: vector.astype("<f4").tobytes() for key, vector in vectors.items()})

    def invalidate(self, key: str) -> None:
        """Forgets one vector; a key that is not held is ignored."""
        self._cache.drop([key])

    def matrix(self, keys: Sequence[str]) -> tuple[list[int], Matrix]:
        """Which of *keys* are held, by place, and their vectors, all of one dimension, as rows in that order."""
        import numpy as np

        held = self._cache.get_many(keys)
        places = [place for place, key in enumerate(keys) if key in held]
        rows = np.frombuffer(b"".join(held[keys[place]] for place in places), "<f4").astype(np.float32, copy=False)
        return places, rows.reshape(len(places), -1) if places else np.empty((0, 0), np.float32)
