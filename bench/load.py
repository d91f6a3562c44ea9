"""
A hundred users at once, on a server with PostgreSQL and Redis, all on this machine with the load itself:

    pip install 'mnemolite[load]'
    python bench/load.py TREE [--chunks 20000] [--users 100] [--seconds 60] [--servers 1] [--html REPORT]
        [--embedded]

The store holds the chunks of TREE, repeated with changes as bench/query.py does. Prints requests a second, latencies in
ms and failures of each kind of request. --servers: so many processes share the users, as behind a proxy. --embedded:
SQLite, and no Redis.
Settings are taken from the environment, such as MNEMOLITE_REQUEST_THREADS.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from msgspec import structs

from mnemolite.embedders.static import StaticEmbedder
from mnemolite.lab.local_postgres import local_postgres
from mnemolite.lab.local_redis import LocalRedis
from mnemolite.settings import Settings
from mnemolite.wiring import open_server
from query import batches, grow, read_chunks
from serve_demo import PROGRAM, server

REPOSITORY = "load"
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
        urls = [
            stack.enter_context(server(["--port", "0"], env, folder / f"log{number}")) for number in range(args.servers)
        ]
        command = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py")), "--headless"]
        command += ["--host", ",".join(urls), "-u", str(args.users), "-r", "10", "-t", f"{args.seconds}s"]
        command += ["--csv", str(folder / "load"), "--only-summary", "--reset-stats"]
        if args.html:
            command += ["--html", str(args.html)]
        env["LOAD_REPOSITORY"] = REPOSITORY
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        table(folder / "load_stats.csv")
        if done.returncode:
            print((folder / "load_failures.csv").read_text()[:4000])
            raise SystemExit(done.stderr[-2000:])


def fill(settings: Settings, tree: Path, count: int) -> None:
    with open_server(settings) as memory:
        store = memory.repositories.store
        with store.writer(REPOSITORY):
            for batch in batches(islice(grow(read_chunks(tree), StaticEmbedder()), count), REPOSITORY):
                store.put(batch)


def table(file: Path) -> None:
    with file.open() as opened:
        rows = [[row[column] for column in COLUMNS] for row in csv.DictReader(opened)]
    print("".join(f"{name:>18}" for name in COLUMNS))
    for row in rows:
        print("".join(f"{value[:16]:>18}" for value in row), flush=True)


if __name__ == "__main__":
    main()
