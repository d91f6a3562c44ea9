"""What people and programs write down: notes and events. Their values hold their own rules, as those of types do."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mnemolite.errors import InvalidInput
from mnemolite.types import Chunk, Hit, Indexed, Kind

GLOBAL = ""  # the project of notes that are seen from every project
NOTE_KINDS = (Kind.BUG, Kind.PATTERN, Kind.DECISION, Kind.PITFALL, Kind.CONFIG, Kind.REFERENCE, Kind.SNIPPET)
MAX_TITLE = 1000  # characters
MAX_BODY_BYTES = 16 * 2**20
MAX_CONFIDENCE = 5
MAX_JSON_DEPTH = 100
MAX_ANCHOR_LINES = 1000
MAX_ANCHOR_BYTES = 64 * 2**10

EVENTS = "event:"  # the source of the documents of events

_ID = re.compile(r"[0-9a-z][0-9a-z_-]{3,63}")


class Status(StrEnum):
    ACTIVE = "active"
    OBSOLETE = "obsolete"  # kept, and ranked below what still holds


class Relation(StrEnum):
    """What one note is to another, read from the note that has the link."""

    RELATED = "related"
    SUPERSEDES = "supersedes"
    DERIVED_FROM = "derived_from"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, kw_only=True)
class Link:
    relation: Relation
    target: str  # a note's id; it need not be there (yet, or any more)
    reason: str = ""
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        _check_id(self.target)
        check_text("the reason of a link", self.reason)
        _utc(self, "created_at")


@dataclass(frozen=True, kw_only=True)
class Context:
    """When a note applies: what makes it found by those who do not know its words."""

    situation: str = ""
    solution: str = ""
    what_failed: str = ""
    keywords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("situation", "solution", "what_failed"):
            check_text(name, getattr(self, name))
        _words(self, "keywords")

    def __bool__(self) -> bool:
        return self != Context()


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """Code that a note points at, as it was then."""

    path: str  # relative to the root of its tree
    text: str  # of its lines, secrets masked
    first_line: int
    last_line: int
    name: str = ""  # of the symbol with the enclosing ones, joined by ".", or of the heading; "" for bare lines
    project: str = GLOBAL  # whose tree it is in
    commit: str = ""  # what was checked out

    def __post_init__(self) -> None:
        for name in ("path", "text", "name", "project", "commit"):
            check_text(f"the {name} of an anchor", getattr(self, name))
        if not self.path:
            raise InvalidInput("an anchor has no path; write path:line or path:Symbol")
        if not 1 <= self.first_line <= self.last_line:
            raise InvalidInput(f"the lines {self.first_line}-{self.last_line} of an anchor are none")
        if not self.text.strip():
            raise InvalidInput(f"there is nothing at {self.path}:{self.first_line}-{self.last_line} to point at")
        lines, size = self.text.count("\n"), len(self.text.encode())
        if lines > MAX_ANCHOR_LINES or size > MAX_ANCHOR_BYTES:
            raise InvalidInput(
                f"{self.path}:{self.first_line}-{self.last_line} has {lines:,} lines and {size:,} bytes; a note points "
                f"at {MAX_ANCHOR_LINES:,} lines and {MAX_ANCHOR_BYTES:,} bytes at most: name a part, as path:first-last"
            )


@dataclass(frozen=True, kw_only=True)
class Review:
    """Where a note stands in spaced repetition."""

    ease: float = 2.5
    interval_days: int = 0
    repetitions: int = 0  # in a row, remembered
    due: datetime | None = None
    reviewed_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 1.3 <= self.ease <= 1000:
            raise InvalidInput(f"the ease of a review must be at least 1.3, is {self.ease}")
        if self.interval_days < 0 or self.repetitions < 0:
            raise InvalidInput("the interval and the repetitions of a review cannot be negative")
        _utc(self, "due")
        _utc(self, "reviewed_at")


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something learnt. Title and body are kept byte for byte."""

    id: str
    kind: Kind
    title: str
    created_at: datetime
    updated_at: datetime
    body: str = ""
    tags: tuple[str, ...] = ()
    project: str = GLOBAL
    context: Context = field(default_factory=Context)
    confidence: int = 2  # 0..5
    status: Status = Status.ACTIVE
    links: tuple[Link, ...] = ()  # to other notes
    anchors: tuple[Anchor, ...] = ()  # to code
    review: Review = field(default_factory=Review)
    metadata: Mapping[str, Any] = field(default_factory=dict)  # a JSON object: what other programs keep with it
    revision: int = 1  # rises with each change
    accesses: int = 0  # how often it was shown
    accessed_at: datetime | None = None
    deleted_at: datetime | None = None  # removed, and can be restored
    superseded_by: tuple[str, ...] = ()  # found by the store from the links of others; nothing a caller sets

    def __post_init__(self) -> None:
        _check_id(self.id)
        if self.kind not in NOTE_KINDS:
            raise InvalidInput(f"no kind of note {str(self.kind)!r}; there are {', '.join(NOTE_KINDS)}")
        check_text("the title", self.title)
        if not self.title.strip():
            raise InvalidInput("the title is empty; say in a line what the note is about")
        if len(self.title) > MAX_TITLE:
            raise InvalidInput(
                f"the title has {len(self.title):,} characters, {MAX_TITLE:,} at most; put it in the body"
            )
        check_text("the body", self.body)
        if (size := len(self.body.encode())) > MAX_BODY_BYTES:
            raise InvalidInput(f"the body has {size:,} bytes, {MAX_BODY_BYTES:,} at most; keep it in a file")
        check_text("the project", self.project)
        if not 0 <= self.confidence <= MAX_CONFIDENCE:
            raise InvalidInput(f"confidence must be 0..{MAX_CONFIDENCE}, is {self.confidence}")
        _words(self, "tags")
        for name in ("created_at", "updated_at", "accessed_at", "deleted_at"):
            _utc(self, name)
        check_json("metadata", self.metadata)
        if any(link.target == self.id for link in self.links):
            raise InvalidInput(f"note {self.id} cannot be linked to itself")


@dataclass(frozen=True, kw_only=True)
class NoteFilter:
    """Which notes; every field given must hold."""

    kinds: tuple[Kind, ...] = ()  # any of them
    tags: tuple[str, ...] = ()  # all of them
    statuses: tuple[Status, ...] = ()  # any of them
    since: datetime | None = None  # last changed then or later
    until: datetime | None = None  # before then
    metadata: Mapping[str, Any] = field(default_factory=dict)  # contained in the note's own
    deleted: bool = False  # the removed ones instead of the others
    due: datetime | None = None  # to be reviewed by then, never reviewed ones included
    limit: int | None = None

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in NOTE_KINDS:
                raise InvalidInput(f"no kind of note {str(kind)!r}; there are {', '.join(NOTE_KINDS)}")
        if self.limit is not None and self.limit < 1:
            raise InvalidInput(f"limit must be at least 1, is {self.limit}")
        for name in ("since", "until", "due"):
            _utc(self, name)


@dataclass(frozen=True, kw_only=True)
class NoteChange:
    """
    What a store writes of a note in one piece.

    *indexed* replaces its document; None leaves it as it is, or drops it when the note is deleted. *was* is the
    revision the change was made from, 0 when the note must not be there yet.
    """

    note: Note
    indexed: Indexed | None
    was: int


@dataclass(frozen=True, kw_only=True)
class NoteHit(Hit):
    """A found note, and the chunk of it that answers best."""

    note: Note


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, as a program told it: JSON in, the same JSON out."""

    id: str
    timestamp: datetime
    content: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    embedding: tuple[float, ...] | None = None  # its own, instead of the model's

    def __post_init__(self) -> None:
        _check_id(self.id)
        _utc(self, "timestamp")
        if self.embedding is not None and not all(map(math.isfinite, self.embedding)):
            raise InvalidInput("the embedding has NaN or infinite components")
        check_json("content", self.content)
        check_json("metadata", self.metadata)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Where a hit stood."""

    source: str
    path: str
    first_line: int
    last_line: int
    name: str = ""

    @classmethod
    def of(cls, chunk: Chunk) -> Shown:
        return cls(**{f.name: getattr(chunk, f.name) for f in fields(cls)})

    @classmethod
    def from_json(cls, text: str) -> tuple[Shown, ...]:
        return tuple(cls(**each) for each in json.loads(text))

    @staticmethod
    def to_json(shown: Sequence[Shown]) -> str:
        return json.dumps([asdict(each) for each in shown])


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """Somebody asked, was shown hits, and chose one."""

    given_at: datetime
    query: str
    shown: tuple[Shown, ...]  # best first
    chosen: int  # place in *shown*

    def __post_init__(self) -> None:
        check_text("the query", self.query)
        if not self.query.strip():
            raise InvalidInput("the query is empty")
        if not 0 <= self.chosen < len(self.shown):
            raise InvalidInput(f"{self.chosen} is no place among the {len(self.shown)} hits that were shown")
        _utc(self, "given_at")


@dataclass(frozen=True, kw_only=True)
class EventHit(Hit):
    """A found event, and the chunk of it that answers best."""

    event: Event


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events; every field given must hold."""

    metadata: Mapping[str, Any] = field(default_factory=dict)  # contained in the event's own
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        check_json("metadata", self.metadata)
        if self.limit is not None and self.limit < 1:
            raise InvalidInput(f"limit must be at least 1, is {self.limit}")
        _utc(self, "since")
        _utc(self, "until")


def note_source(project: str) -> str:
    """The source of the documents of a project's notes: a scope confines a search to projects by it."""
    return f"note:{project}"


def check_text(name: str, text: str) -> None:
    """
    Raises:
        InvalidInput: *text* cannot be kept byte for byte.
    """
    if "\0" in text:
        raise InvalidInput(f"{name} has a NUL character at position {text.index(chr(0))}; remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{name} is not valid Unicode at position {error.start}; save it as UTF-8") from error


def check_json(name: str, value: object) -> None:
    """
    Raises:
        InvalidInput: *value* is not a JSON object, or holds something that is not JSON.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{name} must be a JSON object, is {type(value).__name__}")
    _check_value(name, value)


def contains(held: object, wanted: object) -> bool:
    """
    Whether the JSON value *wanted* is within *held*, as PostgreSQL's ``@>``: each key of an object with a value that is
    contained, each element of an array in some element, all else equal.
    """
    if isinstance(wanted, Mapping):
        return isinstance(held, Mapping) and all(k in held and contains(held[k], each) for k, each in wanted.items())
    if isinstance(wanted, list):
        return isinstance(held, list) and all(any(contains(own, each) for own in held) for each in wanted)
    return isinstance(held, bool) == isinstance(wanted, bool) and held == wanted


def _check_value(place: str, value: object, depth: int = 0) -> None:
    if depth > MAX_JSON_DEPTH:
        raise InvalidInput(f"{place[:100]}... is nested deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(value, str):
        check_text(place, value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise InvalidInput(f"{place} has the key {key!r}; keys in JSON are texts")
            check_text(f"a key of {place}", key)
            _check_value(f"{place}.{key}", each, depth + 1)
    elif isinstance(value, (list, tuple)):
        for i, each in enumerate(value):
            _check_value(f"{place}[{i}]", each, depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(f"{place} is {value}, which JSON cannot say")
    elif not (value is None or isinstance(value, (bool, int))):
        raise InvalidInput(f"{place} is of type {type(value).__name__}, which JSON cannot say")


def _check_id(id: str) -> None:
    if not _ID.fullmatch(id):
        raise InvalidInput(f"{id!r} is no id: 4 to 64 of the characters 0-9, a-z, '-' and '_', a letter or digit first")


def _words(holder: object, name: str) -> None:
    """Tags and the like: trimmed, none empty, none twice."""
    words = getattr(holder, name)
    for word in words:
        check_text(name, word)
    object.__setattr__(holder, name, tuple(dict.fromkeys(filter(None, (word.strip() for word in words)))))


def _utc(holder: object, name: str) -> None:
    moment = getattr(holder, name)
    if moment is None:
        return
    if moment.tzinfo is None:
        raise InvalidInput(f"{name} {moment.isoformat()} has no time zone; append Z or an offset such as +02:00")
    try:
        object.__setattr__(holder, name, moment.astimezone(UTC))
    except OverflowError as error:
        raise InvalidInput(f"{name} {moment.isoformat()} is outside the years 1 to 9999 in UTC") from error
