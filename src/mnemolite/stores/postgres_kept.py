"""What a process keeps of the rows that searches ask for again and again, as long as nothing stored changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from mnemolite.types import Card, Chunk

MOST_CARDS = 20_000  # some 10 MB
MOST_CHUNKS = 2_000
MOST_TERMS = 50_000

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Lately(Generic[Key, Value]):
    """At most *most* values, the newest; of a key that was asked for in vain the absence too. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[Key, Value | None] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, keys: Sequence[Key], ask: Callable[[list[Key]], Mapping[Key, Value]]) -> dict[Key, Value]:
        """Those of *keys* that there are; *ask* is called for those not held, at most once."""
        held = self._held
        with self._lock:
            known = {key: held[key] for key in keys if key in held}
        if missing := [key for key in dict.fromkeys(keys) if key not in known]:
            got = ask(missing)
            asked = {key: got.get(key) for key in missing}
            known |= asked
            with self._lock:
                held.update(asked)
                while len(held) > self._most:
                    held.popitem(last=False)
        return {key: value for key in keys if (value := known[key]) is not None}


Frequencies = Lately[tuple[tuple[int, ...], str], int]  # of terms, by sources and term


class Kept:
    def __init__(self) -> None:
        self.cards: Lately[int, Card] = Lately(MOST_CARDS)
        self.chunks: Lately[int, Chunk] = Lately(MOST_CHUNKS)
        self.frequencies: Frequencies = Lately(MOST_TERMS)
