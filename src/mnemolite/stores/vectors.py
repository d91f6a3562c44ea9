"""Vectors as every store takes them: finite, of their space's dimension, at unit length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnemolite.errors import InvalidInput
from mnemolite.types import Space

if TYPE_CHECKING:
    from mnemolite.types import Matrix, Vector


def unit(vector: Vector, space: Space) -> Vector | None:
    """
    *vector* at unit length, None for a zero vector.

    Raises:
        InvalidInput: it has not the space's dimension, or a component is not finite.
    """
    vector = np.asarray(vector, dtype=np.float32)
    if vector.shape != (space.dimension,):
        raise InvalidInput(f"the vector has shape {vector.shape}, the space {space.model} has ({space.dimension},)")
    if not np.isfinite(vector).all():
        raise InvalidInput("the vector has components that are not finite numbers")
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return (vector / length).astype(np.float32) if length else None


def unit_rows(matrix: Matrix, space: Space, count: int, scale: float = 1.0) -> Matrix:
    """
    The rows at the length *scale*; zero rows stay zero.

    Raises:
        InvalidInput: not *count* rows of the space's dimension, or a component is not finite.
    """
    matrix = np.asarray(matrix, dtype=np.float32)
    if matrix.shape != (count, space.dimension):
        raise InvalidInput(
            f"{space.model} gave vectors of shape {matrix.shape} for {count} chunks, not ({count}, {space.dimension})"
        )
    if not np.isfinite(matrix).all():
        raise InvalidInput(f"{space.model} gave vectors with components that are not finite numbers")
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    lengths[lengths == 0] = 1
    rows: Matrix = matrix * (scale / lengths)[:, None]
    return rows
