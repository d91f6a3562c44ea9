"""The application: routes, and what every request passes on its way to them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from anyio import create_task_group, sleep, to_thread
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from mnemolite import __version__
from mnemolite.errors import EmbedderUnavailable
from mnemolite.memory import Memory
from mnemolite.serve.http.docs import add_docs
from mnemolite.serve.http.edge import Edge
from mnemolite.serve.http.embeddings import EmbeddingRoutes
from mnemolite.serve.http.events import EventRoutes
from mnemolite.serve.http.feedback import FeedbackRoutes
from mnemolite.serve.http.guard import Guard
from mnemolite.serve.http.health import HealthRoutes
from mnemolite.serve.http.index import IndexRoutes
from mnemolite.serve.http.jobs import JobRoutes
from mnemolite.serve.http.map import MapRoutes
from mnemolite.serve.http.notes import NoteRoutes
from mnemolite.serve.http.openai import OpenAIRoutes
from mnemolite.serve.http.playground import PlaygroundRoutes
from mnemolite.serve.http.problems import handle_problems
from mnemolite.serve.http.search import SearchRoutes
from mnemolite.serve.http.spaces import SpaceRoutes
from mnemolite.serve.http.tei import TeiRoutes
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Keys, Rate
from mnemolite.serve.worker import Workers
from mnemolite.settings import Settings
from mnemolite.types import Role

ABOUT = """\
Code search, embeddings, notes and events. Errors say what was wrong and what to do; what an answer does not rest on
stands in `degraded`."""
log = logging.getLogger(__name__)


def make_app(memory: Memory, keys: Keys, *, hosts: Sequence[str] = ()) -> ASGIApp:
    """*hosts* are the names the server may be called by; () any."""
    settings = memory.settings
    metrics = Metrics(memory)
    return guarded(routes(memory, metrics, settings), metrics, keys, settings, hosts)


def guarded(app: ASGIApp, metrics: Metrics, keys: Keys, settings: Settings, hosts: Sequence[str]) -> ASGIApp:
    """*app* behind what every request has to pass."""
    inside: ASGIApp = Guard(
        app,
        keys=keys,
        rate=Rate(settings.rate_per_minute),
        metrics=metrics,
        hosts=hosts,
        origins=settings.cors_origins,
        max_body_bytes=settings.max_body_bytes,
    )
    if settings.cors_origins:
        inside = CORSMiddleware(
            inside,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["authorization", "x-api-key"],
        )
    return Edge(inside, metrics, settings.request_seconds)


def routes(memory: Memory, metrics: Metrics, settings: Settings) -> FastAPI:
    app = FastAPI(
        title="MnemoLite",
        version=__version__,
        description=ABOUT,
        lifespan=_lifespan(memory, metrics),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    handle_problems(app)
    app.include_router(PlaygroundRoutes(memory, settings).router)
    app.include_router(HealthRoutes(memory, metrics).router)
    app.include_router(SearchRoutes(memory, metrics, settings).router)
    app.include_router(MapRoutes(memory).router)
    app.include_router(IndexRoutes(memory, metrics, settings).router)
    app.include_router(JobRoutes(memory, settings).router)
    app.include_router(SpaceRoutes(memory).router)
    app.include_router(EmbeddingRoutes(memory, metrics).router)
    app.include_router(OpenAIRoutes(memory, metrics).router)
    app.include_router(TeiRoutes(memory, metrics).router)
    app.include_router(NoteRoutes(memory, metrics).router)
    app.include_router(EventRoutes(memory, metrics).router)
    app.include_router(FeedbackRoutes(memory).router)
    add_docs(app)
    return app


def _lifespan(memory: Memory, metrics: Metrics) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threads = to_thread.current_default_thread_limiter()
        threads.total_tokens = memory.settings.request_threads
        metrics.watch(threads)
        workers = Workers(memory.indexing, 0 if memory.settings.broker_url else memory.settings.job_threads)
        workers.start()
        async with create_task_group() as group:
            group.start_soon(_preload, memory)
            yield
            group.cancel_scope.cancel()
        await to_thread.run_sync(workers.stop)
        memory.close()

    return lifespan


async def _preload(memory: Memory) -> None:
    """Once the server answers. One that fails is asked again by the first who needs it."""
    await sleep(memory.settings.preload_seconds)
    for embedder in memory.embedders:
        try:
            await to_thread.run_sync(embedder.embed, (), Role.PASSAGE)
        except EmbedderUnavailable as error:
            log.warning("not preloaded: %s", error)
