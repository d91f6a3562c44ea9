"""Word of a job's end: signed, checked by the function of the documentation, brought at least once."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mnemolite.errors import Forbidden, InvalidInput
from mnemolite.outbound import Outbound
from mnemolite.serve.webhook import AGAIN_SECONDS, Webhooks
from mnemolite.serve.worker import Workers
from mnemolite.settings import Settings
from mnemolite.stores.jobs import JobTables
from mnemolite.stores.sqlite_jobs import SqliteTables
from mnemolite.wiring import open_server

SECRET = "a secret of 22 letters".replace(" ", "-")
BASE64_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DOCUMENT = Path(__file__).parents[2] / "docs" / "jobs.md"
OUTBOUND = Outbound.of(["127.0.0.1/32"], http=True)
FILES = {"a.py": "def alpha(): ...\n"}
Sent = tuple[dict[str, str], bytes]


def documented() -> Callable[..., str]:
    """The function of the documentation that users copy."""
    [code] = [each for each in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL) if "verify" in each]
    found: dict[str, Any] = {}
    exec(code, found)
    verify: Callable[..., str] = found["verify"]
    return verify


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[Sent]]]:
    """Answers with *statuses*, the last for ever."""
    left, received = list(statuses), list[Sent]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", received
        finally:
            server.shutdown()
            thread.join()


def options(tmp_path: Path, **more: Any) -> Settings:
    local: dict[str, Any] = {"outbound_http": True, "outbound_networks": ("127.0.0.1/32",), **more}
    return Settings(data_dir=str(tmp_path), workers=1, **{"webhook_secret": SECRET, **local})


def test_a_callback_is_told_of_the_end_and_what_it_is_told_can_be_checked(tmp_path: Path) -> None:
    with receiver(200) as (url, received), open_server(options(tmp_path)) as memory:
        workers = Workers(memory.indexing, 1)
        workers.start()
        job = memory.indexing.submit("shop", files=FILES, callback_url=url)
        while not received or memory.indexing.store.deliveries(job.id)[0].state == "waiting":
            time.sleep(0.02)
        workers.stop()
        [(headers, body)] = received
        assert documented()(SECRET, headers, body, set()) == headers["webhook-id"]
        told = json.loads(body)
        assert (told["repository"], told["status"], told["chunks_created"]) == ("shop", "completed", 1)
        assert (told["task_id"], told["files"], told["files_failed"], told["error"]) == (job.id, 1, 0, None)
        [delivery] = memory.indexing.store.deliveries(job.id)
        assert (delivery.state, delivery.attempts, delivery.failure) == ("delivered", 1, "")


@pytest.mark.parametrize("secret", [SECRET, BASE64_SECRET])
def test_the_documented_verifier_refuses_what_was_tampered_with_and_what_is_replayed(
    tmp_path: Path, secret: str
) -> None:
    verify = documented()
    with receiver(200) as (url, received), open_server(options(tmp_path, webhook_secret=secret)) as memory:
        memory.indexing.cancel(memory.indexing.submit("shop", files=FILES, callback_url=url).id)
        assert Webhooks(memory.indexing.store, OUTBOUND, secret).deliver()
        [(headers, body)] = received
    id, at, signature = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    assert verify(secret, headers, body, set()) == id
    assert verify(secret, {**headers, "webhook-signature": f"v1,AAAA v2,x {signature}"}, body, set()) == id
    assert verify(secret, headers, body, set(), now=lambda: int(at) + 299) == id
    for tampered in (
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": str(int(at) + 1)},
        {"webhook-signature": ""},
        {"webhook-signature": signature[3:]},
        {"webhook-signature": f"v1,{signature[3:][::-1]}"},
        {"webhook-signature": "v1,é"},
    ):
        with pytest.raises(ValueError, match="not signed with our secret"):
            verify(secret, headers | tampered, body, set())
    for other in (body + b" ", body.replace(b"cancelled", b"completed"), b""):
        with pytest.raises(ValueError, match="not signed with our secret"):
            verify(secret, headers, other, set())
    with pytest.raises(ValueError, match="not signed with our secret"):
        verify("another-secret-of-22-l", headers, body, set())
    for late in (int(at) + 301, int(at) - 301):
        with pytest.raises(ValueError, match="not sent in the last five minutes"):
            verify(secret, headers, body, set(), now=lambda late=late: late)
    for time_of_it in ("", "-5", "now", "1e9", "٣"):
        with pytest.raises(ValueError, match="not sent in the last five minutes"):
            verify(secret, {**headers, "webhook-timestamp": time_of_it}, body, set())
    with pytest.raises(ValueError, match="seen before"):
        verify(secret, headers, body, {id})
    with pytest.raises(ValueError, match="five minutes"):
        verify(secret, {}, body, set())


def test_a_callback_that_fails_is_tried_again_with_the_same_id_for_a_day(tmp_path: Path) -> None:
    now = 1_700_000_000.0
    verify = documented()
    with open_server(options(tmp_path)) as memory:
        memory.indexing.close()
        store = memory.indexing.store = JobTables(SqliteTables(None), clock=lambda: now)
        webhooks = Webhooks(store, OUTBOUND, SECRET, clock=lambda: now)
        with receiver(500, 404, 200) as (url, received):
            good = memory.indexing.submit("shop", files=FILES, callback_url=url).id
            memory.indexing.cancel(good)
            for wait in AGAIN_SECONDS[:2]:
                assert webhooks.deliver()
                assert not webhooks.deliver()
                now += wait
            assert store.deliveries(good)[0].failure == "answered with status 404"
            assert webhooks.deliver()
            now += 10**6
            assert not webhooks.deliver()
        assert len({headers["webhook-id"] for headers, _ in received}) == 1
        assert len({headers["webhook-signature"] for headers, _ in received}) == 3
        for headers, body in received:
            assert verify(SECRET, headers, body, set(), now=lambda h=headers: int(h["webhook-timestamp"]))
        bad = memory.indexing.submit("shop", files=FILES, callback_url=url).id  # where nobody is any more
        memory.indexing.cancel(bad)
        for attempt in range(len(AGAIN_SECONDS) + 1):
            assert webhooks.deliver(), attempt
            now += 10**6
        assert not webhooks.deliver()
        [delivery] = store.deliveries(bad)
        assert (delivery.state, delivery.attempts) == ("failed", len(AGAIN_SECONDS) + 1)
        assert "did not answer" in delivery.failure


def test_a_callback_that_may_not_be_told_or_not_be_signed_is_refused_at_once(tmp_path: Path) -> None:
    with open_server(options(tmp_path, outbound_networks=(), outbound_http=False)) as memory:
        for url in ("https://127.0.0.1/", "https://localhost/", "https://169.254.169.254/x", "http://1.1.1.1/"):
            with pytest.raises(Forbidden):
                memory.indexing.submit("r", files=FILES, callback_url=url)
        assert memory.indexing.jobs() == []
    with (
        open_server(options(tmp_path, webhook_secret="")) as memory,
        pytest.raises(InvalidInput, match="not be signed"),
    ):
        memory.indexing.submit("r", files=FILES, callback_url="https://1.1.1.1/")


def test_a_name_that_leads_inside_by_the_time_it_is_told_is_not_told(tmp_path: Path) -> None:
    with receiver(200) as (url, received), open_server(options(tmp_path)) as memory:
        job = memory.indexing.submit("r", files=FILES, callback_url=url)
        memory.indexing.cancel(job.id)
        assert Webhooks(memory.indexing.store, Outbound(http=True), SECRET).deliver()
        assert received == []
        assert "no public address" in memory.indexing.store.deliveries(job.id)[0].failure
