"""In-process stores for answers that are dear to compute."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

_MISSING = object()


class LruCache:
    """Holds a fixed number of entries and drops the one untouched for longest."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, default: Any = None) -> Any:
        with self._lock:
            if key not in self._entries:
                return default
            self._entries.move_to_end(key)
            return self._entries[key]

    def put(self, key: Hashable, value: Any) -> None:
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)


class TtlCache:
    """Forgets each entry a set number of seconds after it was written."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._entries: dict[Hashable, tuple[float, Any]] = {}

    def get(self, key: Hashable, default: Any = None) -> Any:
        deadline, value = self._entries.get(key, (0.0, default))
        if deadline < self._clock():
            self._entries.pop(key, None)
            return default
        return value

    def put(self, key: Hashable, value: Any) -> None:
        self._entries[key] = (self._clock() + self._seconds, value)

    def purge(self) -> int:
        now = self._clock()
        stale = [key for key, (deadline, _) in self._entries.items() if deadline < now]
        for key in stale:
            del self._entries[key]
        return len(stale)


class TieredCache:
    """Asks a small fast level first, then a large slow one, and copies what it finds upwards."""

    def __init__(self, *levels: Any) -> None:
        self._levels = levels

    def get(self, key: Hashable, default: Any = None) -> Any:
        for depth, level in enumerate(self._levels):
            value = level.get(key, _MISSING)
            if value is not _MISSING:
                for upper in self._levels[:depth]:
                    upper.put(key, value)
                return value
        return default

    def put(self, key: Hashable, value: Any) -> None:
        for level in self._levels:
            level.put(key, value)


def memoize_method(name: str) -> Callable:
    def decorate(method: Callable) -> Callable:
        def wrapper(self, *args):
            store = self.__dict__.setdefault(f"_memo_{name}", {})
            if args not in store:
                store[args] = method(self, *args)
            return store[args]

        return wrapper

    return decorate
