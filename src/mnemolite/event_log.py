"""What programs report: events, kept verbatim, filtered by metadata and time, found by words and by meaning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mnemolite.errors import EmbedderUnavailable, InvalidInput, NotFound
from mnemolite.notes.rules import new_id
from mnemolite.ports import Embedder, EventStore, Store
from mnemolite.record_index import BATCH, RecordIndex, batches
from mnemolite.records import EVENTS, Event, EventFilter, EventHit, check_json
from mnemolite.search.search import search
from mnemolite.types import Chunk, Document, Hit, Indexed, Kind, Query, Results, Scope, nanoseconds

if TYPE_CHECKING:
    from mnemolite.types import Matrix


class EventLog:
    """Events, of all projects. Thread-safe."""

    def __init__(
        self,
        index: Store,
        store: EventStore,
        embedders: Sequence[Embedder],
        weights: Mapping[str, float],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._index = index
        self._store = store
        self._embedders = tuple(embedders)
        self._weights = weights
        self._clock = clock
        self._records = RecordIndex(index, self._embedders, store.unindexed_events, self._reindex)

    def create(
        self,
        content: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        *,
        timestamp: datetime | None = None,
        embedding: Sequence[float] | None = None,
        id: str = "",
    ) -> Event:
        """
        The new event. *embedding* takes the place of what the model would make of its text.

        Raises:
            InvalidInput: content or metadata is not a JSON object, or the embedding is not of the model's dimension.
            Conflict: there is an event of this id.
        """
        if embedding is not None:
            self._check_dimension(len(embedding))
        event = Event(
            id=id or new_id(),
            timestamp=timestamp or self._clock(),
            content=content,
            metadata=metadata or {},
            embedding=tuple(map(float, embedding)) if embedding is not None else None,
        )
        self.put([event])
        return event

    def put(self, events: Iterable[Event]) -> None:
        """
        Takes events as they are, a batch in a transaction. An embedding of another dimension than the model's is kept,
        and the event found by what the model makes of its text.
        """
        for batch in batches(events, BATCH):
            self._records.complete()
            self._store.write_events(zip(batch, self._indexed(batch, need=False), strict=True))

    def get(self, id: str) -> Event:
        """
        Raises:
            NotFound: there is no such event.
        """
        found = self._store.events([id])
        if not found:
            raise NotFound(f"no event {id!r}")
        return found[0]

    def select(self, filter: EventFilter = EventFilter()) -> list[Event]:
        """The latest first."""
        return self._store.events(self._store.event_ids(filter))

    def each(self, filter: EventFilter = EventFilter()) -> Iterator[Event]:
        """As :meth:`select`, a batch in memory at a time."""
        for batch in batches(self._store.event_ids(filter), BATCH):
            yield from self._store.events(batch)

    def count(self) -> int:
        return self._store.count_events()

    def set_metadata(self, id: str, metadata: Mapping[str, Any]) -> Event:
        """
        The event with *metadata* instead of what it had; content, time and vectors stay.

        Raises:
            NotFound: there is no such event.
        """
        check_json("metadata", metadata)
        if not self._store.set_event_metadata(id, metadata):
            raise NotFound(f"no event {id!r}")
        return self.get(id)

    def merge_metadata(self, id: str, metadata: Mapping[str, Any]) -> Event:
        """
        The event with the keys of *metadata* added to what it had, or in place of them; two at once do not undo each
        other.

        Raises:
            NotFound: there is no such event.
        """
        with self._index.writer():
            return self.set_metadata(id, {**self.get(id).metadata, **metadata})

    def delete(self, *ids: str) -> int:
        """How many of them there were."""
        return self._store.delete_events(ids)

    def search(self, query: Query | str, filter: EventFilter = EventFilter()) -> Results:
        """The best events, best first, as :class:`~mnemolite.records.EventHit`: by text, by a vector or by both."""
        if isinstance(query, str):
            query = Query(text=query)
        degraded = self._records.complete()
        scope = Scope(sources=(EVENTS,), metadata=filter.metadata, since=filter.since, until=filter.until)
        query = replace(query, scope=scope, lexical=query.lexical and bool(query.text.strip()))
        found = search(query, self._index, self._embedders, self._weights, settle=self._settled)
        return replace(found, degraded=(*degraded, *found.degraded))

    def _indexed(self, events: Sequence[Event], *, need: bool) -> list[Indexed]:
        """The event is kept verbatim; what is found of it has its secrets masked."""
        from mnemolite.ingest.secrets import mask  # a search writes nothing

        documents = []
        for event in events:
            text = mask(text_of(event))[0]
            digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
            document = Document(
                source=EVENTS,
                path=event.id,
                digest=digest,
                language="event",
                size=len(text.encode()),
                mtime_ns=nanoseconds(event.timestamp),
                metadata=event.metadata,
            )
            documents.append((document, _chunks(event, text)))
        indexed = self._records.embedded(documents, need=need)
        return [self._own_vector(event, each) for event, each in zip(events, indexed, strict=True)]

    def _check_dimension(self, dimension: int) -> None:
        with suppress(EmbedderUnavailable):
            for space in (embedder.space for embedder in self._embedders):
                if dimension != space.dimension:
                    raise InvalidInput(
                        f"the embedding has {dimension} components; {space.model} makes {space.dimension}"
                    )

    def _own_vector(self, event: Event, indexed: Indexed) -> Indexed:
        """*indexed* with the vector the event came with, if it did and the models make such."""
        if event.embedding is None or not indexed.vectors:
            return indexed
        import numpy as np

        vectors: dict[Any, Matrix] = {}
        for space, matrix in indexed.vectors.items():
            if len(event.embedding) != space.dimension:
                return indexed
            vectors[space] = np.tile(np.array(event.embedding, np.float32), (len(matrix), 1))
        # not the digest of a passage: another event of the same text must not be given this vector
        digests = tuple(
            hashlib.blake2b(f"{event.id} {i}".encode(), digest_size=16).digest() for i in range(len(indexed.chunks))
        )
        return replace(indexed, vectors=vectors, digests=digests)

    def _reindex(self, ids: list[str]) -> None:
        events = self._store.events(ids)
        self._store.index_events(zip(events, self._indexed(events, need=True), strict=True))

    def _settled(self, hits: Sequence[Hit]) -> list[Hit]:
        """One hit an event, that of its best chunk."""
        events = {event.id: event for event in self._store.events([hit.chunk.path for hit in hits])}
        best: dict[str, Hit] = {}
        for hit in hits:
            if hit.chunk.path in events and hit.chunk.path not in best:
                best[hit.chunk.path] = EventHit(
                    chunk=hit.chunk,
                    score=hit.score,
                    ranks=hit.ranks,
                    signals=hit.signals,
                    event=events[hit.chunk.path],
                )
        return list(best.values())


def text_of(event: Event) -> str:
    """What is searched of an event: every text and number in its content, a line each."""
    return "\n".join(_leaves(event.content)) or json.dumps(event.content)


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def _chunks(event: Event, text: str) -> tuple[Chunk, ...]:
    from mnemolite.ingest.chunk import chunk  # and its parsers: nothing that a search needs

    found = chunk(text, source=EVENTS, path=event.id, language="text")
    if not found:  # nothing but spaces
        found = [
            Chunk(source=EVENTS, path=event.id, language="event", kind=Kind.EVENT, text=text, first_line=1, last_line=1)
        ]
    return tuple(replace(each, language="event", kind=Kind.EVENT) for each in found)
