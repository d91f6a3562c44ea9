"""Ids of several stores taken as one: chunk *i* of member *m* of *n* is called ``i * n + m``."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from mnemolite.types import Ranking


@dataclass(frozen=True)
class Numbering:
    members: int

    def outer(self, id: int, member: int) -> int:
        return id * self.members + member

    def inner(self, id: int) -> tuple[int, int]:
        """The member, and what it calls the chunk."""
        return id % self.members, id // self.members

    def by_member(self, ids: Sequence[int]) -> dict[int, list[int]]:
        """What each member calls its chunks among *ids*."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for id in ids:
            member, own = self.inner(id)
            found[member].append(own)
        return found

    def merged(self, rankings: Mapping[int, Ranking], limit: int) -> Ranking:
        """The best of all members' lists of one kind, whose scores are comparable."""
        outer = [[(self.outer(id, member), score) for id, score in own] for member, own in rankings.items()]
        return list(islice(heapq.merge(*outer, key=lambda found: -found[1]), limit))
