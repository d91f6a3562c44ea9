"""/: a page to search, look at and write to this server with; and what it has to know of the server and of its key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from mnemolite import __version__
from mnemolite.errors import NotFound
from mnemolite.ingest.languages import LANGUAGES
from mnemolite.memory import Memory
from mnemolite.records import NOTE_KINDS, Relation
from mnemolite.serve.http.guard import reader
from mnemolite.serve.http.problems import NO_ROUTE, documented
from mnemolite.serve.security import Access, Caller
from mnemolite.settings import Settings

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# Scripts and styles of our own files alone, nothing from anywhere else, and no string that becomes markup or code.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

Read = Annotated[Caller, Depends(reader)]


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who asks, and what there is here to ask."""

    version: str
    access: Access
    projects: list[str]  # that the key is confined to; [] is all
    folders: list[str]  # that may be indexed by their path, with all below them
    tree: str | None  # the folder whose index this is; None of a server of repositories
    reranker: bool  # whether hits can be read again by one
    feedback: bool  # whether the caller may say which hit was the right one
    languages: list[str]  # of what is indexed; for a key that is confined, all that there are
    note_kinds: list[str]
    relations: list[str]


class PlaygroundRoutes:
    def __init__(self, memory: Memory, settings: Settings) -> None:
        self._memory = memory
        self._settings = settings

    @property
    def router(self) -> APIRouter:
        router = APIRouter(tags=["health"])
        router.add_api_route("/", lambda: file("index.html"), include_in_schema=False)
        router.add_api_route("/playground/{name}", file, include_in_schema=False)
        router.add_api_route("/v1/session", self.session, summary="Who am I, and what is here?", responses=documented())
        return router

    def session(self, caller: Read) -> Session:
        """For pages and programs that show only what they may do."""
        held = LANGUAGES if caller.projects else self._memory.repositories.store.stats().languages
        may_name_folders = caller.access.includes(Access.WRITE) and not caller.projects
        trees = self._memory.trees
        return Session(
            version=__version__,
            access=caller.access,
            projects=list(caller.projects),
            folders=list(self._settings.index_roots) if may_name_folders else [],
            tree=str(trees[0].root) if trees else None,
            reranker=self._settings.reranker != "none",
            feedback=self._settings.feedback and caller.access.includes(Access.WRITE),
            languages=sorted(held),
            note_kinds=list(NOTE_KINDS),
            relations=list(Relation),
        )


def file(name: str) -> Response:
    """
    A file of the page.

    Raises:
        NotFound: it has none of this name.
    """
    body = _files().get(name)
    if body is None:
        raise NotFound(NO_ROUTE)
    kind = TYPES[name.rpartition(".")[2]]
    return Response(body, media_type=kind, headers={"Content-Security-Policy": POLICY})


@cache
def _files() -> dict[str, bytes]:
    folder = files("mnemolite.serve").joinpath("playground")
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name.rpartition(".")[2] in TYPES}
