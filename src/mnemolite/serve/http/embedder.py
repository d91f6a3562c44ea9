"""The embedding service over HTTP: the routes of the server that give vectors, with a queue that is bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnemolite import __version__
from mnemolite.memory import Memory
from mnemolite.serve.batching import caller_is_gone
from mnemolite.serve.http.app import guarded
from mnemolite.serve.http.docs import add_docs
from mnemolite.serve.http.embeddings import EmbeddingRoutes
from mnemolite.serve.http.guard import OPEN
from mnemolite.serve.http.health import HealthRoutes
from mnemolite.serve.http.openai import OpenAIRoutes
from mnemolite.serve.http.problems import handle_problems, problem
from mnemolite.serve.http.tei import TeiRoutes
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Keys

ABOUT = "Vectors of texts. The same over gRPC, as proto/embedding.proto says."


@dataclass(frozen=True, kw_only=True)
class Readiness:
    status: Literal["ready", "not ready"]
    models: list[str]


def embedder_app(
    memory: Memory, metrics: Metrics, keys: Keys, is_ready: Callable[[], bool], *, hosts: Sequence[str] = ()
) -> ASGIApp:
    settings = memory.settings

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threads = to_thread.current_default_thread_limiter()
        threads.total_tokens = settings.embedder_requests
        metrics.watch(threads)
        yield

    app = FastAPI(
        title="MnemoLite embeddings",
        version=__version__,
        description=ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    handle_problems(app)
    app.include_router(_health(memory, metrics, is_ready))
    app.include_router(EmbeddingRoutes(memory, metrics).router)
    app.include_router(OpenAIRoutes(memory, metrics).router)
    app.include_router(TeiRoutes(memory, metrics).router)
    add_docs(app)
    bounded = _Bounded(app, settings.embedder_requests, settings.request_seconds)
    return guarded(bounded, metrics, keys, settings, hosts)


def _health(memory: Memory, metrics: Metrics, is_ready: Callable[[], bool]) -> APIRouter:
    def ready(response: Response) -> Readiness:
        """Whether its models are loaded, and it is not about to end."""
        models = [embedder.space.model for embedder in memory.embedders]
        if is_ready():
            return Readiness(status="ready", models=models)
        response.status_code = 503
        return Readiness(status="not ready", models=models)

    common = HealthRoutes(memory, metrics)
    router = APIRouter(tags=["health"])
    router.add_api_route("/health", common.health, summary="Is it alive?")
    router.add_api_route("/ready", ready, summary="Can it answer?", responses={503: {"model": Readiness}})
    router.add_api_route("/metrics", common.metrics, summary="For Prometheus", response_class=Response)
    router.add_api_route("/v1/monitoring/embeddings", common.monitoring, summary="Models and memory")
    return router


class _Bounded:
    """
    Refuses at once what no thread is free for, and lets those who embed know when a client is gone, or was answered
    that it took too long.
    """

    def __init__(self, app: ASGIApp, requests: int, seconds: float) -> None:
        self._app = app
        self._requests = requests
        self._seconds = seconds
        self._going_on = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        if self._going_on >= self._requests:
            message = f"{self._going_on} requests are being worked on; ask again in a moment"
            await problem(scope, 429, message, {"Retry-After": "1"})(scope, receive, send)
            return
        self._going_on += 1
        try:
            await self._watched(scope, receive, send)
        finally:
            self._going_on -= 1

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        late = time.monotonic() + self._seconds
        gone = False
        watching: list[asyncio.Task[None]] = []

        async def watch() -> None:
            nonlocal gone
            gone = (await receive())["type"] == "http.disconnect"

        async def body() -> Message:
            message = await receive()
            if not message.get("more_body") and not watching:  # from now on nothing comes but that the client is gone
                watching.append(asyncio.create_task(watch()))
            return message

        caller_is_gone.set(lambda: gone or time.monotonic() > late)
        try:
            await self._app(scope, body, send)
        finally:
            for task in watching:
                task.cancel()
