"""Jobs whose workers are killed, whose queue is emptied, whose database is restarted, whose model is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mnemolite.jobs import Job, JobState
from mnemolite.lab.local_postgres import local_postgres
from mnemolite.lab.local_redis import LocalRedis
from mnemolite.memory import Memory
from mnemolite.serve.worker import Workers
from mnemolite.settings import Settings
from mnemolite.stores.postgres_migrate import Schema
from mnemolite.wiring import open_server

PROGRAM = str(Path(sys.executable).parent / "mnemolite")
MODEL = Path(__file__).parents[2] / "src" / "mnemolite" / "model"
FILES = {
    f"part{i % 7}/f{i}.py": "\n\n".join(f"def f{i}_{j}():\n    return {i + j}\n" for j in range(20)) for i in range(200)
}


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Settings]:
    """Settings for this process and those it starts."""

    def configured(**settings: object) -> Settings:
        given = {
            "data_dir": tmp_path / "data",
            "workers": 1,
            "job_lease_seconds": 1.5,
            "ram_budget_mb": 100_000,  # the process of the tests holds more than a server's
            **settings,
        }
        for name, value in given.items():
            monkeypatch.setenv(f"MNEMOLITE_{name.upper()}", str(value))
        return Settings.load()

    return configured


@contextmanager
def worker(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """With all it starts in a group of its own."""
    with subprocess.Popen([PROGRAM, "worker", *options], stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            yield process
        finally:
            kill_all(process)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


STUCK_SECONDS = 180.0  # rather than a test without end


def until(memory: Memory, job: Job, true: Callable[[Job], bool]) -> Job:
    stuck = time.monotonic() + STUCK_SECONDS
    while not true(now := memory.indexing.get(job.id)):
        assert not now.state.is_final and time.monotonic() < stuck, now
        time.sleep(0.02)
    return now


def ended(memory: Memory, job: Job) -> Job:
    return until(memory, job, lambda now: now.state.is_final)


def assert_whole(memory: Memory, job: Job) -> None:
    now = ended(memory, job)
    assert (now.state, now.errors, now.progress, now.total) == (JobState.SUCCESS, {}, len(FILES), len(FILES))
    store = memory.repositories.store
    chunks = [chunk for path in FILES for chunk in store.chunks_of(path)]
    texts: dict[str, str] = {}
    for chunk in chunks:
        texts[chunk.path] = texts.get(chunk.path, "") + chunk.text
    assert texts == FILES
    assert now.chunks == len(chunks) == store.stats().chunks
    assert store.check() == []


def test_killed_workers_lose_nothing_and_others_go_on(configure: Callable[..., Settings]) -> None:
    with open_server(configure()) as memory:
        job = memory.indexing.submit("r", files=FILES)
        with worker("-n", "2") as process:
            until(memory, job, lambda now: now.running > 0)
            kill_all(process)
        with worker("-n", "2") as process:
            before = until(memory, job, lambda now: now.progress > 0 and now.running > 0)
            kill_all(process)
        assert memory.indexing.get(job.id).state is JobState.STARTED
        assert until(memory, job, lambda now: now.running == 0).progress >= before.progress
        with worker():
            assert_whole(memory, job)


def test_celery_goes_on_after_a_process_of_its_was_killed_and_redis_has_forgotten_all(
    configure: Callable[..., Settings],
) -> None:
    redis = LocalRedis()
    redis.start()
    try:
        with open_server(configure(broker_url=redis.url)) as memory:
            job = memory.indexing.submit("r", files=FILES)
            queue = memory.indexing.queue
            assert queue is not None
            assert queue.waiting() > 3
            with worker("-n", "2") as process:
                until(memory, job, lambda now: now.running > 0)
                found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
                os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
                until(memory, job, lambda now: now.progress >= 32)
                redis.stop()  # with all it knew
                redis.start()
                assert_whole(memory, job)
                process.terminate()
                assert process.wait() == 0
    finally:
        redis.stop()


def test_a_database_that_is_restarted_makes_a_job_wait(configure: Callable[..., Settings]) -> None:
    with local_postgres({}) as server:  # which forgets nothing that it said was stored
        Schema(server.url()).upgrade()
        with open_server(configure(database_url=server.url(), database_wait_seconds=1)) as memory:
            job = memory.indexing.submit("r", files=FILES)
            workers = Workers(memory.indexing, 1)
            workers.start()
            until(memory, job, lambda now: now.progress > 0)
            server.stop("immediate")
            server.start()
            assert_whole(memory, job)
            workers.stop()


def test_a_model_that_is_away_makes_a_job_wait_and_say_so(configure: Callable[..., Settings], tmp_path: Path) -> None:
    model = tmp_path / "model"
    with open_server(configure(embedding_model=model)) as memory:
        job = memory.indexing.submit("r", files=FILES)
        workers = Workers(memory.indexing, 1)
        workers.start()
        now = until(memory, job, lambda now: bool(now.waiting_for))
        assert str(model) in now.waiting_for
        model.symlink_to(MODEL)
        assert_whole(memory, job)
        workers.stop()
