"""Events: what programs report, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response
from fastapi import Query as Parameter
from pydantic import Field

from mnemolite.errors import Forbidden, NotFound
from mnemolite.event_log import EventLog
from mnemolite.memory import Memory
from mnemolite.records import Event, EventFilter, EventHit
from mnemolite.serve.http.guard import reader, writer
from mnemolite.serve.http.problems import BUSY, MISSING, documented
from mnemolite.serve.http.wire import Moment, QueryText, Real, VectorIn, Whole, reply, request, vector_of
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Caller
from mnemolite.types import Domain, Query

PROJECT = "project"  # the key of the metadata that says whose an event is
VECTOR = ("vector", "text", "code")

Read = Annotated[Caller, Depends(reader)]
Write = Annotated[Caller, Depends(writer)]
Json = dict[str, Any]
Limit = Annotated[Whole, Field(ge=1, le=100)]


@request
class NewEvent:
    content: Json
    metadata: Json = field(default_factory=dict)
    embedding: Annotated[VectorIn | None, Field(description="Instead of the model's, of its dimension.")] = None
    timestamp: Annotated[Moment | None, Field(description="With a time zone; now unless told.")] = None
    id: Annotated[str | None, Field(description="A new one unless told.")] = None


@request
class SearchEvents:
    query: QueryText
    metadata: Json = field(default_factory=dict)
    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = 10


@request
class SearchByVector:
    embedding: VectorIn
    metadata: Json = field(default_factory=dict)
    since: Moment | None = None
    until: Moment | None = None


@dataclass(frozen=True, kw_only=True)
class EventOut:
    id: str
    timestamp: datetime
    content: Json
    metadata: Json
    embedding: list[float] | None  # the one it came with
    similarity_score: float | None = None  # cosine, of an event that was searched for


class EventRoutes:
    """A key for some projects only sees events whose metadata has one of them as ``project``."""

    def __init__(self, memory: Memory, metrics: Metrics) -> None:
        self._memory = memory
        self._metrics = metrics

    @property
    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/events", tags=["events"], responses=documented(MISSING, BUSY))
        add = router.add_api_route
        for path in ("", "/"):
            add(
                path,
                self.create,
                methods=["POST"],
                status_code=201,
                summary="Keep an event",
                response_model=EventOut,
                include_in_schema=not path,
            )
        found = list[EventOut]
        add("/filter/metadata", self.filter, methods=["POST"], summary="Events by metadata", response_model=found)
        add("/search", self.search, methods=["POST"], summary="Events by text", response_model=found)
        add("/search/embedding", self.nearest, methods=["POST"], summary="Events by a vector", response_model=found)
        add("/{id}", self.get, summary="An event", response_model=EventOut)
        add("/{id}/metadata", self.update, methods=["PATCH"], summary="Change its metadata", response_model=EventOut)
        add("/{id}", self.delete, methods=["DELETE"], status_code=204, summary="Forget an event")
        return router

    def create(self, body: NewEvent, caller: Write) -> Response:
        """Content and metadata come back as they were sent."""
        embedding = None
        if body.embedding is not None:
            embedding = vector_of("embedding", body.embedding, self._memory.space(Domain.TEXT))
        event = self._events.create(
            body.content,
            _own(body.metadata, caller),
            timestamp=body.timestamp,
            embedding=embedding,
            id=body.id or "",
        )
        return reply(_out(event), 201)

    def get(self, id: str, caller: Read) -> Response:
        return reply(_out(self._seen(id, caller)))

    def update(self, id: str, caller: Write, metadata: Annotated[Json, Body()]) -> Response:
        """Its keys are added to those there are, or take their place."""
        self._seen(id, caller)
        if PROJECT in metadata:
            _own(metadata, caller)
        return reply(_out(self._events.merge_metadata(id, metadata)))

    def delete(self, id: str, caller: Write) -> None:
        self._seen(id, caller)
        self._events.delete(id)

    def filter(
        self,
        caller: Read,
        metadata: Annotated[Json, Body(description="Contained in the event's own, as PostgreSQL's @>.")],
        limit: Annotated[int, Parameter(ge=1, le=100)] = 10,
        offset: Annotated[int, Parameter(ge=0, le=10_000)] = 0,
    ) -> Response:
        """The latest first."""
        wanted = EventFilter(metadata=_own(metadata, caller), limit=offset + limit)
        return reply([_out(event) for event in self._events.select(wanted)[offset:]])

    def search(self, body: SearchEvents, caller: Read) -> Response:
        """By words and by meaning, the best first."""
        wanted = EventFilter(metadata=_own(body.metadata, caller), since=body.since, until=body.until)
        return self._found(Query(text=body.query, limit=body.limit), wanted)

    def nearest(
        self,
        caller: Read,
        body: list[Real] | SearchByVector,
        limit: Annotated[int, Parameter(ge=1, le=100)] = 5,
    ) -> Response:
        """By cosine with a vector, which may be sent alone."""
        asked = body if isinstance(body, SearchByVector) else SearchByVector(embedding=body)
        space = self._memory.space(Domain.TEXT)
        vector = vector_of("embedding", asked.embedding, space)
        wanted = EventFilter(metadata=_own(asked.metadata, caller), since=asked.since, until=asked.until)
        return self._found(Query(text="", limit=limit, lexical=False, embeddings={space.domain: vector}), wanted)

    @property
    def _events(self) -> EventLog:
        return self._memory.events

    def _found(self, query: Query, wanted: EventFilter) -> Response:
        with self._metrics.searching("events"):
            results = self._events.search(query, wanted)
        self._metrics.searched("events", results)
        return reply([_out(hit.event, hit) for hit in results.hits if isinstance(hit, EventHit)])

    def _seen(self, id: str, caller: Caller) -> Event:
        event = self._events.get(id)
        if caller.projects and event.metadata.get(PROJECT) not in caller.projects:
            raise NotFound(f"no event {id!r}")
        return event


def _own(metadata: Json, caller: Caller) -> Json:
    """
    What an event of *caller* has as metadata, or is asked for by: confined to a project where the key is.

    Raises:
        Forbidden: it names none of the key's projects, and the key has several.
    """
    if not caller.projects:
        return metadata
    project = metadata.get(PROJECT, caller.projects[0] if len(caller.projects) == 1 else None)
    if project not in caller.projects:
        raise Forbidden(f"this key is for {', '.join(caller.projects)} only: name one as {PROJECT!r} in the metadata")
    return {**metadata, PROJECT: project}


def _out(event: Event, hit: EventHit | None = None) -> EventOut:
    places: Mapping[str, Any] = hit.ranks if hit else {}
    return EventOut(
        id=event.id,
        timestamp=event.timestamp,
        content=dict(event.content),
        metadata=dict(event.metadata),
        embedding=None if event.embedding is None else list(event.embedding),
        similarity_score=max((places[name].score for name in VECTOR if name in places), default=None),
    )
