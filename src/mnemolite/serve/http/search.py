"""Code search: by words and meaning together, or by one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from mnemolite.errors import InvalidInput
from mnemolite.ingest.languages import known
from mnemolite.memory import Memory
from mnemolite.search.snippet import window
from mnemolite.serve.http.guard import reader
from mnemolite.serve.http.problems import BUSY, documented
from mnemolite.serve.http.wire import (
    Compression,
    DomainName,
    Flag,
    LeastScore,
    QueryText,
    Real,
    VectorIn,
    Whole,
    embeddings_of,
    reply,
    request,
)
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Caller
from mnemolite.settings import Settings
from mnemolite.types import Domain, Hit, Kind, Place, Query, Results, Scope

SNIPPET_CONTEXT = 3  # lines on each side of the one that matches best
LEXICAL = ("lexical", "name")
VECTOR = ("vector", "text", "code")

Read = Annotated[Caller, Depends(reader)]
Repository = Annotated[str | None, Field(description="Only this repository.", max_length=200)]


@request
class Filters:
    language: Annotated[str | None, Field(description="For example python.")] = None
    chunk_type: Annotated[str | None, Field(description="For example function, method or class.")] = None
    repository: Repository = None
    file_path: Annotated[str | None, Field(description="A part of the path, or a glob such as src/**/*.py.")] = None


@request
class HybridSearch:
    query: QueryText
    repository: Repository = None
    limit: Annotated[Whole | None, Field(ge=1, le=1000, description="Hits at most; 10 unless told.")] = None
    top_k: Annotated[Whole | None, Field(ge=1, le=1000, description="Another name of limit.")] = None
    enable_lexical: Flag = True
    enable_vector: Flag = True
    filters: Filters | None = None
    embedding_text: Annotated[
        VectorIn | None, Field(description="The query's vector, when the client has made it.")
    ] = None
    embedding_code: Annotated[VectorIn | None, Field(description="The same, by the model for code.")] = None
    embedding_compressed: Annotated[str | None, Field(description="embedding_text as int8_base64.")] = None
    compression: Compression | None = None
    embedding_model: Annotated[
        str | None, Field(description="The model the vectors come from; another one than ours is refused.")
    ] = None
    expand: Annotated[
        Flag | None, Field(description="Also look for synonyms and acronyms; unless told, when the query has words.")
    ] = None
    enable_llm_reranking: Annotated[Flag, Field(description="Have the first hits read again by the reranker.")] = False
    lexical_weight: Annotated[Real | None, Field(ge=0, le=1, description="In the fusion; unless told, ours.")] = None
    vector_weight: Annotated[Real | None, Field(ge=0, le=1)] = None
    auto_weights: Annotated[Flag, Field(description="Our weights, whatever the two above say.")] = False
    candidate_pool_size: Annotated[Whole | None, Field(ge=10, le=1000, description="Of each list.")] = None
    min_score: LeastScore = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.top_k is not None and self.limit != self.top_k:
            raise InvalidInput(f"limit is {self.limit} and top_k {self.top_k}, which mean the same; give one of them")
        if self.embedding_text is not None and self.embedding_compressed is not None:
            raise InvalidInput("embedding_text and embedding_compressed mean the same; give one of them")
        own_weights = (self.lexical_weight, self.vector_weight) if not self.auto_weights else (None, None)
        if own_weights == (0, 0):
            raise InvalidInput("lexical_weight and vector_weight are both 0; leave at least one above it")


@request
class LexicalSearch:
    query: QueryText
    repository: Repository = None
    filters: Filters | None = None
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 100
    min_score: LeastScore = None


@request
class VectorSearch:
    query: QueryText | None = None
    embedding: Annotated[VectorIn | None, Field(description="Instead of the query: its vector.")] = None
    embedding_domain: DomainName = "TEXT"
    embedding_model: str | None = None
    repository: Repository = None
    filters: Filters | None = None
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 100
    min_score: LeastScore = None

    def __post_init__(self) -> None:
        if (self.query is None) == (self.embedding is None):
            raise InvalidInput("give either a query or its embedding")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A chunk, and why it is there."""

    chunk_id: str
    rank: int
    rrf_score: float  # what the order follows, 0..1: the fused score, times the signals
    repository: str
    file_path: str
    language: str
    chunk_type: str
    name: str
    name_path: str  # with the names around it
    first_line: int
    last_line: int
    source_code: str
    snippet: str  # the lines that match best
    lexical_score: float | None  # BM25
    vector_similarity: float | None  # cosine
    vector_distance: float | None
    contribution: dict[str, float]  # of words and of meaning to the score, before the signals
    ranks: dict[str, int]  # in each list that has it
    signals: dict[str, float]  # factors that follow from what the chunk is
    metadata: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SearchMetadata:
    total_results: int
    lexical_count: int
    vector_count: int
    unique_after_fusion: int
    lexical_enabled: bool
    vector_enabled: bool
    lexical_weight: float
    vector_weight: float
    execution_time_ms: float
    embedding_time_ms: float | None
    lexical_time_ms: float | None
    vector_time_ms: float | None
    rerank_time_ms: float | None


@dataclass(frozen=True, kw_only=True)
class SearchReply:
    results: list[Found]
    total_results: int
    best_score: float  # of all hits, also of one that min_score leaves out
    relevant: bool  # false where even that seems to be about something else
    metadata: SearchMetadata
    degraded: list[str]  # what the answer does not rest on: a model that failed, a reranker that did not answer


class SearchRoutes:
    def __init__(self, memory: Memory, metrics: Metrics, settings: Settings) -> None:
        self._memory = memory
        self._metrics = metrics
        self._settings = settings

    @property
    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/code/search", tags=["code search"], responses=documented(BUSY))
        for name in ("hybrid", "lexical", "vector"):
            router.add_api_route(
                f"/{name}",
                getattr(self, name),
                methods=["POST"],
                summary=f"Search code: {name}",
                response_model=SearchReply,
            )
        return router

    def hybrid(self, body: HybridSearch, caller: Read, http: Request) -> Response:
        """
        By words (BM25 over split identifiers), by names and by meaning, fused by each list's share of its best score.
        The query is embedded here unless its vector is sent.
        """
        scope = _scope(body.filters, body.repository, caller)
        text = body.embedding_text if body.embedding_text is not None else body.embedding_compressed
        query = Query(
            text=body.query,
            limit=body.limit or body.top_k or 10,
            scope=scope,
            lexical=body.enable_lexical,
            vector=body.enable_vector,
            embeddings=embeddings_of(
                self._memory,
                [
                    ("embedding_text", Domain.TEXT, text),
                    ("embedding_code", Domain.CODE, body.embedding_code),
                ],
                body.embedding_model,
            ),
            expand=body.expand,
            rerank=body.enable_llm_reranking,
            lexical_weight=None if body.auto_weights else body.lexical_weight,
            vector_weight=None if body.auto_weights else body.vector_weight,
            pool=body.candidate_pool_size,
            min_score=body.min_score,
        )
        return self._reply("hybrid", query, http)

    def lexical(self, body: LexicalSearch, caller: Read, http: Request) -> Response:
        """By words and names alone."""
        scope = _scope(body.filters, body.repository, caller)
        query = Query(text=body.query, limit=body.limit, scope=scope, vector=False, min_score=body.min_score)
        return self._reply("lexical", query, http)

    def vector(self, body: VectorSearch, caller: Read, http: Request) -> Response:
        """By meaning alone."""
        scope = _scope(body.filters, body.repository, caller)
        given = [("embedding", Domain(body.embedding_domain.lower()), body.embedding)]
        embeddings = embeddings_of(self._memory, given, body.embedding_model)
        query = Query(
            text=body.query or "",
            limit=body.limit,
            scope=scope,
            lexical=False,
            embeddings=embeddings,
            min_score=body.min_score,
        )
        return self._reply("vector", query, http)

    def _reply(self, method: str, query: Query, http: Request) -> Response:
        if self._settings.log_queries:
            http.state.log = {"query": query.text}
        with self._metrics.searching(method):
            results = self._memory.search(query, notes=0)  # repositories have no folder to be compared with
        self._metrics.searched(method, results)
        return reply(
            SearchReply(
                results=[_found(hit, rank, query.text) for rank, hit in enumerate(results.hits, 1)],
                total_results=len(results.hits),
                best_score=results.best,
                relevant=results.relevant,
                metadata=self._metadata(query, results),
                degraded=list(results.degraded),
            )
        )

    def _metadata(self, query: Query, results: Results) -> SearchMetadata:
        lexical, vector = query.lexical_weight, query.vector_weight
        return SearchMetadata(
            total_results=len(results.hits),
            lexical_count=results.found.get("lexical", 0),
            vector_count=sum(results.found.get(name, 0) for name in VECTOR),
            unique_after_fusion=results.found["fused"],
            lexical_enabled=query.lexical,
            vector_enabled=query.vector,
            lexical_weight=self._settings.lexical_weight if lexical is None else lexical,
            vector_weight=self._settings.vector_weight if vector is None else vector,
            execution_time_ms=_ms(results.seconds, "total") or 0.0,
            embedding_time_ms=_ms(results.seconds, "embed "),
            lexical_time_ms=_ms(results.seconds, "lexical"),
            vector_time_ms=_ms(results.seconds, "nearest "),
            rerank_time_ms=_ms(results.seconds, "rerank"),
        )


def _scope(filters: Filters | None, repository: str | None, caller: Caller) -> Scope:
    filters = filters or Filters()
    if repository is not None and filters.repository not in (None, repository):
        raise InvalidInput(f"repository is {repository!r} and filters.repository {filters.repository!r}; give one")
    return Scope(
        sources=caller.confined(repository if repository is not None else filters.repository),
        languages=known([filters.language]) if filters.language else (),
        kinds=(Kind(filters.chunk_type),) if filters.chunk_type else (),
        paths=(_glob(filters.file_path),) if filters.file_path else (),
    )


def _glob(path: str) -> str:
    """What has no wildcard is a part of a path."""
    return path if set("*?") & set(path) else f"**/*{path.strip('/')}*"


def _found(hit: Hit, rank: int, query: str) -> Found:
    chunk = hit.chunk
    lines = chunk.text.split("\n")
    similarity = max((hit.ranks[name].score for name in VECTOR if name in hit.ranks), default=None)
    return Found(
        chunk_id=str(chunk.id),
        rank=rank,
        rrf_score=hit.score,
        repository=chunk.source,
        file_path=chunk.path,
        language=chunk.language,
        chunk_type=chunk.kind,
        name=chunk.name,
        name_path=".".join(filter(None, (chunk.parent, chunk.name))),
        first_line=chunk.first_line,
        last_line=chunk.last_line,
        source_code=chunk.text,
        snippet="\n".join(lines[i] for i in window(lines, query, SNIPPET_CONTEXT)),
        lexical_score=hit.ranks["lexical"].score if "lexical" in hit.ranks else None,
        vector_similarity=similarity,
        vector_distance=None if similarity is None else 1 - similarity,
        contribution=_contribution(hit.ranks),
        ranks={name: place.rank for name, place in hit.ranks.items()},
        signals=dict(hit.signals),
        metadata={"signature": chunk.signature, "docstring": chunk.docstring, "symbols": list(chunk.symbols)},
    )


def _contribution(ranks: Mapping[str, Place]) -> dict[str, float]:
    """By words and by meaning, and of the latter what each of two models gave."""
    of_two = {name: ranks[name].contribution for name in ("text", "code") if name in ranks}
    return {"lexical": _share(ranks, LEXICAL), "vector": _share(ranks, VECTOR)} | of_two


def _share(ranks: Mapping[str, Place], names: tuple[str, ...]) -> float:
    return sum(ranks[name].contribution for name in names if name in ranks)


def _ms(seconds: Mapping[str, float], step: str) -> float | None:
    """Of the steps whose names begin with *step*."""
    taken = [value for name, value in seconds.items() if name.startswith(step)]
    return round(1000 * sum(taken), 3) if taken else None
