"""
The server from nothing, on this machine alone: PostgreSQL, Redis, `mnemolite serve`, an index, a search, an embedding
by the official OpenAI client, and a clean stop. `make serve-demo`, or: python bench/serve_demo.py [TREE]
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from openai import OpenAI

from mnemolite.lab.local_postgres import local_postgres
from mnemolite.lab.local_redis import LocalRedis

PROGRAM = Path(sys.executable).parent / "mnemolite"
QUERY = "where are two ranked lists fused into one?"
START_SECONDS = 30


def main() -> None:
    tree = Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parents[1] / "src").resolve()
    started = time.monotonic()
    with local_postgres() as database, LocalRedis() as redis, tempfile.TemporaryDirectory() as folder:
        say("a PostgreSQL and a Redis of our own run")
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MNEMOLITE_")},
            "DATABASE_URL": database.url(),
            "REDIS_URL": redis.url,
            "MNEMOLITE_DATA_DIR": folder,
        }
        show("mnemolite db upgrade")
        subprocess.run([PROGRAM, "db", "upgrade"], env=env, check=True)
        with (
            server(["--root", str(tree), "--port", "0"], env, Path(folder) / "log") as url,
            httpx.Client(base_url=url, timeout=120) as client,
        ):
            use(client, url, tree)
        print("\nthe server has ended with 0, and PostgreSQL and Redis with it")
    print(f"{time.monotonic() - started:.0f} s from nothing to the end")


def use(client: httpx.Client, url: str, tree: Path) -> None:
    done = post(client, url, "/v1/code/index", {"repository": tree.name, "path": str(tree)})
    print(", ".join(f"{name} {value}" for name, value in done.items() if isinstance(value, int | float | str)))
    reply = post(client, url, "/v1/code/search/hybrid", {"query": QUERY, "limit": 3})
    for hit in reply["results"]:
        print(f"{hit['rrf_score']:.2f} {hit['file_path']}:{hit['first_line']}-{hit['last_line']} {hit['name_path']}")
    if reply["degraded"]:
        raise SystemExit(f"the answer is degraded: {reply['degraded']}")

    show("OpenAI(base_url=...).embeddings.create(input=[...])")
    openai = OpenAI(base_url=f"{url}/v1", api_key="none is needed here")
    [model] = openai.models.list().data
    made = openai.embeddings.create(model=model.id, input=["open a socket", "close a socket"])
    print(f"{made.model}: {len(made.data)} x {len(made.data[0].embedding)}, {made.usage.total_tokens} tokens")

    show(f"curl {url}/ready")
    print(client.get("/ready").raise_for_status().text)


def post(client: httpx.Client, url: str, route: str, body: dict[str, object]) -> dict[str, Any]:
    show(f"curl {url}{route} -H 'content-type: application/json' -d '{json.dumps(body)}'")
    answer: dict[str, Any] = client.post(route, json=body).raise_for_status().json()
    return answer


@contextmanager
def server(arguments: list[str], env: dict[str, str], log: Path) -> Iterator[str]:
    """Its address, once it is ready."""
    show(f"mnemolite serve {shlex.join(arguments)}")
    with log.open("w") as output:
        process = subprocess.Popen([PROGRAM, "serve", *arguments], env=env, stdout=output, stderr=output)
    try:
        yield ready(process, log)
        process.send_signal(signal.SIGTERM)
        if code := process.wait(timeout=START_SECONDS):
            raise SystemExit(f"the server ended with {code}: {log.read_text()}")
    finally:
        process.kill()
        process.wait()


def ready(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"http://[\d.]+:\d+", log.read_text()):
            try:
                if httpx.get(f"{found[0]}/ready").is_success:
                    return found[0]
            except httpx.TransportError:
                pass
        time.sleep(0.05)
    raise SystemExit(f"the server is not ready after {START_SECONDS} s: {log.read_text()}")


def say(text: str) -> None:
    print(text, flush=True)


def show(command: str) -> None:
    say(f"\n$ {command}")


if __name__ == "__main__":
    main()
