"""
Examples of one's own code: a query, the chunk of an index that answers it, and chunks that seem to and do not.

On disk a line of JSON each: ``{"query", "positive_chunk_id", "negative_chunk_ids"}``, to which ours add the tree whose
index has the chunks, and what the query was to its chunk. A chunk's id is never given twice: where a file has changed
since, its examples are gone, never wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from itertools import groupby
from pathlib import Path

import msgspec

from mnemolite.errors import InvalidInput
from mnemolite.lab.mine import mine_tree
from mnemolite.lab.pairs import Pair
from mnemolite.lab.selection import capped
from mnemolite.memory import Memory
from mnemolite.ports import Store
from mnemolite.records import Feedback, Shown
from mnemolite.settings import Settings
from mnemolite.types import TREE, Chunk, Query
from mnemolite.wiring import open_memory

NEGATIVES = 4
_SEARCHED = 20  # hits of which they are taken
_HELD = 0.5  # share of a passage's lines that its chunk has at least
_LINE = 4  # characters; a shorter one is everywhere
MINED = ("docstring", "comment", "commit", "test", "name", "heading")  # relations that a chunk can answer
ACCEPTED = "accepted"
QUESTIONS = ("docstring", "comment", "commit", "test", ACCEPTED, "")  # somebody might ask; "" is of another's file


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One line; what else stands in it is nobody's concern."""

    query: str
    positive_chunk_id: str | int
    negative_chunk_ids: tuple[str | int, ...] = ()
    tree: str = ""  # its root; "" is the tree it is asked to be looked up in
    relation: str = ""


class Part(StrEnum):
    """What a file's examples are used for, by a hash of its path alone."""

    TRAIN = "train"
    VALIDATION = "validation"
    HELD_OUT = "held out"


def part_of(path: str) -> Part:
    """Seven files of ten are trained on, one chooses among what came of it, two say what it is worth."""
    digit = blake2b(path.encode("utf-8", "surrogateescape"), digest_size=2).digest()[0] % 10
    return Part.TRAIN if digit < 7 else Part.VALIDATION if digit < 8 else Part.HELD_OUT


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """An example with its chunks."""

    query: str
    relation: str
    tree: Path
    positive: Chunk
    negatives: tuple[Chunk, ...]

    @property
    def part(self) -> Part:
        return part_of(self.positive.path)


# From trees


@dataclass(frozen=True, kw_only=True)
class Mined:
    examples: Sequence[Example]
    counts: Mapping[str, int]  # by relation
    parts: Mapping[Part, int]
    dropped: Mapping[str, int]  # pairs by reason


def mine(memory: Memory, *, most: int, commits: int) -> Mined:
    """At most *most* of a memory of one tree, whose index is brought up to date; the same ones each time."""
    [tree] = memory.trees
    memory.index()
    mined = mine_tree(tree.root, commits=commits)
    dropped = Counter(mined.dropped)
    examples = []
    parts: Counter[Part] = Counter()
    wanted = capped([pair for pair in mined.pairs if pair.relation in MINED], most)
    for pair, chunk in _answered(wanted, tree.store):
        if chunk is None:
            dropped["no chunk of the index has it"] += 1
            continue
        examples.append(
            Example(
                query=pair.query,
                positive_chunk_id=str(chunk.id),
                negative_chunk_ids=tuple(str(each.id) for each in _mistaken(pair.query, chunk, memory)),
                tree=str(tree.root),
                relation=pair.relation.value,
            )
        )
        parts[part_of(pair.path)] += 1
    counts = Counter(example.relation for example in examples)
    return Mined(examples=examples, counts=counts, parts=parts, dropped=dropped)


def questions(memory: Memory, *, commits: int) -> list[Resolved]:
    """What a memory of one tree can be asked: of held-out files, and without what answers wrongly."""
    [tree] = memory.trees
    memory.index()
    pairs = [p for p in mine_tree(tree.root, commits=commits).pairs if p.relation in QUESTIONS]
    held_out = [pair for pair in pairs if part_of(pair.path) is Part.HELD_OUT]
    return [
        Resolved(query=pair.query, relation=pair.relation.value, tree=tree.root, positive=chunk, negatives=())
        for pair, chunk in _answered(sorted(held_out, key=lambda pair: pair.path), tree.store)
        if chunk is not None
    ]


def _answered(pairs: Iterable[Pair], store: Store) -> Iterator[tuple[Pair, Chunk | None]]:
    """*pairs*, in the order of their paths, with the chunks that answer them."""
    for path, own in groupby(pairs, key=lambda pair: pair.path):
        chunks = store.chunks_of(path)
        yield from ((pair, answering(pair, chunks)) for pair in own)


def accepted(memory: Memory, feedback: Sequence[Feedback]) -> tuple[list[Example], int]:
    """
    What was chosen from this tree, with what had stood above it as wrong; and how much of it is there no longer.

    A server knows the tree by its name as a repository.
    """
    [tree] = memory.trees
    names = (TREE, memory.settings.repository or tree.root.name)
    examples = []
    gone = 0
    for given in feedback:
        if given.shown[given.chosen].source not in names:
            continue
        above = (_now(shown, tree.store) for shown in given.shown[: given.chosen] if shown.source in names)
        if (chunk := _now(given.shown[given.chosen], tree.store)) is None:
            gone += 1
            continue
        wrong = [c for c in above if c is not None and part_of(c.path) == part_of(chunk.path) and c.text != chunk.text]
        examples.append(
            Example(
                query=given.query,
                positive_chunk_id=str(chunk.id),
                negative_chunk_ids=tuple(str(c.id) for c in wrong[-NEGATIVES:]),
                tree=str(tree.root),
                relation=ACCEPTED,
            )
        )
    return examples, gone


def _now(shown: Shown, store: Store) -> Chunk | None:
    """The chunk that stood there, where it is now; a name that is there no longer, or twice, is gone."""
    chunk = store.chunk_at(shown.path, shown.first_line)
    if chunk is not None and chunk.name == shown.name:
        return chunk
    named = [chunk for chunk in store.chunks_of(shown.path) if shown.name and chunk.name == shown.name]
    return named[0] if len(named) == 1 else None


def read_feedback(file: Path) -> list[Feedback]:
    """
    Raises:
        InvalidInput: the file cannot be read, or a line is none of 'feedback export'.
    """
    decode = msgspec.json.Decoder(Feedback).decode
    try:
        return [decode(line) for line in file.read_bytes().splitlines() if line.strip()]
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{file} is nothing that 'mnemolite feedback export' wrote: {error}") from error


def answering(pair: Pair, chunks: Sequence[Chunk]) -> Chunk | None:
    """The chunk that has most of the lines of the pair's passage, and half of them at least."""
    lines = _lines(pair.passage)
    shares = [len(lines & _lines(chunk.text)) for chunk in chunks]
    best = max(range(len(chunks)), key=shares.__getitem__, default=-1)
    return chunks[best] if best >= 0 and lines and shares[best] >= _HELD * len(lines) else None


def _lines(text: str) -> set[str]:
    return {line for each in text.split("\n") if len(line := each.strip()) >= _LINE}


def _mistaken(query: str, answer: Chunk, memory: Memory) -> Iterator[Chunk]:
    """
    What the present search finds for *query* beside its answer, in files of the same part: one that is trained on may
    not show what is held out.
    """
    hits = memory.search(Query(text=query, limit=_SEARCHED), freshness="skip", notes=0).hits
    found = 0
    for chunk in (hit.chunk for hit in hits):
        piece = (chunk.path, chunk.parent, chunk.name) == (answer.path, answer.parent, answer.name)
        if not piece and chunk.text != answer.text and part_of(chunk.path) == part_of(answer.path):
            found += 1
            yield chunk
        if found == NEGATIVES:
            return


# On disk


def write_examples(file: Path, examples: Iterable[Example]) -> None:
    """The file is there whole or not at all."""
    temporary = file.with_name(file.name + ".part")
    encode = msgspec.json.Encoder().encode
    try:
        with temporary.open("wb") as out:
            out.writelines(encode(example) + b"\n" for example in examples)
        temporary.replace(file)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}") from error


def read_examples(file: Path) -> list[Example]:
    """
    Raises:
        InvalidInput: the file cannot be read, or a line is no example; says which.
    """
    decode = msgspec.json.Decoder(Example).decode
    examples = []
    number = 0
    try:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            if line.strip():
                example = decode(line)
                if not example.query.strip():
                    raise InvalidInput(f"{file}, line {number}: the query is empty")
                examples.append(example)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise InvalidInput(
            f'{file}, line {number} is no {{"query", "positive_chunk_id", "negative_chunk_ids"}}: {error}'
        ) from error
    if not examples:
        raise InvalidInput(f"{file} holds no example")
    return examples


def resolve(examples: Sequence[Example], here: Path, settings: Settings | None = None) -> list[Resolved]:
    """
    Those whose answer is still in the index of their tree, in order; *here* is the tree of those that name none.

    Raises:
        NotFound: a tree has no index.
        InvalidInput: an id is no number, or none of the answers is there any more.
    """
    by_tree: dict[Path, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        by_tree[Path(example.tree) if example.tree else here].append(place)
    found: dict[int, Resolved] = {}
    for root, places in by_tree.items():
        with open_memory(root, settings=settings, create=False) as memory:
            [tree] = memory.trees
            ids = {id for place in places for id in _ids(examples[place])}
            chunks = {chunk.id: chunk for chunk in tree.store.chunks(sorted(ids))}
            for place in places:
                answer, *others = _ids(examples[place])
                if answer in chunks:
                    found[place] = Resolved(
                        query=examples[place].query,
                        relation=examples[place].relation,
                        tree=tree.root,
                        positive=chunks[answer],
                        negatives=tuple(chunks[id] for id in others if id in chunks),
                    )
    if not found:
        raise InvalidInput("none of the examples' chunks is in the index any more; mine them again")
    return [found[place] for place in sorted(found)]


def _ids(example: Example) -> list[int]:
    try:
        return [int(id) for id in (example.positive_chunk_id, *example.negative_chunk_ids)]
    except ValueError as error:
        raise InvalidInput(f"a chunk's id is a number, as 'mnemolite search --json' shows it: {error}") from error
