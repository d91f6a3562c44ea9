"""What becomes of requests when the disk is full, or the client goes away."""

from __future__ import annotations

import json
import resource
import socket
from pathlib import Path
from typing import Any

import pytest

from mnemolite.settings import Settings
from mnemolite.wiring import open_server

from .conftest import Serve, spawned

INDEX = "/v1/code/index"
HYBRID = "/v1/code/search/hybrid"
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits the files of another process")
def test_a_full_disk_is_said_and_what_was_stored_stays() -> None:
    """No file of the server may grow any more, as when there is no room."""
    few = [{"path": "a.py", "content": "def alpha(): ...\n"}]
    many = [{"path": f"{i}.py", "content": f"def beta{i}(): ...\n" * 200} for i in range(50)]
    event = {"content": {"text": "gamma " * 1000}}
    with spawned() as server:

        def post(path: str, body: Any, status: int) -> Any:
            answer = server.client.post(path, json=body)
            assert answer.status_code == status, answer.text
            return answer.json()

        post(INDEX, {"repository": "r", "files": few}, 201)
        kept = post("/v1/events", event, 201)["id"]
        for limit, said in ((20_000, "the last batch was not stored"), (0, "cannot be written to be read")):
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))  # type: ignore[attr-defined,unused-ignore]
            assert said in post(INDEX, {"repository": "r", "files": many}, 503)["detail"]
            assert "was not stored" in post("/v1/events", event, 503)["detail"]
            assert post(HYBRID, {"query": "alpha"}, 200)["results"][0]["file_path"] == "a.py"
            assert server.client.get(f"/v1/events/{kept}").json()["content"] == event["content"]
            assert server.client.get("/ready").json()["status"] == "ready"
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)  # type: ignore[attr-defined,unused-ignore]
        post(INDEX, {"repository": "r", "files": many}, 201)
        post("/v1/events", event, 201)
    with open_server(Settings.load()) as memory:
        assert [source.documents for source in memory.repositories.all()] == [51]
        assert memory.events.count() == 2
        assert memory.repositories.store.check() == []
        assert memory.notes.index.check() == []


def test_a_client_that_goes_away_leaves_nothing_behind(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps({"query": "alpha " * 1000}).encode()
    head = f"POST {HYBRID} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with serve() as server:
        host, port = server.url.removeprefix("http://").split(":")
        for sent in (head.encode(), f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:100], b"\0\xff"):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(sent)
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        while server.metric("http_requests_in_flight") > 1 or server.metric('request_threads{state="busy"}') > 1:
            pass
        assert server.post(HYBRID, {"query": "alpha"})["results"] == []
        assert not [line for line in server.client.get("/metrics").text.splitlines() if 'status="5' in line]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert not Path(server.memory.settings.data_dir, "server.db-wal").exists()
