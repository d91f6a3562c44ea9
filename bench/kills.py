"""
Workers killed at random while they index: what is lost, how soon their tasks are others', how often one is begun.

`make kills`, or: python bench/kills.py [--kills 30] [--files 5000] [--seed 1] [embedded | celery]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mnemolite.jobs import Job, JobState
from mnemolite.lab.local_postgres import local_postgres
from mnemolite.lab.local_redis import LocalRedis
from mnemolite.memory import Memory
from mnemolite.serve.worker import Workers
from mnemolite.settings import Settings
from mnemolite.stores.jobs import Tables
from mnemolite.stores.postgres_connection import Database
from mnemolite.stores.postgres_jobs import PostgresTables
from mnemolite.stores.postgres_migrate import Schema
from mnemolite.stores.sqlite_jobs import SqliteTables
from mnemolite.wiring import JOBS, open_server

PROGRAM = str(Path(sys.executable).parent / "mnemolite")
WORKERS = 3  # programs, of two threads or processes each
LOOK_SECONDS = 0.02


@dataclass
class Watch:
    """What a thread sees of tasks and jobs, all the time."""

    memory: Memory
    tables: Tables
    job: Job
    claimed: dict[int, tuple[str, str]] = field(default_factory=dict)  # task -> token, worker
    lost: dict[int, tuple[str, float]] = field(default_factory=dict)  # task -> token that was killed, when
    given_back: dict[str, float] = field(default_factory=dict)  # token -> seconds until it counted no more
    redelivered: list[float] = field(default_factory=list)  # seconds until another had begun the task
    most_attempts: int = 0
    untrue: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        with self.tables.reading() as tell:
            rows = tell("SELECT number, token, worker, attempts FROM job_tasks WHERE state = 'running'")
        now = time.monotonic()
        with self.lock:
            self.claimed = {number: (token, worker) for number, token, worker, _ in rows}
            self.most_attempts = max([self.most_attempts, *(attempts for *_, attempts in rows)])
            for number, (token, killed_at) in list(self.lost.items()):
                current = self.claimed.get(number, ("", ""))[0]
                if current != token:
                    self.given_back.setdefault(token, now - killed_at)
                if current not in ("", token):
                    self.redelivered.append(now - killed_at)
                    del self.lost[number]
        job = self.memory.indexing.get(self.job.id)
        if job.progress < self.job.progress or (job.total and job.progress > job.total):
            self.untrue.append(f"progress went from {self.job.progress} to {job.progress} of {job.total}")
        if job.state is JobState.SUCCESS and job.progress < job.total:
            self.untrue.append(f"SUCCESS at {job.progress} of {job.total}")
        stored = len(self.memory.repositories.store.files(job.repository))
        if stored < job.progress:
            self.untrue.append(f"{job.progress} files done, {stored} stored")
        self.job = job

    def killed(self, pids: set[int], before: dict[int, tuple[str, str]]) -> None:
        """*before* is what was claimed just before."""
        with self.lock:
            for number, (token, worker) in before.items():
                if any(f"process {pid}," in worker for pid in pids):
                    self.lost[number] = (token, time.monotonic())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("form", nargs="?", choices=["embedded", "celery"])
    arguments = parser.parse_args()
    for form in [arguments.form] if arguments.form else ["embedded", "celery"]:
        with tempfile.TemporaryDirectory() as folder:
            measure(form, Path(folder), arguments.kills, arguments.files, random.Random(arguments.seed))


def measure(form: str, folder: Path, kills: int, files: int, chance: random.Random) -> None:
    tree = folder / "tree"
    texts = write(tree, files)
    with ExitStack() as stack:
        settings = {"MNEMOLITE_DATA_DIR": str(folder / "data"), "MNEMOLITE_WORKERS": "1"}
        if form == "celery":
            url = stack.enter_context(local_postgres()).url()
            Schema(url).upgrade()
            settings |= {"DATABASE_URL": url, "MNEMOLITE_BROKER_URL": stack.enter_context(LocalRedis()).url}
            tables: Tables = PostgresTables(Database(url))
        else:
            tables = SqliteTables(folder / "data" / JOBS)
        os.environ.update(settings)
        memory = stack.enter_context(open_server(Settings.load()))
        started = time.monotonic()
        workers = Workers(memory.indexing, 0)  # as a server has them: it looks after tasks, and does none
        workers.start()
        stack.callback(workers.stop)
        watch = Watch(memory, tables, memory.indexing.submit("tree", path=str(tree.resolve())))
        stack.enter_context(watching(watch))
        counts = kill_at_random(watch, kills, chance)
        seconds = time.monotonic() - started
        report(form, watch, counts, texts, seconds)


def kill_at_random(watch: Watch, kills: int, chance: random.Random) -> dict[str, int]:
    """Until all is done, with *kills* on the way; how many of each kind there were."""
    counts = {"a program with all its processes": 0, "a program alone": 0, "one of its processes": 0}
    programs = [started() for _ in range(WORKERS)]
    try:
        while not watch.job.state.is_final:
            time.sleep(chance.uniform(0.3, 3.0))
            for place, program in enumerate(programs):
                if program.poll() is not None:
                    programs[place] = started()
            if sum(counts.values()) == kills or not watch.claimed:
                continue
            program, children = max(
                ((p, below(p.pid)) for p in programs), key=lambda one: (bool(one[1]), chance.random())
            )
            kind = chance.choice(list(counts) if children else ["a program alone"])
            victims = {
                "a program with all its processes": {program.pid, *children},
                "a program alone": {program.pid},
                "one of its processes": {chance.choice(children)} if children else set(),
            }[kind]
            with watch.lock:
                before = dict(watch.claimed)
            for pid in victims:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            watch.killed(victims, before)
            counts[kind] += 1
    finally:
        for program in programs:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
    return counts


def report(form: str, watch: Watch, counts: dict[str, int], texts: dict[str, str], seconds: float) -> None:
    job, store = watch.memory.indexing.get(watch.job.id), watch.memory.repositories.store
    stored: dict[str, str] = {}
    chunks = 0
    for path in texts:
        for chunk in store.chunks_of(path):
            stored[path] = stored.get(path, "") + chunk.text
            chunks += 1
    print(f"{form}: {job.state}, {job.progress:,}/{job.total:,} files in {seconds:.0f} s")
    print(f"  killed {sum(counts.values())}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    print(f"  files as they are, each once: {sum(stored.get(p) == text for p, text in texts.items()):,}")
    print(
        f"  documents {len(store.files('tree')):,}, chunks {store.stats().chunks:,}, counted by the job {job.chunks:,}"
    )
    print(f"  files set aside: {job.failed}; inconsistent: {store.check() or 'nothing'}")
    print(f"  untrue in the status, of all looks: {watch.untrue or 'nothing'}")
    for what, waits in (("free for others", watch.given_back.values()), ("begun by another", watch.redelivered)):
        times = sorted(waits)
        print(f"  tasks {what}: {len(times)}, after {times[len(times) // 2]:.1f} s (median), {times[-1]:.1f} s (most)")
    print(f"  most attempts at a task: {watch.most_attempts}")
    whole = stored == texts and chunks == store.stats().chunks == job.chunks
    if not (whole and job.state is JobState.SUCCESS and not watch.untrue and not job.failed):
        sys.exit("something was lost")


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            watch.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def started() -> subprocess.Popen[bytes]:
    return subprocess.Popen([PROGRAM, "worker", "-n", "2"], stderr=subprocess.DEVNULL, start_new_session=True)


def below(pid: int) -> list[int]:
    """All processes that *pid* has started, and these in turn."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [each for child in map(int, found) for each in (child, *below(child))]


def write(tree: Path, files: int) -> dict[str, str]:
    texts = {}
    for number in range(files):
        path = f"part{number % 29}/module_{number}.py"
        bodies = (f"def step_{number}_{i}(queue):\n    return queue.take({number}, {i})\n" for i in range(100))
        texts[path] = "\n\n".join(bodies)
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(texts[path])
    return texts


if __name__ == "__main__":
    main()
