"""The nouns every part shares. Frozen, and the wire types of every door: a value's rule stands in the value, once."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from mnemolite.errors import InvalidInput

if TYPE_CHECKING:  # numpy costs 70 ms to import, and many commands need none of it
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]  # (dimension,), unit length
    Matrix = NDArray[np.float32]  # (n, dimension), unit rows

MAX_LIMIT = 1000
TREE = "."  # what a store of one tree alone calls its source, so that a renamed folder is still the same
MAX_POOL = 10_000
PROSE = frozenset(
    {"markdown", "rst", "asciidoc", "org", "latex", "text", "note", "event"}
)  # languages; others are code
Text = str | tuple[int, ...]  # to embed: a text, or the ids its model's tokenizer gives for one
Ranking = list[tuple[int, float]]  # (chunk id, score), best first, higher is better


class Domain(StrEnum):
    """What an embedding model was made for. HYBRID: one model serves text and code, so there is one space."""

    TEXT = "text"
    CODE = "code"
    HYBRID = "hybrid"

    def overlaps(self, other: Domain) -> bool:
        """Whether there are texts that both are for: two models of such domains cannot serve one index at once."""
        return self is other or Domain.HYBRID in (self, other)

    def serves(self, domains: Collection[Domain]) -> bool:
        return self is Domain.HYBRID or self in domains


_BOTH = frozenset({Domain.TEXT, Domain.CODE})
_TEXT = frozenset({Domain.TEXT})
_CODE = frozenset({Domain.CODE})


class Role(StrEnum):
    """Which side of a search a text is on; a model may embed the two differently."""

    QUERY = "query"
    PASSAGE = "passage"


class Kind(StrEnum):
    """What a chunk is."""

    FUNCTION = "function"
    METHOD = "method"
    CLASS = "class"
    INTERFACE = "interface"
    STRUCT = "struct"
    ENUM = "enum"
    TYPE = "type"
    MODULE = "module"
    CONSTANT = "constant"
    MACRO = "macro"
    SECTION = "section"  # of a document, under one heading
    BLOCK = "block"  # code between definitions: imports, top-level statements
    LINES = "lines"  # cut by lines, because nothing better is known
    BUG = "bug"  # from here on kinds of notes: what went wrong, and what helped
    PATTERN = "pattern"
    DECISION = "decision"
    PITFALL = "pitfall"
    CONFIG = "config"
    REFERENCE = "reference"
    SNIPPET = "snippet"
    EVENT = "event"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise InvalidInput(f"no kind {value!r}; there are {', '.join(cls)}")


@dataclass(frozen=True, kw_only=True)
class Space:
    """Where a vector lives: vectors are only ever compared within one space."""

    domain: Domain
    model: str
    dimension: int
    fingerprint: str  # of everything that shapes a vector: weights, tokenizer, pooling, prompts
    # cosines that tell what is about a query, see model.json: they differ from model to model, and do not identify it
    moderate: float = field(default=0.28, compare=False)
    high: float = field(default=0.42, compare=False)

    @property
    def id(self) -> str:
        return f"{self.domain}-{self.fingerprint}"

    @property
    def described(self) -> str:
        return f"{self.model} ({self.dimension} dimensions, fingerprint {self.fingerprint})"

    @property
    def list_name(self) -> str:
        """What a ranking in this space is called among the others of a search."""
        return "vector" if self.domain is Domain.HYBRID else str(self.domain)

    def nearness(self, cosine: float) -> float:
        """0 for a moderate cosine, 1 for a high one: comparable between models, as cosines are not."""
        return (cosine - self.moderate) / max(self.high - self.moderate, 0.01)


@dataclass(frozen=True, kw_only=True)
class SpaceState:
    """What a store has of a space."""

    space: Space
    active: bool  # searched, and what is indexed is put into it
    chunks: int  # dealt with
    vectors: int  # of them; of the others nothing is to be found here
    missing: int  # chunks that are yet to be dealt with


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """A configured model, as it is now."""

    space: Space
    loaded: bool
    bytes: int = 0  # it is estimated to take once loaded
    failure: str = ""  # why it could not be loaded the last time, if so


@dataclass(frozen=True, kw_only=True)
class Document:
    """One remembered thing: a file of a source tree, a note, an event."""

    source: str  # which tree or collection it belongs to
    path: str  # POSIX, relative to the source's root; the id of a note or event
    digest: str  # of its bytes, hexadecimal
    language: str  # a name of ingest.languages, "text" when unknown; "note", "event"
    size: int  # bytes
    mtime_ns: int  # since 1970; of a note its last change, of an event when it happened
    skipped: str = ""  # why it has no chunks: "binary", ...; known, so that it need not be read again
    metadata: Mapping[str, Any] = field(default_factory=dict)  # what a scope may ask for; a JSON object


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of a document that can be found on its own. The chunks of a document, in order, are its text."""

    source: str
    path: str
    language: str
    kind: Kind
    text: str  # the source itself, unchanged
    first_line: int  # 1-based, inclusive
    last_line: int
    name: str = ""  # of the symbol or heading, "" when it has none
    parent: str = ""  # enclosing symbols or headings, outermost first, joined by "."
    signature: str = ""
    docstring: str = ""
    symbols: tuple[str, ...] = ()  # names of all definitions inside, its own included
    id: int = 0  # given by the store; 0 before

    @property
    def domains(self) -> frozenset[Domain]:
        """Where it is to be found by meaning: code that says in words what it does, as prose too."""
        if self.language in PROSE:
            return _TEXT
        return _BOTH if self.docstring else _CODE


class Card(NamedTuple):
    """What ranking has to know of a chunk; a tuple, for a hundred are read for ten that are shown."""

    id: int
    source: str
    path: str
    language: str
    name: str
    parent: str
    symbols: str  # a line each


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """A document, cut and embedded: what a store takes in one piece."""

    document: Document
    chunks: tuple[Chunk, ...]
    digests: tuple[bytes, ...]  # of the passage each chunk's vectors were made from, one per chunk
    # one (len(chunks), dimension) matrix per space; a zero row where nothing of a chunk is to be found in it
    vectors: Mapping[Space, Matrix]


@dataclass(frozen=True, kw_only=True)
class FileState:
    """What the store knows of a file: enough to tell from a stat whether it changed."""

    digest: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a search may find. Empty means everything; within a field any value may match, all fields must."""

    sources: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    paths: tuple[str, ...] = ()  # globs: * within a folder, ** across; a bare folder means all below it
    below: str = ""  # a folder: only what is in it, whatever *paths* says
    since: datetime | None = None  # changed or happened then or later
    until: datetime | None = None  # before then
    metadata: Mapping[str, Any] = field(default_factory=dict)  # contained in the document's own, as PostgreSQL's @>

    def __bool__(self) -> bool:
        return self != Scope()

    @property
    def domains(self) -> frozenset[Domain]:
        """Of the chunks that may be in it; code may have prose."""
        return _TEXT if self.languages and PROSE.issuperset(self.languages) else _BOTH


@dataclass(frozen=True, kw_only=True)
class Query:
    """One search. *embeddings* lets a caller bring its own vectors; a domain it leaves out is embedded here."""

    text: str
    limit: int = 10
    scope: Scope = Scope()
    lexical: bool = True
    vector: bool = True
    expand: bool | None = None  # search synonyms and acronyms too; None: unless the query is a symbol
    rerank: bool = False  # have the first hits read again by the reranker
    min_score: float | None = None  # leave out hits below; None: as the settings say
    embeddings: Mapping[Domain, tuple[float, ...]] = field(default_factory=dict)
    lexical_weight: float | None = None  # of the lists in the fusion, instead of the configured ones
    vector_weight: float | None = None
    pool: int | None = None  # candidates of each list, instead of some for every hit wanted

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidInput(f"limit must be 1..{MAX_LIMIT}, is {self.limit}")
        if self.pool is not None and not 1 <= self.pool <= MAX_POOL:
            raise InvalidInput(f"the pool of candidates must be 1..{MAX_POOL}, is {self.pool}")
        for weight in (self.lexical_weight, self.vector_weight):
            if weight is not None and not (weight >= 0 and math.isfinite(weight)):
                raise InvalidInput(f"a weight must be a number from 0 up, is {weight}")
        if not self.text.strip() and not self.embeddings:
            raise InvalidInput("the query is empty; say in a few words or a name what to look for")
        if not (self.lexical or self.vector):
            raise InvalidInput("lexical and vector search are both off; leave at least one on")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise InvalidInput(f"min_score must be 0..1, is {self.min_score}")
        if self.rerank and not self.text.strip():
            raise InvalidInput("a query of vectors alone cannot be reranked; give its words too")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one list put a hit."""

    rank: int  # 1 is best
    score: float  # in the list's own unit: BM25, cosine, ...
    contribution: float  # what it added to the fused score


class AnchorState(StrEnum):
    """How the code that a note points at stands to what it was when the note was written."""

    FRESH = "fresh"  # as it was, wherever in its file
    DRIFTED = "drifted"  # still there, and changed
    ORPHANED = "orphaned"  # gone from its file
    UNCHECKED = "unchecked"  # of a tree that is not at hand


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where anchored code is now; of an orphan, where it is likely to be, if anywhere."""

    state: AnchorState
    changed: float = 0.0  # share of its lines that are not as they were, 0..1
    path: str = ""
    first_line: int = 0
    last_line: int = 0


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """A note that points at a hit."""

    id: str
    title: str
    kind: Kind
    standing: Standing


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A found chunk, and why it is there. A reranker changes the order of hits, not their scores."""

    chunk: Chunk
    score: float  # 0..1; of a search it means the same for every query and tree, see search.relevance
    ranks: Mapping[str, Place]  # by list: "lexical", "name", "vector" or "text" and "code", "rerank"
    signals: Mapping[str, float] = field(default_factory=dict)  # factors applied after fusion, by name
    notes: tuple[Pinned, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Results:
    """An answer and what it rests on. *degraded* names what had to be left out; *seconds* says where time went."""

    hits: tuple[Hit, ...]
    degraded: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[Hit, ...] = ()  # beside hits of code: notes about the same; ranked by themselves
    found: Mapping[str, int] = field(default_factory=dict)  # candidates of each list, and "fused": of all together
    best: float = 0.0  # score of the best hit, which a query's min_score may have left out
    relevant: bool = True  # whether the best seems to be about the query at all


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a store holds of one tree or collection."""

    name: str
    documents: int  # with chunks
    chunks: int
    skipped: Mapping[str, int] = field(default_factory=dict)  # documents known to have none, by reason


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What a store holds."""

    documents: int  # with chunks
    skipped: Mapping[str, int]  # documents known to have none, by reason
    chunks: int
    vectors: Mapping[str, int]  # by space: "model (dimension)"
    languages: Mapping[str, int]  # chunks by language
    kinds: Mapping[str, int]  # chunks by kind
    bytes_on_disk: int
    vector_backend: str  # "numpy", "sqlite-vec" or "pgvector"
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CacheLevel:
    """How one level of a cache has fared since it was made. Levels further away are asked what the nearer ones miss."""

    name: str  # "process" or "redis"
    hits: int
    misses: int
    errors: int = 0  # calls that failed; those not even tried are left out
    corrupt: int = 0  # values that were not as they had been put: misses too
    trouble: str = ""  # why it is left alone now, if it is


def telling_path(document: Document | Chunk | Card) -> str:
    """The path as far as it says something: that of a note or event is an id."""
    return "" if document.language in ("note", "event") else document.path


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_INT64 = 2**63 - 1


def microseconds(moment: datetime) -> int:
    """
    Since 1970, exact.

    Raises:
        InvalidInput: *moment* has no time zone.
    """
    if moment.tzinfo is None:
        raise InvalidInput(f"the time {moment.isoformat()} has no time zone; append Z or an offset such as +02:00")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def nanoseconds(moment: datetime) -> int:
    """As a file system has them: in 64 bits, which end with the years 1677 and 2262."""
    return max(-_INT64, min(_INT64, 1000 * microseconds(moment)))


def moment(microseconds: int) -> datetime:
    """In UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)
