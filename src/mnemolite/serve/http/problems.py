"""Failures as clients of each family of routes expect them: ours, OpenAI's, and those of text-embeddings-inference."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from mnemolite.errors import (
    Conflict,
    EmbedderUnavailable,
    Forbidden,
    InvalidInput,
    MnemoError,
    NotFound,
    Overloaded,
    RerankerUnavailable,
    SpaceMismatch,
    StoreUnavailable,
)

STATUSES: dict[type[MnemoError], int] = {
    InvalidInput: 422,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    SpaceMismatch: 409,
    Overloaded: 429,
    EmbedderUnavailable: 503,
    RerankerUnavailable: 503,
    StoreUnavailable: 503,
}
NO_ROUTE = "there is nothing here; /docs lists what can be asked"
OPENAI = ("/v1/embeddings", "/v1/models")
TEI = ("/embed", "/rerank", "/info")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why there is no answer."""

    detail: str
    status: int
    request_id: str


@dataclass(frozen=True, kw_only=True)
class OpenAIError:
    message: str
    type: str
    param: str | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class OpenAIProblem:
    error: OpenAIError


@dataclass(frozen=True, kw_only=True)
class TeiProblem:
    error: str
    error_type: str


# What any route may answer, besides what it is for.
ANYWHERE = {
    400: "The body cannot be read, or the server is not known by this name.",
    401: "There is no valid API key.",
    403: "The key does not allow it.",
    413: "The body is too large.",
    422: "A value cannot be; the message names it.",
    429: "Too many requests; Retry-After says when to ask again.",
    503: "The store or the model cannot be reached.",
    504: "It took too long.",
}
MISSING = {404: "There is no such thing."}
BUSY = {409: "Something else is being done that stands against it, or what is stored was made by another model."}


def documented(*more: Mapping[int, str], model: type = Problem) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the failures of a route."""
    statuses = ANYWHERE | {status: text for each in more for status, text in each.items()}
    return {status: {"model": model, "description": text} for status, text in sorted(statuses.items())}


def problem(scope: Mapping[str, Any], status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that failed, in the form of its route."""
    path = scope["path"].rstrip("/")
    message = message.encode("utf-8", "backslashreplace").decode()
    body: object
    if path in OPENAI or path.startswith("/v1/models/"):
        status = 400 if status == 422 else status
        body = OpenAIProblem(error=OpenAIError(message=message, type=_openai_type(status), code=_openai_code(status)))
    elif path in TEI:
        status = 424 if status == 503 else status
        body = TeiProblem(error=message, error_type=_tei_type(status))
    else:
        body = Problem(detail=message, status=status, request_id=scope["state"]["request_id"])
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def handle_problems(app: FastAPI) -> None:
    """Makes every error of a route such an answer."""

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, MnemoError)
        status = next((s for kind, s in STATUSES.items() if isinstance(error, kind)), 500)
        headers = {"Retry-After": "1"} if status in (409, 429, 503) else None
        return problem(request.scope, status, str(error), headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem(request.scope, 422, "; ".join(_what_is_wrong(each) for each in error.errors()[:10]))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = NO_ROUTE if (error.status_code, error.detail) == (404, "Not Found") else str(error.detail)
        headers = {"Allow": ", ".join(_methods(app, request))} if error.status_code == 405 else error.headers
        return problem(request.scope, error.status_code, detail, headers)

    async def unknown(request: Request, error: Exception) -> Response:
        id = request.scope["state"]["request_id"]
        return problem(request.scope, 500, f"an error of the server; its log says more under request_id {id}")

    app.add_exception_handler(MnemoError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unknown)


def _methods(app: FastAPI, request: Request) -> list[str]:
    """Of all routes of the path: the framework names those of the first alone."""
    methods: set[str] = set()
    for route in app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


def _what_is_wrong(error: Mapping[str, Any]) -> str:
    *where, last = map(str, error["loc"])
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key {last!r} in the {'.'.join(where)}"
    if error["type"] == "json_invalid":
        return f"the body is no JSON: {error['ctx']['error']} at character {last}"
    if error["type"] == "missing":
        return f"{last!r} is missing in the {'.'.join(where)}"
    return f"{'.'.join((*where, last))}: {error['msg']}, is {reprlib.repr(error['input'])}"


def _openai_type(status: int) -> str:
    if status == 429:
        return "rate_limit_exceeded"
    return "invalid_request_error" if status < 500 else "server_error"


def _openai_code(status: int) -> str | None:
    return {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(status)


def _tei_type(status: int) -> str:
    if status in (424, 429):
        return "Backend" if status == 424 else "Overloaded"
    return "Validation" if status < 500 else "Unhealthy"
