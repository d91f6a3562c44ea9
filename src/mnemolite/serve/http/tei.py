"""Embeddings and reranking as clients of Hugging Face's text-embeddings-inference expect them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from mnemolite import __version__
from mnemolite.errors import InvalidInput
from mnemolite.memory import Memory
from mnemolite.serve.http.guard import reader
from mnemolite.serve.http.problems import TeiProblem, documented
from mnemolite.serve.http.vectors import MAX_CHARACTERS, MAX_TEXTS, embed_texts, shortened
from mnemolite.serve.http.wire import Flag, QueryText, Whole, reply, request
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Caller
from mnemolite.types import Domain, Role, Text

Read = Annotated[Caller, Depends(reader)]
Input = str | list[Whole]


@request
class Embed:
    inputs: Annotated[str | list[Input], Field(description=f"A text, or up to {MAX_TEXTS}, each also as token ids.")]
    truncate: Annotated[Flag | None, Field(description="false refuses texts that are too long.")] = None
    truncation_direction: Annotated[Literal["Right", "right"], Field(description="The end is left out.")] = "Right"
    prompt_name: Annotated[Literal["query", "passage"] | None, Field(description="passage unless told.")] = None
    normalize: Annotated[Literal[True], Field(description="Vectors have unit length.")] = True
    dimensions: Annotated[Whole | None, Field(ge=1)] = None


@request
class Rerank:
    query: QueryText
    texts: Annotated[list[Annotated[str, Field(max_length=MAX_CHARACTERS)]], Field(min_length=1, max_length=MAX_TEXTS)]
    raw_scores: Annotated[Flag, Field(description="The reranker's own instead of 0..1.")] = False
    return_text: Flag = False
    truncate: Flag | None = None
    truncation_direction: Literal["Right", "right"] = "Right"


@dataclass(frozen=True, kw_only=True)
class Ranked:
    index: int
    score: float
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Info:
    model_id: str
    max_input_length: int  # tokens
    max_client_batch_size: int
    version: str


class TeiRoutes:
    def __init__(self, memory: Memory, metrics: Metrics) -> None:
        self._memory = memory
        self._metrics = metrics

    @property
    def router(self) -> APIRouter:
        backend = {424: "The model cannot be had."}
        router = APIRouter(tags=["text-embeddings-inference"], responses=documented(backend, model=TeiProblem))
        router.add_api_route(
            "/embed", self.embed, methods=["POST"], summary="Embed texts", response_model=list[list[float]]
        )
        router.add_api_route(
            "/rerank", self.rerank, methods=["POST"], summary="Order texts by a query", response_model=list[Ranked]
        )
        router.add_api_route("/info", self.info, summary="The model for texts")
        return router

    def embed(self, body: Embed, caller: Read) -> Response:
        """One vector for each text, in order."""
        texts: list[Text] = (
            [body.inputs]
            if isinstance(body.inputs, str)
            else [text if isinstance(text, str) else tuple(text) for text in body.inputs]
        )
        if not texts:
            raise InvalidInput("inputs is an empty list; give at least one text")
        role = Role(body.prompt_name or "passage")
        embedder = self._memory.embedder(Domain.TEXT)
        embedded = embed_texts(embedder, texts, role, self._metrics)
        if embedded.truncated and body.truncate is False:
            raise InvalidInput(f"text {embedded.truncated[0]} has more than {embedder.max_tokens} tokens; cut it")
        return reply(shortened(embedded.vectors, body.dimensions).tolist())

    def rerank(self, body: Rerank, caller: Read) -> Response:
        """The best first, by the configured reranker, or by cosine where there is none; scores as sigmoids."""
        ranking = self._memory.rank(body.query, body.texts)
        texts = body.texts if body.return_text else [None] * len(body.texts)
        return reply(
            [
                Ranked(
                    index=number, score=score if body.raw_scores else (1 + math.tanh(score / 2)) / 2, text=texts[number]
                )
                for number, score in ranking
            ]
        )

    def info(self, caller: Read) -> Info:
        embedder = self._memory.embedder(Domain.TEXT)
        return Info(
            model_id=embedder.space.model,
            max_input_length=embedder.max_tokens,
            max_client_batch_size=MAX_TEXTS,
            version=__version__,
        )
