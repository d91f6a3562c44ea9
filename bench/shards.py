"""
One PostgreSQL server beside a coordinator with shards: ``python bench/shards.py 30000 --shards 3``.

Servers of their own on this machine with their usual, durable settings, so the shards share its cores: what is compared
is the work, not what more machines would add. Texts and vectors as in storage.py, in thirty repositories that are put
one after the other; queries as in postgres.py. CPU is that of this process and of all servers together.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path

from mnemolite.lab.local_postgres import LocalPostgres, local_postgres
from mnemolite.ports import Store
from mnemolite.search.understand import query_terms
from mnemolite.stores.postgres import PostgresStore
from mnemolite.stores.postgres_connection import Database
from mnemolite.stores.postgres_migrate import Schema
from mnemolite.stores.sharded import ShardedStore
from mnemolite.stores.shards import Shards
from mnemolite.types import Indexed, Ranking, Scope
from postgres import OPTIONS, POOL, QUERIES, RANKED, SHOWN, server_seconds
from storage import documents, space, texts, vectors

REPOSITORIES = 30
TICKS = os.sysconf("SC_CLK_TCK")


def spent(servers: Sequence[LocalPostgres]) -> float:
    """CPU seconds of this process and of the servers, of connections that have ended too."""
    ended = 0
    for server in servers:
        fields = Path(f"/proc/{server.pid()}/stat").read_text().rpartition(")")[2].split()
        ended += int(fields[13]) + int(fields[14])
    return time.process_time() + ended / TICKS + sum(map(server_seconds, servers))


def by_repository(count: int, dimension: int) -> dict[str, list[Indexed]]:
    found = defaultdict(list)
    for number, item in enumerate(documents(count, dimension)):
        name = f"repository{number % REPOSITORIES}"
        document = replace(item.document, source=name)
        found[name].append(replace(item, document=document, chunks=tuple(replace(c, source=name) for c in item.chunks)))
    return found


def fill(store: Store, repositories: dict[str, list[Indexed]], servers: Sequence[LocalPostgres]) -> None:
    before, clock = spent(servers), time.perf_counter()
    for name, items in repositories.items():
        with store.writer(name):
            store.put(items)
    chunks = sum(len(item.chunks) for items in repositories.values() for item in items)
    wall, cpu = time.perf_counter() - clock, spent(servers) - before
    print(f"  put        {chunks / wall:7,.0f} chunks/s, {cpu / chunks * 1e6:5.0f} us CPU a chunk, indexes included")


def measure(name: str, servers: Sequence[LocalPostgres], ask: Callable[[int], object]) -> None:
    for i in range(20):
        ask(i)
    clocks = []
    before = spent(servers)
    for i in range(20, 20 + QUERIES):
        clock = time.perf_counter()
        ask(i)
        clocks.append((time.perf_counter() - clock) * 1000)
    cpu = (spent(servers) - before) / QUERIES * 1000
    print(f"  {name:10} CPU {cpu:6.2f} ms a query, wall p50 {statistics.median(clocks):6.2f} ms")


def questions(count: int) -> list[list[str]]:
    chooser, asked = random.Random(0), []
    for text in islice(texts(), 0, count, max(1, count // (QUERIES * 3))):
        telling = [term for term in dict.fromkeys(query_terms(text)) if len(term) > 3]
        if len(telling) >= 4:
            asked.append(chooser.sample(telling, 4))
    return asked


def ask(store: Store, count: int, dimension: int, servers: Sequence[LocalPostgres]) -> list[set[str]]:
    """The hits of each query, for comparison."""
    here, points, asked = space(dimension), vectors(QUERIES + 20, dimension, 12345), questions(count)

    def hybrid(i: int, scope: Scope = Scope()) -> Ranking:
        found = store.lexical(asked[i % len(asked)], scope, POOL)
        near = store.nearest(here, points[i], scope, POOL)
        best = list(dict.fromkeys(id for pair in zip_longest(found, near) for id, _ in filter(None, pair)))
        store.cards(best[:RANKED])
        return [(chunk.id, 0.0) for chunk in store.chunks(best[:SHOWN])]

    measure("all", servers, hybrid)
    measure("one of 30", servers, lambda i: hybrid(i, Scope(sources=(f"repository{i % REPOSITORIES}",))))
    shown = [store.chunks([id for id, _ in hybrid(i)]) for i in range(QUERIES)]
    return [{f"{c.source}/{c.path}:{c.first_line}" for c in chunks} for chunks in shown]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=30_000)
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--dimension", type=int, default=256)
    options = parser.parse_args()
    repositories = by_repository(options.count, options.dimension)
    answers = []
    for shards in (0, options.shards):
        print(f"{options.count:,} x {options.dimension}, {f'{shards} shards' if shards else '1 server'}")
        with ExitStack() as started:
            servers = [started.enter_context(local_postgres(OPTIONS)) for _ in range(1 + shards)]
            for server in servers:
                Schema(server.url()).upgrade()
            first, *others = (Database(server.url(), statement_seconds=600) for server in servers)
            named = {f"shard{number}": database for number, database in enumerate(others)}
            store: Store = ShardedStore(Shards(first, named)) if named else PostgresStore(first)
            fill(store, repositories, servers)
            for database in (first, *others):
                with database.alone() as connection:  # now, and not while it is asked
                    connection.execute("VACUUM ANALYZE")
                    connection.execute("CHECKPOINT")
            answers.append(ask(store, options.count, options.dimension, servers))
            print(f"  {store.stats().bytes_on_disk / 1e6:,.0f} MB")
            store.close()
    overlap = statistics.mean(len(one & many) / SHOWN for one, many in zip(*answers, strict=True))
    print(f"overlap of the {SHOWN} first: {overlap:.3f}")


if __name__ == "__main__":
    main()
