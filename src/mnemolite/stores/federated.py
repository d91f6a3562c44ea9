"""Several stores searched as one: lists of the same kind have comparable scores, so they are merged by score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mnemolite.ports import Index, Store
from mnemolite.stores.numbering import Numbering
from mnemolite.types import Card, Chunk, Ranking, Scope, Space

if TYPE_CHECKING:
    from mnemolite.types import Vector


@dataclass(frozen=True)
class Member:
    store: Store
    label: str  # the source its chunks are shown under, and filtered by
    below: str = ""  # the folder of it that is searched; paths are relative to it


class FederatedIndex:
    """An :class:`~mnemolite.ports.Index`."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = tuple(members)
        self._numbers = Numbering(len(members))

    def chunks(self, ids: Sequence[int]) -> list[Chunk]:
        found: dict[int, Chunk] = {}
        for number, own in self._numbers.by_member(ids).items():
            member = self._members[number]
            for chunk in member.store.chunks(own):
                id = self._numbers.outer(chunk.id, number)
                path = chunk.path.removeprefix(f"{member.below}/")
                found[id] = replace(chunk, id=id, source=member.label, path=path)
        return [found[id] for id in ids if id in found]

    def cards(self, ids: Sequence[int]) -> list[Card]:
        found: list[Card] = []
        for number, own in self._numbers.by_member(ids).items():
            member = self._members[number]
            for card in member.store.cards(own):
                path = card.path.removeprefix(f"{member.below}/")
                id = self._numbers.outer(card.id, number)
                found.append(card._replace(id=id, source=member.label, path=path))
        return found

    def lexical(self, terms: Sequence[str], scope: Scope, limit: int, alternatives: Sequence[str] = ()) -> Ranking:
        return self._merge(lambda index, own: index.lexical(terms, own, limit, alternatives), scope, limit)

    def frequencies(self, terms: Sequence[str]) -> tuple[Mapping[str, int], int]:
        total: Counter[str] = Counter()
        chunks = 0
        for member in self._members:
            found, size = member.store.frequencies(terms)
            total.update(found)
            chunks += size
        return total, chunks

    def named(self, fragment: str, scope: Scope, limit: int) -> Ranking:
        return self._merge(lambda index, own: index.named(fragment, own, limit), scope, limit)

    def nearest(self, space: Space, vector: Vector, scope: Scope, limit: int) -> Ranking:
        return self._merge(lambda index, own: index.nearest(space, vector, own, limit), scope, limit)

    def origin(self, chunk: Chunk) -> tuple[Store, str]:
        member = self._members[self._numbers.inner(chunk.id)[0]]
        return member.store, f"{member.below}/{chunk.path}" if member.below else chunk.path

    def _merge(self, ask: Callable[[Index, Scope], Ranking], scope: Scope, limit: int) -> Ranking:
        rankings = {}
        for number, member in enumerate(self._members):
            if scope.sources and member.label not in scope.sources:
                continue
            paths = tuple(f"{member.below}/{glob}" if member.below and "/" in glob else glob for glob in scope.paths)
            own = replace(scope, sources=(), below=member.below, paths=paths)
            rankings[number] = ask(member.store, own)
        return self._numbers.merged(rankings, limit)
