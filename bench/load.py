"""
A hundred users at once, on a server with PostgreSQL and Redis, all on this machine with the load itself:

    pip install 'mnemolite[load]'
    python bench/load.py TREE [--chunks 20000] [--users 100] [--seconds 60] [--servers 1] [--html REPORT]
        [--embedded | --all] [--watch]

The store holds the chunks of TREE, repeated with changes as bench/query.py does. Prints requests a second, latencies in
ms and failures of each kind of request. --servers: so many processes share the users, as behind a proxy. --embedded:
SQLite, and no Redis. --all: with an embedding service, and a worker that indexes files of TREE all the while. --watch
prints memory, files and connections of each process, in the first and the last quarter of the time.
Settings are taken from the environment, such as MNEMOLITE_REQUEST_THREADS.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from subprocess import DEVNULL
from threading import Event, Thread

import httpx
from msgspec import structs

from mnemolite.embedders.static import StaticEmbedder
from mnemolite.lab.local_embedder import LocalEmbedder
from mnemolite.lab.local_postgres import local_postgres
from mnemolite.lab.local_redis import LocalRedis
from mnemolite.settings import Settings
from mnemolite.wiring import open_server
from query import batches, grow, read_chunks
from serve_demo import PROGRAM, server

REPOSITORY = "load"
JOB_FILES = 20
HELD = (  # of /metrics: a name, the series, and what one of its units is here
    ("MB resident", r"^process_resident_memory_bytes (\S+)", 1e6),
    ("open files", r"^process_open_fds (\S+)", 1),
    ("connections to PostgreSQL", r'^database_connections\{state="(?:busy|idle)"\} (\S+)', 1),
)
COLUMNS = ("Name", "Request Count", "Failure Count", "Requests/s", "50%", "95%", "99%", "Max Response Time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--html", type=Path)
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--watch", action="store_true")
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = os.environ | {"MNEMOLITE_DATA_DIR": str(folder), "MNEMOLITE_RATE_PER_MINUTE": "0"}
        if not args.embedded:
            env["DATABASE_URL"] = stack.enter_context(local_postgres({})).url()
            env["REDIS_URL"] = stack.enter_context(LocalRedis()).url
            subprocess.run([PROGRAM, "db", "upgrade"], env=env, check=True)
        settings = structs.replace(
            Settings(), data_dir=str(folder), database_url=env.get("DATABASE_URL", ""), redis_url=""
        )
        fill(settings, args.tree, args.chunks)
        if args.all:
            service = stack.enter_context(LocalEmbedder())
            env |= {"EMBEDDING_SERVICE_URL": service.url, "MNEMOLITE_JOB_THREADS": "0"}
        urls = [
            stack.enter_context(server(["--port", "0"], env, folder / f"log{number}")) for number in range(args.servers)
        ]
        command = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py")), "--headless"]
        command += ["--host", ",".join(urls), "-u", str(args.users), "-r", "10", "-t", f"{args.seconds}s"]
        command += ["--csv", str(folder / "load"), "--only-summary", "--reset-stats"]
        if args.html:
            command += ["--html", str(args.html)]
        env["LOAD_REPOSITORY"] = REPOSITORY
        watched = {f"server {number}": url for number, url in enumerate(urls, 1)}
        if args.all:
            watched["embedding service"] = f"http://127.0.0.1:{service.port}"
            worker = stack.enter_context(ended(subprocess.Popen([PROGRAM, "worker"], env=env, stderr=DEVNULL)))
            jobs = stack.enter_context(Beside(lambda number: index(urls[0], args.tree, number), seconds=1))
        if args.watch:
            watch = Watch(watched, {"worker": worker.pid} if args.all else {})
            stack.enter_context(Beside(watch.look, seconds=5))
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        table(folder / "load_stats.csv")
        if args.all:
            print(f"meanwhile {jobs.done} jobs indexed {JOB_FILES} files each")
        if args.watch:
            watch.show()
        if done.returncode:
            print((folder / "load_failures.csv").read_text()[:4000])
            raise SystemExit(done.stderr[-2000:])


def fill(settings: Settings, tree: Path, count: int) -> None:
    with open_server(settings) as memory:
        store = memory.repositories.store
        with store.writer(REPOSITORY):
            for batch in batches(islice(grow(read_chunks(tree), StaticEmbedder()), count), REPOSITORY):
                store.put(batch)


class Beside:
    """Does a thing again and again in a thread, *seconds* after it was done; counts how often."""

    def __init__(self, thing: Callable[[int], object], *, seconds: float) -> None:
        self.done = 0
        self._thing = thing
        self._seconds = seconds
        self._ended = Event()
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self._thing(self.done)
            self.done += 1

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


class Watch:
    """What processes hold of the machine: servers by their address, others by their number."""

    def __init__(self, urls: Mapping[str, str], pids: Mapping[str, int]) -> None:
        self._urls = urls
        self._pids = pids
        self._seen: dict[str, list[float]] = defaultdict(list)

    def look(self, _: int) -> None:
        for name, url in self._urls.items():
            text = httpx.get(f"{url}/metrics", timeout=30).text
            for what, pattern, unit in HELD:
                if found := re.findall(pattern, text, re.MULTILINE):
                    self._seen[f"{name}: {what}"].append(sum(map(float, found)) / unit)
        for name, pid in self._pids.items():
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            self._seen[f"{name}: MB resident"].append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    def show(self) -> None:
        print(f"{'':40}{'first quarter':>15}{'last quarter':>15}{'most':>10}")
        for name, values in self._seen.items():
            quarter = max(1, len(values) // 4)
            first, last = median(values[:quarter]), median(values[-quarter:])
            print(f"{name:40}{first:15.1f}{last:15.1f}{max(values):10.1f}")


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """*process*, told to end at the end."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def index(url: str, tree: Path, number: int) -> None:
    """A job of changed files, until it is done."""
    texts = [(str(path), path.read_text("utf-8")) for path in sorted(tree.rglob("*.py"))[:JOB_FILES]]
    files = [{"path": path, "content": f"{text}\n# the {number}th time\n"} for path, text in texts]
    sent = httpx.post(f"{url}/v1/code/index/async", json={"repository": "under_way", "files": files}, timeout=30)
    task = sent.raise_for_status().json()["task_id"]
    while (state := httpx.get(f"{url}/v1/code/index/status/{task}", timeout=30).json())["status"] != "SUCCESS":
        if state["status"] not in ("PENDING", "STARTED"):
            raise RuntimeError(f"a job ended with {state}")
        time.sleep(0.5)


def table(file: Path) -> None:
    with file.open() as opened:
        rows = [[row[column] for column in COLUMNS] for row in csv.DictReader(opened)]
    print("".join(f"{name:>18}" for name in COLUMNS))
    for row in rows:
        print("".join(f"{value[:16]:>18}" for value in row), flush=True)


if __name__ == "__main__":
    main()
