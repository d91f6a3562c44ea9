"""
What an agent is answered: small values, for a program as they are and for a model as text.

A model pays for each token it reads, so both forms of an answer stay below the size that was asked for. Nothing in them
is a secret, not even of a note that was written with one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mnemolite.ingest.lines import Lines
from mnemolite.ingest.secrets import mask
from mnemolite.notes.anchors import described, texts
from mnemolite.records import Anchor, Note, NoteHit
from mnemolite.search.relevance import doubt
from mnemolite.search.snippet import window
from mnemolite.types import Chunk, Hit, Pinned, Standing

NOTE = "note:"  # before an id, in a place
BYTES_PER_TOKEN = 3  # of UTF-8: less than the common tokenizers need for code, prose or Chinese
ENVELOPE_TOKENS = 100  # of an answer without its hits
CONTEXTS = (5, 2, 1, 0)  # lines around the best line of a chunk too long to be shown whole: the largest that fits
WHOLE_LINES = 12
LINE_CHARACTERS = 200
NOTE_CHARACTERS = (2000, 600, 200, 0)  # of a note's text: the most that fits

TITLE_CHARACTERS = 100  # of a note, at the code it points at

Standings = Callable[[Sequence[Anchor]], Sequence[Standing]]
Line = tuple[int, str]  # its number, and the text with its end


@dataclass(frozen=True, kw_only=True)
class Found:
    """One place in the code, with the lines of it that say most."""

    place: str  # path:first-last, relative to the tree
    name: str
    kind: str
    language: str
    score: float
    snippet: str
    snippet_line: int
    notes: tuple[str, ...]  # that point at it: place, title, and how the code stands to what it was


@dataclass(frozen=True, kw_only=True)
class Noted:
    """A note, with the beginning of its text or the part that was found."""

    place: str  # note:id
    title: str
    kind: str
    project: str  # "" for a note of all projects
    tags: tuple[str, ...]
    status: str
    superseded_by: tuple[str, ...]  # places of the notes that hold instead
    updated: str  # the day
    anchors: tuple[str, ...]  # code it points at, and how that stands to what it was
    text: str


@dataclass(frozen=True, kw_only=True)
class SearchAnswer:
    """*omitted* hits were left out to stay within max_tokens; *degraded* says what the answer does not rest on."""

    tree: str
    hits: tuple[Found, ...]
    notes: tuple[Noted, ...]
    best: float  # score of the best, shown or not
    relevant: bool  # false where even that seems to be about something else
    omitted: int
    fresh: bool
    degraded: tuple[str, ...]

    def as_text(self) -> str:
        blocks = [*map(_hit_text, self.hits), *map(_note_text, self.notes)]
        end = f"{len(blocks)} found" + (f" in {self.tree}" if self.tree else "")
        remark = doubt(len(blocks) + self.omitted, self.best, self.relevant)
        return "\n\n".join([*filter(None, [remark]), *blocks, _end(end, self.omitted, self.degraded)])


@dataclass(frozen=True, kw_only=True)
class NotesAnswer:
    """*masked* names the secrets that were kept out of what was written."""

    notes: tuple[Noted, ...]
    best: float = 0.0  # score of the best, shown or not
    relevant: bool = True  # false where even that seems to be about something else
    omitted: int = 0
    masked: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()

    def as_text(self) -> str:
        masked = [f"a secret was masked: {kind}" for kind in self.masked]
        remark = doubt(len(self.notes) + self.omitted, self.best, self.relevant)
        blocks = [*filter(None, [remark]), *map(_note_text, self.notes)]
        return "\n\n".join([*blocks, _end(f"{len(self.notes)} notes", self.omitted, (*masked, *self.degraded))])


@dataclass(frozen=True, kw_only=True)
class Text:
    """Lines of a file as it was indexed, or of a note; *next* is the place of those that were left out."""

    tree: str
    place: str
    language: str
    text: str
    next: str
    fresh: bool
    degraded: tuple[str, ...]

    def as_text(self) -> str:
        end = [f"(goes on at {self.next})"] if self.next else []
        return "\n".join([f"{self.place} ({self.language})", self.text, *end, *map(_remark, self.degraded)])


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is indexed, and how fresh it is."""

    version: str
    tree: str
    documents: int
    chunks: int
    languages: Mapping[str, int]  # chunks of each
    skipped: Mapping[str, int]  # files, by reason
    notes: Mapping[str, int]  # of each kind
    models: tuple[str, ...]
    fresh: bool
    degraded: tuple[str, ...]

    def as_text(self) -> str:
        lines = [
            f"{self.tree}: {self.documents} files in {self.chunks} chunks ({_counts(self.languages)})",
            f"skipped: {_counts(self.skipped)}; notes: {_counts(self.notes)}",
            f"models: {', '.join(self.models) or 'none yet'}; mnemolite {self.version}",
            "the index is as the tree is now" if self.fresh else "the index is not fresh",
        ]
        return "\n".join([*lines, *map(_remark, self.degraded)])


def fit(hits: Sequence[Hit], query: str, max_tokens: int, notes: Sequence[Noted] = ()) -> tuple[Found, ...]:
    """As many of the best *hits* as fit beside *notes*, each with the most of its snippet that its share lets in."""
    left = max_tokens - ENVELOPE_TOKENS - sum(map(tokens, notes))
    shown: list[Found] = []
    for hit in hits:
        found = _found(hit, query, left // (len(hits) - len(shown)))
        left -= tokens(found)
        if left < 0:
            break
        shown.append(found)
    return tuple(shown)


def fit_notes(notes: Sequence[Hit | Note], left: int, standings: Standings) -> tuple[Noted, ...]:
    """As many of the first as fit in *left* tokens, each with as much of its text as its share lets in."""
    shown: list[Noted] = []
    for note in notes:
        anchors = _anchors(_note_of(note), standings)
        share = left // (len(notes) - len(shown))
        sizes = (_noted(note, size, anchors) for size in NOTE_CHARACTERS)
        noted = next((each for each in sizes if tokens(each) <= share), _noted(note, 0, anchors))
        left -= tokens(noted)
        if left < 0:
            break
        shown.append(noted)
    return tuple(shown)


def cut(lines: Iterable[Line], first: int, last: int, max_tokens: int) -> tuple[str, int]:
    """Those of *lines* from *first* to *last*, as many as fit and at least one, and the number of the last one."""
    left = max_tokens - ENVELOPE_TOKENS
    kept: list[str] = []
    reached = first
    for number, line in lines:
        if not first <= number <= last:
            continue
        left -= _tokens(json.dumps(line, ensure_ascii=False))
        if left < 0:
            kept = kept or [line[: (max_tokens - ENVELOPE_TOKENS) * BYTES_PER_TOKEN // 6]]  # \u0000: six bytes
            break
        kept.append(line)
        reached = number
    return "".join(kept), reached


def lines_of(chunks: Iterable[Chunk]) -> list[Line]:
    return [(chunk.first_line + row, line) for chunk in chunks for row, line in enumerate(Lines(chunk.text).rows)]


def lines_of_note(note: Note, standings: Standings) -> list[Line]:
    """All that is known of it, as a person would read it."""
    context = note.context
    about = [
        f"# {note.title}",
        f"{note.kind}, {note.status}, confidence {note.confidence}, of {note.project or 'all projects'}, last changed "
        f"{note.updated_at:%Y-%m-%d %H:%M} UTC",
        f"Tags: {', '.join(note.tags)}" if note.tags else "",
        f"Superseded by: {', '.join(map(_place_of, note.superseded_by))}" if note.superseded_by else "",
        *(f"At: {text}" for text in _anchors(note, standings)),
        f"Situation: {context.situation}" if context.situation else "",
        f"Solution: {context.solution}" if context.solution else "",
        f"What failed: {context.what_failed}" if context.what_failed else "",
        f"Keywords: {', '.join(context.keywords)}" if context.keywords else "",
    ]
    links = [f"- {' '.join((link.relation, _place_of(link.target), link.reason)).strip()}" for link in note.links]
    text = "\n".join(filter(None, about)) + f"\n\n{note.body}\n" + "".join(f"{line}\n" for line in links)
    return list(enumerate(Lines(mask(text)[0]).rows, 1))


def tokens(value: Found | Noted) -> int:
    return _tokens(json.dumps(asdict(value), ensure_ascii=False))


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def _found(hit: Hit, query: str, most_tokens: int) -> Found:
    chunk = hit.chunk
    lines = [line.rstrip()[:LINE_CHARACTERS] for line in Lines(chunk.text).rows] or [""]
    windows = [range(len(lines))] if len(lines) <= WHOLE_LINES else []
    for shown in [*windows, *(window(lines, query, context) for context in CONTEXTS)]:
        found = _place(hit, "\n".join(lines[i] for i in shown).rstrip(), chunk.first_line + shown.start)
        if tokens(found) <= most_tokens:
            return found
    return _place(hit, "", chunk.first_line)


def _place(hit: Hit, snippet: str, line: int) -> Found:
    chunk = hit.chunk
    return Found(
        place=f"{chunk.path}:{chunk.first_line}-{chunk.last_line}",
        name=".".join(filter(None, (chunk.parent, chunk.name))),
        kind=chunk.kind,
        language=chunk.language,
        score=round(hit.score, 4),
        snippet=snippet,
        snippet_line=line,
        notes=tuple(map(_pinned, hit.notes)),
    )


def _pinned(note: Pinned) -> str:
    return f"{_place_of(note.id)} {mask(note.title)[0][:TITLE_CHARACTERS]} ({note.kind}; {described(note.standing)})"


def _noted(found: Hit | Note, characters: int, anchors: tuple[str, ...]) -> Noted:
    """*found* with its whole body, or the part of it that was found, where that is shorter than *characters*."""
    note, part = _note_of(found), found.body if isinstance(found, Note) else found.chunk.text
    whole = mask(note.body)[0]
    text = whole if len(whole) <= characters else mask(part)[0][:characters]
    return Noted(
        place=_place_of(note.id),
        title=mask(note.title)[0],
        kind=note.kind,
        project=note.project,
        tags=tuple(mask(tag)[0] for tag in note.tags),
        status=note.status,
        superseded_by=tuple(map(_place_of, note.superseded_by)),
        updated=f"{note.updated_at:%Y-%m-%d}",
        anchors=anchors,
        text=text.strip(),
    )


def _note_of(found: Hit | Note) -> Note:
    if isinstance(found, Note):
        return found
    assert isinstance(found, NoteHit)
    return found.note


def _anchors(note: Note, standings: Standings) -> tuple[str, ...]:
    return texts(note.anchors, standings(note.anchors))


def _place_of(id: str) -> str:
    return f"{NOTE}{id}"


def _hit_text(found: Found) -> str:
    first = int(found.place.rpartition(":")[2].partition("-")[0])
    where = f", from line {found.snippet_line}" if found.snippet and found.snippet_line != first else ""
    head = " ".join(filter(None, (found.place, found.name, f"({found.kind}{where})")))
    return "\n".join([head, *found.notes, *filter(None, [found.snippet])])


def _note_text(note: Noted) -> str:
    about = [note.kind, note.updated, *(f"#{tag}" for tag in note.tags)]
    about += [note.status] if note.status != "active" else []
    about += [f"superseded by {', '.join(note.superseded_by)}"] if note.superseded_by else []
    head = f"{note.place} {note.title} ({', '.join(about)})"
    return "\n".join([head, *(f"at {text}" for text in note.anchors), *filter(None, [note.text])])


def _end(found: str, omitted: int, remarks: Sequence[Any]) -> str:
    more = f"; {omitted} more with a larger max_tokens" if omitted else ""
    return "\n".join([found + more, *map(_remark, remarks)])


def _remark(degraded: str) -> str:
    return f"remark: {degraded}"


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in numbers.items()) or "none"
