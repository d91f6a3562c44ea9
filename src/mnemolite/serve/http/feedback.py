"""Feedback: which of the hits that were shown was chosen. Off unless the server is set to keep it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from mnemolite.errors import Forbidden
from mnemolite.memory import Memory
from mnemolite.serve.http.guard import admin, writer
from mnemolite.serve.http.problems import BUSY, MISSING, documented
from mnemolite.serve.http.wire import QueryText, reply, request
from mnemolite.serve.security import Caller

MOST_SHOWN = 1000
LINES = "application/x-ndjson"

ChunkId = Annotated[str, Field(pattern=r"^[0-9]{1,18}$", description="As a search gives it.")]


@request
class NewFeedback:
    query: QueryText
    shown: Annotated[list[ChunkId], Field(min_length=1, max_length=MOST_SHOWN, description="All hits, best first.")]
    chosen: ChunkId


class FeedbackRoutes:
    """Reading and deleting are an administrator's: what others asked is theirs."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @property
    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/feedback", tags=["feedback"], responses=documented(MISSING, BUSY))
        add = router.add_api_route
        add("", self.give, methods=["POST"], status_code=201, summary="Say which hit was chosen", response_model=Any)
        add(
            "",
            self.export,
            summary="All of it, JSON Lines, the oldest first",
            response_class=Response,
            responses={200: {"content": {LINES: {"schema": {"type": "string"}}}}},
        )
        add("", self.clear, methods=["DELETE"], summary="Delete all of it", response_model=Any)
        return router

    def give(self, body: NewFeedback, caller: Annotated[Caller, Depends(writer)]) -> Response:
        """Places of the chunks are kept, not their text. 409 while the setting `feedback` is off."""
        feedback = self._memory.feedback
        shown = [int(id) for id in body.shown]
        if caller.projects:
            foreign = [chunk for chunk in feedback.chunks(shown) if chunk.source not in caller.projects]
            if foreign:
                raise Forbidden(f"this key is for {', '.join(caller.projects)} only; {foreign[0].id} is not of them")
        return reply(feedback.give(body.query, shown, int(body.chosen)), 201)

    def export(self, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """As `mnemolite train mine --accepted` reads it."""
        _of_all(caller)
        return Response(self._memory.feedback.export(), media_type=LINES)

    def clear(self, caller: Annotated[Caller, Depends(admin)]) -> Response:
        _of_all(caller)
        return reply({"deleted": self._memory.feedback.clear()})


def _of_all(caller: Caller) -> None:
    if caller.projects:
        raise Forbidden(f"this key is for {', '.join(caller.projects)} only, and feedback is of all repositories")
