"""Values in this process, of which the one not used for longest goes first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from mnemolite.errors import InvalidInput
from mnemolite.types import CacheLevel


class LruCache:
    """A :class:`~mnemolite.ports.Cache` of at most *maxsize* values, each for *ttl_seconds* from when it was put."""

    degraded = ""

    def __init__(
        self, maxsize: int = 1000, ttl_seconds: float = 600, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if maxsize < 1 or ttl_seconds <= 0:
            raise InvalidInput(f"a cache needs room and time: maxsize is {maxsize}, ttl_seconds {ttl_seconds}")
        self.maxsize = maxsize
        self.ttl_seconds = ttl_seconds
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, bytes]] = OrderedDict()  # the last used at the end
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def __len__(self) -> int:
        return len(self._held)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with self._lock:
            now = self._clock()
            for key in keys:
                until, value = self._held.get(key, (now, b""))
                if until > now:
                    self._held.move_to_end(key)
                    found[key] = value
                    self._hits += 1
                else:
                    self._held.pop(key, None)
                    self._misses += 1
        return found

    def put_many(self, values: Mapping[str, bytes]) -> None:
        with self._lock:
            until = self._clock() + self.ttl_seconds
            for key, value in values.items():
                self._held[key] = (until, value)
                self._held.move_to_end(key)
            while len(self._held) > self.maxsize:
                self._held.popitem(last=False)

    def drop(self, keys: Sequence[str]) -> None:
        with self._lock:
            for key in keys:
                self._held.pop(key, None)

    def levels(self) -> list[CacheLevel]:
        with self._lock:
            return [CacheLevel(name="process", hits=self._hits, misses=self._misses)]
