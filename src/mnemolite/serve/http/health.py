"""How the server is: alive, ready, its metrics, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response

from mnemolite import __version__
from mnemolite.errors import EmbedderUnavailable, InvalidInput, MnemoError
from mnemolite.memory import Memory
from mnemolite.ram import MB, resident_bytes
from mnemolite.serve.http.guard import reader
from mnemolite.serve.http.problems import documented
from mnemolite.serve.metrics import Metrics, caches, shards
from mnemolite.serve.security import Caller
from mnemolite.spaces import ADVICE
from mnemolite.types import CacheLevel, Domain, ModelState, Space


@dataclass(frozen=True, kw_only=True)
class Health:
    status: Literal["ok"]
    version: str


@dataclass(frozen=True, kw_only=True)
class Readiness:
    status: Literal["ready", "degraded", "not ready"]
    store: str  # "ok", or why it cannot be used
    models: dict[str, str]  # "loaded", "not loaded yet", or why it cannot be used
    shards: dict[str, str]  # of a database that is spread: "ok", or why it cannot be used


@dataclass(frozen=True, kw_only=True)
class ModelOut:
    name: str  # "" of one that is not where the settings say
    loaded: bool
    dimension: int | None
    estimated_mb: float  # once loaded
    failure: str  # why it could not be loaded the last time, if so


@dataclass(frozen=True, kw_only=True)
class Ram:
    process_rss_mb: float
    estimated_models_mb: float  # of those that are loaded
    budget_mb: int
    budget_exceeded: bool  # then no other model is loaded beside one that is


@dataclass(frozen=True, kw_only=True)
class Level:
    name: str
    hits: int
    misses: int
    hit_rate: float | None
    errors: int
    corrupt: int
    trouble: str  # why it is left alone now, if it is


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    models: dict[str, ModelOut]  # of text and code: the same one where it serves both
    ram: Ram
    cache: list[Level]  # the nearest first


class HealthRoutes:
    def __init__(self, memory: Memory, metrics: Metrics) -> None:
        self._memory = memory
        self._metrics = metrics

    @property
    def router(self) -> APIRouter:
        router = APIRouter(tags=["health"])
        without_key: dict[int | str, dict[str, Any]] = {
            status: each for status, each in documented().items() if status in (400, 403, 504)
        }
        router.add_api_route("/health", self.health, summary="Is it alive?", responses=without_key)
        not_ready = {"model": Readiness, "description": "The store cannot be used."}
        router.add_api_route("/ready", self.ready, summary="Can it answer?", responses={**without_key, 503: not_ready})
        router.add_api_route(
            "/metrics",
            self.metrics,
            summary="For Prometheus",
            response_class=Response,
            responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented()},
        )
        router.add_api_route(
            "/v1/monitoring/embeddings",
            self.monitoring,
            summary="Models, memory and caches",
            tags=["embeddings"],
            responses=documented(),
        )
        return router

    async def health(self) -> Health:
        """Answers as long as the process does, whatever it is doing."""
        return Health(status="ok", version=__version__)

    def ready(self, response: Response) -> Readiness:
        """Whether the store answers now, and what there is of the models; without them search goes by words."""
        store, models, several = self._store(), self._models(), shards(self._memory)
        found = {name: trouble or "ok" for name, trouble in several.troubles().items()} if several else {}
        failed = any(state not in ("loaded", "not loaded yet") for state in models.values())
        status: Literal["ready", "degraded", "not ready"] = "ready"
        if store != "ok":
            response.status_code, status = 503, "not ready"
        elif failed or any(state != "ok" for state in found.values()):
            status = "degraded"
        return Readiness(status=status, store=store, models=models, shards=found)

    def metrics(self, caller: Annotated[Caller, Depends(reader)]) -> Response:
        """In Prometheus' text format."""
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def monitoring(self, caller: Annotated[Caller, Depends(reader)]) -> Monitoring:
        """Loads nothing."""
        states = {domain: self._state(domain) for domain in (Domain.TEXT, Domain.CODE)}
        known = {state.space: state for state in states.values() if isinstance(state, ModelState)}
        models, resident = sum(state.bytes for state in known.values() if state.loaded), resident_bytes()
        budget = self._memory.settings.ram_budget_mb
        return Monitoring(
            models={str(domain): _model(state) for domain, state in states.items()},
            ram=Ram(
                process_rss_mb=round(resident / MB, 1),
                estimated_models_mb=round(models / MB, 1),
                budget_mb=budget,
                budget_exceeded=max(resident, models) > budget * MB,
            ),
            cache=[_level(level) for cache in caches(self._memory) for level in cache.levels()],
        )

    def _state(self, domain: Domain) -> ModelState | str:
        """Or why there is none."""
        try:
            return self._memory.embedder(domain).state
        except (EmbedderUnavailable, InvalidInput) as error:
            return str(error)

    def _store(self) -> str:
        several = shards(self._memory)
        try:
            if several is None:
                self._memory.repositories.store.version()
            else:
                several.places()
        except MnemoError as error:
            return str(error)
        return "ok"

    def _models(self) -> dict[str, str]:
        found = {}
        serving = self._memory.serving
        for embedder in serving.embedders:
            try:
                state = embedder.state
            except EmbedderUnavailable as error:
                found["configured"] = str(error)
            else:
                usual = "loaded" if state.loaded else "not loaded yet"
                found[state.space.model] = state.failure or self._foreign(state.space) or usual
        return found | ({"configured": serving.remark} if serving.remark else {})

    def _foreign(self, space: Space) -> str:
        """By what other model the repositories were indexed."""
        try:
            held = self._memory.repositories.store.spaces()
        except MnemoError:  # said of the store
            return ""
        others = [each.model for each in held if each.domain.overlaps(space.domain) and each != space]
        return f"what is indexed was made by {', '.join(others)}: {ADVICE}" if others else ""


def _model(state: ModelState | str) -> ModelOut:
    if isinstance(state, str):
        return ModelOut(name="", loaded=False, dimension=None, estimated_mb=0.0, failure=state)
    return ModelOut(
        name=state.space.model,
        loaded=state.loaded,
        dimension=state.space.dimension,
        estimated_mb=round(state.bytes / MB, 1),
        failure=state.failure,
    )


def _level(level: CacheLevel) -> Level:
    asked = level.hits + level.misses
    return Level(
        name=level.name,
        hits=level.hits,
        misses=level.misses,
        hit_rate=round(level.hits / asked, 4) if asked else None,
        errors=level.errors,
        corrupt=level.corrupt,
        trouble=level.trouble,
    )
