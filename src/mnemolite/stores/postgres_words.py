"""
What a chunk is found by, in the binary forms of PostgreSQL and pgvector.

A chunk's terms stand in a tsvector, with their places: it says which chunks have a term, or a phrase. How much each
term counts in the chunk stands in a sparsevec, by a hash of the term, so that the BM25 score of a query is one inner
product with the rarities of its terms.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from mnemolite.search.tokens import Fields
from mnemolite.stores.bm25 import BM25_B, BM25_K1, BODY_WEIGHT, NAME_WEIGHT, PATH_WEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.types import Matrix, Vector

DIMENSIONS = 1_000_000_000  # the most a sparsevec can have; two terms of one chunk meet once in a million chunks
# Terms of a chunk: 60 in tests/golden/tree, 145 in docs. A constant, for what a chunk's terms count must not depend on
# when it was stored. With 60 nDCG@10 there is SQLite's, which knows the true mean (.771, by words .670); with 70 it is
# .770 and .678, with 120 .768 and .687.
USUAL_LENGTH = 70
MAX_LEXEME_BYTES = 900_000  # a tsvector holds 1 MB
MAX_PLACE, MAX_PLACES = 16_383, 255  # a tsvector knows no later place, and no more of one lexeme
MAX_IMPACTS = 16_000  # a sparsevec holds no more
MARK = "!"  # before what is no term: terms have only letters and digits, and sort behind it
_NUL, _ESCAPE = "\0", "\1"
_ESCAPED = re.compile("\1[\1\2]")


@dataclass(frozen=True)
class Words:
    """Of some chunks, as they are sent: the tsvector of each, and the sparsevec of what its terms count."""

    tsvectors: list[bytes]
    impacts: list[bytes]
    frequencies: dict[str, int]  # in how many of the chunks each term stands, in the order of the terms


def words(chunks: Sequence[Fields], marks: Sequence[Collection[str]]) -> Words:
    """Of many chunks at once, which is several times faster; each is found by its *marks* too."""
    parts = [part for fields in chunks for part in (fields.body, fields.name, fields.path)]
    sizes = np.array([len(part) for part in parts], np.int64).reshape(-1, 3)
    stream = list(chain.from_iterable(parts))
    vocabulary = sorted(set(stream))
    numbers = {term: number for number, term in enumerate(vocabulary)}
    lengths = sizes.sum(axis=1)
    owner = np.repeat(np.arange(len(chunks)), lengths)
    # from one part to the next a place is left out, so that no phrase reaches over
    places = np.arange(len(stream)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    places += np.repeat(np.tile([0, 1, 2], len(chunks)), sizes.ravel())
    weights = np.repeat(np.tile([BODY_WEIGHT, NAME_WEIGHT, PATH_WEIGHT], len(chunks)), sizes.ravel())

    keys = owner * len(vocabulary) + np.fromiter(map(numbers.__getitem__, stream), np.int64, len(stream))
    order = np.argsort(keys, kind="stable")
    keys, places = keys[order], places[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))  # of each term of each chunk
    owner, term = np.divmod(keys[first], max(1, len(vocabulary)))
    frequencies = _sums(weights[order], first)
    impacts = frequencies * (BM25_K1 + 1)
    impacts /= frequencies + BM25_K1 * (1 - BM25_B + BM25_B * lengths[owner] / USUAL_LENGTH)
    lexemes, sizes = _lexemes(term, vocabulary, first, places)
    kept = _within(MAX_LEXEME_BYTES, sizes, owner)
    if not kept.all():
        lexemes = lexemes[np.repeat(kept, sizes)]
        sizes, owner, term, impacts = sizes[kept], owner[kept], term[kept], impacts[kept]
    ends = np.searchsorted(owner, np.arange(len(chunks)), side="right")
    counts = np.bincount(term, minlength=len(vocabulary))
    sent, last = lexemes.tobytes(), np.append(0, np.cumsum(sizes))[np.append(0, ends)].tolist()
    return Words(
        tsvectors=[
            tsvector(own_marks, more) + sent[start:end]
            for own_marks, more, (start, end) in zip(
                marks, np.diff(ends, prepend=0).tolist(), pairwise(last), strict=True
            )
        ],
        impacts=_sparsevecs(owner, term, impacts, vocabulary, len(chunks)),
        frequencies={term: count for term, count in zip(vocabulary, counts.tolist(), strict=True) if count},
    )


def _lexemes(
    term: NDArray[np.int64], vocabulary: Sequence[str], first: NDArray[np.int64], places: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """
    Each term, whose *places* begin at *first*, as a tsvector has it: the text, a NUL, how many places, each of them.
    All of them one after the other, and the size of each.
    """
    encoded = [term.encode() + b"\0" for term in vocabulary]
    counts = np.diff(first, append=len(places))
    rank = np.arange(len(places)) - np.repeat(first, counts)
    kept = (rank < MAX_PLACES) & (places <= MAX_PLACE)
    counts = _sums(kept.astype(np.int64), first)
    heads = np.cumsum(counts + 1) - counts - 1
    numbers = np.empty(len(first) + int(kept.sum()), ">u2")
    numbers[heads] = counts
    behind = np.ones(len(numbers), bool)
    behind[heads] = False
    numbers[behind] = places[kept]

    texts = np.array([len(each) for each in encoded], np.int64)
    pool = np.frombuffer(b"".join(encoded) + numbers.tobytes(), np.uint8)
    starts = np.stack([(np.cumsum(texts) - texts)[term], texts.sum() + 2 * heads], axis=1).ravel()
    lengths = np.stack([texts[term], 2 * (counts + 1)], axis=1)
    return pool[_ranges(starts, lengths.ravel())], lengths.sum(axis=1)


def _sparsevecs(
    owner: NDArray[np.int64],
    term: NDArray[np.int64],
    impacts: NDArray[np.float64],
    vocabulary: Sequence[str],
    chunks: int,
) -> list[bytes]:
    at = np.fromiter(map(place, vocabulary), np.int64, len(vocabulary))[term]
    keys = owner << 32 | at
    order = np.argsort(keys)
    order = order[np.diff(keys[order], prepend=-1) != 0]  # two terms of one hash count once
    order = order[_within(MAX_IMPACTS, np.ones(len(order), np.int64), owner[order])]
    places, values = at[order].astype(">i4").tobytes(), impacts[order].astype(">f4").tobytes()
    ends = np.searchsorted(owner[order], np.arange(chunks), side="right").tolist()
    return [
        struct.pack(">3i", DIMENSIONS, end - start, 0) + places[4 * start : 4 * end] + values[4 * start : 4 * end]
        for start, end in pairwise([0, *ends])
    ]


def _sums(values: NDArray[Any], first: NDArray[np.int64]) -> NDArray[Any]:
    """Of the groups that begin at *first*."""
    return np.add.reduceat(values, first) if len(first) else values


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """All numbers of each range, one range after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def _within(most: int, sizes: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which come first among those of their owner, as many as have *most* together."""
    ends = np.cumsum(sizes)
    before = np.searchsorted(owner, owner, side="left")
    kept: NDArray[np.bool_] = ends - np.append(0, ends)[before] <= most
    return kept


def place(term: str) -> int:
    return crc32(term.encode()) % DIMENSIONS


def tsvector(lexemes: Collection[str], more: int = 0) -> bytes:
    """As it is sent: a count, then each lexeme with a NUL and the number of its places, 0; *more* are to follow."""
    sent = ("\0\0\0".join(lexemes) + "\0\0\0").encode() if lexemes else b""
    return struct.pack(">i", len(lexemes) + more) + sent


def trigrams(folded: str) -> set[str]:
    return {folded[i : i + 3] for i in range(len(folded) - 2)}


def halfvecs(matrix: Matrix) -> list[bytes | None]:
    """Each row as it is sent; None for a zero row, which no search must find."""
    count, dimension = matrix.shape
    buffer = np.empty((count, dimension + 2), ">i2")
    buffer[:, 0], buffer[:, 1] = dimension, 0
    buffer[:, 2:] = matrix.astype(np.float16).view(np.int16)
    return [row.tobytes() if row[2:].any() else None for row in buffer]


def halfvec(vector: Vector) -> bytes:
    return struct.pack(">2h", len(vector), 0) + vector.astype(">f2").tobytes()


def restore(sent: bytes | None, dimension: int) -> Matrix:
    if sent is None:
        return np.zeros(dimension, np.float32)
    return np.frombuffer(sent, ">f2", offset=4).astype(np.float32)


def array(numbers: Iterable[int]) -> str:
    """As PostgreSQL reads it, which is sent many times faster than a list."""
    return f"{{{','.join(map(str, numbers))}}}"


def quoted(lexeme: str) -> str:
    """*lexeme* as a tsquery reads it literally."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def all_of(lexemes: Iterable[str]) -> str:
    return " & ".join(map(quoted, lexemes))


def phrase(lexemes: Iterable[str]) -> str:
    return "(" + " <-> ".join(map(quoted, lexemes)) + ")"


def any_of(lexemes: Iterable[str]) -> str:
    return "(" + " | ".join(map(quoted, lexemes)) + ")"


def escaped(text: str) -> str:
    """*text* for a column that cannot hold NUL."""
    if _NUL not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, "\1\1").replace(_NUL, "\1\2")


def unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda pair: _NUL if pair[0] == "\1\2" else _ESCAPE, text) if _ESCAPE in text else text


def sendable(text: str) -> str:
    """What is asked for, without what cannot be sent."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")
