"""Embeddings as clients of OpenAI's API expect them."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from mnemolite.codec import pack, pack_bits
from mnemolite.errors import InvalidInput, NotFound
from mnemolite.memory import Memory
from mnemolite.ports import Embedder
from mnemolite.serve.http.guard import reader
from mnemolite.serve.http.problems import OpenAIProblem, documented
from mnemolite.serve.http.vectors import MAX_TEXTS, embed_texts, shortened
from mnemolite.serve.http.wire import Whole, reply, request
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Caller
from mnemolite.types import Role, Text

if TYPE_CHECKING:
    from mnemolite.types import Vector

Read = Annotated[Caller, Depends(reader)]
Encoding = Literal["float", "base64", "int8", "binary"]


@request
class CreateEmbeddings:
    input: Annotated[
        str | list[str] | list[Whole] | list[list[Whole]],
        Field(description=f"A text, up to {MAX_TEXTS} texts, or the ids of their tokens in this model's vocabulary."),
    ]
    model: Annotated[str, Field(description="As /v1/models names it.")]
    encoding_format: Annotated[
        Encoding,
        Field(
            description="base64 is of little-endian float32. Beyond OpenAI's: int8 is base64 of a float32 scale and a "
            "byte for each dimension, binary is base64 of the signs, a bit for each."
        ),
    ] = "float"
    dimensions: Annotated[Whole | None, Field(ge=1, description="Only the first ones, at unit length.")] = None
    user: str | None = None
    input_type: Annotated[
        Literal["query", "passage"], Field(description="Beyond OpenAI's: which side of a search the texts are on.")
    ] = "passage"


@dataclass(frozen=True, kw_only=True)
class Embedding:
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


@dataclass(frozen=True, kw_only=True)
class Usage:
    prompt_tokens: int
    total_tokens: int


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage
    truncated: list[int]  # places of texts of which the end was left out; beyond OpenAI's
    empty: list[int]  # places of texts with nothing to embed: their vectors are zero; beyond OpenAI's


@dataclass(frozen=True, kw_only=True)
class Model:
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "mnemolite"
    dimension: int
    domain: str


@dataclass(frozen=True, kw_only=True)
class Models:
    object: Literal["list"] = "list"
    data: list[Model]


class OpenAIRoutes:
    def __init__(self, memory: Memory, metrics: Metrics) -> None:
        self._memory = memory
        self._metrics = metrics
        self._started = int(time.time())

    @property
    def router(self) -> APIRouter:
        missing = {404: "There is no such model."}
        router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=documented(missing, model=OpenAIProblem))
        router.add_api_route(
            "/embeddings", self.embeddings, methods=["POST"], summary="Embed texts", response_model=Embeddings
        )
        router.add_api_route("/models", self.models, summary="Embedding models")
        router.add_api_route("/models/{id:path}", self.model, summary="An embedding model")
        return router

    def embeddings(self, body: CreateEmbeddings, caller: Read) -> Response:
        """As OpenAI's; its clients work unchanged."""
        embedded = embed_texts(self._embedder(body.model), _texts(body.input), Role(body.input_type), self._metrics)
        vectors = shortened(embedded.vectors, body.dimensions)
        used = sum(embedded.tokens)
        return reply(
            Embeddings(
                data=[Embedding(index=i, embedding=_encoded(v, body.encoding_format)) for i, v in enumerate(vectors)],
                model=embedded.space.model,
                usage=Usage(prompt_tokens=used, total_tokens=used),
                truncated=list(embedded.truncated),
                empty=list(embedded.empty),
            )
        )

    def models(self, caller: Read) -> Models:
        """Those that are configured."""
        return Models(data=[self._described(embedder) for embedder in self._memory.embedders])

    def model(self, id: str, caller: Read) -> Model:
        return self._described(self._embedder(id))

    def _embedder(self, model: str) -> Embedder:
        names = []
        for embedder in self._memory.embedders:
            if embedder.space.model == model:
                return embedder
            names.append(embedder.space.model)
        raise NotFound(f"the model {model!r} is not here; there are {', '.join(names)}")

    def _described(self, embedder: Embedder) -> Model:
        space = embedder.space
        return Model(id=space.model, created=self._started, dimension=space.dimension, domain=space.domain)


def _texts(given: str | list[str] | list[int] | list[list[int]]) -> list[Text]:
    if isinstance(given, str):
        return [given]
    if not given:
        raise InvalidInput("input is an empty list; give at least one text")
    if isinstance(given[0], int):
        return [tuple(given)]
    return [text if isinstance(text, str) else tuple(text) for text in given]


def _encoded(vector: Vector, encoding: Encoding) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    if encoding == "int8":
        return pack(vector)
    if encoding == "binary":
        return pack_bits(vector)
    floats: list[float] = vector.tolist()
    return floats
