"""Several PostgreSQL databases: where each repository is, and asking many of them at once."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mnemolite.caches.breaker import Breaker
from mnemolite.degraded import degrade
from mnemolite.errors import MnemoError, StoreUnavailable
from mnemolite.stores.postgres import CATALOGUE_SECONDS, CODE
from mnemolite.stores.postgres_connection import Database

COORDINATOR = "coordinator"  # the database that knows where everything is; in its tables it is ''
_SHARD = f"coalesce(nullif(shard, ''), '{COORDINATOR}')"

T = TypeVar("T")


@dataclass
class Shard:
    """*trouble* is what became of the last call, "" of one that was answered."""

    name: str
    database: Database
    breaker: Breaker = field(default_factory=Breaker)
    trouble: str = ""


@dataclass(frozen=True)
class Places:
    """What the coordinator knew at some moment."""

    at: float
    shards: Mapping[str, str]  # by repository
    repositories: Mapping[str, Collection[str]]  # by shard


class Shards:
    """
    The *coordinator* knows on which of the *others* each repository is. Those it held before there were others stay on
    it until they are moved. Thread-safe.
    """

    def __init__(self, coordinator: Database, others: Mapping[str, Database]) -> None:
        self.all = (Shard(COORDINATOR, coordinator), *(Shard(name, database) for name, database in others.items()))
        self._numbers = {shard.name: number for number, shard in enumerate(self.all)}
        self._known: Places | None = None
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    @property
    def coordinator(self) -> Database:
        return self.all[0].database

    def number(self, name: str) -> int:
        """
        Raises:
            StoreUnavailable: no shard of this name is configured.
        """
        if name not in self._numbers:
            raise StoreUnavailable(f"there are repositories on the shard {name!r}; name it in database_shards")
        return self._numbers[name]

    def home(self, repository: str) -> str:
        """Where a new one goes. Of those there are, few have another home once there is one shard more."""

        def weight(shard: Shard) -> bytes:
            return hashlib.blake2b(f"{shard.name}\0{repository}".encode(), digest_size=16).digest()

        return max(self.all[1:], key=weight).name

    def places(self) -> Places:
        """
        As of a moment ago, or as last known, where the coordinator cannot be reached.

        Raises:
            StoreUnavailable: it cannot, and nothing is known.
        """
        known = self._known
        if known is not None and time.monotonic() - known.at < CATALOGUE_SECONDS:
            return known
        try:
            [known] = self.ask([0], lambda _: self._read()).values()
        except StoreUnavailable as error:
            if known is None:
                raise
            degrade(f"shard {COORDINATOR}: {error}; where repositories are may have changed")
        self._known = known
        return known

    def known(self) -> Places:
        """As :meth:`places`, however old."""
        return self._known or self.places()

    def place(self, repository: str) -> int | None:
        """
        The shard that *repository* is on now; None where it is on none.

        Raises:
            StoreUnavailable: the coordinator cannot be reached.
        """
        with self.coordinator.reading() as connection:
            found = connection.execute(
                f"SELECT {_SHARD} FROM sources WHERE collection = %s AND name = %s", (CODE, repository)
            ).fetchone()
        return None if found is None else self.number(found[0])

    def made(self, repository: str) -> int:
        """The shard that *repository* is on now; of a new one, from now on."""
        number = self.place(repository)
        if number is not None:
            return number
        with self.coordinator.reading() as connection:
            connection.execute(
                "INSERT INTO sources (collection, name, changes, chunks, shard) VALUES (%s, %s, 0, 0, %s)"
                " ON CONFLICT DO NOTHING",
                (CODE, repository, self.home(repository)),
            )
        self._outdate()
        return self.made(repository)

    def put_at(self, repository: str, number: int) -> None:
        """From now on it is there."""
        with self.coordinator.writing() as connection:
            connection.execute(
                "UPDATE sources SET shard = %s WHERE collection = %s AND name = %s",
                (self.all[number].name if number else "", CODE, repository),
            )
        self._outdate()

    def holding(self, repositories: Collection[str] = ()) -> list[int]:
        """The shards that any of *repositories* is on, or any at all where none is named."""
        places = self.places()
        if repositories:
            names = {places.shards[each] for each in repositories if each in places.shards}
        else:
            names = set(places.repositories)
        for name in names - self._numbers.keys():
            degrade(f"shard {name}: there are repositories on it, and database_shards does not name it")
        return sorted(self._numbers[name] for name in names & self._numbers.keys())

    def ask(self, numbers: Iterable[int], question: Callable[[int], T]) -> dict[int, T]:
        """
        What shards answer, all asked at once. One that cannot be reached or is late is left out, which is noticed.

        Raises:
            StoreUnavailable: none of them answers.
        """
        answers, missing = self._tried(numbers, question, self.coordinator.wait_seconds)
        if missing and not answers:
            raise StoreUnavailable("; ".join(missing.values()))
        for number, reason in missing.items():
            degrade(f"shard {self.all[number].name}: {reason}")
        return answers

    def ask_all(self, question: Callable[[int], T]) -> dict[int, T]:
        """
        However long it takes.

        Raises:
            StoreUnavailable: one cannot be reached.
        """
        answers, missing = self._tried(range(len(self.all)), question, None)
        if missing:
            raise StoreUnavailable("; ".join(missing.values()))
        return answers

    def troubles(self) -> dict[str, str]:
        """By shard why it cannot be used, "" of one that can. Asks them, but for those that have just failed."""
        known, missing = self._tried(range(len(self.all)), self._identity, self.coordinator.wait_seconds)
        missing |= self._twice(known)
        return {shard.name: missing.get(number, "") for number, shard in enumerate(self.all)}

    def check_apart(self) -> None:
        """
        Raises:
            StoreUnavailable: two are one database, so that what is removed from one is gone from the other.
        """
        for reason in self._twice(self.ask_all(self._identity)).values():
            raise StoreUnavailable(reason)

    def close(self) -> None:
        for shard in self.all:
            shard.database.close()

    def _tried(
        self, numbers: Iterable[int], question: Callable[[int], T], seconds: float | None
    ) -> tuple[dict[int, T], dict[int, str]]:
        """Answers, and why others gave none within *seconds*."""
        missing, asked = {}, []
        for number in numbers:
            shard = self.all[number]
            if shard.breaker.allows():
                asked.append(number)
            else:
                missing[number] = shard.trouble
        answers: dict[int, T] = {}
        for number, future in self._asked(asked, question, seconds).items():
            if not future.done():
                shard = self.all[number]
                shard.trouble = f"{shard.database.label} has not answered for {shard.database.wait_seconds:g} s"
                shard.breaker.failed(shard.trouble)
                missing[number] = shard.trouble
                continue
            try:
                answers[number] = future.result()
            except StoreUnavailable as error:
                missing[number] = str(error)
        return answers, missing

    def _asked(self, numbers: list[int], question: Callable[[int], T], seconds: float | None) -> dict[int, Future[T]]:
        """Each has ended, or is late."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(min(256, 32 * len(self.all)), "shards")  # most of them wait
        futures = {
            number: self._threads.submit(copy_context().run, self._answer, number, question) for number in numbers
        }
        wait(futures.values(), timeout=seconds)
        return futures

    def _answer(self, number: int, question: Callable[[int], T]) -> T:
        shard = self.all[number]
        try:
            answer = question(number)
        except StoreUnavailable as error:
            shard.trouble = str(error)
            shard.breaker.failed(str(error))
            raise
        except MnemoError:  # which it has said
            self._answered(shard)
            raise
        self._answered(shard)
        return answer

    def _answered(self, shard: Shard) -> None:
        shard.breaker.succeeded()
        shard.trouble = ""

    def _identity(self, number: int) -> tuple[object, ...]:
        """The same of two that are one database, however they are named; another of a server's copy."""
        with self.all[number].database.reading() as connection:
            found = connection.execute(
                "SELECT system_identifier, pg_postmaster_start_time(), oid"
                " FROM pg_control_system(), pg_database WHERE datname = current_database()"
            ).fetchone()
        assert found is not None
        return tuple(found)

    def _twice(self, identities: Mapping[int, tuple[object, ...]]) -> dict[int, str]:
        first: dict[tuple[object, ...], int] = {}
        for number, identity in sorted(identities.items()):
            first.setdefault(identity, number)
        return {
            number: f"{self.all[number].database.label} is the database of {self.all[first[identity]].name}, too;"
            " mend database_shards"
            for number, identity in identities.items()
            if first[identity] != number
        }

    def _outdate(self) -> None:
        if self._known is not None:
            self._known = replace(self._known, at=-math.inf)

    def _read(self) -> Places:
        with self.coordinator.searching() as connection:
            rows = connection.execute(
                f"SELECT name, {_SHARD} FROM sources WHERE collection = %s AND (chunks > 0 OR shard <> '')", (CODE,)
            )
            shards = dict(rows.fetchall())
        repositories: defaultdict[str, set[str]] = defaultdict(set)
        for repository, shard in shards.items():
            repositories[shard].add(repository)
        return Places(time.monotonic(), shards, repositories)
