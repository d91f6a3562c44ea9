"""Texts to vectors, for every route that gives vectors to clients."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnemolite.errors import InvalidInput
from mnemolite.ports import Embedder
from mnemolite.serve.metrics import Metrics
from mnemolite.types import Role, Space, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix

SLICE = 256  # texts embedded at a time: larger batches are split, so that none takes the memory of all
MAX_TEXTS = 2048  # of one request
MAX_CHARACTERS = 1_000_000  # of one text


@dataclass(frozen=True, kw_only=True)
class Embedded:
    space: Space
    vectors: Matrix  # (texts, dimension), unit rows; zero where there is nothing to embed
    tokens: tuple[int, ...]  # embedded of each text
    truncated: tuple[int, ...]  # texts, by place, of which the end was left out
    empty: tuple[int, ...]  # texts, by place, with nothing to embed
    seconds: float


def embed_texts(embedder: Embedder, texts: Sequence[Text], role: Role, metrics: Metrics) -> Embedded:
    """
    Raises:
        InvalidInput: there are too many texts, or one is too long; *texts* names no place where there is one.
    """
    import numpy as np

    check_texts(texts)
    start = time.perf_counter()
    lengths = [len(embedder.tokens(text) if isinstance(text, str) else text) for text in texts]
    slices = [embedder.embed(texts[i : i + SLICE], role) for i in range(0, len(texts), SLICE)]
    seconds = time.perf_counter() - start
    metrics.embedded(str(embedder.space.domain), len(texts), seconds)
    most = embedder.max_tokens
    return Embedded(
        space=embedder.space,
        vectors=np.concatenate(slices) if slices else np.zeros((0, embedder.space.dimension), np.float32),
        tokens=tuple(min(length, most) for length in lengths),
        truncated=tuple(place for place, length in enumerate(lengths) if length > most),
        empty=tuple(place for place, length in enumerate(lengths) if not length),
        seconds=seconds,
    )


def check_texts(texts: Sequence[Text]) -> None:
    """
    Raises:
        InvalidInput: there are too many, or one is too long.
    """
    if len(texts) > MAX_TEXTS:
        raise InvalidInput(f"there are {len(texts):,} texts, {MAX_TEXTS:,} at most; send them in several requests")
    for place, text in enumerate(texts):
        if len(text) > MAX_CHARACTERS:
            raise InvalidInput(f"text {place} has {len(text):,} characters, {MAX_CHARACTERS:,} at most; cut it")


def shortened(vectors: Matrix, dimensions: int | None) -> Matrix:
    """
    The first *dimensions* of each, at unit length again.

    Raises:
        InvalidInput: they have not so many.
    """
    import numpy as np

    if dimensions is None:
        return vectors
    if not 1 <= dimensions <= vectors.shape[1]:
        raise InvalidInput(f"dimensions must be 1..{vectors.shape[1]}, is {dimensions}")
    cut = vectors[:, :dimensions]
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    unit: Matrix = cut / np.maximum(lengths, 1e-9)
    return unit
