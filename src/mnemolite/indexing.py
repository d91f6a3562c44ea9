"""Jobs that index repositories: taken in, looked at, cancelled, tried again. Whoever asks does not wait for them."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

from mnemolite.errors import InvalidInput, StoreUnavailable
from mnemolite.jobs import Batch, Job, JobState
from mnemolite.outbound import Outbound, Unreachable
from mnemolite.ports import JobStore, Queue
from mnemolite.repositories import Repositories, check_name, check_path
from mnemolite.settings import Settings

BATCH_FILES = 32  # done within a second or two, which is what the end of a worker costs
BATCH_BYTES = 1_000_000
SEND_AT_ONCE = 1000
KEPT_DAYS = 30.0
FIRST_GUESS_SECONDS = 0.5  # for a file, until a job has shown how long it takes
UNKNOWN_FILES = 100  # of a repository nobody has seen
IGNORE_FILES = (".gitignore", ".mnemoliteignore")

log = logging.getLogger(__name__)


class Indexing:
    """Thread-safe. With a *queue*, it is told of what there is to do."""

    def __init__(
        self,
        store: JobStore,
        repositories: Repositories,
        settings: Settings,
        outbound: Outbound,
        queue: Queue | None = None,
    ) -> None:
        self.store = store
        self.repositories = repositories
        self.settings = settings
        self.outbound = outbound
        self.queue = queue
        self.news = threading.Event()  # that there is something to do, for threads of this process

    def submit(
        self,
        repository: str,
        *,
        path: str = "",
        git_url: str = "",
        files: Mapping[str, str] | None = None,
        callback_url: str = "",
    ) -> Job:
        """
        The new job: to make *repository* equal to the folder at *path* or to the head of *git_url*, or to put *files*,
        text by path, beside those it has. *callback_url* is told of the end.

        Raises:
            InvalidInput: a name, path, text or URL cannot be one, or nothing signs what a callback is told.
            Forbidden: a URL may not be asked.
        """
        check_name(repository)
        if git_url:
            self._check_url(git_url)
        if callback_url:
            if not self.settings.webhook_secret:
                raise InvalidInput(
                    "a callback would not be signed; set webhook_secret, best as MNEMOLITE_WEBHOOK_SECRET"
                )
            self._check_url(callback_url)
        job = Job(
            id=uuid.uuid4().hex,
            repository=repository,
            path=path,
            git_url=git_url,
            callback_url=callback_url,
            created_at=datetime.now(UTC),
        )
        self.store.submit(job, None if files is None else batches_of(_checked(files)))
        self.send()
        return self.store.get(job.id)

    def get(self, id: str) -> Job:
        """
        Raises:
            NotFound: there is no such job.
        """
        return self.store.get(id)

    def jobs(self, repositories: Sequence[str] = (), states: Sequence[JobState] = (), limit: int = 100) -> list[Job]:
        """The latest first; empty sequences mean all."""
        return self.store.jobs(repositories, states, limit)

    def active(self, repository: str) -> list[Job]:
        return self.store.jobs([repository], [JobState.PENDING, JobState.STARTED], 1)

    def cancel(self, id: str) -> Job:
        """
        Ends a job; what was indexed stays.

        Raises:
            NotFound: there is no such job.
            Conflict: it has ended.
        """
        job = self.store.cancel(id)
        self.send()
        return job

    def retry(self, id: str) -> Job:
        """
        Has a job that ended go on with what it has not done.

        Raises:
            NotFound: there is no such job.
            Conflict: it has not ended, or nothing is left of it.
        """
        job = self.store.retry(id)
        self.send()
        return job

    def estimate_seconds(self, job: Job) -> float:
        """How long *job* will take from now, as the latest jobs did; waiting for others left out."""
        files = job.total - job.progress
        if not job.total:
            held = (source.documents for source in self.repositories.all() if source.name == job.repository)
            files = next(held, UNKNOWN_FILES)
        each = self.store.seconds_per_file()
        return round(files * (FIRST_GUESS_SECONDS if each is None else each), 3)

    def send(self, lost_after_seconds: float | None = None) -> None:
        """Tells who works on jobs, in this process or by the queue, what can be done now."""
        self.news.set()
        if self.queue is None:
            return
        tasks = self.store.to_send(SEND_AT_ONCE, lost_after_seconds)
        try:
            if tasks:
                self.queue.send(tasks)
        except StoreUnavailable as error:  # they are sent again once it is back
            log.warning("%s", error)

    def sweep(self) -> None:
        """Has tasks done again whose worker is gone, and sent again that the queue has lost."""
        lost = self.store.sweep()
        if lost:
            log.warning("%d tasks are given to others: their workers ended, or hang", lost)
        if self.queue is not None:
            try:
                idle = self.queue.waiting() == 0
            except StoreUnavailable as error:
                log.warning("%s", error)
                return
            self.send(self.settings.job_lease_seconds if idle else None)

    def close(self) -> None:
        self.store.close()

    def _check_url(self, url: str) -> None:
        self.outbound.parts(url)
        try:
            self.outbound.target(url)
        except Unreachable:  # it is looked up again when it is asked
            log.info("%s has no address now", url)


def batches_of(files: Mapping[str, str]) -> list[Batch]:
    """Small ones; each has all ignore files, whose rules hold for the others."""
    rules = {path: text for path, text in files.items() if PurePosixPath(path).name in IGNORE_FILES}
    return [
        Batch(tuple(paths), {**rules, **{path: files[path] for path in paths}})
        for paths in cut(files, lambda path: len(files[path]))
    ]


def cut(paths: Iterable[str], size: Callable[[str], int] = lambda _: 0) -> Iterator[list[str]]:
    """Into pieces that are done within a second or two."""
    piece: list[str] = []
    total = 0
    for path in paths:
        piece.append(path)
        total += size(path)
        if len(piece) == BATCH_FILES or total > BATCH_BYTES:
            yield piece
            piece, total = [], 0
    if piece:
        yield piece


def _checked(files: Mapping[str, str]) -> dict[str, str]:
    checked: dict[str, str] = {}
    for path, text in files.items():
        known = check_path(path)
        if known in checked:
            raise InvalidInput(f"{known!r} is given twice among the files")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"the text of {path!r} is not valid Unicode at position {error.start}") from error
        checked[known] = text
    for path in checked:
        for folder in PurePosixPath(path).parents:
            if folder.as_posix() in checked:
                raise InvalidInput(f"{folder.as_posix()!r} is a file and a folder at once among the given ones")
    return checked
