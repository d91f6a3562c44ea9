"""
Warm queries in one process, by the size of the store: python bench/query.py TREE [--sizes 10000,100000]

The store holds the chunks of TREE, repeated under other paths with a word changed until it has the size; vectors of
repetitions are the true ones with noise. Prints CPU milliseconds a query, of each part, of the whole, and of
the whole without expansion. The store remembers how common the words of the eight queries are after the first round.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from mnemolite.embedders.static import StaticEmbedder
from mnemolite.ingest.passage import passage
from mnemolite.search.relevance import relevance
from mnemolite.search.retrieve import retrieve
from mnemolite.search.search import search
from mnemolite.search.understand import query_terms, understand
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import TREE, Chunk, Document, Indexed, Query, Role, Scope
from mnemolite.wiring import open_memory

if TYPE_CHECKING:
    from mnemolite.types import Vector

QUERIES = (
    "where do we validate an email?",
    "retry a request with exponential backoff",
    "parse command line arguments",
    "open_connection",
    "how are errors reported to the user",
    "getUserById",
    "read a configuration file and merge it with defaults",
    "close the socket when the client goes away",
)
REPEATS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--sizes", default="10000,100000")
    args = parser.parse_args()
    embedder = StaticEmbedder()
    seeds = read_chunks(args.tree)
    print(f"{len(seeds):,} chunks in the tree; CPU ms a query, median and 95th percentile over {len(QUERIES)} queries")
    print(
        f"{'chunks':>9}{'embed':>8}{'lexical':>9}{'nearest':>9}{'relevance':>11}{'whole p50':>11}{'p95':>7}"
        f"{'unexpanded':>12}{'put CPU s':>11}{'MB':>7}"
    )
    for size in map(int, args.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            store = SqliteStore(Path(folder) / "memory.db")
            start = time.process_time()
            with store.writer():
                for batch in batches(islice(grow(seeds, embedder), size)):
                    store.put(batch)
            put = time.process_time() - start
            print_row(size, store, embedder, put)
            store.close()


def read_chunks(tree: Path) -> list[Chunk]:
    with open_memory(tree) as memory:
        memory.index()
        [held] = memory.trees
        return held.store.chunks(range(1, 1_000_000))


def grow(seeds: list[Chunk], embedder: StaticEmbedder) -> Iterator[tuple[Chunk, Vector]]:
    vectors = embedder.embed([passage(chunk) for chunk in seeds], Role.PASSAGE)
    random = np.random.default_rng(0)
    for round in count():
        for chunk, vector in zip(seeds, vectors, strict=True):
            if round == 0:
                yield chunk, vector
                continue
            noisy = vector + 0.4 * random.normal(size=vector.shape) / np.sqrt(len(vector))
            text = chunk.text.replace(chunk.name, f"{chunk.name}_{round}") if chunk.name else chunk.text
            yield replace(chunk, id=0, path=f"part{round}/{chunk.path}", text=text), noisy.astype(np.float32)


def batches(pairs: Iterator[tuple[Chunk, Vector]], source: str = TREE) -> Iterator[list[Indexed]]:
    space = StaticEmbedder().space
    number = count()
    while pairs_of_batch := list(islice(pairs, 1024)):
        items = []
        for chunk, vector in pairs_of_batch:
            path = f"{chunk.path}#{next(number)}"
            document = Document(source=source, path=path, digest=path, language=chunk.language, size=1, mtime_ns=1)
            own = replace(chunk, source=source, path=path)
            items.append(
                Indexed(document=document, chunks=(own,), digests=(path.encode(),), vectors={space: vector[None, :]})
            )
        yield items


def print_row(size: int, store: SqliteStore, embedder: StaticEmbedder, put: float) -> None:
    vectors = {text: embedder.embed([text], Role.QUERY)[0] for text in QUERIES}
    weights = {"lexical": 0.5, "name": 0.5, "vector": 1.0}
    read = {
        text: (understand(text), retrieve(Query(text=text), understand(text), store, [embedder])) for text in QUERIES
    }
    embed, lexical, nearest, rated, whole, plain = timed(
        lambda text: embedder.embed([text], Role.QUERY),
        lambda text: store.lexical(query_terms(text), Scope(), 100),
        lambda text: store.nearest(embedder.space, vectors[text], Scope(), 100),
        lambda text: relevance(text, *read[text], store),
        lambda text: search(Query(text=text), store, [embedder], weights),
        lambda text: search(Query(text=text, expand=False), store, [embedder], weights),
    )
    print(
        f"{size:9,}{median(embed):8.2f}{median(lexical):9.2f}{median(nearest):9.2f}{median(rated):11.2f}{median(whole):11.2f}"
        f"{sorted(whole)[int(0.95 * len(whole))]:7.2f}{median(plain):12.2f}"
        f"{put:11.1f}{store.stats().bytes_on_disk / 1e6:7.0f}",
        flush=True,
    )


def timed(*asks: Callable[[str], object]) -> list[list[float]]:
    """Milliseconds of each, asked in turn, so that a machine that slows down slows all."""
    found: list[list[float]] = [[] for _ in asks]
    for repeat in range(REPEATS + 1):
        for text in QUERIES:
            for ask, times in zip(asks, found, strict=True):
                start = time.process_time()
                ask(text)
                if repeat:  # the first is for warming up
                    times.append(1000 * (time.process_time() - start))
    return found


if __name__ == "__main__":
    main()
