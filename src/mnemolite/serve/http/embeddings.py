"""Embeddings of queries, for clients that search by their own means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from mnemolite.codec import COMPRESSION, pack
from mnemolite.errors import InvalidInput
from mnemolite.memory import Memory
from mnemolite.serve.http.guard import reader
from mnemolite.serve.http.problems import documented
from mnemolite.serve.http.vectors import Embedded, embed_texts
from mnemolite.serve.http.wire import Compression, DomainName, QueryText, reply, request
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Caller
from mnemolite.types import Domain, Role

MAX_QUERIES = 100

Read = Annotated[Caller, Depends(reader)]


@request
class Generate:
    query: QueryText
    domain: DomainName = "TEXT"
    compression: Annotated[Compression | None, Field(description="Packed instead of floats.")] = None


@request
class Single:
    query: QueryText


@request
class GenerateBatch:
    queries: Annotated[list[QueryText], Field(min_length=1, max_length=MAX_QUERIES)]
    domain: DomainName = "TEXT"
    compression: Compression | None = None


@dataclass(frozen=True, kw_only=True)
class QueryVectors:
    """Those of the domain asked for, as floats or, where compression was asked for, packed."""

    query: str
    embedding_text: list[float] | None = None
    embedding_code: list[float] | None = None
    embedding_text_compressed: str | None = None
    embedding_code_compressed: str | None = None
    embedding_compressed: str | None = None  # that of the one domain; of TEXT for HYBRID


@dataclass(frozen=True, kw_only=True)
class Generated(QueryVectors):
    dimension: int
    model: str
    generation_time_ms: float
    truncated: bool  # the end of the query was left out
    compression: str | None


@dataclass(frozen=True, kw_only=True)
class GeneratedBatch:
    count: int
    embeddings: list[QueryVectors]
    dimension: int
    model: str
    total_time_ms: float
    avg_time_per_query_ms: float
    truncated: list[int]  # places of queries of which the end was left out
    empty: list[int]  # places of queries with nothing to embed: their vectors are zero
    compression: str | None


class EmbeddingRoutes:
    def __init__(self, memory: Memory, metrics: Metrics) -> None:
        self._memory = memory
        self._metrics = metrics

    @property
    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/embeddings", tags=["embeddings"], responses=documented())
        router.add_api_route(
            "/generate", self.generate, methods=["POST"], summary="Embed a query", response_model=Generated
        )
        router.add_api_route(
            "/generate/batch",
            self.batch,
            methods=["POST"],
            summary=f"Embed up to {MAX_QUERIES} queries",
            response_model=GeneratedBatch,
        )
        router.add_api_route(
            "/single", self.single, methods=["POST"], summary="One vector, as a list", response_model=list[float]
        )
        return router

    def generate(self, body: Generate, caller: Read) -> Response:
        """With domain HYBRID by the models of both domains, each vector for what is stored of that domain."""
        found = self._embedded([body.query], body.domain)
        first = next(iter(found.values()))
        if first.empty:
            raise InvalidInput("nothing in the query can be embedded: it has no letters or digits")
        [vectors] = _vectors([body.query], found, body.compression)
        return reply(
            Generated(
                **{name: getattr(vectors, name) for name in QueryVectors.__dataclass_fields__},
                dimension=first.space.dimension,
                model=first.space.model,
                generation_time_ms=_ms(found),
                truncated=any(each.truncated for each in found.values()),
                compression=body.compression,
            )
        )

    def batch(self, body: GenerateBatch, caller: Read) -> Response:
        """As one by one, in order, and much faster."""
        found = self._embedded(body.queries, body.domain)
        first = next(iter(found.values()))
        return reply(
            GeneratedBatch(
                count=len(body.queries),
                embeddings=_vectors(body.queries, found, body.compression),
                dimension=first.space.dimension,
                model=first.space.model,
                total_time_ms=_ms(found),
                avg_time_per_query_ms=round(_ms(found) / len(body.queries), 4),
                truncated=sorted({place for each in found.values() for place in each.truncated}),
                empty=list(first.empty),
                compression=body.compression,
            )
        )

    def single(self, body: Single, caller: Read) -> Response:
        """For clients that know one kind of text, and want nothing but the floats."""
        return reply(self._memory.embed(body.query, Domain.TEXT).tolist())

    def _embedded(self, queries: Sequence[str], domain: str) -> dict[Domain, Embedded]:
        """By domain; one space of both is asked once."""
        wanted = (Domain.TEXT, Domain.CODE) if domain.upper() == "HYBRID" else (Domain(domain.lower()),)
        found: dict[Domain, Embedded] = {}
        for each in wanted:
            embedder = self._memory.embedder(each)
            same = next((done for done in found.values() if done.space == embedder.space), None)
            found[each] = same or embed_texts(embedder, queries, Role.QUERY, self._metrics)
        return found


def _vectors(
    queries: Sequence[str], found: dict[Domain, Embedded], compression: Compression | None
) -> list[QueryVectors]:
    answers = []
    for place, query in enumerate(queries):
        rows = {domain: embedded.vectors[place] for domain, embedded in found.items()}
        if compression == COMPRESSION:
            packed = {domain: pack(row) for domain, row in rows.items()}
            answers.append(
                QueryVectors(
                    query=query,
                    embedding_text_compressed=packed.get(Domain.TEXT),
                    embedding_code_compressed=packed.get(Domain.CODE),
                    embedding_compressed=next(iter(packed.values())),
                )
            )
        else:
            floats = {domain: row.tolist() for domain, row in rows.items()}
            answers.append(
                QueryVectors(
                    query=query, embedding_text=floats.get(Domain.TEXT), embedding_code=floats.get(Domain.CODE)
                )
            )
    return answers


def _ms(found: dict[Domain, Embedded]) -> float:
    """Of the models asked, each once."""
    return round(1000 * sum({each.space: each.seconds for each in found.values()}.values()), 3)
