"""What the core needs from the outside, as protocols. A backend is one file and inherits nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from mnemolite.types import (
    CacheLevel,
    Card,
    Chunk,
    FileState,
    Indexed,
    ModelState,
    Ranking,
    Role,
    Scope,
    Source,
    Space,
    SpaceState,
    Stats,
    Text,
)

if TYPE_CHECKING:
    from mnemolite.jobs import Backlog, Batch, Claim, Delivery, Job, JobState, TaskId
    from mnemolite.records import Event, EventFilter, Feedback, Link, Note, NoteChange, NoteFilter
    from mnemolite.types import Matrix, Vector


class Embedder(Protocol):
    """
    Turns texts into vectors of one space.

    One that has something to do without says so in ``degraded``, a text that is empty while all is well.
    """

    @property
    def space(self) -> Space: ...

    @property
    def state(self) -> ModelState: ...

    @property
    def max_tokens(self) -> int:
        """Of one text; what follows them is not embedded."""
        ...

    def tokens(self, text: str) -> Sequence[int]:
        """The ids of all its tokens, also of those past :attr:`max_tokens`."""
        ...

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        """
        One unit row per text, in order: (n, dimension) float32. A text with nothing to embed gives a zero row.

        A row does not depend on the other texts of the call.

        Raises:
            EmbedderUnavailable: the model cannot be loaded or reached.
            InvalidInput: a text was given as tokens, and one of them is none of the model's.
        """
        ...


class Cache(Protocol):
    """
    Values by key, for a while: any may be forgotten at any time, none is ever another than was put. Thread-safe.

    Trouble with it raises nothing: a value is not there then.
    """

    @property
    def degraded(self) -> str:
        """What is wrong with it now; "" while all is well."""
        ...

    def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Those of *keys* that are there."""
        ...

    def put_many(self, values: Mapping[str, bytes]) -> None: ...

    def drop(self, keys: Sequence[str]) -> None:
        """Forgets them; a key that is not there is ignored."""
        ...

    def levels(self) -> list[CacheLevel]:
        """The nearest first."""
        ...


class Reranker(Protocol):
    """Reads a few found passages closely, and says which answer a query best."""

    def rank(self, query: str, passages: Mapping[int, str], limit: int) -> Ranking:
        """
        The *limit* best of *passages* (by chunk id, in the order found), best first.

        Raises:
            RerankerUnavailable: it cannot be loaded or reached, was late, or failed.
        """
        ...


class Index(Protocol):
    """Chunks that can be found: what a search needs of a store, or of several taken as one."""

    def chunks(self, ids: Sequence[int]) -> list[Chunk]:
        """The chunks in the order asked; an id that is gone is left out."""
        ...

    def cards(self, ids: Sequence[int]) -> list[Card]:
        """What ranking has to know of the chunks, in any order; an id that is gone is left out."""
        ...

    def lexical(self, terms: Sequence[str], scope: Scope, limit: int, alternatives: Sequence[str] = ()) -> Ranking:
        """
        Chunks by BM25 over *terms* (of search.tokens). All terms first; any of them where that finds too few.

        *alternatives* (of search.expand) add a share of their own BM25; one that very many chunks hold may be left out.
        """
        ...

    def origin(self, chunk: Chunk) -> tuple[Store, str]:
        """The store that one of these chunks is kept in, and the path of its document there."""
        ...

    def named(self, fragment: str, scope: Scope, limit: int) -> Ranking:
        """Chunks whose name or path contains *fragment* (at least three characters), case ignored."""
        ...

    def frequencies(self, terms: Sequence[str]) -> tuple[Mapping[str, int], int]:
        """In how many chunks each of *terms* stands, those in none left out; and how many chunks there are."""
        ...

    def nearest(self, space: Space, vector: Vector, scope: Scope, limit: int) -> Ranking:
        """
        Chunks by cosine with *vector*, within *space* only, active or not.

        Raises:
            SpaceMismatch: the store holds only another model's vectors for this domain.
            InvalidInput: *vector* has not the space's dimension, or is not finite.
        """
        ...


class Store(Index, Protocol):
    """Keeps documents, chunks and vectors, and ranks them. Thread-safe; each call is one transaction."""

    def writer(self, source: str = "") -> AbstractContextManager[None]:
        """
        The right to write, held for a whole run of indexing, across processes. Reentrant within a thread.

        A store that many share gives it for *source* alone, where one is named; others write to theirs meanwhile.

        Raises:
            Conflict: another process still holds it after the configured wait; the message names it.
        """
        ...

    def files(self, source: str, paths: Sequence[str] | None = None) -> Mapping[str, FileState]:
        """Every document of *source* by path; or those at *paths* alone."""
        ...

    def documents(self, source: str, paths: Sequence[str]) -> list[Indexed]:
        """
        Those of *source* at *paths*, in any order, as they were put, but that vectors have lost a little in keeping.
        Vectors of a space are left out where a chunk of the document lacks one, or the space is not active.
        """
        ...

    def put(self, items: Iterable[Indexed]) -> None:
        """
        Stores whole documents; one that was there under the same source and path is replaced without trace.

        Raises:
            SpaceMismatch: a vector's space has the domain of an active one, but is another.
        """
        ...

    def settle(self) -> None:
        """Brings indexes up to what was put by whoever did not hold the writer's right; that ends with the same."""
        ...

    def touch(self, source: str, states: Mapping[str, FileState]) -> None:
        """Records new sizes and times of documents whose content is unchanged."""
        ...

    def drop(self, source: str, paths: Iterable[str]) -> None:
        """Removes documents with their chunks, words and vectors; unknown paths are ignored."""
        ...

    def clear(self) -> None:
        """Removes everything, spaces included."""
        ...

    def known_vectors(self, space: Space, digests: Sequence[bytes]) -> Mapping[bytes, Vector]:
        """Stored vectors of *space* whose passage had one of *digests*: what need not be embedded again."""
        ...

    def chunk_at(self, path: str, line: int) -> Chunk | None:
        """The chunk that holds *line* (1-based) of the document at *path*."""
        ...

    def chunks_of(self, path: str) -> list[Chunk]:
        """All chunks of the document at *path*, in order: its text. Of several sources, that of the first name."""
        ...

    def vector(self, space: Space, id: int) -> Vector | None:
        """The stored vector of a chunk."""
        ...

    def spaces(self) -> list[Space]:
        """Those that are searched: the active ones. What is put goes into them."""
        ...

    def space_states(self) -> list[SpaceState]:
        """Of all spaces, active or not. Of sources that differ, one is active where it is so in each."""
        ...

    def lacking(self, space: Space, after: int, limit: int) -> list[Chunk]:
        """Chunks that nothing is stored of in *space*, by id from *after* on."""
        ...

    def fill(self, space: Space, vectors: Mapping[int, Vector]) -> None:
        """
        Vectors of chunks that have none in *space* yet, zero where nothing is to be found; what is gone is left out.
        A space that is new is not active where another is that serves its domain.
        """
        ...

    def activate(self, spaces: Sequence[Space]) -> None:
        """
        These are searched and put into from now on, others no more; they stay.

        Raises:
            Conflict: chunks lack a vector in one of them.
        """
        ...

    def drop_space(self, space: Space) -> None:
        """
        With all its vectors.

        Raises:
            Conflict: it is active.
            NotFound: there is no such space.
        """
        ...

    def poisoned(self) -> Mapping[str, str]:
        """Digests of files that once killed or hung the parser, with the reason: they are cut by lines."""
        ...

    def add_poison(self, digest: str, reason: str) -> None: ...

    def sources(self) -> list[Source]:
        """By name, those that have a document."""
        ...

    def version(self) -> int:
        """A number that changes whenever anything stored changes, by whatever process."""
        ...

    def stats(self) -> Stats: ...

    def connections(self) -> Mapping[str, int]:
        """To a server: those that are ``busy``, those that are ``idle``, and how many there may be, ``most``."""
        ...

    def check(self) -> list[str]:
        """What is inconsistent in what is stored, read in full; nothing when all is well."""
        ...

    def close(self) -> None: ...


class NoteStore(Protocol):
    """
    Keeps notes, in the database of a :class:`Store` whose documents are made from them. Thread-safe.

    *projects* confines what is found to notes of these; nothing given means every project.
    """

    def write(self, changes: Iterable[NoteChange]) -> None:
        """
        Notes, their links, documents, chunks and vectors, in one transaction.

        Raises:
            Outdated: a stored note has another revision than the change was made from; nothing was written.
        """
        ...

    def notes(self, ids: Sequence[str]) -> list[Note]:
        """In the order asked, deleted ones too; an id that is not there is left out."""
        ...

    def note_ids(self, projects: Sequence[str], filter: NoteFilter) -> list[str]:
        """The last changed first; where the filter asks for due ones, the longest due first."""
        ...

    def ids_like(self, prefix: str, projects: Sequence[str], limit: int) -> list[str]:
        """Ids that begin with *prefix*, deleted ones too; the exact one first."""
        ...

    def links_to(self, id: str) -> list[tuple[str, Link]]:
        """The notes that link to *id* and are not deleted, each with its link."""
        ...

    def anchored(self, paths: Sequence[str], names: Sequence[str], projects: Sequence[str], limit: int) -> list[str]:
        """
        Notes, deleted ones left out, that point at code in one of *paths* or with one of *names*; the last changed
        first.
        """
        ...

    def accessed(self, ids: Sequence[str], at: datetime) -> None:
        """Counts that these notes were shown; no change of theirs."""
        ...

    def purge(self, ids: Sequence[str]) -> None:
        """Removes notes for good, with their links and documents."""
        ...

    def unindexed(self, spaces: Sequence[Space]) -> list[str]:
        """Notes, deleted ones left out, that have no document, or a chunk without a vector in one of *spaces*."""
        ...

    def counts(self, projects: Sequence[str]) -> Mapping[str, int]:
        """How many notes there are, deleted ones left out, by kind."""
        ...


class EventStore(Protocol):
    """Keeps events, in the database of a :class:`Store` whose documents are made from them. Thread-safe."""

    def write_events(self, events: Iterable[tuple[Event, Indexed | None]]) -> None:
        """
        Events with their documents, chunks and vectors, in one transaction; None makes it one that is not indexed yet.

        Raises:
            Conflict: an event has an id that is there already; nothing was written.
        """
        ...

    def events(self, ids: Sequence[str]) -> list[Event]:
        """In the order asked; an id that is not there is left out."""
        ...

    def count_events(self) -> int: ...

    def event_ids(self, filter: EventFilter) -> list[str]:
        """The latest first."""
        ...

    def unindexed_events(self, spaces: Sequence[Space]) -> list[str]:
        """Events that have no document, or a chunk without a vector in one of *spaces*."""
        ...

    def index_events(self, events: Iterable[tuple[Event, Indexed]]) -> None:
        """Their documents, chunks and vectors anew; an event that is gone is left out."""
        ...

    def set_event_metadata(self, id: str, metadata: Mapping[str, Any]) -> bool:
        """False when there is no such event."""
        ...

    def delete_events(self, ids: Sequence[str]) -> int:
        """How many there were."""
        ...


class JobStore(Protocol):
    """
    Keeps jobs, and who works on what: the truth about them, whether a queue tells workers of tasks or they ask here.
    Thread-safe; each call is one transaction. Jobs of one repository are worked on one after the other.

    A claim counts until its lease ends; a call with one that no longer counts changes nothing.
    """

    def submit(self, job: Job, batches: Sequence[Batch] | None) -> None:
        """A new job, with what is to be done; None where a worker has to find that out first."""
        ...

    def get(self, id: str) -> Job:
        """
        Raises:
            NotFound: there is no such job.
        """
        ...

    def jobs(self, repositories: Sequence[str], states: Sequence[JobState], limit: int) -> list[Job]:
        """The latest first; empty sequences mean all."""
        ...

    def claim(self, worker: str, lease_seconds: float, job: str = "") -> Claim | None:
        """The task that is next, of *job* where one is named; None where there is none for now. Jobs take turns."""
        ...

    def extend(self, claim: Claim, lease_seconds: float) -> bool:
        """Whether the claim still counts, from now for so long."""
        ...

    def plan(self, claim: Claim, batches: Iterable[Batch], *, removed: int, revision: str = "") -> bool:
        """What there is to do; False when the claim no longer counts."""
        ...

    def complete(self, claim: Claim, *, chunks: int = 0, errors: Mapping[str, str] = {}) -> bool:
        """The task is done, with files that could not be indexed; False when the claim no longer counts."""
        ...

    def postpone(self, claim: Claim, reason: str, seconds: float) -> None:
        """Gives the task back, to be tried later: something it needs is away. Counts as no attempt."""
        ...

    def fail(self, claim: Claim, reason: str, *, for_good: bool = False) -> None:
        """
        An attempt that failed. After the third the task's files are tried one by one, then set aside; the job fails
        where it cannot do without the task. *for_good*: the job fails at once.
        """
        ...

    def sweep(self) -> int:
        """Fails the attempts whose lease has ended; how many."""
        ...

    def to_send(self, limit: int, lost_after_seconds: float | None = None) -> list[TaskId]:
        """
        What a queue has to be told of, which then counts as sent; with a time, also what was sent longer ago and nobody
        has claimed.
        """
        ...

    def cancel(self, id: str) -> Job:
        """
        Ends a job; what was indexed stays.

        Raises:
            NotFound: there is no such job.
            Conflict: it has ended.
        """
        ...

    def retry(self, id: str) -> Job:
        """
        Has a job that ended go on with what it has not done, files set aside included.

        Raises:
            NotFound: there is no such job.
            Conflict: it has not ended, or nothing is left of it.
        """
        ...

    def seconds_per_file(self) -> float | None:
        """As the latest jobs took."""
        ...

    def backlog(self) -> Backlog: ...

    def forget(self, days: float) -> int:
        """Removes jobs that ended so long ago; how many."""
        ...

    def claim_delivery(self, lease_seconds: float) -> Delivery | None:
        """One that is due; it is again when the lease ends, so a delivery may come twice, and is never lost."""
        ...

    def delivered(self, delivery: Delivery, failure: str = "", again_in_seconds: float | None = None) -> None:
        """That it was, or why not; without a time it is not tried again."""
        ...

    def deliveries(self, job: str) -> list[Delivery]: ...

    def close(self) -> None: ...


class Queue(Protocol):
    """Tells workers of tasks sooner than they would ask. What it loses is found in the JobStore."""

    def send(self, tasks: Iterable[TaskId]) -> None:
        """
        Raises:
            StoreUnavailable: it cannot be reached.
        """
        ...

    def waiting(self) -> int:
        """
        How many tasks no worker has taken.

        Raises:
            StoreUnavailable: it cannot be reached.
        """
        ...


class FeedbackStore(Protocol):
    """Keeps what was chosen among hits, in the database of notes and events. Thread-safe."""

    def add_feedback(self, feedback: Feedback) -> None: ...

    def all_feedback(self) -> list[Feedback]:
        """In the order it was given."""
        ...

    def clear_feedback(self) -> int:
        """How many there were."""
        ...
