"""
Cost of the embedded store, in CPU milliseconds: ``python bench/storage.py 10000 50000 --dimension 384``.

Texts are pieces of this Python's own standard library, vectors are random around 200 centres. Warm means of 20 queries;
cold is opening the store and the first query in a fresh process.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import numpy as np
from numpy.typing import NDArray

from mnemolite.search import tokens
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import Chunk, Document, Domain, Indexed, Kind, Scope, Space

LINES = 35
CHUNKS_PER_DOCUMENT = 10
BATCH = 1000
QUERIES = 20


def space(dimension: int) -> Space:
    return Space(domain=Domain.HYBRID, model="bench", dimension=dimension, fingerprint="bench")


def vectors(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((200, dimension), dtype=np.float32)
    rows = centres[rng.integers(0, 200, count)] + 0.8 * rng.standard_normal((count, dimension), dtype=np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def texts() -> Iterator[str]:
    """Endless: a later round differs from the first by a comment only."""
    pieces = []
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*/*.py")):
        lines = file.read_text(errors="replace").splitlines(keepends=True)
        pieces += ["".join(lines[i : i + LINES]) for i in range(0, len(lines), LINES)]
    for number in itertools.count():
        for piece in pieces:
            yield piece if number == 0 else f"# round {number}\n{piece}"


def documents(count: int, dimension: int) -> Iterator[Indexed]:
    """Documents of ten chunks, *count* chunks in all."""
    source = texts()
    for number in range(count // CHUNKS_PER_DOCUMENT):
        path = f"package{number % 50}/module{number}.py"
        chunks = tuple(
            Chunk(
                source="bench",
                path=path,
                language="python",
                kind=Kind.FUNCTION,
                text=text,
                first_line=i * LINES + 1,
                last_line=(i + 1) * LINES,
                name=f"function_{number}_{i}",
            )
            for i, text in enumerate(itertools.islice(source, CHUNKS_PER_DOCUMENT))
        )
        yield Indexed(
            document=Document(source="bench", path=path, digest="", language="python", size=0, mtime_ns=0),
            chunks=chunks,
            digests=tuple(f"{number}/{i}".encode().ljust(16, b"\0") for i in range(len(chunks))),
            vectors={space(dimension): vectors(len(chunks), dimension, number)},
        )


def fill(store: SqliteStore, count: int, dimension: int) -> float:
    """CPU seconds of the puts alone."""
    spent = 0.0
    made = documents(count, dimension)
    while batch := list(itertools.islice(made, BATCH // CHUNKS_PER_DOCUMENT)):
        before = time.process_time()
        store.put(batch)
        spent += time.process_time() - before
    return spent


def warm(ask: Callable[[int], object]) -> float:
    for i in range(5):
        ask(i)
    before = time.process_time()
    for i in range(QUERIES):
        ask(i)
    return (time.process_time() - before) / QUERIES * 1000


def cold(path: Path, dimension: int, kind: str) -> float:
    """CPU milliseconds to open the store and ask once, in a fresh process."""
    program = [sys.executable, __file__, "--ask", kind, "--file", str(path), "--dimension", str(dimension)]
    return min(float(subprocess.run(program, check=True, capture_output=True).stdout) for _ in range(3))


def ask_once(path: Path, dimension: int, kind: str) -> None:
    query = vectors(1, dimension, 12345)[0]
    before = time.process_time()
    store = SqliteStore(path, readonly=True)
    if kind == "vector":
        store.nearest(space(dimension), query, Scope(), 50)
    else:
        store.lexical(tokens.terms("read the next header of a message"), Scope(), 50)
    print((time.process_time() - before) * 1000)
    store.close()


def sizes(path: Path) -> dict[str, float]:
    """Megabytes by part."""
    parts: dict[str, float] = {}
    connection = apsw.Connection(str(path))
    for name, size in connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"):
        part = str(name) if str(name).startswith("chunks_") else str(name).split("_", maxsplit=1)[0]
        parts[part] = parts.get(part, 0) + float(size or 0) / 1e6
    connection.close()
    return {part: size for part, size in sorted(parts.items(), key=lambda item: -item[1]) if size >= 0.1}


def measure(folder: Path, count: int, dimension: int) -> None:
    path = folder / f"{count}.db"
    store = SqliteStore(path)
    spent = fill(store, count, dimension)
    queries = vectors(64, dimension, 12345)
    here, half = space(dimension), Scope(paths=("package1?/",))
    common, rare = tokens.terms("self return none value"), tokens.terms("smtp server header")
    print(f"{count} x {dimension}: put {spent:.2f} s, {count / spent:.0f} chunks/s")
    print(f"  nearest        {warm(lambda i: store.nearest(here, queries[i], Scope(), 50)):8.2f}")
    print(f"  nearest scoped {warm(lambda i: store.nearest(here, queries[i], half, 50)):8.2f}")
    print(f"  lexical AND    {warm(lambda i: store.lexical(rare[:1], Scope(), 50)):8.2f}")
    print(f"  lexical common {warm(lambda i: store.lexical(common, Scope(), 50)):8.2f}")
    print(f"  lexical OR     {warm(lambda i: store.lexical([*common, 'unheardof'], Scope(), 50)):8.2f}")
    print(f"  lexical scoped {warm(lambda i: store.lexical(common, half, 50)):8.2f}")
    print(f"  named          {warm(lambda i: store.named(f'tion_{i}2', Scope(), 50)):8.2f}")
    print(f"  chunks, 10     {warm(lambda i: store.chunks(range(i * 50 + 1, i * 50 + 11))):8.2f}")
    store.close()
    for kind in ("vector", "lexical"):
        print(f"  cold {kind:9} {cold(path, dimension, kind):8.2f}")
    print(f"  {path.stat().st_size / 1e6:.0f} MB:", ", ".join(f"{k} {v:.1f}" for k, v in sizes(path).items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[10_000])
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--ask", choices=["vector", "lexical"])
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.ask:
        ask_once(options.file, options.dimension, options.ask)
        return
    with tempfile.TemporaryDirectory() as folder:
        for count in options.counts:
            measure(Path(folder), count, options.dimension)


if __name__ == "__main__":
    main()
