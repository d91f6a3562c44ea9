"""What a request must pass before a route sees it: by what name it calls us, who asks, how often, how much is sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request, Security
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnemolite.errors import StoreUnavailable
from mnemolite.serve.http.problems import problem
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import ANYONE, Access, Caller, Keys, Rate

THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::\d*)?")
OPEN = frozenset(("/health", "/ready"))  # for those who watch over the server, and have no key
PUBLIC = frozenset(("/", "/docs", "/openapi.json"))  # what can be asked is no secret, nor is the page that asks
PAGE = "/playground/"  # below it, that page's files

_bearer = Security(HTTPBearer(auto_error=False, description="An API key of 'mnemolite key create'."))


@dataclass(frozen=True)
class Refusal:
    status: int
    reason: str  # for the metrics
    message: str
    headers: Mapping[str, str] | None = None


class Guard:
    """
    *hosts* are the names it may be called by, () any. *origins* are the sites whose pages may call it; () none but its
    own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keys,
        rate: Rate,
        metrics: Metrics,
        hosts: Sequence[str],
        origins: Sequence[str],
        max_body_bytes: int,
    ) -> None:
        self._app = app
        self._keys = keys
        self._rate = rate
        self._metrics = metrics
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._stranger(headers)
        if refusal is None and scope["path"] not in OPEN:
            refusal = await self._caller(scope, headers)
        length = headers.get("content-length", "0")
        if refusal is None and length.isdecimal() and int(length) > self._max_body_bytes:
            refusal = self._too_large()
        if refusal is None:
            await self._limited(scope, receive, send)
        else:
            await self._refuse(refusal, scope, receive, send)

    def _stranger(self, headers: Mapping[str, str]) -> Refusal | None:
        """A page of another site, open in a browser that reaches us, may call us; its requests name that site."""
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            return Refusal(400, "host", f"this server is not known as {host!r}; set allowed_hosts to have it so")
        origin = headers.get("origin")
        if origin and origin not in self._origins and origin.partition("://")[2] != host:
            return Refusal(403, "origin", f"pages of {origin} may not call this server; set cors_origins to allow them")
        return None

    async def _caller(self, scope: Scope, headers: Mapping[str, str]) -> Refusal | None:
        try:
            free = scope["path"] in PUBLIC or scope["path"].startswith(PAGE) or not self._keys.asked_for
            caller = ANYONE if free else self._known(headers)
        except StoreUnavailable as error:
            return Refusal(503, "keys", str(error))
        address = scope["client"][0] if scope.get("client") else ""
        wait = self._rate.wait_seconds(address if caller is None or caller is ANYONE else caller.name)
        if wait:
            message = f"too many requests; ask again in {wait:.1f} s"
            return Refusal(429, "rate", message, {"Retry-After": str(math.ceil(wait))})
        if caller is None:
            message = "give a valid API key, as 'Authorization: Bearer mnl_...'"
            return Refusal(401, "key", message, {"WWW-Authenticate": "Bearer"})
        scope["state"]["caller"] = caller
        return None

    def _known(self, headers: Mapping[str, str]) -> Caller | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self._keys.caller(token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", ""))

    def _too_large(self) -> Refusal:
        message = f"the body has more than {self._max_body_bytes:,} bytes; send less at a time"
        return Refusal(413, "body", message, {"Connection": "close"})

    async def _refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.refused.labels(refusal.reason).inc()
        await problem(scope, refusal.status, refusal.message, refusal.headers)(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The route, with a body that is cut off when it turns out too large: its length need not be announced."""
        received = 0
        too_large = False
        started = False

        async def counted() -> Message:
            nonlocal received, too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                too_large = True
                return {"type": "http.disconnect"}
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            if not too_large:
                started = True
                await send(message)

        await self._app(scope, counted, watched)
        if too_large and not started:
            await self._refuse(self._too_large(), scope, receive, send)


def _name(host: str) -> str:
    """Of a Host header, without the port and the brackets of an IPv6 address."""
    found = HOST.fullmatch(host)
    return found[1].strip("[]").lower() if found else ""


async def reader(request: Request, _: object = _bearer) -> Caller:
    """Who asks, when they may read."""
    return _allowed(request, Access.READ)


async def writer(request: Request, _: object = _bearer) -> Caller:
    return _allowed(request, Access.WRITE)


async def admin(request: Request, _: object = _bearer) -> Caller:
    return _allowed(request, Access.ADMIN)


def _allowed(request: Request, needed: Access) -> Caller:
    caller: Caller = request.state.caller
    caller.require(needed)
    return caller
