"""The store of source trees over several PostgreSQL databases: each repository is on one, all are searched as one."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mnemolite import types
from mnemolite.degraded import degradations
from mnemolite.errors import Conflict, NotFound, StoreUnavailable
from mnemolite.stores import postgres_search
from mnemolite.stores.numbering import Numbering
from mnemolite.stores.postgres import CATALOGUE_SECONDS, CODE, PostgresStore
from mnemolite.stores.postgres_lock import WriterLock
from mnemolite.stores.shards import Shards
from mnemolite.stores.spaces import in_use, incomplete, unknown
from mnemolite.transfer import Copied, copy_tree
from mnemolite.types import TREE, Card, Chunk, FileState, Indexed, Ranking, Scope, Space, SpaceState, Stats

if TYPE_CHECKING:
    from mnemolite.types import Vector


class ShardedStore:
    """
    A Store of all repositories, or of *source* alone, which it then calls TREE.

    What ranks asks all shards that hold something in the scope, at once; one that cannot be reached is left out, which
    is noticed. What a term tells is counted over all of them first, so that lists are those of a single database. All
    else asks the shard in question, and fails when it cannot be reached.
    """

    def __init__(self, shards: Shards, *, source: str = "") -> None:
        self.shards = shards
        self._source = source
        self._lock = WriterLock(shards.coordinator, "places")  # shared by who writes, alone for who moves a repository
        self._numbers = Numbering(len(shards.all))
        self._stores = [
            PostgresStore(shard.database, CODE, source=source, holds=partial(self._on, shard.name))
            for shard in shards.all
        ]

    @contextmanager
    def writer(self, source: str = "") -> Iterator[None]:
        if self._name(source):
            with self._placed(source) as store, store.writer(source):
                yield
            return
        with ExitStack() as held:
            held.enter_context(self._lock.held(""))
            for store in self._stores:
                held.enter_context(store.writer())
            yield

    def close(self) -> None:
        self.shards.close()

    def files(self, source: str, paths: Sequence[str] | None = None) -> Mapping[str, FileState]:
        number = self.shards.place(self._name(source))
        return {} if number is None else self._stores[number].files(source, paths)

    def documents(self, source: str, paths: Sequence[str]) -> list[Indexed]:
        number = self.shards.place(self._name(source))
        if number is None:
            return []
        return [
            replace(found, chunks=tuple(self._outer(chunk, number) for chunk in found.chunks))
            for found in self._stores[number].documents(source, paths)
        ]

    def put(self, items: Iterable[Indexed]) -> None:
        """In one transaction for each source."""
        by_source: defaultdict[str, list[Indexed]] = defaultdict(list)
        for item in items:
            by_source[item.document.source].append(item)
        for source, own in by_source.items():
            with self._placed(source) as store:
                store.put(own)

    def settle(self) -> None:
        """On the shards that can be reached; on another it is done when that is written to next."""
        for store in self._stores:
            with suppress(StoreUnavailable):
                store.settle()

    def touch(self, source: str, states: Mapping[str, FileState]) -> None:
        with self._placed(source) as store:
            store.touch(source, states)

    def drop(self, source: str, paths: Iterable[str]) -> None:
        with self._placed(source) as store:
            store.drop(source, paths)

    def clear(self) -> None:
        if self._source:
            with self._placed(TREE) as store:
                store.clear()
            return
        with self._lock.held(""):
            for store in self._stores:
                store.clear()

    def known_vectors(self, space: Space, digests: Sequence[bytes]) -> Mapping[bytes, Vector]:
        found = self.shards.ask(
            self.shards.holding(), lambda number: self._stores[number].known_vectors(space, digests)
        )
        return {digest: vector for known in found.values() for digest, vector in known.items()}

    def chunks(self, ids: Sequence[int]) -> list[Chunk]:
        own = self._numbers.by_member(ids)
        answers = self.shards.ask(own, lambda number: self._stores[number].chunks(own[number]))
        found = {
            outer.id: outer for number, chunks in answers.items() for outer in (self._outer(c, number) for c in chunks)
        }
        return [found[id] for id in ids if id in found]

    def cards(self, ids: Sequence[int]) -> list[Card]:
        own = self._numbers.by_member(ids)
        answers = self.shards.ask(own, lambda number: self._stores[number].cards(own[number]))
        return [
            card._replace(id=self._numbers.outer(card.id, number))
            for number, cards in answers.items()
            for card in cards
        ]

    def chunk_at(self, path: str, line: int) -> Chunk | None:
        answers = self.shards.ask(self._holding(Scope()), lambda number: self._stores[number].chunk_at(path, line))
        found = [self._outer(chunk, number) for number, chunk in answers.items() if chunk is not None]
        return min(found, key=lambda chunk: chunk.source, default=None)

    def chunks_of(self, path: str) -> list[Chunk]:
        answers = self.shards.ask(self._holding(Scope()), lambda number: self._stores[number].chunks_of(path))
        found = [[self._outer(chunk, number) for chunk in chunks] for number, chunks in answers.items() if chunks]
        return min(found, key=lambda chunks: chunks[0].source, default=[])

    def origin(self, chunk: Chunk) -> tuple[ShardedStore, str]:
        return self, chunk.path

    def vector(self, space: Space, id: int) -> Vector | None:
        number, own = self._numbers.inner(id)
        return self._stores[number].vector(space, own)

    def lexical(self, terms: Sequence[str], scope: Scope, limit: int, alternatives: Sequence[str] = ()) -> Ranking:
        return postgres_search.lexical(
            terms,
            limit,
            alternatives,
            lambda terms: self._counted(terms, scope),
            lambda parts, weights: self._merged(
                scope, limit, lambda store: store.matching(parts, weights, scope, limit)
            ),
        )

    def frequencies(self, terms: Sequence[str]) -> tuple[Mapping[str, int], int]:
        """A shard that is missing is not noticed: no hit is, in a scope that lies on the others."""
        with degradations():
            return self._counted(terms, Scope())

    def named(self, fragment: str, scope: Scope, limit: int) -> Ranking:
        return self._merged(scope, limit, lambda store: store.named(fragment, scope, limit))

    def nearest(self, space: Space, vector: Vector, scope: Scope, limit: int) -> Ranking:
        return self._merged(scope, limit, lambda store: store.nearest(space, vector, scope, limit))

    def spaces(self) -> list[Space]:
        """As frequencies: those of a shard that is missing are not missed."""
        with degradations():
            found = self.shards.ask(self._holding(Scope()), lambda number: self._stores[number].spaces())
        return list(dict.fromkeys(space for spaces in found.values() for space in spaces))

    def space_states(self) -> list[SpaceState]:
        found = [self._stores[number].space_states() for number in self._holding(Scope())]
        return _summed([states for states in found if states])

    def lacking(self, space: Space, after: int, limit: int) -> list[Chunk]:
        found = [
            self._outer(chunk, number)
            for number in self._holding(Scope())
            for chunk in self._stores[number].lacking(space, (after - number) // len(self._stores), limit)
        ]
        return sorted(found, key=lambda chunk: chunk.id)[:limit]

    def fill(self, space: Space, vectors: Mapping[int, Vector]) -> None:
        for number, own in self._numbers.by_member(list(vectors)).items():
            self._stores[number].fill(space, {id: vectors[self._numbers.outer(id, number)] for id in own})

    def activate(self, spaces: Sequence[Space]) -> None:
        """
        Shard by shard, once none lacks anything. For the moment between, each can be searched by the vectors before and
        by those after.
        """
        states = {state.space: state for state in self.space_states()}
        for space in spaces:
            if space not in states:
                raise Conflict(incomplete(space))
            if missing := states[space].missing:
                raise Conflict(incomplete(space, missing))
        for number in self._holding(Scope()):
            if self._stores[number].space_states():
                self._stores[number].activate(spaces)

    def drop_space(self, space: Space) -> None:
        held = {
            number: state
            for number in self._holding(Scope())
            for state in self._stores[number].space_states()
            if state.space == space
        }
        if not held:
            raise NotFound(unknown(space))
        if any(state.active for state in held.values()):
            raise Conflict(in_use(space))
        for number in held:
            self._stores[number].drop_space(space)

    def poisoned(self) -> Mapping[str, str]:
        return self._stores[0].poisoned()

    def add_poison(self, digest: str, reason: str) -> None:
        self._stores[0].add_poison(digest, reason)

    def sources(self) -> list[types.Source]:
        answers = self.shards.ask_all(lambda number: self._stores[number].sources())
        places = self.shards.places().shards
        found = [
            source
            for number, sources in answers.items()
            for source in sources
            if places.get(self._name(source.name)) == self.shards.all[number].name
        ]
        return sorted(found, key=lambda source: source.name)

    def version(self) -> int:
        return sum(self.shards.ask_all(lambda number: self._stores[number].version()).values())

    def stats(self) -> Stats:
        numbers = self._holding(Scope()) or [0]
        total, *others = (self._stores[number].stats() for number in numbers)
        for other in others:
            total = _sum(total, other)
        return total

    def connections(self) -> Mapping[str, int]:
        counted: Counter[str] = Counter()
        for store in self._stores:
            counted.update(store.connections())
        return counted

    def check(self) -> list[str]:
        found = self.shards.ask_all(lambda number: self._stores[number].check())
        problems = [
            f"shard {self.shards.all[number].name}: {problem}" for number, own in found.items() for problem in own
        ]
        return problems + self.left_over()

    def left_over(self) -> list[str]:
        """What stands where it is not looked for, a line each: mostly, what unfinished moves have left."""
        places, found = self.shards.places().shards, []
        held = {
            self.shards.all[number].name: [self._name(source.name) for source in sources]
            for number, sources in self.shards.ask_all(lambda number: self._stores[number].sources()).items()
        }
        for shard, names in held.items():
            for name in names:
                place = places.get(name)
                if place is None:
                    found.append(f"shard {shard}: {name!r}, which the coordinator does not know; index it again")
                elif place != shard and name in held.get(place, ()):
                    found.append(
                        f"shard {shard}: what an unfinished move of {name!r} left is still there; run 'mnemolite db"
                        f" move {name} --to {place}'"
                    )
                elif place != shard:
                    found.append(f"shard {shard}: {_elsewhere(name, place)}")
        return found

    def move(self, repository: str, to: str, told: Callable[[int, int], None]) -> Copied | None:
        """
        To the shard *to*; None when it is there already: then what an unfinished move left is removed. Searches find
        it all the while, and nobody writes to it. *told* of documents done, and of how many.

        Raises:
            NotFound: there is no such repository.
            Conflict: somebody is writing to it; or what would be removed may be all there is of it.
            StoreUnavailable: two shards are one database.
        """
        self.shards.check_apart()
        with self._lock.held(repository):
            at, target = self.shards.place(repository), self.shards.number(to)
            if at is None:
                raise NotFound(f"no repository {repository!r} is indexed")
            alone = [
                PostgresStore(shard.database, CODE, source=repository, holds=lambda: (repository,))
                for shard in self.shards.all
            ]
            left, copied = [number for number in range(len(alone)) if number != target], None
            if at != target:
                copied, left = copy_tree(alone[at], alone[target], told), [at]
                self.shards.put_at(repository, target)
                time.sleep(2 * CATALOGUE_SECONDS)  # until every process looks for it there
            superfluous = [number for number in left if alone[number].files(TREE)]
            if superfluous and not alone[target].files(TREE):
                raise Conflict(f"shard {self.shards.all[superfluous[0]].name}: {_elsewhere(repository, to)}")
            for number in superfluous:
                alone[number].clear()
            return copied

    def _counted(self, terms: Sequence[str], scope: Scope) -> tuple[Mapping[str, int], int]:
        answers = self.shards.ask(self._holding(scope), lambda number: self._stores[number].counted(terms, scope))
        total: Counter[str] = Counter()
        for counts, _ in answers.values():
            total.update(counts)
        return total, sum(chunks for _, chunks in answers.values())

    def _merged(self, scope: Scope, limit: int, ask: Callable[[PostgresStore], Ranking]) -> Ranking:
        answers = self.shards.ask(self._holding(scope), lambda number: ask(self._stores[number]))
        return self._numbers.merged(answers, limit)

    def _holding(self, scope: Scope) -> list[int]:
        if self._source:
            return self.shards.holding([self._source]) if TREE in (scope.sources or (TREE,)) else []
        return self.shards.holding(scope.sources)

    def _on(self, shard: str) -> Collection[str]:
        return self.shards.known().repositories.get(shard, ())

    @contextmanager
    def _placed(self, source: str) -> Iterator[PostgresStore]:
        """That of the shard *source* is on, and where it stays meanwhile."""
        with self._lock.held(self._name(source), shared=True):
            yield self._stores[self.shards.made(self._name(source))]

    def _name(self, source: str) -> str:
        """What the databases call *source*."""
        return self._source or source

    def _outer(self, chunk: Chunk, number: int) -> Chunk:
        return replace(chunk, id=self._numbers.outer(chunk.id, number))


def _elsewhere(repository: str, place: str) -> str:
    return (
        f"{repository!r}, of which nothing is on {place}, where it should be: database_shards may name them the wrong"
        " way round; else index it again"
    )


def _summed(shards: Sequence[Sequence[SpaceState]]) -> list[SpaceState]:
    """Of the states of each shard that has chunks; where one has nothing of a space, all its chunks are missing."""
    chunks = [max(state.chunks + state.missing for state in states) for states in shards]
    found = []
    for space in dict.fromkeys(state.space for states in shards for state in states):
        own = [next((state for state in states if state.space == space), None) for states in shards]
        found.append(
            SpaceState(
                space=space,
                active=all(state is not None and state.active for state in own),
                chunks=sum(state.chunks for state in own if state),
                vectors=sum(state.vectors for state in own if state),
                missing=sum(state.missing if state else whole for state, whole in zip(own, chunks, strict=True)),
            )
        )
    return found


def _sum(left: Stats, right: Stats) -> Stats:
    def added(name: str) -> Any:
        one, other = getattr(left, name), getattr(right, name)
        if isinstance(one, int):
            return one + other
        return dict(sum((Counter(one), Counter(other)), Counter())) if name != "details" else {**other, **one}

    return replace(left, **{each.name: added(each.name) for each in fields(Stats) if each.name != "vector_backend"})
