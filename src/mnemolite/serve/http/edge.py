"""What happens to every request, whatever it asks for: an id, a time limit, headers, counts and a line in the log."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnemolite.serve.http.problems import problem
from mnemolite.serve.logs import FIELDS, request_id
from mnemolite.serve.metrics import Metrics

LONG = "/v1/code/index"  # takes as long as the tree is large
METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
REQUEST_ID = re.compile(rb"[\w.-]{1,64}")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]

log = logging.getLogger("mnemolite.http")


class Edge:
    def __init__(self, app: ASGIApp, metrics: Metrics, seconds: float) -> None:
        self._app = app
        self._metrics = metrics
        self._seconds = seconds
        self._late: set[asyncio.Future[None]] = set()  # requests answered with 504, whose threads go on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        answer = _Answer(send, _id_of(scope))
        scope.setdefault("state", {})["request_id"] = answer.request_id
        request_id.set(answer.request_id)
        self._metrics.in_flight.inc()
        try:
            answer = await self._answered(scope, receive, answer)
        except Exception as error:
            log.exception("%s", error)
            if not answer.status:
                await problem(scope, 500, "an error of the server; its log says more")(scope, receive, answer.send)
        finally:
            self._metrics.in_flight.dec()
            self._account(scope, answer, time.perf_counter() - start)

    async def _answered(self, scope: Scope, receive: Receive, answer: _Answer) -> _Answer:
        """What was sent: *answer*, or in its place that it took too long."""
        task = asyncio.ensure_future(self._app(scope, receive, answer.send))
        try:
            done, _ = await asyncio.wait({task}, timeout=None if scope["path"].startswith(LONG) else self._seconds)
            status, message = 504, f"not done within {self._seconds:g} s; ask for less, or again later"
        except asyncio.CancelledError:  # by the server that ends, when it has waited long enough
            done, status, message = set(), 503, "the server is ending; ask again, what was done by now stays"
            task.cancel()
        if done or answer.status:
            await task
            return answer
        answer.abandoned = True
        self._late.add(task)
        task.add_done_callback(self._ended_late)
        late = _Answer(answer.passes_to, answer.request_id)
        await problem(scope, status, message)(scope, receive, late.send)
        return late

    def _ended_late(self, task: asyncio.Future[None]) -> None:
        self._late.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a request that was late failed: %s", error)

    def _account(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        status = answer.status or 499  # the client was gone before there was an answer
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        state: MutableMapping[str, Any] = scope["state"]
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 2),
            "caller": getattr(state.get("caller"), "name", ""),
            **state.get("log", {}),
        }
        log.info("request", extra={FIELDS: fields})


class _Answer:
    """Passes an answer on, with our headers, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.request_id = request_id
        self.status = 0
        self.abandoned = False
        self.passes_to = send

    async def send(self, message: Message) -> None:
        if self.abandoned:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = {name for name, _ in message.get("headers", ())}
            added = [(b"x-request-id", self.request_id.encode()), *(h for h in HEADERS if h[0] not in own)]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await self.passes_to(message)


def _id_of(scope: Scope) -> str:
    """The one a proxy gave, if it is harmless; else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            given: str = value.decode()
            return given
    return uuid.uuid4().hex
