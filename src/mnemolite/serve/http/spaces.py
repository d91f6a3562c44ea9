"""Spaces: vectors by model, and the way from one model to another while searches go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from mnemolite.errors import Forbidden
from mnemolite.memory import Memory
from mnemolite.serve.http.guard import admin
from mnemolite.serve.http.problems import BUSY, MISSING, documented
from mnemolite.serve.security import Caller
from mnemolite.spaces import Build, SpaceView


@dataclass(frozen=True, kw_only=True)
class SpacesOut:
    spaces: list[SpaceView]
    build: Build  # the latest of this server


@dataclass(frozen=True, kw_only=True)
class Dropped:
    dropped: str


def unconfined(caller: Annotated[Caller, Depends(admin)]) -> Caller:
    if caller.projects:
        raise Forbidden("a key for some projects only has no say in what models search all of them")
    return caller


Admin = Annotated[Caller, Depends(unconfined)]


class SpaceRoutes:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @property
    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/spaces", tags=["spaces"], responses=documented(MISSING, BUSY))
        router.add_api_route("", self.spaces, summary="Vectors by model")
        router.add_api_route("/build", self.build, methods=["POST"], status_code=202, summary="Embed by another model")
        router.add_api_route("/switch", self.switch, methods=["POST"], summary="Search by it")
        router.add_api_route("/{space}", self.drop, methods=["DELETE"], summary="Forget the vectors of a model")
        return router

    def spaces(self, caller: Admin) -> SpacesOut:
        """What is stored of all repositories, and how far a build is."""
        return SpacesOut(spaces=self._memory.spaces.views(), build=self._memory.spaces.state)

    def build(self, caller: Admin) -> SpacesOut:
        """
        Has the configured models embed what they have not embedded yet. Answers at once and goes on in the background,
        while all else is served by the models that are searched; after the server's end, ask again to go on.
        """
        self._memory.spaces.start()
        return self.spaces(caller)

    def switch(self, caller: Admin) -> SpacesOut:
        """All at once; refused while a chunk lacks a vector of the configured models."""
        self._memory.spaces.switch()
        return self.spaces(caller)

    def drop(self, space: Annotated[str, Path(description="An id, or a model's name.")], caller: Admin) -> Dropped:
        """Refused for one that is searched."""
        return Dropped(dropped=self._memory.spaces.drop(space).id)
