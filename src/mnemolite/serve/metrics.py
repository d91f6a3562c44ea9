"""What a server tells Prometheus, from the times and counts that answers carry anyway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from mnemolite.errors import EmbedderUnavailable, InvalidInput, NotFound, StoreUnavailable
from mnemolite.jobs import DELIVERY_STATES, TASK_STATES, Backlog, JobState
from mnemolite.memory import Memory
from mnemolite.ram import MB, resident_bytes
from mnemolite.types import Results

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from prometheus_client.metrics_core import Metric

    from mnemolite.caches.embeddings import EmbeddingCache
    from mnemolite.ports import Store
    from mnemolite.stores.shards import Shards

SEARCH_SECONDS = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
EMBEDDING_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
BATCH_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BATCH_TOKENS = (16, 64, 256, 1024, 4096, 16384)
WAIT_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


disable_created_metrics()  # type: ignore[no-untyped-call]  # a third of the text, of which nobody draws anything


class Metrics:
    """Of one server. Thread-safe."""

    def __init__(self, memory: Memory, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry = registry or CollectorRegistry()
        self.requests = Counter(
            "http_requests_total", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "http_request_duration_seconds", "Until the answer.", ["route"], buckets=REQUEST_SECONDS, registry=registry
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests being worked on.", registry=registry)
        self.refused = Counter("http_requests_refused_total", "By what.", ["reason"], registry=registry)
        self._searches = Counter("search_requests_total", "Searches.", ["method", "status"], registry=registry)
        self._search_seconds = Histogram(
            "search_duration_seconds", "Of a search.", ["method"], buckets=SEARCH_SECONDS, registry=registry
        )
        self._degraded = Counter(
            "degraded_total", "Answers that left something out, by what.", ["part"], registry=registry
        )
        self._embedding_seconds = Histogram(
            "embedding_generation_seconds",
            "Of a query, or of the texts of one request.",
            ["domain"],
            buckets=EMBEDDING_SECONDS,
            registry=registry,
        )
        self._embedded = Counter("embedded_texts_total", "Texts embedded for clients.", ["domain"], registry=registry)
        self.index_waiting = Gauge("index_requests_waiting", "For the one that is being worked on.", registry=registry)
        self._threads = Gauge("request_threads", "Those that work on requests.", ["state"], registry=registry)
        self._waiting = Gauge("requests_waiting", "For a thread.", registry=registry)
        registry.register(_OfMemory(memory))
        ProcessCollector(registry=registry)

    def watch(self, threads: CapacityLimiter) -> None:
        """Those that requests are worked on by."""
        self._threads.labels("busy").set_function(lambda: threads.borrowed_tokens)
        self._threads.labels("all").set_function(lambda: threads.total_tokens)
        self._waiting.set_function(lambda: threads.statistics().tasks_waiting)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    @contextmanager
    def searching(self, method: str) -> Iterator[None]:
        """Counts a search that fails; one that cannot be asked is the client's fault, and no error of ours."""
        try:
            yield
        except Exception as error:
            self._searches.labels(method, "refused" if isinstance(error, InvalidInput) else "error").inc()
            raise

    def searched(self, method: str, results: Results) -> None:
        self._searches.labels(method, "success").inc()
        self._search_seconds.labels(method).observe(results.seconds["total"])
        for step, seconds in results.seconds.items():
            if step.startswith("embed "):
                self._embedding_seconds.labels(_domain(step.removeprefix("embed "))).observe(seconds)
        for reason in results.degraded:
            self._degraded.labels(reason.split(":")[0]).inc()

    def embedded(self, domain: str, texts: int, seconds: float) -> None:
        self._embedding_seconds.labels(domain).observe(seconds)
        self._embedded.labels(domain).inc(texts)


class BatchMetrics:
    """Of an embedding service. Thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waiting = Gauge("embedding_queue_tokens", "Of texts that wait for a batch.", ["model"], registry=registry)
        self._wait = Histogram(
            "embedding_queue_wait_seconds",
            "Of a request, for its first batch.",
            ["model"],
            buckets=WAIT_SECONDS,
            registry=registry,
        )
        self._texts = Histogram(
            "embedding_batch_texts", "Of a batch.", ["model"], buckets=BATCH_TEXTS, registry=registry
        )
        self._tokens = Histogram(
            "embedding_batch_tokens", "Of a batch.", ["model"], buckets=BATCH_TOKENS, registry=registry
        )
        self._dropped = Counter(
            "embedding_dropped_total",
            "Requests not embedded: too much waited (overload), or nobody waited for them any more (gone).",
            ["model", "reason"],
            registry=registry,
        )

    def of(self, model: str) -> ModelMetrics:
        return ModelMetrics(
            waiting_tokens=self._waiting.labels(model),
            wait_seconds=self._wait.labels(model),
            texts=self._texts.labels(model),
            tokens=self._tokens.labels(model),
            overloads=self._dropped.labels(model, "overload"),
            gone=self._dropped.labels(model, "gone"),
        )


@dataclass(frozen=True, kw_only=True)
class ModelMetrics:
    waiting_tokens: Gauge
    wait_seconds: Histogram
    texts: Histogram
    tokens: Histogram
    overloads: Counter
    gone: Counter


class _OfMemory:
    """Read when Prometheus asks."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def collect(self) -> Iterator[Metric]:
        hits = CounterMetricFamily("embedding_cache_hits", "Queries asked of the cache.", labels=["result"])
        levels = CounterMetricFamily("embedding_cache_level", "Of each level by itself.", labels=["level", "result"])
        trouble = GaugeMetricFamily("embedding_cache_trouble", "1 while a level is left alone.", labels=["level"])
        held = GaugeMetricFamily("embedding_cache_size", "Queries in the process.")
        for cache in caches(self._memory):
            hits.add_metric(["hit"], cache.hits)
            hits.add_metric(["miss"], cache.misses)
            held.add_metric([], len(cache))
            for level in cache.levels():
                counts = {"hit": level.hits, "miss": level.misses, "error": level.errors, "corrupt": level.corrupt}
                for result, count in counts.items():
                    levels.add_metric([level.name, result], count)
                trouble.add_metric([level.name], float(bool(level.trouble)))
        loaded = GaugeMetricFamily("model_loaded", "1 while a model is in memory.", labels=["model_name"])
        size = GaugeMetricFamily("model_memory_bytes", "It is estimated to take now.", labels=["model_name"])
        for embedder in self._memory.embedders:
            with suppress(EmbedderUnavailable):  # /ready says so
                state = embedder.state
                loaded.add_metric([state.space.model], float(state.loaded))
                size.add_metric([state.space.model], float(state.bytes * state.loaded))
        used = GaugeMetricFamily("ram_used_bytes", "By the process and those of its models.", resident_bytes())
        budget = GaugeMetricFamily(
            "ram_budget_bytes", "Above it no second model is loaded.", self._memory.settings.ram_budget_mb * MB
        )
        yield from (hits, levels, trouble, held, loaded, size, used, budget)
        with suppress(NotFound):  # it serves models alone
            yield from _of_store(self._memory, self._memory.repositories.store)


def _of_store(memory: Memory, store: Store) -> Iterator[Metric]:
    pool = GaugeMetricFamily("database_connections", "To PostgreSQL, of this process.", labels=["state"])
    for name, count in store.connections().items():
        pool.add_metric([name], count)
    up = GaugeMetricFamily("shard_up", "1 where the last call of a shard was answered.", labels=["shard"])
    several = shards(memory)
    for shard in several.all if several else ():
        up.add_metric([shard.name], float(not shard.trouble))
    answered = GaugeMetricFamily("store_up", "1 where the database answers.")
    try:
        backlog = memory.indexing.store.backlog()
    except (NotFound, StoreUnavailable):  # /ready says why
        answered.add_metric([], 0)
    else:
        answered.add_metric([], 1)
        yield from _of_jobs(backlog)
    yield from (pool, up, answered)


def _of_jobs(backlog: Backlog) -> Iterator[Metric]:
    counts: dict[str, tuple[str, Mapping[str, int], Sequence[str]]] = {
        "index_jobs": ("Jobs, those that ended within a month included.", backlog.jobs, tuple(JobState)),
        "index_job_tasks": ("Batches of files: the depth of the queue.", backlog.tasks, TASK_STATES),
        "webhook_deliveries": ("Word of jobs' ends.", backlog.deliveries, DELIVERY_STATES),
    }
    for name, (told, by_state, states) in counts.items():
        family = GaugeMetricFamily(name, told, labels=["state"])
        for state in states:
            family.add_metric([state], by_state.get(state, 0))
        yield family


def tell(host: str, port: int) -> None:
    """
    Has a process that serves nothing else answer Prometheus, and whoever asks whether it lives, at *host*:*port*.

    Raises:
        InvalidInput: *port* is taken.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        raise InvalidInput(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error


def caches(memory: Memory) -> list[EmbeddingCache]:
    """Those in front of the models."""
    found = (getattr(each, "cache", None) for each in memory.embedders)
    return list(dict.fromkeys(cache for cache in found if cache is not None))  # models of text and of code share one


def shards(memory: Memory) -> Shards | None:
    """Those that a database is spread over, if it is."""
    return getattr(memory.repositories.store, "shards", None)


def _domain(list_name: str) -> str:
    """Of the list's name: that of the one space of both domains is "vector"."""
    return "hybrid" if list_name == "vector" else list_name
