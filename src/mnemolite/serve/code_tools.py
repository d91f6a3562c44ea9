"""Tools over source trees, one method each: its signature and first words are what an agent sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, Any, Literal

from anyio import from_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import Field

from mnemolite import __version__
from mnemolite.errors import InvalidInput
from mnemolite.ingest.languages import known
from mnemolite.ingest.pipeline import Progress
from mnemolite.memory import NOTES_BESIDE
from mnemolite.records import NOTE_KINDS
from mnemolite.serve.answers import (
    ENVELOPE_TOKENS,
    NOTE,
    Line,
    SearchAnswer,
    Standings,
    Status,
    Text,
    cut,
    fit,
    fit_notes,
    lines_of,
    lines_of_note,
)
from mnemolite.serve.tool import (
    READS,
    REPEATABLE,
    WAIT_SECONDS,
    Folder,
    LeastScore,
    Limit,
    Question,
    Tokens,
    end_if_cancelled,
    result,
    tool,
)
from mnemolite.serve.trees import LOOK_SECONDS, KeptTree, Trees
from mnemolite.types import Kind, Query, Results, Scope

REINDEX_SECONDS = 50.0  # many clients give up a call after a minute
NOTES_SHARE = 3  # notes beside code get a third of an answer, at most

Paths = Annotated[str, Field(description="Only these files: a folder, or a glob such as src/** or *.py.")]
Language = Annotated[str, Field(description="Only this language, for example python.")]
CodeKind = Annotated[str, Field(description="Only this kind of code, for example function, method or class.")]
What = Annotated[
    Literal["all", "code", "notes"], Field(description="Code with the notes about it, code alone, or notes alone.")
]
Place = Annotated[str, Field(description="path:line or path:first-last, relative to the tree; or note:id.")]


class CodeTools:
    def __init__(self, trees: Trees) -> None:
        self._trees = trees

    @property
    def tools(self) -> list[Tool]:
        return [
            tool(self.search, "Search code and notes", READS),
            tool(self.find_related, "Find what is like it", READS),
            tool(self.fetch, "Read a place", READS),
            tool(self.status, "State of the index", READS),
            tool(self.reindex, "Refresh the index", REPEATABLE),
        ]

    def search(
        self,
        query: Question,
        limit: Limit = 10,
        what: What = "all",
        path: Paths = "",
        language: Language = "",
        kind: CodeKind = "",
        min_score: LeastScore = None,
        max_tokens: Tokens = 2000,
        tree: Folder = "",
    ) -> Annotated[CallToolResult, SearchAnswer]:
        """Find code and documents by meaning and by name, the best first, each with its place and a snippet."""
        standings = self._trees.standings(tree)
        asked = Query(text=query, limit=limit, scope=_scope(path, language, kind), min_score=min_score)
        if what == "notes":
            memory = self._trees.memory(tree)
            notes = memory.notes.search(asked) if memory.has_notes else Results(hits=())
            return _found(None, replace(notes, hits=(), notes=notes.hits), (), query, max_tokens, standings)
        kept = self._trees.get(tree)
        stale = kept.settle(WAIT_SECONDS, on_wait=end_if_cancelled)
        results = kept.memory.search(asked, freshness="skip", notes=0 if what == "code" else NOTES_BESIDE)
        return _found(kept, results, stale, query, max_tokens, standings)

    def find_related(
        self,
        place: Place,
        limit: Limit = 10,
        path: Paths = "",
        language: Language = "",
        kind: CodeKind = "",
        max_tokens: Tokens = 2000,
        tree: Folder = "",
    ) -> Annotated[CallToolResult, SearchAnswer]:
        """Find code near in meaning to the code at a place, such as its twins and its tests; or notes near a note."""
        standings = self._trees.standings(tree)
        if place.startswith(NOTE):
            notes = self._trees.memory(tree).notes.similar(place.removeprefix(NOTE), limit)
            return _found(None, replace(notes, hits=(), notes=notes.hits), (), "", max_tokens, standings)
        kept = self._trees.get(tree)
        file, first, _ = _parsed(place, kept)
        stale = kept.settle(WAIT_SECONDS, on_wait=end_if_cancelled)
        return _found(
            kept,
            kept.memory.similar(file, first, limit, _scope(path, language, kind), freshness="skip"),
            stale,
            "",
            max_tokens,
            standings,
        )

    def fetch(self, place: Place, max_tokens: Tokens = 4000, tree: Folder = "") -> Annotated[CallToolResult, Text]:
        """Read the lines at a place as they are indexed, the chunk around a single line, or a whole note."""
        if place.startswith(NOTE):
            id, _, numbers = place.removeprefix(NOTE).partition(":")
            lines = lines_of_note(self._trees.memory(tree).notes.get(id, count=True), self._trees.standings(tree))
            first, last = _numbers(numbers or "1", place)
            return _text("", f"{NOTE}{id}", "note", lines, (first, last or len(lines)), (), max_tokens)
        kept = self._trees.get(tree)
        file, first, last = _parsed(place, kept)
        stale = kept.settle(WAIT_SECONDS, on_wait=end_if_cancelled)
        chunks = kept.memory.read(file, first, last or first)
        first, last = (first, last) if last else (chunks[0].first_line, chunks[0].last_line)
        return _text(str(kept.root), file, chunks[0].language, lines_of(chunks), (first, last), stale, max_tokens)

    def status(self, tree: Folder = "") -> Annotated[CallToolResult, Status]:
        """What is indexed, how fresh it is, and how far an indexing that goes on has come."""
        kept = self._trees.get(tree)
        return _status(kept, kept.settle(LOOK_SECONDS, on_wait=end_if_cancelled))

    def reindex(self, ctx: Context[Any], tree: Folder = "") -> Annotated[CallToolResult, Status]:
        """Bring the index up to date now, and say what it holds. Searches do so by themselves for what changed."""

        def report(progress: Progress | None) -> None:
            end_if_cancelled()
            if progress is not None:
                from_thread.run(ctx.report_progress, progress.files, progress.total, f"{progress.chunks} chunks")

        kept = self._trees.get(tree)
        return _status(kept, kept.settle(REINDEX_SECONDS, now=True, on_wait=report))


def _scope(path: str, language: str, kind: str) -> Scope:
    return Scope(
        paths=(path.removeprefix("./"),) if path else (),
        languages=known([language]) if language else (),
        kinds=(Kind(kind),) if kind else (),
    )


def _parsed(place: str, kept: KeptTree) -> tuple[str, int, int]:
    """Path relative to the tree, first line, and last line or 0."""
    path, _, numbers = place.rpartition(":")
    first, last = _numbers(numbers, place)
    if not path:
        raise InvalidInput(_no_place(place))
    file = PurePath(path)
    if file.is_absolute() and file.is_relative_to(kept.root):
        file = file.relative_to(kept.root)
    return file.as_posix(), first, last


def _numbers(text: str, place: str) -> tuple[int, int]:
    """First line, and last line or 0."""
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or "0").isdecimal():
        raise InvalidInput(_no_place(place))
    if int(last or first) < int(first):
        raise InvalidInput(f"{place!r} ends before it begins")
    return int(first), int(last or 0)


def _no_place(place: str) -> str:
    return f"{place!r} is no place; write path:line or path:first-last, for example src/app.py:12-40, or note:id"


def _text(
    tree: str,
    name: str,
    language: str,
    lines: Sequence[Line],
    wanted: tuple[int, int],
    stale: Sequence[str],
    max_tokens: int,
) -> CallToolResult:
    first, last = wanted
    text, reached = cut(lines, first, last, max_tokens)
    if not text:
        raise InvalidInput(f"{name} has {len(lines)} lines; {first} is not one of them")
    answer = Text(
        tree=tree,
        place=f"{name}:{first}-{reached}",
        language=language,
        text=text,
        next=f"{name}:{reached + 1}-{last}" if reached < min(last, lines[-1][0]) else "",
        fresh=not stale,
        degraded=tuple(stale),
    )
    return result(answer)


def _found(
    kept: KeptTree | None, results: Results, stale: Sequence[str], query: str, max_tokens: int, standings: Standings
) -> CallToolResult:
    room = (max_tokens - ENVELOPE_TOKENS) // (NOTES_SHARE if results.hits else 1)
    notes = fit_notes(results.notes, room, standings)
    hits = fit(results.hits, query, max_tokens, notes)
    answer = SearchAnswer(
        tree=str(kept.root) if kept else "",
        hits=hits,
        notes=notes,
        best=round(results.best, 4),
        relevant=results.relevant,
        omitted=len(results.hits) - len(hits) + len(results.notes) - len(notes),
        fresh=not stale,
        degraded=(*stale, *results.degraded),
    )
    return result(answer)


def _status(kept: KeptTree, stale: Sequence[str]) -> CallToolResult:
    [stats] = kept.memory.stats()
    counts = kept.memory.notes.counts() if kept.memory.has_notes else {}
    answer = Status(
        version=__version__,
        tree=str(kept.root),
        documents=stats.documents,
        chunks=stats.chunks,
        languages=stats.languages,
        skipped=stats.skipped,
        notes={kind: counts[kind] for kind in NOTE_KINDS if kind in counts},
        models=tuple(stats.vectors),
        fresh=not stale,
        degraded=tuple(stale),
    )
    return result(answer)
