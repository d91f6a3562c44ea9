"""Tools over notes: what an agent learns, kept for the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import Field

from mnemolite.errors import InvalidInput
from mnemolite.ingest.secrets import mask
from mnemolite.records import GLOBAL, Anchor, Context, Note, NoteFilter, Relation, Status
from mnemolite.serve.answers import ENVELOPE_TOKENS, NOTE, NotesAnswer, fit_notes
from mnemolite.serve.tool import (
    ADDS,
    READS,
    REMOVES,
    REPEATABLE,
    WAIT_SECONDS,
    Folder,
    LeastScore,
    Limit,
    Tokens,
    end_if_cancelled,
    result,
    tool,
)
from mnemolite.serve.trees import Trees
from mnemolite.types import Hit, Kind, Query, Results

Kinds = Literal["bug", "pattern", "decision", "pitfall", "config", "reference", "snippet"]
OnlyKinds = Annotated[Literal["", Kinds], Field(description="Only this kind.")]
Id = Annotated[str, Field(description="Of the note: note:id, or the beginning of the id.")]
KIND = Field(description="What it is.")
TITLE = Field(description="One line that says it all.")
BODY = Field(description="The text, in Markdown.")
TAGS = Field(description="Words to find and filter it by.")
AT = Field(description="Code it is about: path:line, path:first-last or path:Symbol. Later it says if that changed.")
STATUS = Field(description="An obsolete note stays, and ranks below those that hold.")
CONFIDENCE = Field(ge=0, le=5, description="0 a guess, 5 certain.")
Target = Annotated[str, Field(description="The note that this one replaces; it stays, and ranks below.")]
WRITTEN_TOKENS = 1000  # of the note that a writing tool shows


class NoteTools:
    def __init__(self, trees: Trees) -> None:
        self._trees = trees

    @property
    def tools(self) -> list[Tool]:
        return [
            tool(self.remember, "Write a note", ADDS),
            tool(self.recall, "Find notes", READS),
            tool(self.update_note, "Change a note", REPEATABLE),
            tool(self.forget, "Remove a note", REMOVES),
        ]

    def remember(
        self,
        title: Annotated[str, TITLE],
        body: Annotated[str, BODY] = "",
        kind: Annotated[Kinds, KIND] = "reference",
        tags: Annotated[list[str], TAGS] = [],  # noqa: B006  the SDK makes a schema of it and copies it
        situation: Annotated[str, Field(description="When this is of use, in the words one would look for it.")] = "",
        what_failed: Annotated[str, Field(description="What was tried and did not help.")] = "",
        confidence: Annotated[int, CONFIDENCE] = 2,
        at: Annotated[list[str], AT] = [],  # noqa: B006
        all_projects: Annotated[bool, Field(description="Of use in every project, not only in this one.")] = False,
        supersedes: Target = "",
        tree: Folder = "",
    ) -> Annotated[CallToolResult, NotesAnswer]:
        """Keep what was learnt for later sessions: the cause of a bug, a decision and its reasons, a pitfall."""
        notes, anchors = self._trees.memory(tree).notes, self._anchors(at, tree)
        replaced = notes.get(_id(supersedes)) if supersedes else None
        safe = _Masked()
        note = notes.add(
            safe.text(title),
            safe.text(body),
            kind=Kind(kind),
            tags=map(safe.text, tags),
            project=GLOBAL if all_projects else None,
            context=Context(situation=safe.text(situation), what_failed=safe.text(what_failed)),
            confidence=confidence,
            anchors=anchors,
        )
        if replaced is not None:
            note = notes.link(note.id, Relation.SUPERSEDES, replaced.id)
        return self._written(note, safe, tree)

    def recall(
        self,
        query: Annotated[str, Field(description="A question in words; empty: the notes changed last.")] = "",
        limit: Limit = 10,
        kind: OnlyKinds = "",
        tags: Annotated[list[str], Field(description="Only notes that have all of these.")] = [],  # noqa: B006
        include_obsolete: Annotated[bool, Field(description="Also notes that are marked obsolete.")] = True,
        min_score: LeastScore = None,
        max_tokens: Tokens = 2000,
        tree: Folder = "",
    ) -> Annotated[CallToolResult, NotesAnswer]:
        """Find notes of this project and of all projects, by meaning and by words. Ask before work on a known area."""
        memory = self._trees.memory(tree)
        filter = NoteFilter(
            kinds=(Kind(kind),) if kind else (),
            tags=tuple(tags),
            statuses=() if include_obsolete else (Status.ACTIVE,),
            limit=limit,
        )
        results = Results(hits=())
        found: Sequence[Hit | Note] = ()
        if memory.has_notes and query:
            results = memory.notes.search(Query(text=query, limit=limit, min_score=min_score), filter)
            found = results.hits
        elif memory.has_notes:
            found = memory.notes.select(filter)
        shown = fit_notes(found, max_tokens - ENVELOPE_TOKENS, self._trees.standings(tree))
        return result(
            NotesAnswer(
                notes=shown,
                best=round(results.best, 4),
                relevant=results.relevant,
                omitted=len(found) - len(shown),
                degraded=results.degraded,
            )
        )

    def update_note(
        self,
        id: Id,
        title: Annotated[str | None, TITLE] = None,
        body: Annotated[str | None, BODY] = None,
        kind: Annotated[Kinds | None, KIND] = None,
        tags: Annotated[list[str] | None, TAGS] = None,
        status: Annotated[Literal["active", "obsolete"] | None, STATUS] = None,
        confidence: Annotated[int | None, CONFIDENCE] = None,
        at: Annotated[list[str] | None, AT] = None,
        link_to: Annotated[str, Field(description="Another note, note:id.")] = "",
        relation: Annotated[
            Literal["related", "supersedes", "derived_from", "contradicts"],
            Field(description="What this note is to the one in link_to."),
        ] = "related",
        reason: Annotated[str, Field(description="Why they are linked.")] = "",
        tree: Folder = "",
    ) -> Annotated[CallToolResult, NotesAnswer]:
        """Change what is given and leave the rest of a note; or link it to another."""
        notes = self._trees.memory(tree).notes
        safe = _Masked()
        given: Mapping[str, Any] = {
            "title": title and safe.text(title),
            "body": body and safe.text(body),
            "kind": kind and Kind(kind),
            "tags": None if tags is None else tuple(map(safe.text, tags)),
            "status": status and Status(status),
            "confidence": confidence,
            "anchors": None if at is None else self._anchors(at, tree),
        }
        values = {name: value for name, value in given.items() if value is not None}
        if not values and not link_to:
            names = ", ".join("at" if name == "anchors" else name for name in given)
            raise InvalidInput(f"nothing to change; give one of {names}, link_to")
        note = notes.edit(_id(id), **values) if values else notes.get(_id(id))
        if link_to:
            note = notes.link(note.id, Relation(relation), _id(link_to), safe.text(reason))
        return self._written(note, safe, tree)

    def forget(
        self,
        id: Id,
        undo: Annotated[bool, Field(description="Bring a note that was removed back.")] = False,
        tree: Folder = "",
    ) -> Annotated[CallToolResult, NotesAnswer]:
        """Remove a note: it is found no more. To keep a note that no longer holds, mark it obsolete instead."""
        notes = self._trees.memory(tree).notes
        note = notes.restore(_id(id)) if undo else notes.forget(_id(id))
        return self._written(note, _Masked(), tree)

    def _anchors(self, places: Sequence[str], tree: str) -> tuple[Anchor, ...]:
        if not places:
            return ()
        kept = self._trees.get(tree)
        kept.settle(WAIT_SECONDS, on_wait=end_if_cancelled)
        return tuple(kept.memory.anchor(place, freshness="skip") for place in places)

    def _written(self, note: Note, safe: _Masked, tree: str) -> CallToolResult:
        shown = fit_notes([note], WRITTEN_TOKENS, self._trees.standings(tree))
        return result(NotesAnswer(notes=shown, masked=tuple(safe.kinds)))


class _Masked:
    """An agent writes down what it saw, secrets too: they are masked before they are kept."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def text(self, text: str) -> str:
        safe, found = mask(text)
        self.kinds += [place.kind for place in found]
        return safe


def _id(given: str) -> str:
    return given.strip().removeprefix(NOTE)
