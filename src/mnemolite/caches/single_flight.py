"""What several threads want at once is computed once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")


class _Flight(Generic[V]):
    """One computation of several keys, and whoever waits for some of them."""

    def __init__(self) -> None:
        self.flying = threading.Lock()  # held until it has landed
        self.flying.acquire()
        self.found: Mapping[str, V] = {}


class SingleFlight(Generic[V]):
    """
    Values by key, each computed by the first who wants it, while the others wait for it. Thread-safe.

    Nothing is kept once it is computed. A failure is that of its own caller alone: whoever waited computes anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[str, _Flight[V]] = {}

    def get(self, keys: Sequence[str], compute: Callable[[list[str]], Mapping[str, V]]) -> dict[str, V]:
        """The values of *keys*; *compute* is called with those nobody is computing yet, and gives a value for each."""
        found: dict[str, V] = {}
        while missing := [key for key in dict.fromkeys(keys) if key not in found]:
            flight = _Flight[V]()
            with self._lock:
                flights = {key: self._flying.setdefault(key, flight) for key in missing}
            own = [key for key in missing if flights[key] is flight]
            if own:
                self._fly(flight, own, compute)
            for key, joined in flights.items():
                with joined.flying:
                    if key in joined.found:
                        found[key] = joined.found[key]
        return found

    def _fly(self, flight: _Flight[V], keys: list[str], compute: Callable[[list[str]], Mapping[str, V]]) -> None:
        try:
            flight.found = compute(keys)
        finally:
            with self._lock:
                for key in keys:
                    del self._flying[key]
            flight.flying.release()
