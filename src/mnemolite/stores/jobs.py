"""
Jobs in tables, the same statements for every database: each call is one transaction, and of those that change
something one runs at a time.
"""

from __future__ import annotations

import json
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from mnemolite.errors import Conflict, NotFound
from mnemolite.jobs import MAX_ERRORS, Backlog, Batch, Claim, Delivery, Job, JobState, TaskId, TaskKind
from mnemolite.types import microseconds, moment

ATTEMPTS = 3  # at a task, before it is cut into its files, and at a file before it is set aside
DAY = 24 * 3600.0

Tell = Callable[..., list[tuple[Any, ...]]]  # a statement with :names, and their values; gives its rows


class Tables(Protocol):
    """A database: how it is told something within a transaction. Of two that write, the second waits."""

    def reading(self) -> AbstractContextManager[Tell]: ...

    def writing(self) -> AbstractContextManager[Tell]: ...

    def close(self) -> None: ...


_JOB = (
    "id, repository, path, git_url, callback_url, state, progress, total, chunks, removed, failed, errors, failure,"
    " waiting_for, revision, attempts, created_at, started_at, finished_at,"
    " (SELECT count(*) FROM job_tasks t WHERE t.job = jobs.number AND t.state = 'running' AND t.lease_until > :now)"
)
_ACTIVE = "('PENDING', 'STARTED')"
# Jobs of one repository are worked on in their order, so that what was sent last is what remains.
_WORKABLE = f"""
    jobs.state IN {_ACTIVE} AND NOT EXISTS (
        SELECT 1 FROM jobs earlier
        WHERE earlier.repository = jobs.repository AND earlier.number < jobs.number AND earlier.state IN {_ACTIVE})
"""
_NEXT = f"""
    SELECT number FROM jobs WHERE {_WORKABLE} AND :id IN ('', jobs.id) AND EXISTS (
        SELECT 1 FROM job_tasks t WHERE t.job = jobs.number AND t.state = 'waiting' AND run_at <= :now)
    ORDER BY turn, number LIMIT 1
"""
_DUE = "SELECT id FROM deliveries WHERE state = 'waiting' AND run_at <= :now ORDER BY run_at LIMIT 1"
_DELIVERY = "id, job, url, body, state, attempts, failure, created_at, delivered_at"


class JobTables:
    """A :class:`~mnemolite.ports.JobStore`. *clock* gives seconds since 1970."""

    def __init__(self, tables: Tables, clock: Callable[[], float] = time.time) -> None:
        self._tables = tables
        self._clock = clock

    def submit(self, job: Job, batches: Sequence[Batch] | None) -> None:
        row = {
            "id": job.id,
            "repository": job.repository,
            "path": job.path,
            "git_url": job.git_url,
            "callback_url": job.callback_url,
            "total": sum(len(batch.paths) for batch in batches or ()),
            "created_at": microseconds(job.created_at),
        }
        with self._tables.writing() as tell:
            [(number,)] = tell(
                "INSERT INTO jobs (id, repository, path, git_url, callback_url, state, total, created_at)"
                " VALUES (:id, :repository, :path, :git_url, :callback_url, 'PENDING', :total, :created_at)"
                " RETURNING number",
                **row,
            )
            if batches is None:
                _add(tell, number, TaskKind.PLAN, [Batch(())])
            else:
                _add(tell, number, TaskKind.FILES, batches)
                _end_where_nothing_is_left(tell, number)

    def get(self, id: str) -> Job:
        with self._tables.reading() as tell:
            rows = tell(f"SELECT {_JOB} FROM jobs WHERE id = :id", id=id, now=self._now())
        if not rows:
            raise NotFound(f"no job {id!r}; 'mnemolite jobs list' shows those there are")
        return _job(rows[0])

    def jobs(self, repositories: Sequence[str], states: Sequence[JobState], limit: int) -> list[Job]:
        names = {f"r{i}": name for i, name in enumerate(repositories)}
        kinds = {f"s{i}": str(state) for i, state in enumerate(states)}
        conditions = ["1 = 1"]
        if names:
            conditions.append(f"repository IN ({', '.join(f':{key}' for key in names)})")
        if kinds:
            conditions.append(f"state IN ({', '.join(f':{key}' for key in kinds)})")
        with self._tables.reading() as tell:
            sql = f"SELECT {_JOB} FROM jobs WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT :limit"
            return [_job(row) for row in tell(sql, now=self._now(), limit=limit, **names, **kinds)]

    def claim(self, worker: str, lease_seconds: float, job: str = "") -> Claim | None:
        now = self._now()
        values = {"now": now, "id": job}
        with self._tables.reading() as tell:  # most who ask find nothing, and need not wait for those who write
            if not tell(_NEXT, **values):
                return None
        with self._tables.writing() as tell:
            found = tell(_NEXT, **values)
            if not found:
                return None
            [(job_number,)] = found
            token = uuid.uuid4().hex
            claimed = tell(
                "UPDATE job_tasks SET state = 'running', attempts = attempts + 1, worker = :worker, token = :token,"
                " lease_until = :until WHERE job = :job AND number = (SELECT min(number) FROM job_tasks"
                " WHERE job = :job AND state = 'waiting' AND run_at <= :now)"
                " RETURNING number, kind, paths, contents, attempts",
                worker=worker,
                token=token,
                until=now + _micro(lease_seconds),
                job=job_number,
                now=now,
            )
            if not claimed:
                return None
            tell(
                "UPDATE jobs SET state = 'STARTED', turn = :now, started_at = coalesce(started_at, :now)"
                " WHERE number = :job",
                now=now,
                job=job_number,
            )
            [row] = tell(f"SELECT {_JOB} FROM jobs WHERE number = :job", now=now, job=job_number)
        [(number, kind, paths, contents, attempts)] = claimed
        return Claim(
            job=_job(row),
            number=number,
            kind=TaskKind(kind),
            batch=Batch(tuple(json.loads(paths)), _unpacked(contents)),
            attempts=attempts,
            token=token,
        )

    def extend(self, claim: Claim, lease_seconds: float) -> bool:
        with self._tables.writing() as tell:
            if _held(tell, claim) is None:
                return False
            until = self._now() + _micro(lease_seconds)
            tell("UPDATE job_tasks SET lease_until = :until WHERE token = :token", until=until, token=claim.token)
        return True

    def plan(self, claim: Claim, batches: Iterable[Batch], *, removed: int, revision: str = "") -> bool:
        with self._tables.writing() as tell:
            job = _held(tell, claim)
            if job is None:
                return False
            added = _add(tell, job, TaskKind.FILES, batches)
            tell(
                "UPDATE jobs SET total = :total, removed = :removed, revision = :revision, waiting_for = ''"
                " WHERE number = :job",
                total=added,
                removed=removed,
                revision=revision,
                job=job,
            )
            _done(tell, claim)
            _end_where_nothing_is_left(tell, job)
        return True

    def complete(self, claim: Claim, *, chunks: int = 0, errors: Mapping[str, str] = {}) -> bool:
        with self._tables.writing() as tell:
            job = _held(tell, claim)
            if job is None:
                return False
            _done(tell, claim)
            if claim.kind is TaskKind.FINISH:
                self._end(tell, job, JobState.SUCCESS)
            else:
                _count(tell, job, len(claim.batch.paths), chunks, errors)
                _end_where_nothing_is_left(tell, job)
        return True

    def postpone(self, claim: Claim, reason: str, seconds: float) -> None:
        with self._tables.writing() as tell:
            job = _held(tell, claim)
            if job is not None:
                tell(
                    "UPDATE job_tasks SET state = 'waiting', attempts = attempts - 1, run_at = :at, sent_at = NULL,"
                    " token = '' WHERE token = :token",
                    at=self._now() + _micro(seconds),
                    token=claim.token,
                )
                tell("UPDATE jobs SET waiting_for = :reason WHERE number = :job", reason=_clean(reason), job=job)

    def fail(self, claim: Claim, reason: str, *, for_good: bool = False) -> None:
        with self._tables.writing() as tell:
            job = _held(tell, claim)
            if job is None:
                return
            if for_good:
                self._end(tell, job, JobState.FAILURE, reason)
            else:
                self._failed(tell, job, claim.number, reason)

    def sweep(self) -> int:
        now = self._now()
        with self._tables.reading() as tell:
            expired = "SELECT job, number FROM job_tasks WHERE state = 'running' AND lease_until < :now"
            if not tell(f"{expired} LIMIT 1", now=now):
                return 0
        with self._tables.writing() as tell:
            lost = tell(expired, now=now)
            for job, number in lost:
                self._failed(tell, job, number, "its worker ended, or hung")
        return len(lost)

    def to_send(self, limit: int, lost_after_seconds: float | None = None) -> list[TaskId]:
        now = self._now()
        # without a time, none that was sent counts as lost
        lost = -1 if lost_after_seconds is None else now - _micro(lost_after_seconds)
        sql = (
            "SELECT t.job, t.number FROM jobs JOIN job_tasks t ON t.job = jobs.number"
            f" WHERE {_WORKABLE} AND t.state = 'waiting' AND t.run_at <= :now"
            " AND (t.sent_at IS NULL OR t.sent_at <= :lost) ORDER BY t.job, t.number LIMIT :limit"
        )
        values = {"now": now, "lost": lost, "limit": limit}
        with self._tables.reading() as tell:
            if not tell(sql, **values):
                return []
        with self._tables.writing() as tell:
            sent = tell(
                f"UPDATE job_tasks SET sent_at = :now WHERE (job, number) IN ({sql})"
                " RETURNING job, number, (SELECT id FROM jobs WHERE jobs.number = job)",
                **values,
            )
        return [TaskId(id, number) for _, number, id in sorted(sent)]

    def cancel(self, id: str) -> Job:
        with self._tables.writing() as tell:
            number, state = _numbered(tell, id)
            if state.is_final:
                raise Conflict(f"job {id} has ended as {state}; there is nothing to cancel")
            self._end(tell, number, JobState.CANCELLED)
        return self.get(id)

    def retry(self, id: str) -> Job:
        with self._tables.writing() as tell:
            number, state = _numbered(tell, id)
            if not state.is_final:
                raise Conflict(f"job {id} has not ended; cancel it first, or wait")
            left = tell("SELECT state, paths FROM job_tasks WHERE job = :job", job=number)
            if not left:
                raise Conflict(f"job {id} has done all there was to do; submit a new one to index what changed since")
            set_aside = [path for state, paths in left if state == "failed" for path in json.loads(paths)]
            [(errors,)] = tell("SELECT errors FROM jobs WHERE number = :job", job=number)
            named = {path: error for path, error in json.loads(errors).items() if path not in set_aside}
            tell(
                "UPDATE job_tasks SET state = 'waiting', run_at = 0, sent_at = NULL,"
                " attempts = CASE WHEN attempts > 0 THEN :tried ELSE 0 END WHERE job = :job",
                tried=ATTEMPTS,
                job=number,
            )
            tell(
                "UPDATE jobs SET state = 'PENDING', failure = '', attempts = attempts + 1, finished_at = NULL,"
                " errors = :errors, failed = failed - :again, progress = progress - :again WHERE number = :job",
                errors=json.dumps(named),
                again=len(set_aside),
                job=number,
            )
        return self.get(id)

    def seconds_per_file(self) -> float | None:
        with self._tables.reading() as tell:
            [(micros, files)] = tell(
                "SELECT sum(finished_at - started_at), sum(total) FROM (SELECT * FROM jobs WHERE state = 'SUCCESS'"
                " AND total > 0 AND attempts = 1 ORDER BY number DESC LIMIT 20) AS latest"
            )
        return float(micros) / 1e6 / float(files) if files else None

    def backlog(self) -> Backlog:
        with self._tables.reading() as tell:
            jobs = tell("SELECT state, count(*) FROM jobs GROUP BY state")
            tasks = tell(
                "SELECT t.state, count(*) FROM job_tasks t JOIN jobs ON jobs.number = t.job"
                f" WHERE jobs.state IN {_ACTIVE} OR t.state = 'failed' GROUP BY t.state"
            )
            deliveries = tell("SELECT state, count(*) FROM deliveries GROUP BY state")
        return Backlog(jobs=dict(jobs), tasks=dict(tasks), deliveries=dict(deliveries))

    def forget(self, days: float) -> int:
        before = self._now() - _micro(days * DAY)
        with self._tables.writing() as tell:
            gone = tell("SELECT number FROM jobs WHERE finished_at < :before", before=before)
            for (number,) in gone:
                for table, column in (("job_tasks", "job"), ("deliveries", "job_number"), ("jobs", "number")):
                    tell(f"DELETE FROM {table} WHERE {column} = :number", number=number)
        return len(gone)

    def claim_delivery(self, lease_seconds: float) -> Delivery | None:
        now = self._now()
        with self._tables.reading() as tell:
            if not tell(_DUE, now=now):
                return None
        with self._tables.writing() as tell:
            rows = tell(
                f"UPDATE deliveries SET attempts = attempts + 1, run_at = :until WHERE id = ({_DUE})"
                f" RETURNING {_DELIVERY}",
                now=now,
                until=now + _micro(lease_seconds),
            )
        return _delivery(rows[0]) if rows else None

    def delivered(self, delivery: Delivery, failure: str = "", again_in_seconds: float | None = None) -> None:
        now = self._now()
        if not failure:
            state, run_at = "delivered", now
        elif again_in_seconds is None:
            state, run_at = "failed", now
        else:
            state, run_at = "waiting", now + _micro(again_in_seconds)
        with self._tables.writing() as tell:
            tell(
                "UPDATE deliveries SET state = :state, run_at = :run_at, failure = :failure,"
                " delivered_at = :delivered_at WHERE id = :id AND state = 'waiting'",
                state=state,
                run_at=run_at,
                failure=_clean(failure),
                delivered_at=None if failure else now,
                id=delivery.id,
            )

    def deliveries(self, job: str) -> list[Delivery]:
        with self._tables.reading() as tell:
            rows = tell(f"SELECT {_DELIVERY} FROM deliveries WHERE job = :job ORDER BY created_at, id", job=job)
        return [_delivery(row) for row in rows]

    def close(self) -> None:
        self._tables.close()

    def _now(self) -> int:
        return _micro(self._clock())

    def _failed(self, tell: Tell, job: int, number: int, reason: str) -> None:
        """An attempt at a task: it is tried again, cut into its files, or set aside with them named."""
        [(kind, paths, contents, attempts)] = tell(
            "SELECT kind, paths, contents, attempts FROM job_tasks WHERE job = :job AND number = :number",
            job=job,
            number=number,
        )
        key = {"job": job, "number": number}
        files = json.loads(paths)
        if attempts % ATTEMPTS:
            tell(
                "UPDATE job_tasks SET state = 'waiting', run_at = 0, sent_at = NULL, token = ''"
                " WHERE job = :job AND number = :number",
                **key,
            )
        elif kind != TaskKind.FILES:
            self._end(tell, job, JobState.FAILURE, f"{reason}, {attempts} times")
        elif len(files) > 1:
            tell("DELETE FROM job_tasks WHERE job = :job AND number = :number", **key)
            _add(tell, job, TaskKind.FILES, Batch(tuple(files), _unpacked(contents)).each(), attempts)
        else:
            tell("UPDATE job_tasks SET state = 'failed', token = '' WHERE job = :job AND number = :number", **key)
            _count(tell, job, 1, 0, {files[0]: f"set aside after {attempts} attempts: {reason}"})
            _end_where_nothing_is_left(tell, job)

    def _end(self, tell: Tell, number: int, state: JobState, failure: str = "") -> None:
        now = self._now()
        tell(
            "UPDATE jobs SET state = :state, failure = :failure, waiting_for = '', finished_at = :now"
            " WHERE number = :job",
            state=str(state),
            failure=_clean(failure),
            now=now,
            job=number,
        )
        tell("UPDATE job_tasks SET state = 'waiting', token = '' WHERE job = :job AND state = 'running'", job=number)
        [row] = tell(f"SELECT {_JOB} FROM jobs WHERE number = :job", now=now, job=number)
        job = _job(row)
        if job.callback_url:
            tell(
                "INSERT INTO deliveries (id, job_number, job, url, body, state, attempts, run_at, failure, created_at)"
                " VALUES (:id, :number, :job, :url, :body, 'waiting', 0, 0, '', :now)",
                id=f"msg_{uuid.uuid4().hex}",
                number=number,
                job=job.id,
                url=job.callback_url,
                body=_body(job),
                now=now,
            )


def _body(job: Job) -> str:
    """What the callback URL is told."""
    status = {JobState.SUCCESS: "completed", JobState.FAILURE: "failed", JobState.CANCELLED: "cancelled"}[job.state]
    told = {
        "repository": job.repository,
        "status": status,
        "task_id": job.id,
        "chunks_created": job.chunks,
        "files": job.total,
        "files_failed": job.failed,
        "files_removed": job.removed,
        "error": job.failure or None,
    }
    return json.dumps(told)


def _held(tell: Tell, claim: Claim) -> int | None:
    """The number of the claim's job, where the claim still counts."""
    rows = tell("SELECT job FROM job_tasks WHERE token = :token AND state = 'running'", token=claim.token)
    return int(rows[0][0]) if rows else None


def _done(tell: Tell, claim: Claim) -> None:
    tell("DELETE FROM job_tasks WHERE token = :token", token=claim.token)


def _numbered(tell: Tell, id: str) -> tuple[int, JobState]:
    rows = tell("SELECT number, state FROM jobs WHERE id = :id", id=id)
    if not rows:
        raise NotFound(f"no job {id!r}; 'mnemolite jobs list' shows those there are")
    return rows[0][0], JobState(rows[0][1])


def _add(tell: Tell, job: int, kind: TaskKind, batches: Iterable[Batch], attempts: int = 0) -> int:
    """Gives the number of their files; *attempts* have been made at them already."""
    [(last,)] = tell("SELECT coalesce(max(number), 0) FROM job_tasks WHERE job = :job", job=job)
    files = 0
    for number, batch in enumerate(batches, last + 1):
        files += len(batch.paths)
        tell(
            "INSERT INTO job_tasks (job, number, kind, paths, contents, state, attempts, run_at, worker, token,"
            " lease_until) VALUES (:job, :number, :kind, :paths, :contents, 'waiting', :attempts, 0, '', '', 0)",
            attempts=attempts,
            job=job,
            number=number,
            kind=str(kind),
            paths=json.dumps(batch.paths),
            contents=_packed(batch.contents),
        )
    return files


def _end_where_nothing_is_left(tell: Tell, job: int) -> None:
    if not tell("SELECT 1 FROM job_tasks WHERE job = :job AND state <> 'failed' LIMIT 1", job=job):
        _add(tell, job, TaskKind.FINISH, [Batch(())])


def _count(tell: Tell, job: int, files: int, chunks: int, errors: Mapping[str, str]) -> None:
    [(known,)] = tell("SELECT errors FROM jobs WHERE number = :job", job=job)
    named = {**json.loads(known), **{path: _clean(error) for path, error in errors.items()}}
    tell(
        "UPDATE jobs SET progress = progress + :files, chunks = chunks + :chunks, failed = failed + :failed,"
        " errors = :errors, waiting_for = '' WHERE number = :job",
        files=files,
        chunks=chunks,
        failed=len(errors),
        errors=json.dumps(dict(list(named.items())[:MAX_ERRORS])),
        job=job,
    )


def _job(row: tuple[Any, ...]) -> Job:
    *fields, created_at, started_at, finished_at, running = row
    names = (
        "id repository path git_url callback_url state progress total chunks removed failed errors failure"
        " waiting_for revision attempts"
    ).split()
    values = dict(zip(names, fields, strict=True))
    values |= {"state": JobState(values["state"]), "errors": json.loads(values["errors"]), "running": running}
    return Job(
        **values,
        created_at=moment(created_at),
        started_at=None if started_at is None else moment(started_at),
        finished_at=None if finished_at is None else moment(finished_at),
    )


def _delivery(row: tuple[Any, ...]) -> Delivery:
    id, job, url, body, state, attempts, failure, created_at, delivered_at = row
    return Delivery(
        id=id,
        job=job,
        url=url,
        body=body,
        state=state,
        attempts=attempts,
        failure=failure,
        created_at=moment(created_at),
        delivered_at=None if delivered_at is None else moment(delivered_at),
    )


def _packed(contents: Mapping[str, str] | None) -> bytes | None:
    return None if contents is None else zlib.compress(msgspec.msgpack.encode(contents), 1)


def _unpacked(packed: bytes | None) -> dict[str, str] | None:
    return None if packed is None else msgspec.msgpack.decode(zlib.decompress(packed), type=dict[str, str])


def _clean(text: str) -> str:
    """What every database can keep."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _micro(seconds: float) -> int:
    return int(seconds * 1e6)
