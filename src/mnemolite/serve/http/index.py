"""Repositories: indexed from a folder of this machine or from files that are sent, listed, deleted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from anyio import CapacityLimiter, Lock, move_on_after, to_thread
from fastapi import APIRouter, Depends, Response
from pydantic import Field

from mnemolite.errors import Conflict, Forbidden, InvalidInput, NotFound
from mnemolite.ingest.pipeline import Report
from mnemolite.ingest.walk import Reason
from mnemolite.memory import Memory
from mnemolite.serve.http.guard import admin, reader, writer
from mnemolite.serve.http.problems import BUSY, MISSING, documented
from mnemolite.serve.http.wire import Flag, reply, request
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Caller
from mnemolite.settings import Settings

MAX_FILES = 10_000  # of one request

Read = Annotated[Caller, Depends(reader)]
Write = Annotated[Caller, Depends(writer)]
Admin = Annotated[Caller, Depends(admin)]
Older = Annotated[Flag | str | None, Field(description="Sent by older clients; without effect.")]


@request
class File:
    path: Annotated[str, Field(description="Within the repository, such as src/app.py.")]
    content: str
    language: Older = None


@request
class Index:
    repository: Annotated[str, Field(min_length=1, max_length=200)]
    path: Annotated[str | None, Field(description="A folder of the server; the repository becomes what is in it.")] = (
        None
    )
    files: Annotated[
        list[File] | None, Field(max_length=MAX_FILES, description="Put beside the files there are, or in their place.")
    ] = None
    repository_root: Older = None
    commit_hash: Older = None
    extract_metadata: Older = None
    generate_embeddings: Older = None
    build_graph: Older = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.files is None):
            raise InvalidInput("give either the path of a folder on the server, or files")


@dataclass(frozen=True, kw_only=True)
class FileError:
    file: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Indexed:
    repository: str
    indexed_files: int  # read, because they are new or have changed
    indexed_chunks: int
    removed_files: int
    failed_files: int
    errors: list[FileError]  # files that have no text to index, at most a hundred for each reason
    skipped: dict[str, int]  # files by reason, those that no repository holds included
    masked_secrets: int
    cut_by_lines: list[str]  # files that stopped their parser
    processing_time_ms: float
    degraded: list[str]  # what it does not rest on: a configured model that the index is not yet made by
    indexed_nodes: int = 0  # of a graph, which there is none
    indexed_edges: int = 0


@dataclass(frozen=True, kw_only=True)
class Repository:
    repository: str
    file_count: int
    chunk_count: int
    skipped: dict[str, int]  # files that are known to have nothing to index, by reason


@dataclass(frozen=True, kw_only=True)
class Repositories:
    repositories: list[Repository]


@dataclass(frozen=True, kw_only=True)
class Deleted:
    repository: str
    deleted_files: int
    deleted_chunks: int
    deleted_nodes: int = 0
    deleted_edges: int = 0


class IndexRoutes:
    def __init__(self, memory: Memory, metrics: Metrics, settings: Settings) -> None:
        self._waiting = metrics.index_waiting
        self._repositories = memory.repositories
        self._jobs = memory.indexing
        self._roots = roots_of(settings)
        self._wait_seconds = settings.lock_wait_seconds
        self._turn = Lock()
        self._threads = CapacityLimiter(1)  # of its own: those of the requests stay free

    @property
    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/code/index", tags=["code index"], responses=documented(MISSING, BUSY))
        router.add_api_route(
            "", self.index, methods=["POST"], status_code=201, summary="Index a repository", response_model=Indexed
        )
        router.add_api_route("/repositories", self.repositories, summary="What is indexed")
        router.add_api_route(
            "/repositories/{repository:path}", self.delete, methods=["DELETE"], summary="Forget a repository"
        )
        return router

    async def index(self, body: Index, caller: Write) -> Response:
        """
        Answers when it is done, and goes on when the client does not wait: what is stored by then stays, and another
        request goes on from there. One at a time; the next waits a while, then is told to ask again.
        """
        caller.confined(body.repository)
        if body.files is not None:
            work = partial(self._repositories.add, body.repository, by_path(body.files))
        else:
            work = partial(
                self._repositories.index, body.repository, allowed_folder(body.path or "", self._roots, caller)
            )
        start = time.perf_counter()
        with move_on_after(self._wait_seconds) as waiting, self._waiting.track_inprogress():
            await self._turn.acquire()
        if waiting.cancelled_caught:
            raise Conflict("another repository is being indexed; ask again when it is done")
        try:
            report = await to_thread.run_sync(work, limiter=self._threads)
        finally:
            self._turn.release()
        return reply(_indexed(body, report, time.perf_counter() - start), 201)

    def repositories(self, caller: Read) -> Repositories:
        """By name; those the key may see."""
        return Repositories(
            repositories=[
                Repository(
                    repository=source.name,
                    file_count=source.documents,
                    chunk_count=source.chunks,
                    skipped=dict(source.skipped),
                )
                for source in self._repositories.all()
                if not caller.projects or source.name in caller.projects
            ]
        )

    def delete(self, repository: str, caller: Admin) -> Deleted:
        """With all that was stored of it."""
        caller.confined(repository)
        for job in self._jobs.active(repository):
            raise Conflict(f"job {job.id} is indexing {repository!r}; cancel it first")
        gone = self._repositories.delete(repository)
        return Deleted(repository=repository, deleted_files=gone.documents, deleted_chunks=gone.chunks)


def roots_of(settings: Settings) -> tuple[Path, ...]:
    return tuple(Path(root).expanduser().resolve() for root in settings.index_roots)


def allowed_folder(path: str, roots: Sequence[Path], caller: Caller) -> Path:
    """
    The folder at *path*, without links, where it is one that may be indexed.

    Raises:
        Forbidden: it is not below one of *roots*, whether it exists or not; or the key is for some projects only, and
            other projects may lie below the roots.
    """
    if caller.projects:
        raise Forbidden("a key for some projects only may send files, but not name a folder of the server")
    try:
        folder = Path(path).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"{path!r} cannot be a path: {error}") from error
    if not Path(path).is_absolute() or not any(folder.is_relative_to(root) for root in roots):
        raise Forbidden(f"{path!r} is not in a folder that may be indexed: the server's operator names them by --root")
    if not folder.is_dir():
        raise NotFound(f"there is no folder {path}")
    return folder


def by_path(files: Sequence[File]) -> dict[str, str]:
    by_path = {file.path: file.content for file in files}
    if len(by_path) < len(files):
        raise InvalidInput("a path is given twice among the files")
    return by_path


def _indexed(body: Index, report: Report, seconds: float) -> Indexed:
    failures = report.skipped_paths if body.files is not None else _unreadable(report)
    errors = [FileError(file=path, error=str(reason)) for reason, paths in failures.items() for path in paths]
    return Indexed(
        repository=body.repository,
        indexed_files=report.indexed,
        indexed_chunks=report.chunks,
        removed_files=report.removed,
        failed_files=len(errors),
        errors=errors,
        skipped=dict(report.skipped),
        masked_secrets=sum(map(len, report.masked.values())),
        cut_by_lines=list(report.poison),
        processing_time_ms=round(1000 * seconds, 3),
        degraded=[report.remark] if report.remark else [],
    )


def _unreadable(report: Report) -> dict[str, list[str]]:
    """Of a folder: that an image or an ignored file is left out is no failure."""
    return {reason: paths for reason, paths in report.skipped_paths.items() if reason == Reason.UNREADABLE}
