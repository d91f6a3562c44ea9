"""The map of what is indexed: a query, what it finds and what lies around it, as points of a plane; and their code."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Response
from fastapi import Path as InPath
from pydantic import Field

from mnemolite.errors import InvalidInput, NotFound
from mnemolite.memory import Memory
from mnemolite.search.plane import Sample, sample
from mnemolite.serve.http.guard import reader
from mnemolite.serve.http.problems import BUSY, MISSING, documented
from mnemolite.serve.http.wire import QueryText, Whole, reply, request
from mnemolite.serve.security import Caller
from mnemolite.types import Chunk, Domain, Query, Results, Role, Scope, Space

if TYPE_CHECKING:
    from mnemolite.types import Vector

MAX_PLANES = 16  # that are kept, of as many choices of repositories

PointRole = Literal["sample", "neighbour", "result", "asked"]
Read = Annotated[Caller, Depends(reader)]
ChunkId = Annotated[str, Field(pattern=r"^[0-9]{1,18}$", description="As a search names it.")]


@request
class AskMap:
    query: Annotated[QueryText | None, Field(description="Shown where its vector is.")] = None
    chunk_id: Annotated[ChunkId | None, Field(description="Instead of a query: what lies around this chunk.")] = None
    repository: Annotated[str | None, Field(description="Only this repository.", max_length=200)] = None
    limit: Annotated[Whole, Field(ge=1, le=100, description="Results of the query that are shown.")] = 10
    neighbours: Annotated[Whole, Field(ge=0, le=200, description="Chunks nearest by meaning, besides.")] = 20

    def __post_init__(self) -> None:
        if self.query is not None and self.chunk_id is not None:
            raise InvalidInput("give either a query or a chunk_id")


@dataclass(frozen=True, kw_only=True)
class Point:
    chunk_id: str
    x: float
    y: float
    role: PointRole
    rank: int | None  # of a result
    similarity: float | None  # cosine with what was asked
    repository: str
    file_path: str
    first_line: int
    last_line: int
    name: str
    chunk_type: str
    language: str


@dataclass(frozen=True, kw_only=True)
class Map:
    model: str
    dimension: int
    variance: list[float]  # what each axis keeps of all variance of the sample, 0..1
    sample_size: int  # chunks that the axes were fitted on
    chunk_count: int  # of these repositories
    query: list[float] | None  # where the query is
    embedding: list[float] | None  # of what was asked
    points: list[Point]  # what matters most last
    degraded: list[str]


@dataclass(frozen=True, kw_only=True)
class ChunkOut:
    chunk_id: str
    repository: str
    file_path: str
    language: str
    chunk_type: str
    name: str
    name_path: str  # with the names around it
    first_line: int
    last_line: int
    source_code: str


class MapRoutes:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._fitting = threading.Lock()
        self._version = -1  # of the store, that the samples are of
        self._samples: dict[tuple[str, ...], Sample | None] = {}

    @property
    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/code", tags=["code search"], responses=documented(MISSING, BUSY))
        router.add_api_route(
            "/map", self.map, methods=["POST"], summary="What is indexed, as a map", response_model=Map
        )
        router.add_api_route("/chunks/{chunk_id}", self.chunk, summary="A chunk", response_model=ChunkOut)
        return router

    def map(self, body: AskMap, caller: Read) -> Response:
        """
        A sample of what is indexed in the plane of its two principal components, and in it the query, its results and
        the chunks nearest to it. Two of some hundred dimensions: `variance` says how little of all differences is seen.
        """
        scope = Scope(sources=caller.confined(body.repository))
        store, space = self._memory.repositories.store, self._memory.space(Domain.CODE)
        seen = self._sample(scope.sources, space)
        results = Results(hits=())
        asked: Vector | None = None
        if body.query is not None:
            results = self._memory.search(Query(text=body.query, limit=body.limit, scope=scope), notes=0)
            asked = self._memory.embed(body.query, Domain.CODE, Role.QUERY)
        elif body.chunk_id is not None:
            asked = store.vector(space, self._chunk(body.chunk_id, caller).id)
        near = dict(store.nearest(space, asked, scope, body.limit + body.neighbours)) if asked is not None else {}
        ranks = {hit.chunk.id: rank for rank, hit in enumerate(results.hits, 1)}
        if body.chunk_id is not None:
            ranks[int(body.chunk_id)] = 0
        around = [id for id in near if id not in ranks][: body.neighbours]
        return reply(
            Map(
                model=space.model,
                dimension=space.dimension,
                variance=list(seen.plane.variance) if seen else [0.0, 0.0],
                sample_size=len(seen.chunks) if seen else 0,
                chunk_count=sum(s.chunks for s in store.sources() if not scope.sources or s.name in scope.sources),
                query=list(seen.plane.points(asked[None])[0]) if seen and asked is not None and body.query else None,
                embedding=None if asked is None else asked.tolist(),
                points=self._points(seen, space, around, ranks, asked) if seen else [],
                degraded=list(results.degraded),
            )
        )

    def chunk(self, chunk_id: Annotated[ChunkId, InPath()], caller: Read) -> Response:
        """As it was indexed."""
        chunk = self._chunk(chunk_id, caller)
        return reply(
            ChunkOut(
                chunk_id=chunk_id,
                repository=chunk.source,
                file_path=chunk.path,
                language=chunk.language,
                chunk_type=chunk.kind,
                name=chunk.name,
                name_path=".".join(filter(None, (chunk.parent, chunk.name))),
                first_line=chunk.first_line,
                last_line=chunk.last_line,
                source_code=chunk.text,
            )
        )

    def _chunk(self, id: str, caller: Caller) -> Chunk:
        found = self._memory.repositories.store.chunks([int(id)])
        if not found or (caller.projects and found[0].source not in caller.projects):
            raise NotFound(f"no chunk {id}; it may have changed since it was found: search again")
        return found[0]

    def _sample(self, sources: tuple[str, ...], space: Space) -> Sample | None:
        """Fitted again once something else is stored."""
        store = self._memory.repositories.store
        with self._fitting:
            version = store.version()
            if version != self._version or len(self._samples) >= MAX_PLANES:
                self._version, self._samples = version, {}
            if sources not in self._samples:
                self._samples[sources] = sample(store, sources, space)
            return self._samples[sources]

    def _points(
        self, seen: Sample, space: Space, around: Sequence[int], ranks: Mapping[int, int], asked: Vector | None
    ) -> list[Point]:
        import numpy as np

        shown = {*around, *ranks}
        points = [
            _point(chunk, at, "sample")
            for chunk, at in zip(seen.chunks, seen.points, strict=True)
            if chunk.id not in shown
        ]
        store = self._memory.repositories.store
        for chunk in store.chunks([*around, *reversed(ranks)]):
            vector = store.vector(space, chunk.id)
            if vector is None or asked is None:
                continue
            [at] = seen.plane.points(vector[None])
            rank = ranks.get(chunk.id)
            role: Literal["neighbour", "result", "asked"] = (
                "neighbour" if rank is None else "result" if rank else "asked"
            )
            points.append(_point(chunk, at, role, rank or None, float(np.dot(vector, asked))))
        return points


def _point(
    chunk: Chunk,
    at: tuple[float, float],
    role: PointRole,
    rank: int | None = None,
    similarity: float | None = None,
) -> Point:
    return Point(
        chunk_id=str(chunk.id),
        x=at[0],
        y=at[1],
        role=role,
        rank=rank,
        similarity=similarity,
        repository=chunk.source,
        file_path=chunk.path,
        first_line=chunk.first_line,
        last_line=chunk.last_line,
        name=chunk.name,
        chunk_type=chunk.kind,
        language=chunk.language,
    )
