"""Notes: what was learnt, of projects and of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi import Query as Parameter
from pydantic import Field

from mnemolite.errors import InvalidInput, NotFound
from mnemolite.memory import Memory
from mnemolite.notebook import Notebook
from mnemolite.records import GLOBAL, MAX_TITLE, NOTE_KINDS, Context, Note, NoteFilter, NoteHit, Relation, Status
from mnemolite.serve.http.guard import reader, writer
from mnemolite.serve.http.problems import BUSY, MISSING, documented
from mnemolite.serve.http.wire import LeastScore, Moment, QueryText, Whole, reply, request
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Caller
from mnemolite.types import Kind, Query, Results

Read = Annotated[Caller, Depends(reader)]
Write = Annotated[Caller, Depends(writer)]
KindName = Annotated[str, Field(json_schema_extra={"enum": list(NOTE_KINDS)})]
Project = Annotated[str | None, Field(description="Only of this project, and the global ones.")]


@request
class ContextIn:
    situation: str = ""
    solution: str = ""
    what_failed: str = ""
    keywords: tuple[str, ...] = ()


@request
class NewNote:
    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE)]
    body: str = ""
    kind: KindName = Kind.REFERENCE
    tags: tuple[str, ...] = ()
    project: Annotated[str | None, Field(description="None: of all projects, or the one the key is for.")] = None
    context: ContextIn = ContextIn()
    confidence: Annotated[Whole, Field(ge=0, le=5)] = 2
    metadata: dict[str, Any] = field(default_factory=dict)


@request
class NoteEdit:
    """What is given is changed."""

    title: Annotated[str | None, Field(min_length=1, max_length=MAX_TITLE)] = None
    body: str | None = None
    kind: KindName | None = None
    tags: tuple[str, ...] | None = None
    project: str | None = None
    context: ContextIn | None = None
    confidence: Annotated[Whole | None, Field(ge=0, le=5)] = None
    status: Status | None = None
    metadata: dict[str, Any] | None = None


@request
class NewLink:
    relation: Relation
    target: Annotated[str, Field(description="The other note's id.")]
    reason: str = ""


@request
class SearchNotes:
    query: QueryText
    project: Project = None
    kinds: tuple[KindName, ...] = ()
    tags: tuple[str, ...] = ()
    status: Status | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[Whole, Field(ge=1, le=100)] = 10
    min_score: LeastScore = None


@dataclass(frozen=True, kw_only=True)
class FoundNote:
    note: Note
    rank: int
    score: float
    text: str  # the part of the note that answers best


@dataclass(frozen=True, kw_only=True)
class NotesReply:
    results: list[FoundNote]
    best_score: float  # of all notes, also of one that min_score leaves out
    relevant: bool  # false where even that seems to be about something else
    degraded: list[str]


class NoteRoutes:
    """A key for some projects only sees their notes and the global ones, and changes only theirs."""

    def __init__(self, memory: Memory, metrics: Metrics) -> None:
        self._memory = memory
        self._metrics = metrics

    @property
    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/notes", tags=["notes"], responses=documented(MISSING, BUSY))
        add = router.add_api_route
        add("", self.create, methods=["POST"], status_code=201, summary="Keep a note", response_model=Note)
        add("", self.select, summary="Notes, the last changed first", response_model=list[Note])
        add("/search", self.search, methods=["POST"], summary="Find notes", response_model=NotesReply)
        add("/{id}", self.get, summary="A note", response_model=Note)
        add("/{id}", self.edit, methods=["PATCH"], summary="Change a note", response_model=Note)
        add("/{id}", self.delete, methods=["DELETE"], summary="Remove a note", response_model=Note)
        add("/{id}/restore", self.restore, methods=["POST"], summary="Bring it back", response_model=Note)
        add("/{id}/links", self.link, methods=["POST"], summary="Link it to another", response_model=Note)
        add("/{id}/similar", self.similar, summary="Notes near in meaning", response_model=NotesReply)
        return router

    def create(self, body: NewNote, caller: Write) -> Response:
        project = body.project
        if project is None:
            project = caller.projects[0] if caller.projects else GLOBAL
        caller.confined(project)
        note = self._written(caller).add(
            body.title,
            body.body,
            kind=Kind(body.kind),
            tags=body.tags,
            project=project,
            context=_context(body.context),
            confidence=body.confidence,
            metadata=body.metadata,
        )
        return reply(note, 201)

    def select(
        self,
        caller: Read,
        project: str | None = None,
        kind: KindName | None = None,
        tag: Annotated[list[str] | None, Parameter(description="All of them.")] = None,
        status: Status | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        deleted: bool = False,
        limit: Annotated[int, Parameter(ge=1, le=1000)] = 100,
    ) -> Response:
        wanted = _filter((kind,) if kind else (), tag or (), status, since, until, deleted=deleted, limit=limit)
        return reply(self._read(caller, project).select(wanted))

    def get(self, id: str, caller: Read) -> Response:
        """Counts as a look at it."""
        return reply(self._read(caller, None).get(id, count=True))

    def edit(self, id: str, body: NoteEdit, caller: Write) -> Response:
        if body.project is not None:
            caller.confined(body.project)
        values = {name: getattr(body, name) for name in NoteEdit.__dataclass_fields__}
        values = {name: value for name, value in values.items() if value is not None}
        if not values:
            raise InvalidInput(f"nothing to change; give one of {', '.join(NoteEdit.__dataclass_fields__)}")
        if body.kind is not None:
            values["kind"] = Kind(body.kind)
        if body.context is not None:
            values["context"] = _context(body.context)
        return reply(self._written(caller).edit(id, **values))

    def delete(self, id: str, caller: Write) -> Response:
        """It is found no more, until it is restored."""
        return reply(self._written(caller).forget(id))

    def restore(self, id: str, caller: Write) -> Response:
        """One that is not removed stays as it is."""
        notes = self._written(caller)
        try:
            return reply(notes.restore(id))
        except NotFound:
            return reply(notes.get(id))

    def link(self, id: str, body: NewLink, caller: Write) -> Response:
        """One that is there already gets the new reason."""
        notes = self._written(caller)
        notes.get(id)
        try:
            notes.get(body.target)
        except NotFound as error:  # which says 404 only of what the path names
            raise InvalidInput(f"target: {error}") from error
        return reply(notes.link(id, body.relation, body.target, body.reason))

    def search(self, body: SearchNotes, caller: Read) -> Response:
        """By words and by meaning, the best first."""
        wanted = _filter(body.kinds, body.tags, body.status, body.since, body.until)
        with self._metrics.searching("notes"):
            query = Query(text=body.query, limit=body.limit, min_score=body.min_score)
            results = self._read(caller, body.project).search(query, wanted)
        self._metrics.searched("notes", results)
        return reply(_reply(results))

    def similar(self, id: str, caller: Read, limit: Annotated[int, Parameter(ge=1, le=100)] = 10) -> Response:
        return reply(_reply(self._read(caller, None).similar(id, limit)))

    def _read(self, caller: Caller, project: str | None) -> Notebook:
        projects = caller.confined(project)
        return self._memory.notes.within((*projects, GLOBAL) if projects else ())

    def _written(self, caller: Caller) -> Notebook:
        return self._memory.notes.within(caller.projects)


def _context(given: ContextIn) -> Context:
    return Context(
        situation=given.situation,
        solution=given.solution,
        what_failed=given.what_failed,
        keywords=given.keywords,
    )


def _filter(
    kinds: Sequence[str],
    tags: Sequence[str],
    status: Status | None,
    since: datetime | None,
    until: datetime | None,
    **more: Any,
) -> NoteFilter:
    return NoteFilter(
        kinds=tuple(map(Kind, kinds)),
        tags=tuple(tags),
        statuses=(status,) if status else (),
        since=since,
        until=until,
        **more,
    )


def _reply(results: Results) -> NotesReply:
    hits = [hit for hit in results.hits if isinstance(hit, NoteHit)]
    return NotesReply(
        results=[
            FoundNote(note=hit.note, rank=rank, score=hit.score, text=hit.chunk.text)
            for rank, hit in enumerate(hits, 1)
        ],
        best_score=results.best,
        relevant=results.relevant,
        degraded=list(results.degraded),
    )
