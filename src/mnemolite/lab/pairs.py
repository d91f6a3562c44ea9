"""Training pairs on disk: one gzipped JSON Lines file for each repository."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from mnemolite.errors import InvalidInput

SUFFIX = ".jsonl.gz"


class Relation(StrEnum):
    """What a pair's query is to its passage."""

    DOCSTRING = "docstring"  # or leading comment -> the body without it
    NAME = "name"  # of a definition, in words -> its body
    SIGNATURE = "signature"  # -> body
    COMMENT = "comment"  # inline -> the code under it
    COMMIT = "commit"  # subject -> changed hunk
    COMMIT_BODY = "commit_body"  # subject -> the message's body
    HEADING = "heading"  # path of headings -> the section's text
    SENTENCE = "sentence"  # first of a paragraph -> the rest
    TEST = "test"  # name or title of a test -> the function it tests, or its own body


class Pair(msgspec.Struct, frozen=True):
    """Two texts that belong together."""

    relation: Relation
    query: str
    passage: str
    language: str  # of the passage
    path: str = ""  # of the file the passage is from; "" for commit messages


def write_pairs(file: Path, pairs: Iterable[Pair]) -> int:
    """How many were written; the file is there whole or not at all."""
    encoder = msgspec.json.Encoder()
    temporary = file.with_name(file.name + ".part")
    count = 0
    with gzip.open(temporary, "wb", compresslevel=4) as out:
        for pair in pairs:
            out.write(encoder.encode(pair) + b"\n")
            count += 1
    temporary.rename(file)
    return count


def read_pairs(file: Path) -> Iterator[Pair]:
    """
    Raises:
        InvalidInput: the file cannot be read, or a line is no pair.
    """
    decoder = msgspec.json.Decoder(Pair)
    try:
        with gzip.open(file, "rb") as lines:
            for line in lines:
                yield decoder.decode(line)
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{file} holds no pairs: {error}") from error
