"""Vectors as points of a plane, to be looked at: that of the two directions in which a sample of them differs most."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnemolite.ports import Store
from mnemolite.types import Chunk, Indexed, Space

if TYPE_CHECKING:
    from mnemolite.types import Matrix, Vector

MAX_FILES = 300  # of a sample
MOST_OF_A_FILE = 4  # chunks, so that long files do not make up the picture


@dataclass(frozen=True)
class Plane:
    """The first two principal components of some vectors."""

    centre: Vector
    axes: Matrix  # (2, dimension), unit rows at a right angle
    variance: tuple[float, float]  # what each keeps of all variance, 0..1

    def points(self, vectors: Matrix) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in (vectors - self.centre) @ self.axes.T]


@dataclass(frozen=True)
class Sample:
    chunks: tuple[Chunk, ...]
    plane: Plane
    points: tuple[tuple[float, float], ...]  # of the chunks


def fit(vectors: Matrix) -> Plane:
    """Of at least one vector. The same vectors give the same plane, axes the same way round."""
    import numpy as np

    centre = vectors.mean(axis=0)
    off = vectors - centre
    values, directions = np.linalg.eigh(off.T @ off)  # ascending
    axes = directions[:, :-3:-1].T
    axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    kept = np.maximum(values[:-3:-1], 0) / max(float(values.sum()), 1e-12)
    return Plane(centre, axes.astype(np.float32), (float(kept[0]), float(kept[1])))


def sample(store: Store, sources: Sequence[str], space: Space) -> Sample | None:
    """
    Some chunks of *sources*, () being all, and the plane fitted on their vectors in *space*: of every file a few, of
    many files some, always the same of the same. None where there are no vectors.
    """
    import numpy as np

    wanted = [source for source in store.sources() if not sources or source.name in sources]
    total = sum(source.documents for source in wanted)
    chosen = random.Random(0)
    chunks: list[Chunk] = []
    vectors: list[Vector] = []
    for source in wanted:
        paths = sorted(store.files(source.name))
        share = max(1, MAX_FILES * source.documents // total)
        for document in store.documents(source.name, chosen.sample(paths, min(share, len(paths)))):
            for place in _some(document, space, chosen):
                chunks.append(document.chunks[place])
                vectors.append(document.vectors[space][place])
    if not chunks:
        return None
    matrix = np.stack(vectors)
    plane = fit(matrix)
    return Sample(tuple(chunks), plane, tuple(plane.points(matrix)))


def _some(document: Indexed, space: Space, chosen: random.Random) -> list[int]:
    count = len(document.chunks) if space in document.vectors else 0
    return chosen.sample(range(count), min(count, MOST_OF_A_FILE))
