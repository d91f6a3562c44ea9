"""What every store asks of the documents it is given, and how it gives them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mnemolite.errors import InvalidInput
from mnemolite.types import Chunk, Document, Indexed, Source, Space

if TYPE_CHECKING:
    from mnemolite.types import Matrix, Vector


@dataclass(frozen=True)
class Stored:
    """A document with its chunks, as they are read one by one."""

    document: Document
    chunks: list[Chunk] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)

    def add(self, chunk: Chunk, digest: bytes) -> None:
        self.chunks.append(chunk)
        self.digests.append(digest)


def checked(items: Iterable[Indexed]) -> dict[tuple[str, str], Indexed]:
    """
    By source and path; of one given twice the last.

    Raises:
        InvalidInput: not one digest per chunk.
    """
    batch = {(item.document.source, item.document.path): item for item in items}
    for (_, path), item in batch.items():
        if len(item.digests) != len(item.chunks):
            raise InvalidInput(f"{path}: {len(item.digests)} digests for {len(item.chunks)} chunks")
    return batch


def assembled(found: Iterable[Stored], vectors: Mapping[Space, Mapping[int, Vector]]) -> list[Indexed]:
    """With *vectors* by chunk, in those spaces that have one of every chunk of the document."""
    import numpy as np

    items = []
    for stored in found:
        ids = [chunk.id for chunk in stored.chunks]
        matrices: dict[Space, Matrix] = {
            space: np.stack([rows[id] for id in ids])
            for space, rows in vectors.items()
            if ids and all(id in rows for id in ids)
        }
        items.append(
            Indexed(
                document=stored.document,
                chunks=tuple(stored.chunks),
                digests=tuple(stored.digests),
                vectors=matrices,
            )
        )
    return items


def with_skipped(counts: Iterable[tuple[str, int, int]], skipped: Iterable[tuple[str, str, int]]) -> list[Source]:
    """Of rows (name, documents, chunks), and rows (name, reason, documents) of those that have no chunks."""
    reasons: dict[str, dict[str, int]] = {}
    for name, reason, documents in skipped:
        reasons.setdefault(name, {})[reason] = documents
    return [
        Source(name=name, documents=documents, chunks=chunks, skipped=reasons.get(name, {}))
        for name, documents, chunks in counts
    ]
