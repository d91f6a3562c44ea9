"""
The files of deploy/ against what reads them: promtool checks the configuration and tests the alerts on made-up series,
and a Prometheus of our own scrapes a server, an embedding service and a worker in use, until each query of the Grafana
dashboard has an answer. `make dashboards`, or: python bench/dashboards.py
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from mnemolite.lab.local_embedder import LocalEmbedder
from mnemolite.lab.local_postgres import local_postgres
from mnemolite.lab.local_redis import LocalRedis
from serve_demo import PROGRAM, server

ROOT = Path(__file__).parents[1]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
SCRAPE_SECONDS = 1
LONGEST_SECONDS = 120
RECENT = "10s"  # for Grafana's $__rate_interval
QUERIES = ("where is a mail address checked?", "validate_email", "charge a card once")


def main() -> None:
    subprocess.run(["promtool", "test", "rules", "rules_test.yml"], cwd=PROMETHEUS, check=True)
    with (
        local_postgres() as database,
        LocalRedis() as redis,
        LocalEmbedder() as embedder,
        tempfile.TemporaryDirectory() as temporary,
    ):
        folder = Path(temporary)
        worker_port, prometheus_port = free_port(), free_port()
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MNEMOLITE_")},
            "DATABASE_URL": database.url(),
            "REDIS_URL": redis.url,
            "EMBEDDING_SERVICE_URL": embedder.url,
            "MNEMOLITE_DATA_DIR": str(folder / "data"),
            "MNEMOLITE_JOB_THREADS": "0",
        }
        subprocess.run([PROGRAM, "db", "upgrade"], env=env, check=True)
        key = made_key(env)
        (folder / "key").write_text(key)
        with (
            server(["--port", "0"], env, folder / "log") as url,
            running([str(PROGRAM), "worker", "--port", str(worker_port)], env),
            httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=60) as client,
        ):
            places = url.removeprefix("http://"), f"127.0.0.1:{embedder.port}", f"127.0.0.1:{worker_port}"
            config = configured(folder, *places)
            subprocess.run(["promtool", "check", "config", config], check=True)
            address = f"127.0.0.1:{prometheus_port}"
            command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
            with running([*command, f"--web.listen-address={address}", "--log.level=warn"], env):
                watch(client, redis, f"http://{address}")


def watch(client: httpx.Client, redis: LocalRedis, prometheus: str) -> None:
    """Uses the server until each query of the dashboard has an answer, with Redis and then without."""
    files = [{"path": "mail.py", "content": "def validate_email(address):\n    return '@' in address\n"}]
    client.post("/v1/code/index/async", json={"repository": "shop", "files": files}).raise_for_status()
    queries = [
        (panel["title"], target["expr"].replace("$__rate_interval", RECENT))
        for file in sorted(DASHBOARDS.glob("*.json"))
        for panel in json.loads(file.read_text("utf-8"))["panels"]
        for target in panel["targets"]
    ]
    empty, until, stopped = queries, time.monotonic() + LONGEST_SECONDS, time.monotonic() + LONGEST_SECONDS / 8
    with httpx.Client(base_url=prometheus, timeout=10) as asked:
        while empty and time.monotonic() < until:
            if time.monotonic() > stopped:
                redis.stop()
            for number, query in enumerate(QUERIES):
                text = f"{query} {time.monotonic():.0f}" if number == 0 else query
                body = {"query": text, "repository": "shop"}
                client.post("/v1/code/search/hybrid", json=body).raise_for_status()
            time.sleep(SCRAPE_SECONDS)
            empty = [(title, query) for title, query in empty if not has_answer(asked, query)]
        rules = asked.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
    troubles = [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"]
    print(f"{len(queries) - len(empty)} of {len(queries)} queries have an answer")
    for title, query in empty:
        print(f"no answer: {title}: {query}")
    if empty or troubles or not rules:
        raise SystemExit(f"rules that cannot be evaluated: {troubles}" if troubles else 1)


def has_answer(asked: httpx.Client, query: str) -> bool:
    try:
        answer = asked.get("/api/v1/query", params={"query": query})
    except httpx.TransportError:  # it is starting
        return False
    if answer.status_code == 400:
        raise SystemExit(f"{query}: {answer.json()['error']}")
    return answer.is_success and any(each["value"][1] != "NaN" for each in answer.json()["data"]["result"])


def configured(folder: Path, api: str, embedder: str, worker: str) -> Path:
    """prometheus.yml with other addresses and shorter times, and all it names beside it."""
    shutil.copy(PROMETHEUS / "rules.yml", folder)
    text = (PROMETHEUS / "prometheus.yml").read_text("utf-8")
    for old, new in {
        r"api:8001": api,
        r"embedder:8002": embedder,
        r"dns_sd_configs:(\n {6,}.+)+": f'static_configs: [{{targets: ["{worker}"]}}]',  # there is no name server here
        r"/run/secrets/prometheus_key": str(folder / "key"),
        r"15s": f"{SCRAPE_SECONDS}s",
    }.items():
        text, found = re.subn(old, new, text)
        if not found:
            raise SystemExit(f"prometheus.yml has no {old}")
    file = folder / "prometheus.yml"
    file.write_text(text)
    return file


def made_key(env: Mapping[str, str]) -> str:
    command = [str(PROGRAM), "key", "create", "prometheus", "--access", "write"]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def running(command: list[str], env: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=env, stderr=sys.stderr)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
