"""Writes a trained table as a model folder: 4 bits a component, as :mod:`mnemolite.embedders.static` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from mnemolite.embedders.manifest import Relevance, describe
from mnemolite.embedders.static import Manifest
from mnemolite.lab.corpus import Corpus, Vectors, evaluate, vectors
from mnemolite.types import Domain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.types import Matrix, Vector

MAX_TOKENS = 1024  # of a text; as the shipped model's
_CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6)  # of a row's largest component: cutting a lone peak makes the other steps finer
_MODERATE = 0.99  # share of random pairs that lie below


@dataclass(frozen=True)
class Report:
    """Mean reciprocal ranks on the held-out pairs, and what was made of them."""

    plain: float  # float32
    eight: float  # bits
    four: float
    relevance: Relevance

    def __str__(self) -> str:
        mrr = f"MRR float {self.plain:.4f}, 8 bits {self.eight:.4f}, 4 bits {self.four:.4f}"
        return f"{mrr}; relevance high {self.relevance.high}, moderate {self.relevance.moderate}"


def quantise(rows: Matrix, bits: int) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """
    Whole numbers of *bits* bits and a scale for each row; the scale of ``_CLIPS`` with the least squared error.

    Scales are float16, so that a row is multiplied by what the file holds.
    """
    top = 2 ** (bits - 1) - 1
    peak = np.maximum(np.abs(rows).max(1), 1e-6)
    best = np.full(len(rows), np.inf, np.float32)
    codes, scales = np.zeros(rows.shape, np.int8), np.zeros(len(rows), np.float16)
    for clip in _CLIPS:
        scale = (peak * clip / top).astype(np.float16)
        wide = np.maximum(scale.astype(np.float32), 1e-7)[:, None]
        code = np.clip(np.rint(rows / wide), -top, top)
        error = np.square(code * wide - rows).sum(1)
        better = error < best
        codes[better], scales[better], best[better] = code[better].astype(np.int8), scale[better], error[better]
    return codes, scales


def restore(codes: NDArray[np.int8], scales: NDArray[np.float16]) -> Matrix:
    return codes.astype(np.float32) * scales.astype(np.float32)[:, None]


def pack(codes: NDArray[np.int8]) -> NDArray[np.uint8]:
    """(n, dimension / 2): the first half of the dimensions in the low nibbles, the second in the high; 8 is 0."""
    low, high = np.split((codes + 8).astype(np.uint8), 2, axis=1)
    return (low | high << 4).astype(np.uint8)


def relevance(rows: Matrix, data: Corpus) -> Relevance:
    """What one in a hundred random pairs reaches (moderate) and half of the true ones (high), as in bench."""
    cosines, true = _cosines(vectors(data, rows))
    return Relevance(high=_at(true, 0.5), moderate=_at(cosines, _MODERATE))


def relevance_like(before: Relevance, old: Vectors, new: Vectors) -> Relevance:
    """What as many pairs reach now as reached *before*."""
    (random, true), (random_now, true_now) = _cosines(old), _cosines(new)
    return Relevance(
        high=_at(true_now, float((true < before.high).mean())),
        moderate=_at(random_now, float((random < before.moderate).mean())),
    )


def _at(cosines: Vector, share: float) -> float:
    return round(float(np.quantile(cosines, share)), 3)


def _cosines(found: Vectors, seed: int = 0) -> tuple[Vector, Vector]:
    """Of random pairs of a query and a passage, and of the true ones."""
    drawn = np.random.default_rng(seed)
    queries, passages = found.queries, found.passages[: len(found.queries)]
    left, right = drawn.integers(len(queries), size=(2, 200_000))
    left, right = left[left != right], right[left != right]
    cuts = [slice(i, i + 10_000) for i in range(0, len(left), 10_000)]
    cosines = np.concatenate([np.einsum("ij,ij->i", queries[left[cut]], passages[right[cut]]) for cut in cuts])
    return cosines, np.einsum("ij,ij->i", queries, passages)


def read(folder: Path) -> Matrix:
    """The rows of a model's folder, as the runtime sums them."""
    packed, scales = np.load(folder / "vectors.npy"), np.load(folder / "scales.npy")
    codes = np.concatenate((packed & 15, packed >> 4), axis=1).astype(np.int8) - 8
    return restore(codes, scales)


def report(rows: Matrix, data: Corpus) -> Report:
    """
    What 8 and 4 bits cost, on *data*.

    The runtime reads 4 bits only; if they ever cost more than the seeds' spread of .01, it has to learn 8.
    """
    eight, four = (restore(*quantise(rows, bits)) for bits in (8, 4))
    return Report(evaluate(rows, data), evaluate(eight, data), evaluate(four, data), relevance(four, data))


def write(folder: Path, rows: Matrix, tokens: Sequence[str], *, name: str, relevance: Relevance) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    codes, scales = quantise(rows, 4)
    np.save(folder / "vectors.npy", pack(codes))
    np.save(folder / "scales.npy", scales)
    (folder / "vocab.txt").write_bytes("\n".join(tokens).encode())
    (folder / "model.json").write_bytes(_manifest(folder, name, rows.shape[1], relevance))


def _manifest(folder: Path, name: str, dimension: int, thresholds: Relevance) -> bytes:
    manifest = Manifest(
        name=name,
        dimension=dimension,
        domain=Domain.HYBRID,
        max_tokens=MAX_TOKENS,
        licence="Apache-2.0",
        relevance=thresholds,
        files={file: describe(folder / file) for file in ("vocab.txt", "vectors.npy", "scales.npy")},
    )
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
