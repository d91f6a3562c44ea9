"""Two caches as one: a near one before a far one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnemolite.ports import Cache
from mnemolite.types import CacheLevel


class TieredCache:
    """A :class:`~mnemolite.ports.Cache`: what only *far* has is put into *near* when it is asked for."""

    def __init__(self, near: Cache, far: Cache) -> None:
        self._near = near
        self._far = far

    @property
    def degraded(self) -> str:
        return self._near.degraded or self._far.degraded

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        found = dict(self._near.get_many(keys))
        if missing := [key for key in keys if key not in found]:
            fetched = self._far.get_many(missing)
            if fetched:
                self._near.put_many(fetched)
            found |= fetched
        return found

    def put_many(self, values: Mapping[str, bytes]) -> None:
        self._near.put_many(values)
        self._far.put_many(values)

    def drop(self, keys: Sequence[str]) -> None:
        self._near.drop(keys)
        self._far.drop(keys)

    def levels(self) -> list[CacheLevel]:
        return [*self._near.levels(), *self._far.levels()]
