"""How near the vectors of two forms of a model are, and what a text costs."""

from __future__ import annotations

import inspect
import json.decoder
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mnemolite.ports import Embedder
from mnemolite.types import Role

ALONE = 20  # texts


@dataclass(frozen=True, kw_only=True)
class Cost:
    """CPU milliseconds for a text."""

    together: float
    alone: float
    batch_error: float  # how far a row moves with the texts beside it


def samples() -> list[str]:
    """Code and prose of one to sixty lines, from the standard library: at hand everywhere."""
    return [text for module in (textwrap, json.decoder) for text in _pieces(inspect.getsource(module).splitlines())]


def lowest_cosine(one: Embedder, other: Embedder) -> float:
    texts = samples()
    return float((one.embed(texts, Role.PASSAGE) * other.embed(texts, Role.PASSAGE)).sum(1).min())


def cost(embedder: Embedder) -> Cost:
    texts = samples()
    embedder.embed(texts[:1], Role.PASSAGE)
    start = time.process_time()
    together = embedder.embed(texts, Role.PASSAGE)
    middle = time.process_time()
    alone = np.concatenate([embedder.embed([text], Role.PASSAGE) for text in texts[:ALONE]])
    end = time.process_time()
    return Cost(
        together=1000 * (middle - start) / len(texts),
        alone=1000 * (end - middle) / ALONE,
        batch_error=float(np.abs(together[:ALONE] - alone).max()),
    )


def _pieces(lines: list[str]) -> Iterator[str]:
    start, size = 0, 1
    while start < len(lines):
        if text := "\n".join(lines[start : start + size]).strip():
            yield text
        start, size = start + size, size % 60 + 3
