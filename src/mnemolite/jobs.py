"""The nouns of work that outlives who asked for it: jobs, the tasks they are cut into, and word of their end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from mnemolite.errors import InvalidInput

MAX_ERRORS = 1000  # files that a job names; all are counted
TASK_STATES = ("waiting", "running", "failed")
DELIVERY_STATES = ("waiting", "delivered", "failed")


class JobState(StrEnum):
    PENDING = "PENDING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"  # files that could not be indexed are among the job's errors
    FAILURE = "FAILURE"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        return self not in (JobState.PENDING, JobState.STARTED)

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise InvalidInput(f"no state {value!r}; there are {', '.join(cls)}")


class TaskKind(StrEnum):
    PLAN = "plan"  # find out what there is to do
    FILES = "files"  # index some of it
    FINISH = "finish"  # once no other is left


@dataclass(frozen=True, kw_only=True)
class Job:
    """A repository to be indexed from a folder, from a git repository, or from files that were sent with it."""

    id: str
    repository: str
    path: str = ""
    git_url: str = ""
    callback_url: str = ""
    state: JobState = JobState.PENDING
    progress: int = 0  # files done, those that failed included
    total: int = 0  # 0 until it is known
    chunks: int = 0
    removed: int = 0
    failed: int = 0  # files
    errors: Mapping[str, str] = field(default_factory=dict)  # by path, the first MAX_ERRORS of those that failed
    failure: str = ""  # why the job as a whole failed
    waiting_for: str = ""  # what it cannot go on without just now
    revision: str = ""  # of git, once it is known
    attempts: int = 1  # how often it was asked for
    running: int = 0  # tasks a worker is at, and has said so lately
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Batch(NamedTuple):
    """Files that are indexed in one go. *contents*, where they were sent, has ignore files of other batches too."""

    paths: tuple[str, ...]
    contents: Mapping[str, str] | None = None

    def each(self) -> Iterator[Batch]:
        """A batch for each file."""
        for path in self.paths:
            others = {other for other in self.paths if other != path}
            yield Batch((path,), self.contents and {p: text for p, text in self.contents.items() if p not in others})


class TaskId(NamedTuple):
    job: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A task that a worker has for itself until its lease ends."""

    job: Job
    number: int
    kind: TaskKind
    batch: Batch
    attempts: int  # at it and at its files, this one included: above 1, some of them may have been stored
    token: str  # of this claim: a later one of the same task has another


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Word of a job's end, to be brought to its callback URL."""

    id: str
    job: str
    url: str
    body: str
    state: str = "waiting"  # of DELIVERY_STATES
    attempts: int = 0
    failure: str = ""  # of the last attempt
    created_at: datetime
    delivered_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How much there is, by state."""

    jobs: Mapping[str, int]
    tasks: Mapping[str, int]
    deliveries: Mapping[str, int]
