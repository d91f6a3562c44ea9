"""What a worker does with a task: it holds on to it while it works, and says what came of it."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from mnemolite.errors import (
    Cancelled,
    CheckoutFailed,
    Conflict,
    EmbedderUnavailable,
    Forbidden,
    InvalidInput,
    SpaceMismatch,
    StoreUnavailable,
)
from mnemolite.indexing import Indexing, cut
from mnemolite.ingest.checkout import Checkouts
from mnemolite.ingest.git import head
from mnemolite.ingest.walk import Reason
from mnemolite.jobs import Batch, Claim, TaskKind

if TYPE_CHECKING:
    from mnemolite.ingest.parser import Parser

BEATS = 3  # of a worker in a lease
AGAIN_SECONDS = 3.0  # until a task is tried again that something was away for
TELL_SECONDS = 60.0  # so long it is tried to say what came of a task: another attempt would cost as much

log = logging.getLogger(__name__)


class Indexer:
    """One pair of hands, for one thread. It keeps its parsers from task to task; :meth:`rest` ends them."""

    def __init__(self, indexing: Indexing, checkouts: Checkouts) -> None:
        self._indexing = indexing
        self._store = indexing.store
        self._checkouts = checkouts
        self._lease_seconds = indexing.settings.job_lease_seconds
        self._name = f"{socket.gethostname()}, process {os.getpid()}, {threading.current_thread().name}"
        self._parser: Parser | None = None

    def work(self, job: str = "") -> bool:
        """
        Does the task that is next, of *job* where one is named; whether there was one to be done now.

        Raises:
            StoreUnavailable: the jobs cannot be reached.
        """
        claim = self._store.claim(self._name, self._lease_seconds, job)
        if claim is None:
            return False
        with _kept(self._indexing, claim, self._lease_seconds) as wanted:
            try:
                tell = self._do(claim, wanted)
            except Cancelled:
                tell = None
            except (Conflict, EmbedderUnavailable, StoreUnavailable) as error:
                log.warning("job %s waits: %s", claim.job.id, error)
                tell = _later(self._indexing, claim, str(error))
            except (Forbidden, InvalidInput, SpaceMismatch) as error:
                for_good = claim.kind is TaskKind.PLAN or isinstance(error, SpaceMismatch)
                tell = _failed(self._indexing, claim, str(error), for_good=for_good)
            except CheckoutFailed as error:
                tell = _failed(self._indexing, claim, str(error))
            except Exception as error:  # the task is tried again, and its files set aside in the end
                log.exception("job %s, task %d", claim.job.id, claim.number)
                tell = _failed(self._indexing, claim, f"{type(error).__name__}: {error}")
            if tell is not None:
                _insist(tell)
        self._indexing.send()
        return True

    def rest(self) -> None:
        if self._parser is not None:
            self._parser.close()
            self._parser = None

    def __enter__(self) -> Indexer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.rest()

    def _do(self, claim: Claim, wanted: Callable[[], bool]) -> Callable[[], object]:
        """Gives what is to be told of it."""
        store, repositories = self._store, self._indexing.repositories
        if claim.kind is TaskKind.FINISH:
            repositories.store.settle()
            return lambda: store.complete(claim)
        if claim.kind is TaskKind.PLAN:
            root = self._root(claim, wanted)
            changes = repositories.plan(claim.job.repository, root)
            revision = head(root) if claim.job.git_url else ""
            batches = [Batch(tuple(paths)) for paths in cut(changes.changed)]
            return lambda: store.plan(claim, batches, removed=len(changes.removed), revision=revision)
        self._parser = self._parser or repositories.parser()
        if claim.batch.contents is None:
            root = self._root(claim, wanted)
            report = repositories.put(claim.job.repository, root, claim.batch.paths, self._parser)
            reasons = {str(Reason.UNREADABLE)}  # that an image is left out is no failure
        else:
            report = repositories.put_files(claim.job.repository, claim.batch, self._parser)
            reasons = set(report.skipped_paths)
        errors = {path: str(reason) for reason in reasons for path in report.skipped_paths.get(reason, ())}
        # what an attempt stored before it was ended is the job's too
        chunks = report.chunks + (report.chunks_held if claim.attempts > 1 else 0)
        return lambda: store.complete(claim, chunks=chunks, errors=errors)

    def _root(self, claim: Claim, wanted: Callable[[], bool]) -> Path:
        job = claim.job
        if job.git_url:
            return self._checkouts.at(job.git_url, job.repository, job.revision, wanted)
        root = Path(job.path)
        if root.resolve() != root:
            raise Forbidden(f"{job.path} is not the folder it was when the job was submitted: it now leads elsewhere")
        return root


def _later(indexing: Indexing, claim: Claim, reason: str) -> Callable[[], object]:
    return lambda: indexing.store.postpone(claim, reason, AGAIN_SECONDS)


def _failed(indexing: Indexing, claim: Claim, reason: str, *, for_good: bool = False) -> Callable[[], object]:
    return lambda: indexing.store.fail(claim, reason, for_good=for_good)


def _insist(tell: Callable[[], object]) -> None:
    """The store may be away for a moment; where it stays away, the lease ends and the task is done again."""
    until = time.monotonic() + TELL_SECONDS
    while True:
        try:
            tell()
        except (Conflict, StoreUnavailable) as error:
            if time.monotonic() > until:
                raise
            log.warning("what came of a task cannot be said yet: %s", error)
            time.sleep(0.5)
        else:
            return


@contextmanager
def _kept(indexing: Indexing, claim: Claim, lease_seconds: float) -> Iterator[Callable[[], bool]]:
    """Extends the claim all the while; gives what says whether it still counts."""
    ended, lost = threading.Event(), threading.Event()

    def beat() -> None:
        while not ended.wait(lease_seconds / BEATS):
            try:
                if not indexing.store.extend(claim, lease_seconds):
                    lost.set()
                    return
            except (Conflict, StoreUnavailable) as error:
                log.warning("a claim could not be extended: %s", error)

    thread = threading.Thread(target=beat, name="mnemolite-lease", daemon=True)
    thread.start()
    try:
        yield lambda: not lost.is_set()
    finally:
        ended.set()
        thread.join()
