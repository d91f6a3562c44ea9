"""A real server in a thread of the test: it can do what one in a process of its own can, and starts at once."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import structs

from mnemolite.memory import Memory
from mnemolite.serve.http.app import make_app
from mnemolite.serve.http.server import runner
from mnemolite.serve.security import Keys, keys_file
from mnemolite.settings import Settings
from mnemolite.wiring import open_server

PROGRAM = str(Path(sys.executable).parent / "mnemolite")
GOLDEN = Path(__file__).parents[1] / "golden" / "tree"


@dataclass
class Served:
    """A server and a client of it."""

    url: str
    client: httpx.Client
    memory: Memory
    keys: Keys

    def post(self, path: str, body: object, status: int = 200, **more: Any) -> Any:
        answer = self.client.post(path, json=body, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str, status: int = 200, **more: Any) -> Any:
        answer = self.client.get(path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    def metric(self, line: str) -> float:
        """The value of a series of /metrics, 0 when it is not there."""
        found = [each.rsplit(" ", 1) for each in self.client.get("/metrics").text.splitlines()]
        return next((float(value) for name, value in found if name == line), 0.0)


Serve = Callable[..., AbstractContextManager[Served]]


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[Served]:
    options: dict[str, Any] = {
        "data_dir": str(folder),
        "rate_per_minute": 0,
        "preload_seconds": 0.0,
        "workers": 1,
        "ram_budget_mb": 100_000,  # the process of the tests holds more than a server's
        **settings,
    }
    memory = open_server(structs.replace(Settings(), **options))
    keys = Keys(keys_file(memory.settings))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = runner(make_app(memory, keys, hosts=("127.0.0.1",)), memory.settings.trusted_proxies)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                yield Served(url, client, memory, keys)
        finally:
            server.should_exit = True
            thread.join()


@dataclass
class Spawned:
    """A server in a process of its own, and a client of it."""

    process: subprocess.Popen[str]
    url: str
    client: httpx.Client


@contextmanager
def spawned(*options: str, token: str = "") -> Iterator[Spawned]:
    command = [PROGRAM, "serve", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = next(line for line in map(json.loads, process.stderr) if line["message"].startswith("serving at"))
        url = "http://127.0.0.1:" + first["message"].rsplit(":", 1)[1]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with httpx.Client(base_url=url, trust_env=False, headers=headers, timeout=60) as client:
                yield Spawned(process, url, client)
        finally:
            process.terminate()


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Starts a server with the settings given, on data of its own."""
    return lambda **settings: served(tmp_path / "data", **settings)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server without anything, for the tests of what is refused."""
    with served(tmp_path_factory.mktemp("empty")) as server:
        yield server


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that has indexed two repositories, for the tests that change nothing of them."""
    with served(tmp_path_factory.mktemp("shop")) as server:
        server.memory.repositories.index("shop", GOLDEN)
        server.memory.repositories.add("tools", {"src/retry.py": "def retry(times):\n    return times\n"})
        yield server
