"""What every JobStore does. A new backend is a new entry of STORES."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnemolite.errors import Conflict, NotFound
from mnemolite.jobs import Batch, Claim, Job, JobState, TaskId, TaskKind
from mnemolite.stores.jobs import JobTables, Tables
from mnemolite.stores.postgres_connection import Database
from mnemolite.stores.postgres_jobs import PostgresTables
from mnemolite.stores.sqlite_jobs import SqliteTables

Place = tuple[Path, Callable[[], str]]  # a folder, and what gives the URL of an empty PostgreSQL database
STORES: dict[str, Callable[[Place], Tables]] = {
    "sqlite in memory": lambda place: SqliteTables(None),
    "sqlite on disk": lambda place: SqliteTables(place[0] / "jobs.db"),
    "postgresql": lambda place: PostgresTables(Database(place[1]())),
}
LEASE = 9.0


@dataclass
class Desk:
    """A store, and the clock it goes by."""

    tables: Tables
    seconds: float = 1_700_000_000.0

    @property
    def store(self) -> JobTables:
        return JobTables(self.tables, clock=lambda: self.seconds)

    def submit(self, id: str, *batches: Batch, repository: str = "shop", callback: str = "") -> Job:
        created_at = datetime.fromtimestamp(self.seconds, UTC)
        job = Job(id=id, repository=repository, path="/src", callback_url=callback, created_at=created_at)
        self.store.submit(job, batches or None)
        return self.store.get(id)

    def claim(self, job: str = "") -> Claim:
        claim = self.store.claim("me", LEASE, job)
        assert claim is not None
        return claim

    def do_all(self) -> list[tuple[str, TaskKind]]:
        done = []
        while (claim := self.store.claim("me", LEASE)) is not None:
            done.append((claim.job.id, claim.kind))
            assert self.store.complete(claim, chunks=2 * len(claim.batch.paths))
        return done


@pytest.fixture(params=STORES)
def desk(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Callable[[], str]) -> Iterator[Desk]:
    tables = STORES[request.param]((tmp_path, empty_database))
    yield Desk(tables)
    tables.close()


def sent(*paths: str) -> Batch:
    return Batch(paths, {path: f"# {path} é \0\n" for path in paths})


def test_a_job_goes_from_plan_to_end_and_says_so_all_the_while(desk: Desk) -> None:
    store = desk.store
    job = desk.submit("j", callback="https://example.com/hook")
    assert (job.state, job.progress, job.total, job.started_at) == (JobState.PENDING, 0, 0, None)
    plan = desk.claim()
    assert (plan.kind, plan.attempts, plan.job.path) == (TaskKind.PLAN, 1, "/src")
    job = store.get("j")
    assert (job.state, job.running) == (JobState.STARTED, 1)
    assert store.plan(plan, [Batch(("a.py", "b.py")), Batch(("c.py",))], removed=3, revision="abc")
    first, second = desk.claim(), desk.claim()
    assert {first.batch.paths, second.batch.paths} == {("a.py", "b.py"), ("c.py",)}
    assert store.claim("me", LEASE) is None
    assert store.complete(first, chunks=5, errors={"b.py": "unreadable \ud800\0"})
    job = store.get("j")
    assert (job.progress, job.total, job.chunks, job.failed, job.removed) == (2, 3, 5, 1, 3)
    assert (job.errors, job.revision) == ({"b.py": "unreadable \\ud800\\0"}, "abc")
    assert store.deliveries("j") == []
    assert store.complete(second, chunks=1)
    assert store.get("j").state is JobState.STARTED  # until what makes it found is done too
    desk.seconds += 60
    finish = desk.claim()
    assert (finish.kind, finish.batch.paths) == (TaskKind.FINISH, ())
    assert store.complete(finish)
    job = store.get("j")
    assert (job.state, job.progress, job.chunks, job.running) == (JobState.SUCCESS, 3, 6, 0)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert (job.finished_at - job.started_at).total_seconds() == 60
    assert store.seconds_per_file() == 20
    [delivery] = store.deliveries("j")
    assert '"status": "completed"' in delivery.body
    assert store.backlog().jobs == {"SUCCESS": 1}
    assert store.backlog().tasks == {}


def test_an_empty_plan_and_no_files_end_at_once(desk: Desk) -> None:
    desk.submit("planned")
    assert desk.store.plan(desk.claim(), [], removed=0)
    desk.store.submit(Job(id="none", repository="r", created_at=datetime.now(UTC)), [])
    assert sorted(desk.do_all()) == [("none", TaskKind.FINISH), ("planned", TaskKind.FINISH)]
    assert {job.state for job in desk.store.jobs([], [], 10)} == {JobState.SUCCESS}


def test_jobs_of_one_repository_keep_their_order_and_others_take_turns(desk: Desk) -> None:
    desk.submit("one", sent("a"), sent("b"))
    desk.submit("two", sent("a"))
    desk.submit("other", sent("x"), sent("y"), repository="lib")
    order = []
    for _ in range(4):
        desk.seconds += 1
        claim = desk.claim()
        order.append(claim.job.id)
        assert desk.store.complete(claim)
    assert order == ["one", "other", "one", "other"]
    assert [id for id, _ in desk.do_all()] == ["one", "two", "two", "other"]
    assert [job.id for job in desk.store.jobs(["shop"], [JobState.SUCCESS], 10)] == ["two", "one"]
    assert [job.id for job in desk.store.jobs([], [JobState.SUCCESS], 1)] == ["other"]
    assert desk.store.jobs(["lib"], [JobState.FAILURE, JobState.PENDING], 10) == []


def test_a_claim_counts_until_its_lease_ends_and_then_the_task_is_anothers(desk: Desk) -> None:
    desk.submit("j", sent("a"))
    lost = desk.claim()
    desk.seconds += LEASE - 1
    assert desk.store.extend(lost, LEASE)
    desk.seconds += LEASE - 1
    assert (desk.store.sweep(), desk.store.get("j").running) == (0, 1)
    desk.seconds += 2
    assert desk.store.get("j").running == 0
    assert desk.store.sweep() == 1
    again = desk.claim()
    assert (again.number, again.attempts, again.batch) == (lost.number, 2, sent("a"))
    for late in (
        desk.store.extend(lost, LEASE),
        desk.store.complete(lost, chunks=9),
        desk.store.plan(lost, [sent("b")], removed=0),
    ):
        assert late is False
    desk.store.fail(lost, "late")
    desk.store.postpone(lost, "late", 100)
    assert desk.store.complete(again, chunks=1)
    assert desk.do_all() == [("j", TaskKind.FINISH)]
    assert desk.store.get("j").chunks == 1


def test_what_fails_three_times_is_cut_into_its_files_and_the_bad_one_set_aside_by_name(desk: Desk) -> None:
    rules = {".gitignore": "*.o\n"}
    desk.submit("j", Batch(("good", "bad"), {**rules, "good": "1", "bad": "2"}))
    seen = []
    while (claim := desk.store.claim("me", LEASE)) is not None and claim.kind is TaskKind.FILES:
        seen.append(claim.batch.paths)
        assert claim.attempts > 1 or len(seen) == 1
        assert claim.batch.contents is not None
        assert claim.batch.contents.keys() == {".gitignore", *claim.batch.paths}
        if "bad" not in claim.batch.paths:
            assert desk.store.complete(claim, chunks=1)
        elif len(seen) % 2:
            desk.store.fail(claim, "it went wrong")
        else:  # killed
            desk.seconds += LEASE + 1
            assert desk.store.sweep() == 1
    assert seen == [("good", "bad")] * 3 + [("good",)] + [("bad",)] * 3
    assert claim is not None
    assert desk.store.complete(claim)
    job = desk.store.get("j")
    assert (job.state, job.progress, job.total, job.failed, job.chunks) == (JobState.SUCCESS, 2, 2, 1, 1)
    assert job.errors == {"bad": "set aside after 6 attempts: it went wrong"}
    assert desk.store.backlog().tasks == {"failed": 1}

    assert desk.store.retry("j").progress == 1
    again = desk.claim()
    assert again.batch.contents == {**rules, "bad": "2"}
    assert again.attempts > 1  # what was stored before it was set aside is counted now
    assert desk.store.complete(again, chunks=1)
    assert desk.do_all() == [("j", TaskKind.FINISH)]
    job = desk.store.get("j")
    assert (job.progress, job.failed, job.errors, job.chunks, job.attempts) == (2, 0, {}, 2, 2)
    with pytest.raises(Conflict, match="has done all there was to do"):
        desk.store.retry("j")


def test_a_job_fails_with_a_task_it_cannot_do_without_and_goes_on_when_it_is_retried(desk: Desk) -> None:
    desk.submit("j", callback="https://example.com/")
    for _ in range(3):
        desk.store.fail(desk.claim(), "no such place")
    job = desk.store.get("j")
    assert (job.state, job.failure) == (JobState.FAILURE, "no such place, 3 times")
    assert '"error": "no such place, 3 times"' in desk.store.deliveries("j")[0].body
    assert desk.store.retry("j").state is JobState.PENDING
    assert desk.store.plan(desk.claim(), [Batch(("a",)), Batch(("b",))], removed=0)
    assert desk.store.complete(desk.claim())
    desk.store.fail(desk.claim(), "another model", for_good=True)
    assert desk.store.get("j").failure == "another model"
    assert desk.store.retry("j").progress == 1
    left = desk.claim()
    assert left.batch.paths == ("b",)
    assert desk.store.complete(left)
    assert desk.do_all() == [("j", TaskKind.FINISH)]
    assert desk.store.get("j").state is JobState.SUCCESS
    assert len(desk.store.deliveries("j")) == 3  # of each end


def test_what_waits_for_something_is_tried_later_says_for_what_and_counts_no_attempt(desk: Desk) -> None:
    desk.submit("j", sent("a"))
    for _ in range(5):
        desk.store.postpone(desk.claim(), "the model is away", 10)
        assert desk.store.get("j").waiting_for == "the model is away"
        assert desk.store.claim("me", LEASE) is None
        desk.seconds += 10
    claim = desk.claim()
    assert claim.attempts == 1
    assert desk.store.complete(claim)
    assert desk.store.get("j").waiting_for == ""


def test_a_cancelled_job_lets_nobody_go_on_and_what_is_left_can_be_retried(desk: Desk) -> None:
    desk.submit("j", sent("a"), sent("b"), callback="https://example.com/")
    desk.submit("next", sent("a"))
    running = desk.claim()
    assert desk.store.cancel("j").state is JobState.CANCELLED
    assert not desk.store.extend(running, LEASE)
    assert not desk.store.complete(running)
    with pytest.raises(Conflict, match="has ended as CANCELLED"):
        desk.store.cancel("j")
    assert [id for id, _ in desk.do_all()] == ["next", "next"]
    assert '"cancelled"' in desk.store.deliveries("j")[0].body
    with pytest.raises(Conflict, match="has not ended"):
        desk.store.retry(desk.submit("new").id)
    desk.store.cancel("new")
    desk.store.retry("j")
    assert [kind for _, kind in desk.do_all()] == [TaskKind.FILES, TaskKind.FILES, TaskKind.FINISH]
    for call in (desk.store.get, desk.store.cancel, desk.store.retry):
        with pytest.raises(NotFound, match="no job 'nothing'"):
            call("nothing")


def test_a_queue_is_told_once_and_again_of_what_it_lost(desk: Desk) -> None:
    store = desk.store
    desk.submit("j", sent("a"), sent("b"), sent("c"))
    desk.submit("later", sent("a"))
    assert store.to_send(2) == [TaskId("j", 1), TaskId("j", 2)]
    assert store.to_send(10) == [TaskId("j", 3)]
    assert store.to_send(10) == []
    assert desk.claim("j").number == 1
    assert store.claim("me", LEASE, "later") is None  # not its turn
    assert store.claim("me", LEASE, "no") is None
    desk.seconds += 5
    assert store.to_send(10, lost_after_seconds=8) == []
    desk.seconds += 5
    assert store.sweep() == 1
    assert store.to_send(10) == [TaskId("j", 1)]
    assert store.to_send(10, lost_after_seconds=8) == [TaskId("j", 2), TaskId("j", 3)]
    store.cancel("j")
    assert store.to_send(10) == [TaskId("later", 1)]


def test_no_task_is_claimed_twice_by_many_at_once(desk: Desk) -> None:
    desk.submit("j", *(sent(f"f{i}") for i in range(40)))
    claimed: list[int] = []

    def work() -> None:
        while (claim := desk.store.claim("me", LEASE)) is not None:
            claimed.append(claim.number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(1, 41))


def test_a_delivery_is_due_until_it_is_delivered_or_given_up(desk: Desk) -> None:
    desk.submit("j", sent("a"), callback="https://example.com/hook")
    desk.submit("quiet", sent("a"), repository="lib")
    desk.do_all()
    first = desk.store.claim_delivery(30)
    assert first is not None
    assert (first.job, first.url, first.attempts) == ("j", "https://example.com/hook", 1)
    assert desk.store.claim_delivery(30) is None
    desk.seconds += 31  # whoever had it is gone
    second = desk.store.claim_delivery(30)
    assert second is not None
    assert (second.id, second.attempts) == (first.id, 2)
    desk.store.delivered(second, "status 500", again_in_seconds=60)
    assert desk.store.claim_delivery(30) is None
    desk.seconds += 60
    third = desk.store.claim_delivery(30)
    assert third is not None
    assert third.failure == "status 500"
    desk.store.delivered(third)
    desk.store.delivered(third, "too late to say so")
    [kept] = desk.store.deliveries("j")
    assert (kept.state, kept.failure, kept.delivered_at is not None) == ("delivered", "", True)
    desk.store.cancel(desk.submit("k", callback="https://example.com/").id)
    last = desk.store.claim_delivery(30)
    assert last is not None
    desk.store.delivered(last, "nobody there")
    assert desk.store.backlog().deliveries == {"delivered": 1, "failed": 1}


def test_jobs_that_ended_long_ago_are_forgotten_with_all_that_is_theirs(desk: Desk) -> None:
    desk.submit("old", sent("a"), callback="https://example.com/")
    desk.do_all()
    desk.seconds += 10 * 86_400
    desk.submit("waiting", sent("a"))
    assert desk.store.forget(30) == 0
    assert desk.store.forget(9) == 1
    assert [job.id for job in desk.store.jobs([], [], 10)] == ["waiting"]
    assert desk.store.deliveries("old") == []
