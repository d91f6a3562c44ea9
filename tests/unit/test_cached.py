"""The cache of query embeddings."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemolite.caches.embeddings import EmbeddingCache
from mnemolite.caches.lru import LruCache
from mnemolite.embedders.cached import CachedEmbedder
from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.errors import EmbedderUnavailable, InvalidInput
from mnemolite.settings import Settings
from mnemolite.types import Role, Text
from mnemolite.wiring import open_models

if TYPE_CHECKING:
    from mnemolite.types import Matrix


def vector(number: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(3, number, np.float32)


def test_the_one_not_used_for_longest_goes_first() -> None:
    cache = EmbeddingCache(maxsize=2)
    cache.put("a", vector(1))
    cache.put("b", vector(2))
    assert cache.get("a") is not None
    cache.put("c", vector(3))
    assert (cache.get("b"), len(cache)) == (None, 2)
    assert (cache.hits, cache.misses) == (1, 1)


def test_an_entry_lives_for_its_time_from_when_it_was_put() -> None:
    now = [0.0]
    cache = EmbeddingCache(ttl_seconds=10, clock=lambda: now[0])
    cache.put("a", vector(1))
    now[0] = 9.9
    assert cache.get("a") is not None
    now[0] = 10.0
    assert (cache.get("a"), len(cache)) == (None, 0)


def test_one_entry_can_be_forgotten_on_every_level() -> None:
    behind = LruCache()
    cache = EmbeddingCache(maxsize=1, behind=behind)
    for key in "abc":
        cache.put(key, vector(1))
    cache.invalidate("a")
    cache.invalidate("never")
    assert cache.get("a") is None
    assert cache.get("b") is not None
    assert (len(cache), len(behind)) == (1, 2)


def test_a_matrix_has_a_row_for_each_key_that_is_held() -> None:
    cache = EmbeddingCache()
    cache.put("a", vector(1))
    cache.put("b", vector(2))
    places, rows = cache.matrix(["b", "x", "a"])
    assert (places, rows.tolist()) == ([0, 2], [[2, 2, 2], [1, 1, 1]])
    assert cache.matrix(["x"])[0] == []


def test_a_cache_without_room_or_time_is_refused() -> None:
    with pytest.raises(InvalidInput, match="maxsize is 0"):
        EmbeddingCache(maxsize=0)
    with pytest.raises(InvalidInput, match="ttl_seconds 0"):
        EmbeddingCache(ttl_seconds=0)


def test_what_the_settings_say_holds() -> None:
    [embedder] = open_models(Settings(perf_cache_max_size=7, perf_cache_ttl_seconds=3)).embedders
    assert isinstance(embedder, CachedEmbedder)
    assert (embedder.cache.maxsize, embedder.cache.ttl_seconds) == (7, 3)


TEXTS = st.lists(st.lists(st.sampled_from(["alpha", "beta", "alpha beta", "", "γ", "\ud800"]), max_size=4), max_size=6)


@given(calls=TEXTS, role=st.sampled_from(Role), maxsize=st.integers(1, 3), levels=st.integers(1, 2))
def test_with_or_without_a_cache_the_vectors_are_the_same(
    calls: list[list[str]], role: Role, maxsize: int, levels: int
) -> None:
    plain = HashingEmbedder()
    behind = LruCache(maxsize=2) if levels == 2 else None
    cached = CachedEmbedder(plain, EmbeddingCache(maxsize=maxsize, behind=behind))
    for texts in calls:
        assert np.array_equal(cached.embed(texts, role), plain.embed(texts, role))


def test_models_do_not_meet_in_one_cache() -> None:
    cache = EmbeddingCache()
    for dimension in (16, 32):
        plain = HashingEmbedder(dimension)
        cached = CachedEmbedder(plain, cache)
        assert np.array_equal(cached.embed(["alpha"], Role.QUERY), plain.embed(["alpha"], Role.QUERY))


class SlowEmbedder(HashingEmbedder):
    """Embeds nothing before *clients* have come; then takes its time, and says what it embedded."""

    def __init__(self, clients: int) -> None:
        super().__init__()
        self.coming = threading.Semaphore(0)
        self.embedded: list[Text] = []
        self.fails = 0  # so many calls from now on
        self._clients = clients
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        with self._lock:
            for _ in range(self._clients):
                self.coming.acquire()
            self._clients = 0
            self.embedded += texts
            if self.fails:
                self.fails -= 1
                raise EmbedderUnavailable("out of order")
        time.sleep(0.05)
        return super().embed(texts, role)


def ask(embedder: SlowEmbedder, calls: Sequence[Sequence[str]]) -> list[Matrix | str]:
    """All *calls* at once: their answers, or what went wrong."""
    cached = CachedEmbedder(embedder, EmbeddingCache())

    def call(texts: Sequence[str]) -> Matrix | str:
        embedder.coming.release()
        try:
            return cached.embed(texts, Role.QUERY)
        except EmbedderUnavailable as error:
            return str(error)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def test_a_hundred_equal_queries_at_once_are_embedded_once() -> None:
    embedder = SlowEmbedder(clients=100)
    answers = ask(embedder, [["alpha beta"]] * 100)
    assert embedder.embedded == ["alpha beta"]
    expected = HashingEmbedder().embed(["alpha beta"], Role.QUERY)
    assert all(np.array_equal(answer, expected) for answer in answers)


def test_each_text_of_batches_that_overlap_is_embedded_once() -> None:
    texts = [f"text {number}" for number in range(12)]
    calls = [[texts[(start + step * at) % 12] for at in range(5)] for start in range(12) for step in (1, 5, 7)]
    embedder = SlowEmbedder(clients=len(calls))
    answers = ask(embedder, calls)
    assert sorted(embedder.embedded) == sorted(texts)
    for call, answer in zip(calls, answers, strict=True):
        assert np.array_equal(answer, HashingEmbedder().embed(call, Role.QUERY))


def test_who_waited_for_an_attempt_that_failed_makes_his_own() -> None:
    embedder = SlowEmbedder(clients=8)
    embedder.fails = 1
    answers = ask(embedder, [["alpha"]] * 8)
    assert [answer for answer in answers if isinstance(answer, str)] == ["out of order"]
    assert embedder.embedded == ["alpha", "alpha"]
