"""Repositories indexed by jobs: taken in at once, worked on by others, watched from here."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from anyio import sleep, to_thread
from fastapi import APIRouter, Depends, Response
from fastapi import Query as Parameter
from fastapi.responses import StreamingResponse
from pydantic import Field

from mnemolite.errors import InvalidInput, NotFound, StoreUnavailable
from mnemolite.jobs import Job, JobState
from mnemolite.memory import Memory
from mnemolite.serve.http.guard import reader, writer
from mnemolite.serve.http.index import MAX_FILES, File, FileError, allowed_folder, by_path, roots_of
from mnemolite.serve.http.problems import BUSY, MISSING, documented
from mnemolite.serve.http.wire import reply, request
from mnemolite.serve.security import Caller
from mnemolite.settings import Settings

LOOK_SECONDS = 0.25  # between looks at a job that somebody watches
ALIVE_SECONDS = 15.0  # of silence, after which a proxy may close

Read = Annotated[Caller, Depends(reader)]
Write = Annotated[Caller, Depends(writer)]
State = Literal["PENDING", "STARTED", "SUCCESS", "FAILURE", "CANCELLED"]


@request
class IndexAsync:
    repository: Annotated[str, Field(min_length=1, max_length=200)]
    path: Annotated[str | None, Field(description="A folder of the server; the repository becomes what is in it.")] = (
        None
    )
    git_url: Annotated[
        str | None, Field(max_length=2000, description="The repository becomes what is at its head.")
    ] = None
    files: Annotated[
        list[File] | None, Field(max_length=MAX_FILES, description="Put beside the files there are, or in their place.")
    ] = None
    callback_url: Annotated[
        str | None, Field(max_length=2000, description="Is sent a signed POST when the job has ended.")
    ] = None

    def __post_init__(self) -> None:
        if [self.path, self.git_url, self.files].count(None) != 2:
            raise InvalidInput("give one of: the path of a folder on the server, git_url, files")


@dataclass(frozen=True, kw_only=True)
class Queued:
    status: str
    task_id: str
    repository: str
    estimated_time_seconds: float


@dataclass(frozen=True, kw_only=True)
class Callback:
    url: str
    state: str  # waiting, delivered, failed
    attempts: int
    error: str  # of the last attempt


@dataclass(frozen=True, kw_only=True)
class Status:
    task_id: str
    repository: str
    status: State
    progress: int  # files done
    total: int  # files to be read; 0 until that is known
    chunks_created: int
    files_removed: int
    files_failed: int
    errors: list[FileError]  # at most a thousand
    error: str  # why the job as a whole failed
    waiting_for: str  # what it cannot go on without just now
    revision: str  # the commit, of git
    attempts: int
    workers: int  # that are at it
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    estimated_time_seconds: float | None = None  # from now on, while it has not ended
    callbacks: list[Callback] | None = None  # not in lists


@dataclass(frozen=True, kw_only=True)
class Statuses:
    jobs: list[Status]


class JobRoutes:
    """A key for some projects only sees the jobs of these repositories."""

    def __init__(self, memory: Memory, settings: Settings) -> None:
        self._jobs = memory.indexing
        self._roots = roots_of(settings)

    @property
    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/code/index", tags=["jobs"], responses=documented(MISSING, BUSY))
        add = router.add_api_route
        add(
            "/async",
            self.submit,
            methods=["POST"],
            status_code=202,
            summary="Have a repository indexed",
            response_model=Queued,
        )
        add("/status/{task_id}", self.status, summary="How far a job is", response_model=Status)
        add(
            "/status/{task_id}/events",
            self.events,
            summary="A job as it goes on",
            response_class=StreamingResponse,
            responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
        )
        add("/jobs", self.latest, summary="The latest jobs", response_model=Statuses)
        add("/jobs/{task_id}/cancel", self.cancel, methods=["POST"], summary="End a job", response_model=Status)
        add("/jobs/{task_id}/retry", self.retry, methods=["POST"], summary="Go on with a job", response_model=Status)
        return router

    def submit(self, body: IndexAsync, caller: Write) -> Response:
        """Answers at once; jobs of one repository are worked on in their order."""
        caller.confined(body.repository)
        job = self._jobs.submit(
            body.repository,
            path=str(allowed_folder(body.path, self._roots, caller)) if body.path is not None else "",
            git_url=body.git_url or "",
            files=None if body.files is None else by_path(body.files),
            callback_url=body.callback_url or "",
        )
        queued = Queued(
            status="queued",
            task_id=job.id,
            repository=job.repository,
            estimated_time_seconds=self._jobs.estimate_seconds(job),
        )
        return reply(queued, 202)

    def status(self, task_id: str, caller: Read) -> Response:
        return reply(self._status(task_id, caller))

    def latest(
        self,
        caller: Read,
        repository: str | None = None,
        status: State | None = None,
        limit: Annotated[int, Parameter(ge=1, le=1000)] = 100,
    ) -> Response:
        """The latest first."""
        states = [JobState(status)] if status else []
        return reply(Statuses(jobs=[_out(job) for job in self._jobs.jobs(caller.confined(repository), states, limit)]))

    def cancel(self, task_id: str, caller: Write) -> Response:
        """What was indexed stays; what is being done just now is ended or comes to nothing."""
        self._seen(task_id, caller)
        return reply(_out(self._jobs.cancel(task_id)))

    def retry(self, task_id: str, caller: Write) -> Response:
        """With what it has not done, files that were set aside included."""
        self._seen(task_id, caller)
        return reply(_out(self._jobs.retry(task_id)))

    async def events(self, task_id: str, caller: Read) -> Response:
        """Server-sent events: its status at first and whenever it changes, until it has ended."""
        first = await to_thread.run_sync(self._status, task_id, caller)
        return StreamingResponse(self._changes(first, caller), media_type="text/event-stream")

    async def _changes(self, now: Status, caller: Caller) -> AsyncIterator[bytes]:
        told: Status | None = None
        spoken = time.monotonic()
        while True:
            if told is None or _lasting(now) != _lasting(told):
                told, spoken = now, time.monotonic()
                yield b"event: status\ndata: " + msgspec.json.encode(now) + b"\n\n"
            elif time.monotonic() - spoken > ALIVE_SECONDS:
                spoken = time.monotonic()
                yield b": still there\n\n"
            if JobState(now.status).is_final:
                return
            await sleep(LOOK_SECONDS)
            try:
                now = await to_thread.run_sync(self._status, now.task_id, caller)
            except StoreUnavailable:  # it may come back; a client that goes away ends this
                continue

    def _status(self, task_id: str, caller: Caller) -> Status:
        job = self._seen(task_id, caller)
        left = None if job.state.is_final else self._jobs.estimate_seconds(job)
        callbacks = [
            Callback(url=each.url, state=each.state, attempts=each.attempts, error=each.failure)
            for each in self._jobs.store.deliveries(job.id)
        ]
        return _out(job, left, callbacks)

    def _seen(self, task_id: str, caller: Caller) -> Job:
        job = self._jobs.get(task_id)
        if caller.projects and job.repository not in caller.projects:
            raise NotFound(f"no job {task_id!r}")
        return job


def _lasting(status: Status) -> Status:
    return replace(status, estimated_time_seconds=None)


def _out(job: Job, left: float | None = None, callbacks: list[Callback] | None = None) -> Status:
    return Status(
        task_id=job.id,
        repository=job.repository,
        status=job.state.value,
        progress=job.progress,
        total=job.total,
        chunks_created=job.chunks,
        files_removed=job.removed,
        files_failed=job.failed,
        errors=[FileError(file=path, error=error) for path, error in job.errors.items()],
        error=job.failure,
        waiting_for=job.waiting_for,
        revision=job.revision,
        attempts=job.attempts,
        workers=job.running,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        estimated_time_seconds=left,
        callbacks=callbacks,
    )
