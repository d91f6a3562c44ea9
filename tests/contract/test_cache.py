"""What every Cache does. A new backend is a new entry of CACHES."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemolite.caches.lru import LruCache
from mnemolite.caches.redis import RedisCache
from mnemolite.caches.tiered import TieredCache
from mnemolite.lab.local_redis import LocalRedis
from mnemolite.ports import Cache

Clock = Callable[[], float]
CACHES: dict[str, Callable[[str, Clock], Cache]] = {
    "process": lambda url, clock: LruCache(clock=clock),
    "redis": lambda url, clock: RedisCache(url, timeout_seconds=5),
    "process before redis": lambda url, clock: TieredCache(
        LruCache(maxsize=2, clock=clock), RedisCache(url, timeout_seconds=5)
    ),
}
KEYS = st.text(st.characters(codec="utf-8"), max_size=2)
VALUES = st.dictionaries(KEYS, st.binary(max_size=9), max_size=5)


@pytest.fixture(params=CACHES)
def make(request: pytest.FixtureRequest, redis_server: LocalRedis) -> Callable[[], Cache]:
    def made() -> Cache:
        redis.Redis.from_url(redis_server.url).flushall()
        return CACHES[request.param](redis_server.url, lambda: 0.0)

    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(steps=st.lists(st.tuples(VALUES, st.lists(KEYS, max_size=2)), max_size=4))
def test_what_is_there_is_what_was_put_last(
    make: Callable[[], Cache], steps: list[tuple[dict[str, bytes], list[str]]]
) -> None:
    cache = make()
    held: dict[str, bytes] = {}
    for values, dropped in steps:
        cache.put_many(values)
        cache.drop(dropped)
        held = {key: value for key, value in (held | values).items() if key not in dropped}
        keys = [*held, *dropped, "never put"]
        assert cache.get_many(keys) == held
        assert cache.get_many([*keys, *keys]) == held
    assert cache.degraded == ""


def test_hits_and_misses_are_counted_at_each_level(make: Callable[[], Cache]) -> None:
    cache = make()
    cache.put_many({key: key.encode() for key in "abc"})
    cache.get_many(["a", "x"])
    cache.get_many(["a"])
    *near, last = cache.levels()
    assert sum(level.hits for level in (*near, last)) == 2
    assert last.misses == 1
    if near:  # it had room for b and c, and kept a when it came from afar
        assert [(level.hits, level.misses) for level in (*near, last)] == [(1, 2), (1, 1)]


def test_threads_find_their_own_values(make: Callable[[], Cache]) -> None:
    cache = make()

    def work(name: str) -> list[dict[str, bytes]]:
        found = []
        for number in range(20):
            cache.put_many({name: b"%d" % number})
            found.append(dict(cache.get_many([name])))
        return found

    with ThreadPoolExecutor(8) as pool:
        for name, found in zip("abcdefgh", pool.map(work, "abcdefgh"), strict=True):
            assert found == [{name: b"%d" % number} for number in range(20)]


def test_two_processes_share_what_is_in_redis_for_an_hour(redis_server: LocalRedis) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    RedisCache(redis_server.url).put_many({"a": b"1", "b": b""})
    assert RedisCache(redis_server.url).get_many(["a", "b", "c"]) == {"a": b"1", "b": b""}
    lives = [client.pttl(key) for key in client.keys("mnemolite:*")]
    assert len(lives) == 2
    assert all(3_500_000 < life <= 3_600_000 for life in lives)
