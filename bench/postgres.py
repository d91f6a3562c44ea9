"""
Cost of the PostgreSQL store: ``python bench/postgres.py 10000 100000``.

A server of its own with its usual, durable settings; texts and vectors as in storage.py. Queries are four words of one
of the texts. CPU is that of this process and of the server's together.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from itertools import islice, zip_longest
from pathlib import Path

from mnemolite.lab.local_postgres import LocalPostgres, local_postgres
from mnemolite.search.understand import query_terms
from mnemolite.stores.postgres import PostgresStore
from mnemolite.stores.postgres_connection import Database
from mnemolite.stores.postgres_migrate import Schema
from mnemolite.types import Kind, Scope
from storage import BATCH, CHUNKS_PER_DOCUMENT, documents, space, texts, vectors

OPTIONS = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
QUERIES = 200
POOL, RANKED, SHOWN = 100, 100, 10  # of each list, of both, and loaded whole: what a search for ten hits asks


def server_seconds(server: LocalPostgres) -> float:
    """CPU of every process of the server that is alive."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(server.data) in (folder / "cmdline").read_text() or _parent(folder) == server.pid():
                total += int((folder / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


def _parent(folder: Path) -> int:
    return int((folder / "stat").read_text().rpartition(")")[2].split()[1])


def cpu(server: LocalPostgres) -> float:
    return time.process_time() + server_seconds(server)


def backend_seconds(store: PostgresStore) -> float:
    """CPU of this process, and of the one process of the server that it talks to."""
    with store.database.reading() as connection:
        file = Path(f"/proc/{connection.info.backend_pid}/schedstat")
    return time.process_time() + int(file.read_text().split()[0]) / 1e9


def fill(server: LocalPostgres, store: PostgresStore, count: int, dimension: int) -> None:
    made = documents(count, dimension)
    spent = wall = 0.0
    with store.writer("bench"):
        while True:
            batch = list(islice(made, BATCH // CHUNKS_PER_DOCUMENT))
            if not batch:
                break
            before, clock = cpu(server), time.perf_counter()
            store.put(batch)
            spent += cpu(server) - before
            wall += time.perf_counter() - clock
        clock = time.perf_counter()
    print(f"{count:,} x {dimension}: put {count / wall:,.0f} chunks/s, {spent / count * 1e6:.0f} us CPU a chunk")
    print(f"  index afterwards {time.perf_counter() - clock:.0f} s")


def measure(store: PostgresStore, name: str, ask: Callable[[int], object]) -> None:
    for i in range(20):
        ask(i)
    spent, clocks = [], []
    for i in range(QUERIES):
        before, clock = backend_seconds(store), time.perf_counter()
        ask(i)
        clocks.append((time.perf_counter() - clock) * 1000)
        spent.append((backend_seconds(store) - before) * 1000)
    p50, p95 = statistics.median(spent), statistics.quantiles(spent, n=20)[-1]
    print(f"  {name:16} CPU p50 {p50:6.2f} p95 {p95:6.2f}   wall p50 {statistics.median(clocks):6.2f} ms")


def ask(store: PostgresStore, count: int, dimension: int) -> None:
    here = space(dimension)
    chooser = random.Random(0)
    asked = []
    for text in islice(texts(), 0, count, max(1, count // (QUERIES * 2))):
        telling = [term for term in dict.fromkeys(query_terms(text)) if len(term) > 3]
        if len(telling) >= 4:
            asked.append(chooser.sample(telling, 4))
    points = vectors(QUERIES, dimension, 12345)
    part = Scope(paths=("package1?/",))

    def hybrid(i: int, scope: Scope = Scope()) -> None:
        found = store.lexical(asked[i % len(asked)], scope, POOL)
        near = store.nearest(here, points[i % QUERIES], scope, POOL)
        best = list(dict.fromkeys(id for pair in zip_longest(found, near) for id, _ in filter(None, pair)))
        store.cards(best[:RANKED])
        store.chunks(best[:SHOWN])

    measure(store, "hybrid", hybrid)
    measure(store, "hybrid, path", lambda i: hybrid(i, part))
    measure(store, "hybrid, kind", lambda i: hybrid(i, Scope(kinds=(Kind.FUNCTION,))))
    measure(store, "words", lambda i: store.lexical(asked[i % len(asked)], Scope(), POOL))
    measure(store, "vectors", lambda i: store.nearest(here, points[i % QUERIES], Scope(), POOL))
    measure(store, "name", lambda i: store.named(f"tion_{i}2", Scope(), POOL))
    measure(store, "cards, 100", lambda i: store.cards(range(i * 40 + 1, i * 40 + 101)))
    print(f"  {store.stats().bytes_on_disk / 1e6:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[10_000])
    parser.add_argument("--dimension", type=int, default=256)
    options = parser.parse_args()
    for count in options.counts:
        with local_postgres(OPTIONS) as server:
            Schema(server.url()).upgrade()
            store = PostgresStore(Database(server.url(), statement_seconds=600))
            fill(server, store, count, options.dimension)
            ask(store, count, options.dimension)
            store.close()


if __name__ == "__main__":
    main()
