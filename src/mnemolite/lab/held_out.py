"""
Questions of held-out files, asked of a copy of their tree in which they do not stand.

The copy is made of what the index has. A docstring or comment that is asked for is cut out of its file, and is no
question when the same is said elsewhere too. The name of a test and the subject of a commit are cut out wherever they
stand. Lines keep their numbers.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from msgspec import structs

from mnemolite.errors import InvalidInput
from mnemolite.lab.evaluate import K
from mnemolite.lab.examples import QUESTIONS, Part, Resolved
from mnemolite.lab.mine_text import TEST_PATH
from mnemolite.lab.questions import without
from mnemolite.models import model_folder
from mnemolite.settings import Settings
from mnemolite.types import TREE, Chunk, Domain, Query
from mnemolite.wiring import open_memory, open_tree

MOST = 400  # questions of one tree
UNANSWERED = 32_000.0  # tokens read when the answer is not among the first hits
WORDS = range(4, 26)
_SAID_ONCE = ("docstring", "comment")
_WORD = re.compile(r"[^\W_]+")


class Lists(NamedTuple):
    """Which a search has."""

    lexical: bool
    vector: bool


WHOLE, VECTORS, LEXICAL = Lists(True, True), Lists(False, True), Lists(True, False)


@dataclass(frozen=True, kw_only=True)
class Question:
    text: str
    relation: str
    path: str
    first_line: int
    last_line: int

    def is_answered_by(self, chunk: Chunk) -> bool:
        overlaps = chunk.first_line <= self.last_line and chunk.last_line >= self.first_line
        return chunk.path == self.path and overlaps


@dataclass(frozen=True)
class Copy:
    origin: Path
    root: Path
    questions: Sequence[Question]


@dataclass(frozen=True)
class Answer:
    rank: int | None  # of the first right hit; None when it is not among the first K
    tokens: float  # of what is read up to it, a token being four characters
    file: bool  # whether anything of the right file is among the first K

    @property
    def recall(self) -> float:
        return float(self.rank is not None)

    @property
    def ndcg(self) -> float:
        return 1 / math.log2(1 + self.rank) if self.rank else 0.0

    @property
    def reciprocal_rank(self) -> float:
        return 1 / self.rank if self.rank else 0.0


@contextmanager
def copies(examples: Sequence[Resolved], *, most: int = MOST) -> Iterator[list[Copy]]:
    """
    One of each tree that has something to ask, the same ones each time.

    Raises:
        InvalidInput: none has.
    """
    by_tree: dict[Path, list[Resolved]] = {}
    for one in examples:
        by_tree.setdefault(one.tree, []).append(one)
    with TemporaryDirectory() as scratch:
        made = [_copy(tree, own, Path(scratch, str(n)), most) for n, (tree, own) in enumerate(sorted(by_tree.items()))]
        if not any(copy.questions for copy in made):
            raise InvalidInput("the held-out files have nothing that could be asked; mine larger trees")
        yield [copy for copy in made if copy.questions]


def ask(copy: Copy, settings: Settings, ways: Mapping[str, Lists]) -> dict[str, list[Answer]]:
    """The answers to the copy's questions, by way of searching; its index goes when the copy goes."""
    beside = copy.root.parent
    folder = TemporaryDirectory(dir=beside, prefix="index-")
    own = structs.replace(
        settings,
        index_dir=folder.name,
        data_dir=str(beside / "none"),
        text_embedding_model=str(model_folder(settings, Domain.TEXT).absolute()),  # the user's own are in the data_dir
        code_embedding_model=str(model_folder(settings, Domain.CODE).absolute()),
        database_url="",
        min_score=0.0,
    )
    with folder, open_tree(copy.root, settings=own, create=True) as memory:
        memory.index()
        answers: dict[str, list[Answer]] = {way: [] for way in ways}
        for question in copy.questions:
            for way, lists in ways.items():
                query = Query(text=question.text, limit=K, lexical=lists.lexical, vector=lists.vector)
                found = memory.search(query, freshness="skip", notes=0)
                if found.degraded:  # it would measure something else
                    raise InvalidInput("; ".join(found.degraded))
                answers[way].append(_answer(question, [hit.chunk for hit in found.hits]))
    return answers


def _answer(question: Question, chunks: Sequence[Chunk]) -> Answer:
    read = 0.0
    for rank, chunk in enumerate(chunks, 1):
        read += len(chunk.text) / 4
        if question.is_answered_by(chunk):
            return Answer(rank, read, True)
    return Answer(None, UNANSWERED, any(chunk.path == question.path for chunk in chunks))


# Making a copy


def _copy(tree: Path, examples: Sequence[Resolved], folder: Path, most: int) -> Copy:
    texts = _texts(tree)
    questions = list(_cut_out(_candidates(examples), texts, most))
    for path, text in texts.items():
        file = folder / "tree" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return Copy(tree, folder / "tree", questions)


def _texts(tree: Path) -> dict[str, str]:
    """By path, as they were indexed: examples know the lines that files had then, and no secret is copied."""
    with open_memory(tree, create=False) as memory:
        [held] = memory.trees
        return {path: "".join(c.text for c in held.store.chunks_of(path)) for path in held.store.files(TREE)}


def _candidates(examples: Sequence[Resolved]) -> list[Resolved]:
    """In an order that says nothing; what is said of several things is no question about one."""
    said = Counter(one.query.lower() for one in examples)
    fit = [
        one
        for one in examples
        if one.part is Part.HELD_OUT
        and one.relation in QUESTIONS
        and len(_WORD.findall(one.query)) in WORDS
        and said[one.query.lower()] == 1
        and not TEST_PATH.search(one.positive.path)
    ]
    return sorted(fit, key=lambda one: blake2b(one.query.encode("utf-8", "surrogatepass")).digest())


def _cut_out(candidates: Sequence[Resolved], texts: dict[str, str], most: int) -> Iterator[Question]:
    """At most *most* questions; what they ask is cut out of *texts*."""
    plain = {path: _plain(text) for path, text in texts.items()}
    for one in candidates:
        if most == 0:
            return
        needle = _plain(one.query)
        where = [path for path, words in plain.items() if needle in words]
        changed = _once(one, where, texts) if one.relation in _SAID_ONCE else _everywhere(one, where, texts)
        if changed is None:
            continue
        texts |= changed
        plain |= {path: _plain(text) for path, text in changed.items()}
        most -= 1
        yield Question(
            text=one.query,
            relation=one.relation,
            path=one.positive.path,
            first_line=one.positive.first_line,
            last_line=one.positive.last_line,
        )


def _once(one: Resolved, where: Sequence[str], texts: Mapping[str, str]) -> dict[str, str] | None:
    path = one.positive.path
    if list(where) != [path]:
        return None
    lines = texts[path].split("\n")
    own = slice(one.positive.first_line - 1, one.positive.last_line)
    cut = without("\n".join(lines[own]), one.query)
    changed = "\n".join([*lines[: own.start], cut, *lines[own.stop :]])
    return None if _plain(one.query) in _plain(changed) else {path: changed}


def _everywhere(one: Resolved, where: Sequence[str], texts: Mapping[str, str]) -> dict[str, str] | None:
    changed = {}
    for path in where:
        text = texts[path]
        while (cut := without(text, one.query)) != text:
            text = cut
        if _plain(one.query) in _plain(text):
            return None
        changed[path] = text
    return changed


def _plain(text: str) -> str:
    """Letters and digits alone, so that words are found however they are written together."""
    return "".join(_WORD.findall(text)).lower()
