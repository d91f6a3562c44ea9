"""Values in a Redis that servers share."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mnemolite.caches.breaker import Breaker
from mnemolite.errors import InvalidInput
from mnemolite.types import CacheLevel

if TYPE_CHECKING:
    from redis.client import Pipeline

PREFIX = "mnemolite:1:"  # the number is that of the form of the values
TIMEOUT_SECONDS = 0.1  # a server nearby answers within a few milliseconds; a model takes less than this
_SEAL_BYTES = 8

_FAILURES = (redis.RedisError, OSError)


class RedisCache:
    """
    A :class:`~mnemolite.ports.Cache` behind *url*, where each value lives for *ttl_seconds*.

    A server that is away, late, full or refuses us costs one call about *timeout_seconds*; then it is left alone for a
    while. One that only takes no more values is still read. What it gives is trusted only with our seal of key and
    value on it: anything else, and an answer to another question, is as if it were not there.
    """

    def __init__(
        self,
        url: str,
        *,
        ttl_seconds: float = 3600,
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=timeout_seconds,
                socket_connect_timeout=timeout_seconds,
                retry=Retry(NoBackoff(), 0),  # the default tries four times, seconds apart
            )
        except ValueError:  # which may show a part of the password
            raise InvalidInput("redis_url cannot be read; it is redis://user:password@host:port/number") from None
        where = self._client.get_connection_kwargs()
        self._place = where.get("path") or f"{where.get('host', 'localhost')}:{where.get('port', 6379)}"
        self._ttl_ms = max(1, round(1000 * ttl_seconds))
        self._reading = Breaker(clock)
        self._writing = Breaker(clock)
        self._lock = threading.Lock()
        self._hits = self._misses = self._errors = self._corrupt = 0

    @property
    def degraded(self) -> str:
        return self._reading.trouble or self._writing.trouble

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        corrupt = 0
        for key, sealed in zip(keys, self._read(keys), strict=True):
            if sealed is None:
                continue
            value = _opened(key, sealed)
            if value is None:
                corrupt += 1
            else:
                found[key] = value
        with self._lock:
            self._hits += len(found)
            self._misses += len(keys) - len(found)
            self._corrupt += corrupt
        return found

    def put_many(self, values: Mapping[str, bytes]) -> None:
        def put(pipeline: Pipeline) -> None:
            for key, value in values.items():
                pipeline.set(PREFIX + key, _seal(key, value) + value, px=self._ttl_ms)

        self._write(put)

    def drop(self, keys: Sequence[str]) -> None:
        def unlink(pipeline: Pipeline) -> None:
            pipeline.unlink(*(PREFIX + key for key in keys))

        if keys:
            self._write(unlink)

    def levels(self) -> list[CacheLevel]:
        with self._lock:
            return [
                CacheLevel(
                    name="redis",
                    hits=self._hits,
                    misses=self._misses,
                    errors=self._errors,
                    corrupt=self._corrupt,
                    trouble=self.degraded,
                )
            ]

    def _read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        nothing = [None] * len(keys)
        if not keys or not self._reading.allows():
            return nothing
        try:
            values = cast("list[bytes | None]", self._client.mget([PREFIX + key for key in keys]))
        except _FAILURES as error:
            self._failed(self._reading, "is not used", error)
            return nothing
        self._reading.succeeded()
        return values

    def _write(self, fill: Callable[[Pipeline], None]) -> None:
        if self._reading.trouble or not self._writing.allows():
            return
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                fill(pipeline)
                for answer in pipeline.execute(raise_on_error=False):  # raised there, an error would show the value
                    if isinstance(answer, redis.RedisError):
                        raise answer
        except _FAILURES as error:
            self._failed(self._writing, "takes no more values", error)
        else:
            self._writing.succeeded()

    def _failed(self, breaker: Breaker, what: str, error: Exception) -> None:
        with self._lock:
            self._errors += 1
        breaker.failed(f"cache: Redis at {self._place} {what}: {error}")


def _seal(key: str, value: bytes) -> bytes:
    return hashlib.blake2b(b"%b\0%b" % (key.encode(), value), digest_size=_SEAL_BYTES).digest()


def _opened(key: str, sealed: bytes) -> bytes | None:
    value = sealed[_SEAL_BYTES:]
    return value if sealed[:_SEAL_BYTES] == _seal(key, value) else None
