"""
Queries whose answer is known, of three sets, for bench/learnt.py and bench/late.py: "unseen", mined from repositories;
"semble's", those of bench/quality.py; "own tree", of `mnemolite eval`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from mnemolite.lab.evaluate import matches, read_cases
from mnemolite.lab.pairs import SUFFIX, read_pairs
from mnemolite.lab.questions import Question, questions_of, write_tree
from mnemolite.lab.repository import Git, git_folder
from mnemolite.memory import Memory
from mnemolite.settings import Settings
from mnemolite.types import Chunk
from mnemolite.wiring import open_tree
from quality import first_rank

UNSEEN, SEMBLES, OWN = SETS = ("unseen", "semble's", "own tree")
MAX_FILES = 1_000  # of a repository that is asked
MAX_BYTES = 400_000
_USAGE = """
    python -m mnemolite.lab.mine LIST --mirror MIRROR --out PAIRS
    python {file} --list LIST --mirror MIRROR --pairs PAIRS --work WORK --data DATA --trees TREES \\
        --queries tests/golden/queries.json --tree COPY_OF_tests/golden/tree

Queries are mined from the repositories of LIST (lines of owner/name) that have at most 1,000 files. Their trees,
without the docstrings that are asked for, and all indexes are kept in WORK, some 2 GB. Intervals are of 95 %, by the
bootstrap over groups (repositories; on the own tree categories) and their queries.
"""


@dataclass(frozen=True)
class Answered:
    sets: tuple[str, ...]  # that it is in: a mined one also in that of its relation
    group: str
    text: str
    targets: Sequence[Callable[[Chunk], bool]]


def arguments(file: str, doc: str) -> argparse.Namespace:
    usage = doc + _USAGE.replace("{file}", file)
    parser = argparse.ArgumentParser(description=usage, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("list", "mirror", "pairs", "work", "data", "trees", "queries", "tree"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def answered(args: argparse.Namespace) -> Iterator[tuple[Memory, Answered]]:
    for row in args.list.read_text().splitlines():
        name = row.split()[0]
        folder = args.work / name.replace("/", "+")
        if questions := mined(name.replace("/", "+"), folder, args):
            with indexed(folder / "tree", folder / "index") as memory:
                for question in questions:
                    sets = (UNSEEN, f"{UNSEEN}, {question.relation}")
                    yield memory, Answered(sets, name, question.text, [is_in(file) for file in question.files])
    for repo in json.loads((args.data / "repos.json").read_text()):
        name = repo["name"]
        root = (args.trees / name / (repo.get("benchmark_root") or "")).resolve()
        with indexed(root, args.work / "semble" / name) as memory:
            for entry in json.loads((args.data / "annotations" / f"{name}.json").read_text()):
                targets = [is_at(target) for target in [*entry["relevant"], *entry.get("secondary", [])]]
                yield memory, Answered((SEMBLES,), name, entry["query"], targets)
    with indexed(args.tree.resolve(), args.work / "own") as memory:
        for case in read_cases(args.queries):
            targets = [partial(matches, result) for result in case.expected_results]
            yield memory, Answered((OWN,), case.category, case.query, targets)


def mined(flat: str, folder: Path, args: argparse.Namespace) -> list[Question]:
    """Kept in *folder*, beside the tree that they are asked of."""
    kept = folder / "questions.json"
    if not kept.exists():
        git = Git(git_folder(args.mirror / flat))
        asked: list[Question] = []
        if len(git.blobs()) <= MAX_FILES:
            write_tree(git, folder, max_bytes=MAX_BYTES)
            asked = questions_of(read_pairs(args.pairs / f"{flat}{SUFFIX}"), folder / "tree")
        folder.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(msgspec.json.encode(asked))
    return msgspec.json.decode(kept.read_bytes(), type=list[Question])


def is_in(file: str) -> Callable[[Chunk], bool]:
    return lambda chunk: chunk.path == file


def is_at(target: str | dict[str, Any]) -> Callable[[Chunk], bool]:
    return lambda chunk: first_rank(target, [chunk]) is not None


@contextmanager
def indexed(root: Path, folder: Path) -> Iterator[Memory]:
    with open_tree(root, settings=Settings.load(None, {"MNEMOLITE_INDEX_DIR": str(folder)}), create=True) as memory:
        memory.index()
        yield memory
