"""What models say of themselves: the files they are made of, and what their cosines mean."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mnemolite.errors import EmbedderUnavailable


class StoredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bytes: int
    sha256: str


class Relevance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cosines of a model above which a passage is about a query: they differ from model to model."""

    high: float
    moderate: float


def describe(file: Path) -> StoredFile:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return StoredFile(bytes=file.stat().st_size, sha256=digest)


def check_sizes(folder: Path, files: Mapping[str, StoredFile], advice: str) -> None:
    """
    A file cut short by a broken copy is the common damage, and costs a stat to see.

    Raises:
        EmbedderUnavailable: one of *files* is missing or has another size; says the *advice*.
    """
    for name, expected in files.items():
        path = folder / name
        try:
            found = path.stat().st_size
        except OSError as error:
            raise EmbedderUnavailable(f"the embedding model lacks {path}; {advice}") from error
        if found != expected.bytes:
            raise EmbedderUnavailable(f"{path} is cut short or foreign: {found} bytes, not {expected.bytes}; {advice}")


def check_digests(folder: Path, files: Mapping[str, StoredFile], advice: str) -> None:
    """
    Reads all *files*.

    Raises:
        EmbedderUnavailable: one is missing or is another.
    """
    check_sizes(folder, files, advice)
    for name, expected in files.items():
        found = describe(folder / name).sha256
        if found != expected.sha256:
            raise EmbedderUnavailable(f"{folder / name} is damaged: SHA-256 {found}, not {expected.sha256}; {advice}")
