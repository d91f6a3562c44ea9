"""A Redis that is away, late, full, emptied or holds rubbish: every query is answered, and says what it did without."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mnemolite.caches.breaker import LONGEST_SECONDS
from mnemolite.caches.embeddings import EmbeddingCache
from mnemolite.caches.redis import PREFIX, RedisCache
from mnemolite.embedders.cached import CachedEmbedder
from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.errors import InvalidInput
from mnemolite.lab.local_redis import LocalRedis
from mnemolite.memory import list_weights
from mnemolite.search.search import search
from mnemolite.settings import Settings
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import CacheLevel, Query, Role
from mnemolite.wiring import open_models


class Clock:
    """Stands still unless it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Server:
    """What answers queries, with a Redis of its own behind it."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.embedder = CachedEmbedder(
            HashingEmbedder(), EmbeddingCache(behind=RedisCache(url, clock=self.clock), clock=self.clock)
        )
        self._store = SqliteStore(None)
        self._asked = 0

    def ask(self, text: str = "") -> tuple[str, ...]:
        """Asks what nobody asked yet, or *text*, and gives what the answer says it did without."""
        self._asked += 1
        query = Query(text=text or f"query {self._asked}")
        return search(query, self._store, [self.embedder] * 2, list_weights(Settings())).degraded

    @property
    def redis(self) -> CacheLevel:
        return self.embedder.cache.levels()[-1]


@pytest.fixture
def own_redis() -> Iterator[LocalRedis]:
    with LocalRedis() as server:
        yield server


def test_a_redis_that_is_down_is_left_alone_and_found_again(
    own_redis: LocalRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mnemolite")
    server = Server(own_redis.url)
    assert server.ask() == ()
    own_redis.stop()
    for _ in range(20):
        [trouble] = server.ask()
        assert trouble.startswith(f"cache: Redis at 127.0.0.1:{own_redis.port} is not used: ")
    assert server.redis.errors == 1
    assert server.redis.trouble == trouble
    server.clock.now += LONGEST_SECONDS
    assert server.ask() == (trouble,)
    assert server.redis.errors == 2
    own_redis.start()
    assert server.ask() == (trouble,)
    server.clock.now += LONGEST_SECONDS
    assert server.ask() == ()
    assert server.redis.errors == 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert redis.Redis.from_url(own_redis.url).dbsize() == 1  # and used again


def test_a_restart_between_two_queries_is_not_noticed(own_redis: LocalRedis) -> None:
    server = Server(own_redis.url)
    server.ask()
    own_redis.stop()
    own_redis.start()
    assert server.ask() == ()
    assert server.redis.errors == 0


def test_a_redis_that_hangs_costs_one_query_its_wait(own_redis: LocalRedis) -> None:
    server = Server(own_redis.url)
    server.ask("held")
    with own_redis.paused():
        for _ in range(20):
            [trouble] = server.ask()
        assert "is not used: Timeout" in trouble
        assert server.redis.errors == 1
    server.clock.now += LONGEST_SECONDS
    assert server.ask() == ()
    client = Server(own_redis.url)
    client.ask("held")
    assert client.redis.hits == 1


def test_what_fails_for_many_at_once_is_said_and_logged_once(
    own_redis: LocalRedis, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(own_redis.url)
    with own_redis.paused():
        threads = [threading.Thread(target=server.ask, args=(f"one of many {n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.redis.trouble
    assert len(caplog.records) == 1


def test_a_full_redis_is_still_read(own_redis: LocalRedis) -> None:
    Server(own_redis.url).ask("held")
    client = redis.Redis.from_url(own_redis.url)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    server = Server(own_redis.url)
    for _ in range(5):
        [trouble] = server.ask()
        assert "takes no more values: command not allowed when used memory > 'maxmemory'" in trouble
    assert server.redis.errors == 1
    server.ask("held")
    assert server.redis.hits == 1
    client.config_set("maxmemory", 0)
    server.clock.now += LONGEST_SECONDS
    assert server.ask() == ()


def test_an_emptied_redis_is_filled_again(own_redis: LocalRedis) -> None:
    Server(own_redis.url).ask("held")
    redis.Redis.from_url(own_redis.url).flushall()
    for hits in (0, 1):
        server = Server(own_redis.url)
        assert server.ask("held") == ()
        assert server.redis.hits == hits


def test_a_server_that_is_no_redis_is_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            with other.accept()[0] as client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        server = Server(f"redis://127.0.0.1:{other.getsockname()[1]}")
        [trouble] = server.ask()
        assert "is not used" in trouble
        answering.join()


def test_a_password_is_asked_for_and_never_shown() -> None:
    with LocalRedis("--requirepass", "very-secret") as locked:
        place = f"127.0.0.1:{locked.port}"
        for wrong in (f"redis://{place}", f"redis://:not-so-secret@{place}"):
            [trouble] = Server(wrong).ask()
            assert "is not used" in trouble
            assert "secret" not in trouble
        assert Server(f"redis://:very-secret@{place}").ask() == ()


PLAIN = HashingEmbedder()
TEXTS = ["alpha", "beta", "alpha beta"]
NAN = np.full(PLAIN.space.dimension, np.nan, "<f4").tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@example(rubbish=b"", at=0)
@example(rubbish=NAN, at=0)
@example(rubbish=bytes(8) + NAN, at=0)
@example(rubbish=NAN, at=8)
@given(rubbish=st.binary(max_size=300), at=st.integers(0, 300))
def test_rubbish_in_redis_is_a_miss_and_never_an_answer(redis_server: LocalRedis, rubbish: bytes, at: int) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    CachedEmbedder(PLAIN, EmbeddingCache(behind=RedisCache(redis_server.url))).embed(TEXTS, Role.QUERY)
    first, second, third = client.keys(f"{PREFIX}*")
    was = client.get(second)
    assert isinstance(was, bytes)
    client.set(first, rubbish)  # foreign
    client.set(second, was[:at] + rubbish + was[at + len(rubbish) :])  # damaged
    client.set(third, was)  # another text's
    cached = CachedEmbedder(PLAIN, EmbeddingCache(behind=RedisCache(redis_server.url)))
    assert np.array_equal(cached.embed(TEXTS, Role.QUERY), PLAIN.embed(TEXTS, Role.QUERY))
    level = cached.cache.levels()[-1]
    assert level.corrupt == level.misses
    assert level.corrupt in (2, 3)  # what overwrote the second may have been what stood there
    assert cached.degraded == ""


def test_a_value_of_another_kind_is_a_miss(redis_server: LocalRedis) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    CachedEmbedder(PLAIN, EmbeddingCache(behind=RedisCache(redis_server.url))).embed(TEXTS, Role.QUERY)
    for name in client.keys("*"):
        client.delete(name)
        client.rpush(name, b"a list")
    cached = CachedEmbedder(PLAIN, EmbeddingCache(behind=RedisCache(redis_server.url)))
    for _ in range(2):
        assert np.array_equal(cached.embed(TEXTS, Role.QUERY), PLAIN.embed(TEXTS, Role.QUERY))
    assert cached.degraded == ""


def test_the_settings_say_where_redis_is_and_only_servers_ask_it(redis_server: LocalRedis) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    given = Settings(redis_url=redis_server.url)
    open_models(given).embed("alpha")
    assert client.dbsize() == 0
    open_models(given, serving=True).embed("alpha")
    assert client.dbsize() == 1
    with pytest.raises(InvalidInput, match="redis_url cannot be read; it is redis://") as refused:
        open_models(Settings(redis_url="redis://me:pass/word@127.0.0.1"), serving=True)
    assert "pass/" not in str(refused.value)
