"""How requests are written: dataclasses whose keys are all known, and vectors in both of their forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, dataclass_transform

import msgspec
from pydantic import BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from mnemolite.codec import unpack
from mnemolite.errors import InvalidInput
from mnemolite.types import Domain, Space

if TYPE_CHECKING:
    from mnemolite.memory import Memory

T = TypeVar("T")

MAX_QUERY = 100_000  # characters

QueryText = Annotated[str, Field(min_length=1, max_length=MAX_QUERY, description="A question in words, or a name.")]
Compression = Literal["int8_base64"]
DomainName = Annotated[
    Literal["TEXT", "CODE", "HYBRID", "text", "code", "hybrid"],
    Field(description="What the model was made for; HYBRID asks for both."),
]


def _written(value: object) -> object:
    if isinstance(value, str) and not value.replace(".", "").lstrip("+-").isdigit():
        return value
    raise ValueError("a time is written as 2026-01-31T12:00:00Z")


# In JSON a number in quotes is none, nor is 1 a boolean.
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Real = Annotated[float, Field(strict=True)]
LeastScore = Annotated[Real | None, Field(ge=0, le=1, description="Leave out hits that are less relevant.")]
Moment = Annotated[datetime, BeforeValidator(_written), Field(description="With a time zone.")]
VectorIn = Annotated[
    list[Real] | str,
    Field(description="Floats, or base64 of int8 with the scale before it (int8_base64) or without one."),
]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def request(cls: type[T]) -> type[T]:
    """A dataclass that refuses keys it has not."""
    cls.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    return dataclass(frozen=True, kw_only=True)(cls)


def reply(body: object, status: int = 200) -> Response:
    """Encoded in the route's own thread: a thousand vectors take long, and the event loop must not wait for them."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def vector_of(name: str, given: list[float] | str, space: Space) -> tuple[float, ...]:
    """
    The components of a vector that a client sent as the field *name*.

    Raises:
        InvalidInput: it is not of *space*'s dimension, not finite, or not base64.
    """
    if isinstance(given, str):
        try:
            return tuple(unpack(given, space.dimension).tolist())
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {error}; {space.model} makes vectors of {space.dimension}") from error
    if len(given) != space.dimension:
        raise InvalidInput(f"{name} has {len(given)} components; {space.model} makes {space.dimension}")
    if not all(-1e30 < value < 1e30 for value in given):
        raise InvalidInput(f"{name} has NaN, infinite or enormous components")
    return tuple(given)


def embeddings_of(
    memory: Memory, given: Sequence[tuple[str, Domain, list[float] | str | None]], made_by: str | None
) -> dict[Domain, tuple[float, ...]]:
    """
    Vectors by domain, of fields with their names; *made_by* is the model the client says it has them from.

    Raises:
        InvalidInput: one cannot be, or is of another model.
    """
    found: dict[Domain, tuple[float, ...]] = {}
    for name, domain, vector in given:
        if vector is None:
            continue
        space = memory.space(domain)
        if made_by is not None and made_by != space.model:
            raise InvalidInput(f"{name} was made by {made_by!r}; what is stored was made by {space.model!r}")
        found[space.domain] = vector_of(name, vector, space)
    return found
