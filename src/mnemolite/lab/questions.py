"""Queries whose answer is known, out of the pairs mined from a repository, and the tree to ask them of."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from mnemolite.lab.mine_text import TEST_PATH
from mnemolite.lab.pairs import Pair, Relation
from mnemolite.lab.repository import Git

MOST = {Relation.DOCSTRING: 20, Relation.COMMIT: 12, Relation.TEST: 8}  # of one repository
MOST_OF_A_FILE = 2
MOST_CHANGED = 3  # files, of a commit that is about something
_WORDS = range(4, 26)
_CHORE = re.compile(
    r"\b(?:merge|typos?|bump|releas\w+|lint\w*|format\w*|readme|changelog|revert|version|tests?|ci)\b", re.I
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Question:
    relation: Relation
    text: str
    files: tuple[str, ...]  # what answers it: all are wanted


def write_tree(git: Git, folder: Path, *, max_bytes: int) -> int:
    """How many files of HEAD were written below *folder*."""
    (tree := folder / "tree").mkdir(parents=True, exist_ok=True)
    count = 0
    for blob, data in git.contents([b for b in git.blobs() if b.size <= max_bytes], folder / "wishes"):
        file = tree / blob.path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        except OSError:  # a name this system does not allow
            continue
        count += 1
    return count


def questions_of(pairs: Iterable[Pair], tree: Path) -> list[Question]:
    """
    At most MOST of each relation, the same ones each time.

    A docstring that is asked for is cut out of its file in *tree*, for it would be found by its own words.
    """
    found: list[Question] = []
    files: dict[tuple[Relation, str], set[str]] = defaultdict(set)
    for pair in pairs:
        if pair.relation in MOST and len(_WORD.findall(pair.query)) in _WORDS:
            files[pair.relation, pair.query].add(pair.path)
    for relation, most in MOST.items():
        asked = [Question(relation, text, tuple(sorted(of))) for (kind, text), of in files.items() if kind == relation]
        found += islice(_answerable(sorted(asked, key=_order), tree), most)
    return found


def _answerable(asked: Iterable[Question], tree: Path) -> Iterator[Question]:
    taken: dict[str, int] = defaultdict(int)
    for question in asked:
        there = all((tree / file).is_file() for file in question.files)
        tests = sum(TEST_PATH.search(file) is not None for file in question.files)
        if not there or tests == len(question.files) or any(taken[file] >= MOST_OF_A_FILE for file in question.files):
            continue
        if _is_fair(question, tree):
            for file in question.files:
                taken[file] += 1
            yield question


def _is_fair(question: Question, tree: Path) -> bool:
    if question.relation is Relation.COMMIT:
        return len(question.files) <= MOST_CHANGED and not _CHORE.search(question.text)
    if len(question.files) > 1:  # said of several things: no one is the answer
        return False
    file = tree / question.files[0]
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    rest = without(text, question.text)
    if question.relation is Relation.TEST:  # one beside what it tests would be found by its own name
        return rest == text
    if rest != text:
        file.write_bytes(rest.encode("utf-8", "surrogateescape"))
    return rest != text


def without(text: str, said: str) -> str:
    """*text* without the first place that has the words of *said* in order, whatever marks lie between."""
    words = map(re.escape, _WORD.findall(said))
    found = re.search(r"[\W_]*".join(words), text, re.IGNORECASE)
    return text[: found.start()] + re.sub(r"[^\n]", "", found[0]) + text[found.end() :] if found else text


def _order(question: Question) -> bytes:
    return blake2b(question.text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
