"""Vectors as short texts: base64 of one scale and one int8 per dimension."""

from __future__ import annotations

import base64
import binascii
import math
from typing import TYPE_CHECKING

from mnemolite.errors import InvalidInput

if TYPE_CHECKING:
    from mnemolite.types import Vector

COMPRESSION = "int8_base64"
_LEVELS = 127  # symmetric int8: -128 is left unused


def pack(vector: Vector) -> str:
    """
    Base64 of *vector* as one little-endian float32 scale, then one int8 per dimension: 1,032 characters for 768.

    Lossy: a component is off by at most ``max(abs(vector)) / 254``; the norm survives, for the scale is carried.

    Raises:
        InvalidInput: *vector* is empty, not one-dimensional or not finite.
    """
    import numpy as np

    if vector.ndim != 1 or not vector.size:
        raise InvalidInput(f"a vector to pack must have one dimension and not be empty, has shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise InvalidInput("a vector to pack must be finite, has NaN or infinity")
    scale = np.float32(np.abs(vector).max() / _LEVELS)
    levels = np.rint(vector / scale) if scale else np.zeros(vector.shape)
    return base64.b64encode(scale.tobytes() + levels.astype(np.int8).tobytes()).decode("ascii")


def pack_bits(vector: Vector) -> str:
    """Base64 of the signs of *vector*, one bit per dimension, the first in the highest bit: 64 characters for 384."""
    import numpy as np

    return base64.b64encode(np.packbits(vector > 0).tobytes()).decode("ascii")


def unpack(packed: str, dimension: int | None = None) -> Vector:
    """
    The vector of a text made by :func:`pack`, (dimension,) float32.

    Texts without a scale, one int8 per dimension and nothing else, are understood when *dimension* is given:
    they come back at unit length, for their norm is lost.

    Raises:
        InvalidInput: not base64, not finite, or not of *dimension*.
    """
    import numpy as np

    try:
        raw = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"a packed vector must be base64: {error}") from error
    if dimension is not None and len(raw) == dimension:
        levels = np.frombuffer(raw, dtype=np.int8).astype(np.float32)
        return levels / max(float(np.linalg.norm(levels)), 1e-9)
    if len(raw) < 5 or (dimension is not None and len(raw) != dimension + 4):
        wanted = "at least 5" if dimension is None else f"{dimension + 4}"
        raise InvalidInput(f"a packed vector must hold {wanted} bytes, holds {len(raw)}")
    scale = float(np.frombuffer(raw[:4], dtype="<f4")[0])
    if not math.isfinite(scale):
        raise InvalidInput("the scale of a packed vector must be finite")
    return np.frombuffer(raw[4:], dtype=np.int8).astype(np.float32) * np.float32(scale)
