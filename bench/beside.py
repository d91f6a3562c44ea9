"""
Warm queries beside semble, both holding the same tree, asked in turns in one run:

    python bench/beside.py TREE... --semble PYTHON --model FOLDER

PYTHON is the interpreter of an environment with semble; FOLDER a Model2Vec folder for it. Prints CPU milliseconds a
query, the median over the queries of bench/query.py, and the ratio of ours to its. Ours looks on disk each time whether
another process has changed the index; the text of the hits is in memory there and on disk here.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from mnemolite.settings import Settings
from mnemolite.types import Query
from mnemolite.wiring import open_tree
from query import QUERIES

REPEATS = 15
SEMBLE = """
import sys, time
from semble import SembleIndex
index = SembleIndex.from_path(sys.argv[1], model_path=sys.argv[2])
print(len(index.chunks), flush=True)
for line in sys.stdin:
    start = time.process_time()
    index.search(line.strip(), top_k=10)
    print(time.process_time() - start, flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", type=Path, nargs="+")
    parser.add_argument("--semble", required=True, metavar="PYTHON")
    parser.add_argument("--model", required=True, metavar="FOLDER")
    args = parser.parse_args()
    print(f"{'tree':<16}{'chunks, ours / its':>20}{'ours':>8}{'its':>8}{'ratio':>8}")
    for tree in args.trees:
        compare(tree.resolve(), [args.semble, "-c", SEMBLE, str(tree), args.model])


def compare(tree: Path, command: list[str]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_tree(tree, settings=msgspec.structs.replace(Settings(), index_dir=folder), create=True) as memory,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other,
    ):
        assert other.stdin is not None and other.stdout is not None
        memory.index()
        chunks = int(other.stdout.readline())

        def theirs(text: str) -> float:
            assert other.stdin is not None and other.stdout is not None
            print(text, file=other.stdin, flush=True)
            return float(other.stdout.readline())

        def ours(text: str) -> float:
            start = time.process_time()
            memory.search(Query(text=text, limit=10), freshness="skip")
            return time.process_time() - start

        own, its = in_turns(ours, theirs)
        own_chunks = sum(held.store.stats().chunks for held in memory.trees)
        other.stdin.close()
    print(f"{tree.name:<16}{f'{own_chunks:,} / {chunks:,}':>20}{1000 * own:8.2f}{1000 * its:8.2f}{own / its:8.2f}")


def in_turns(ours: Callable[[str], float], theirs: Callable[[str], float]) -> tuple[float, float]:
    rounds = [(ours(text), theirs(text)) for _ in range(REPEATS) for text in QUERIES][len(QUERIES) :]
    return median(own for own, _ in rounds), median(its for _, its in rounds)


if __name__ == "__main__":
    main()
