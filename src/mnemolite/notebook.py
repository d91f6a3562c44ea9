"""What a developer has learnt: notes of one project and those of all, found by words and by meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from mnemolite.errors import EmbedderUnavailable, InvalidInput, NotFound, Outdated
from mnemolite.note_documents import documents
from mnemolite.notes import rules
from mnemolite.notes.rules import changed, new_id, settle, typed_id
from mnemolite.ports import Embedder, NoteStore, Reranker, Store
from mnemolite.record_index import BATCH, RecordIndex, batches
from mnemolite.records import (
    GLOBAL,
    NOTE_KINDS,
    Anchor,
    Context,
    Link,
    Note,
    NoteChange,
    NoteFilter,
    Relation,
    Status,
    note_source,
)
from mnemolite.search.search import search
from mnemolite.types import Hit, Kind, Query, Results, Scope, Space

if TYPE_CHECKING:
    from mnemolite.types import Vector

ATTEMPTS = 10  # at a change that others keep overtaking
NAMED = 5  # of several notes an ambiguous id may mean
EDITABLE = frozenset(
    {"kind", "title", "body", "tags", "project", "context", "confidence", "status", "anchors", "metadata"}
)


class Notebook:
    """
    Notes of *projects* and the global ones; of every project where *everywhere*. New notes are of the first project.

    Thread-safe. An id may be given by its beginning, as long as only one note begins so.
    """

    def __init__(
        self,
        index: Store,
        store: NoteStore,
        embedders: Sequence[Embedder],
        weights: Mapping[str, float],
        *,
        projects: Sequence[str],
        everywhere: bool = False,
        reranker: Reranker | None = None,
        min_score: float = 0.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.index = index
        self.project = projects[0] if projects else GLOBAL
        self.projects: tuple[str, ...] = () if everywhere else tuple(dict.fromkeys((*projects, GLOBAL)))
        self._store = store
        self._embedders = tuple(embedders)
        self._weights = weights
        self._reranker = reranker
        self._min_score = min_score
        self._clock = clock
        self._records = RecordIndex(index, self._embedders, store.unindexed, self._index)

    def within(self, projects: Sequence[str]) -> Notebook:
        """The same notes, seen from exactly *projects*; () is every one."""
        seen = copy(self)
        seen.project = projects[0] if projects else GLOBAL
        seen.projects = tuple(projects)
        return seen

    # Writing

    def add(
        self,
        title: str,
        body: str = "",
        *,
        kind: Kind = Kind.REFERENCE,
        tags: Iterable[str] = (),
        project: str | None = None,
        context: Context = Context(),
        confidence: int = 2,
        anchors: Iterable[Anchor] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Note:
        """The new note; of the notebook's project unless *project* says otherwise."""
        now = self._clock()
        return self.insert(
            Note(
                id=new_id(),
                kind=kind,
                title=title,
                body=body,
                tags=tuple(tags),
                project=self.project if project is None else project,
                context=context,
                confidence=confidence,
                anchors=tuple(anchors),
                metadata=metadata or {},
                created_at=now,
                updated_at=now,
            )
        )

    def insert(self, note: Note) -> Note:
        """*note* as it was stored: with another id when its own is taken."""
        for _ in range(ATTEMPTS):
            with suppress(Outdated):  # another process gave the same id in the same millisecond
                self._write([(note, 0)])
                return note
            note = replace(note, id=new_id())
        raise Outdated(f"note {note.title!r} found no free id; nothing was stored")

    def edit(self, id: str, **values: Any) -> Note:
        """
        The note with other values for some of kind, title, body, tags, project, context, confidence, status, anchors,
        metadata.

        Raises:
            NotFound: there is no such note.
            InvalidInput: a value cannot be, or the id may mean several notes.
        """
        if unknown := values.keys() - EDITABLE:
            raise InvalidInput(
                f"{', '.join(sorted(unknown))} of a note cannot be edited; {', '.join(sorted(EDITABLE))} can"
            )
        return self._change(id, lambda note: changed(note, self._clock(), **values))

    def forget(self, id: str) -> Note:
        """The removed note: it is found no more, until it is restored."""
        return self._change(id, lambda note: changed(note, note.updated_at, deleted_at=self._clock()))

    def restore(self, id: str) -> Note:
        """
        The note that had been removed.

        Raises:
            NotFound: there is none such, or it is not removed.
        """
        return self._change(id, lambda note: changed(note, note.updated_at, deleted_at=None), deleted=True)

    def purge(self, id: str) -> Note:
        """The note that is now gone for good."""
        note = self._resolve(id, deleted=None)
        self._store.purge([note.id])
        return note

    def link(self, id: str, relation: Relation, target: str, reason: str = "") -> Note:
        """
        The note *id*, with the link. One that is there already gets the new reason.

        Raises:
            InvalidInput: the two are one note, or would supersede each other.
        """
        other = self._resolve(target)
        own = self._resolve(id)
        if relation is Relation.SUPERSEDES:
            self._check_circle(own, other)
        link = Link(relation=relation, target=other.id, reason=reason, created_at=self._clock())

        def linked(note: Note) -> Note:
            kept = tuple(each for each in note.links if (each.relation, each.target) != (relation, other.id))
            return changed(note, self._clock(), links=(*kept, link))

        return self._change(own.id, linked)

    def unlink(self, id: str, target: str, relation: Relation | None = None) -> Note:
        """The note *id* without its links to *target*, of all relations or one."""
        own = self._resolve(id)
        gone = {link.target for link in own.links if link.target.startswith(typed_id(target))}
        if len(gone) != 1:
            raise NotFound(f"note {own.id} has {'several links' if gone else 'no link'} to {target!r}")

        def unlinked(note: Note) -> Note:
            kept = (each for each in note.links if each.target not in gone or relation not in (None, each.relation))
            return changed(note, self._clock(), links=tuple(kept))

        return self._change(own.id, unlinked)

    def review(self, id: str, quality: int) -> Note:
        """The note with its next review set by SM-2; *quality* is 0 (forgotten) to 5 (known at once)."""
        now = self._clock()
        return self._change(
            id, lambda note: changed(note, note.updated_at, review=rules.reviewed(note.review, quality, now))
        )

    def put(
        self,
        notes: Iterable[Note],
        *,
        overwrite: bool = False,
        vectors: Mapping[Space, Mapping[str, Vector]] = {},
    ) -> Iterator[tuple[Note, str]]:
        """
        Takes notes as they are, with their ids. Gives, a batch at a time once it is stored, each with what became of
        it: "added", "updated", "unchanged", or "older": what is here was changed or removed later, and stays. *vectors*
        are those that are there already, by id; they serve for notes that are one chunk.
        """
        for batch in batches(notes, BATCH):
            for attempt in range(ATTEMPTS):
                try:
                    yield from self._put_batch({note.id: note for note in batch}, overwrite, vectors)
                    break
                except Outdated:
                    if attempt == ATTEMPTS - 1:
                        raise

    # Reading

    def get(self, id: str, *, deleted: bool = False, count: bool = False) -> Note:
        """
        The note, also a removed one where *deleted*; *count* says that somebody looks at it.

        Raises:
            NotFound: there is no such note in these projects.
            InvalidInput: the id may mean several.
        """
        note = self._resolve(id, deleted=None if deleted else False)
        if count and not getattr(self.index, "readonly", False):
            self._store.accessed([note.id], self._clock())
        return note

    def select(self, filter: NoteFilter = NoteFilter()) -> list[Note]:
        """The last changed first; where the filter asks for due ones, the longest due first."""
        return self._store.notes(self._store.note_ids(self.projects, filter))

    def each(self, filter: NoteFilter = NoteFilter()) -> Iterator[Note]:
        """As :meth:`select`, a batch in memory at a time."""
        for batch in batches(self._store.note_ids(self.projects, filter), BATCH):
            yield from self._store.notes(batch)

    def due(self, limit: int = 20) -> list[Note]:
        """Notes that hold and are to be looked at again, the longest due first, then those never reviewed."""
        active = self.each(NoteFilter(due=self._clock(), statuses=(Status.ACTIVE,)))
        return list(islice((note for note in active if not note.superseded_by), limit))

    def titles(self, ids: Sequence[str]) -> Mapping[str, Note]:
        """Notes by id, whatever their project: what the links of a note lead to."""
        return {note.id: note for note in self._store.notes(ids)}

    def anchored(self, paths: Sequence[str], names: Sequence[str], limit: int) -> list[Note]:
        """Notes that point at code in one of *paths* or with one of *names*, the last changed first."""
        return self._store.notes(self._store.anchored(paths, names, self.projects, limit))

    def links_to(self, id: str) -> list[tuple[str, Link]]:
        return self._store.links_to(id)

    def counts(self) -> Mapping[str, int]:
        """How many notes there are, by kind."""
        return self._store.counts(self.projects)

    def search(self, query: Query | str, filter: NoteFilter = NoteFilter()) -> Results:
        """The best notes, best first, as :class:`~mnemolite.records.NoteHit`."""
        if isinstance(query, str):
            query = Query(text=query)
        degraded = self._records.complete()
        least = self._min_score if query.min_score is None else query.min_score
        query = replace(query, scope=self._scope(filter, query.scope), min_score=least)
        if not query.scope.kinds:
            return Results(hits=())
        found = search(query, self.index, self._embedders, self._weights, self._reranker, self._settled)
        return replace(found, degraded=(*degraded, *found.degraded))

    def similar(self, id: str, limit: int = 10, filter: NoteFilter = NoteFilter()) -> Results:
        """Notes near in meaning to the note *id*, itself left out."""
        note = self._resolve(id)
        degraded = self._records.complete()
        [indexed] = self._records.embedded(documents([note]), need=True)
        embeddings = {space.domain: tuple(map(float, matrix.mean(axis=0))) for space, matrix in indexed.vectors.items()}
        if not embeddings:
            raise EmbedderUnavailable("no model to compare notes by; 'mnemolite doctor' says why")
        query = Query(text="", embeddings=embeddings, lexical=False, limit=limit + 1, scope=self._scope(filter))
        found = search(query, self.index, self._embedders, self._weights, self._reranker, self._settled)
        hits = tuple(hit for hit in found.hits if hit.chunk.path != note.id)[:limit]
        return replace(found, hits=hits, degraded=(*degraded, *found.degraded))

    def rebuild(self) -> int:
        """Makes documents, chunks and vectors of all notes anew, of every project; gives how many notes there are."""
        return self._records.rebuild()

    # Inside

    def _change(self, id: str, change: Callable[[Note], Note], *, deleted: bool = False) -> Note:
        """The one way a note changes: read, changed, written if nobody did meanwhile, else once more."""
        note = self._resolve(id, deleted=deleted)
        for attempt in range(ATTEMPTS):
            new = change(note)
            try:
                self._write([(new, note.revision)])
            except Outdated:
                if attempt == ATTEMPTS - 1:
                    raise
                note = self._resolve(note.id, deleted=deleted)
            else:
                return new
        raise AssertionError("not reached")

    def _put_batch(
        self, batch: Mapping[str, Note], overwrite: bool, vectors: Mapping[Space, Mapping[str, Vector]]
    ) -> list[tuple[Note, str]]:
        here = {note.id: note for note in self._store.notes(list(batch))}
        fates: list[tuple[Note, str]] = []
        writes: list[tuple[Note, int]] = []
        for note in batch.values():
            own = here.get(note.id)
            fate = rules.fate(note, own, overwrite)
            if own is None:
                writes.append((note, 0))
            elif fate == "updated":
                note = replace(note, revision=max(note.revision, own.revision + 1))  # noqa: PLW2901
                writes.append((note, own.revision))
            fates.append((note, fate))
        self._write(writes, vectors)
        return fates

    def _write(
        self,
        notes: Sequence[tuple[Note, int]],
        vectors: Mapping[Space, Mapping[str, Vector]] = {},
    ) -> None:
        """Notes with the revisions they were made from, in one transaction."""
        self._records.complete()  # vectors of two models cannot stand in one index
        live = documents(note for note, _ in notes if note.deleted_at is None)
        indexed = self._records.embedded(live, need=False, given=vectors)
        by_id = {each.document.path: each for each in indexed}
        self._store.write(NoteChange(note=note, indexed=by_id.get(note.id), was=was) for note, was in notes)

    def _index(self, ids: list[str]) -> None:
        notes = self._store.notes(ids)
        for note, indexed in zip(notes, self._records.embedded(documents(notes), need=True), strict=True):
            with suppress(Outdated):  # whoever changed it has indexed it
                self._store.write([NoteChange(note=note, indexed=indexed, was=note.revision)])

    def _resolve(self, id: str, *, deleted: bool | None = False) -> Note:
        """The note that *id* or its beginning means; *deleted* None: whether it is removed or not."""
        typed = typed_id(id)
        found = self._store.notes(self._store.ids_like(typed, self.projects, NAMED + 1)) if typed else []
        exact = [note for note in found if note.id == typed]
        fitting = [note for note in exact or found if deleted in (None, note.deleted_at is not None)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            named = ", ".join(f"{note.id} ({note.title[:40]})" for note in fitting[:NAMED])
            more = ", ..." if len(fitting) > NAMED else ""
            raise InvalidInput(f"{id!r} may mean {named}{more}; type more of the id")
        if found:
            back = "'note restore', or 'forget' with undo, brings it back"
            state = f"has been removed; {back}" if not deleted else "is not removed"
            raise NotFound(f"note {found[0].id} {state}")
        where = f"project {self.project!r} or among the global ones" if self.projects else "any project"
        raise NotFound(f"no note {id!r} in {where}; 'note list', or 'recall', shows those that are there")

    def _check_circle(self, own: Note, other: Note) -> None:
        seen, todo = {other.id}, [other]
        while todo:
            below = [id for note in todo for id in rules.supersedes(note) if id not in seen]
            if own.id in below:
                raise InvalidInput(f"{other.id} supersedes {own.id} already; two notes cannot supersede each other")
            seen.update(below)
            todo = self._store.notes(below)

    def _scope(self, filter: NoteFilter, scope: Scope = Scope()) -> Scope:
        """*filter* and the projects as the store sees them, within what *scope* asks; without kinds, nothing can be."""
        metadata = dict(filter.metadata)
        if filter.tags:
            metadata["tags"] = list(filter.tags)
        if len(filter.statuses) == 1:
            metadata["status"] = filter.statuses[0].value
        return replace(
            scope,
            sources=tuple(map(note_source, self.projects)),
            kinds=tuple(kind for kind in filter.kinds or NOTE_KINDS if not scope.kinds or kind in scope.kinds),
            since=filter.since or scope.since,
            until=filter.until or scope.until,
            metadata={**scope.metadata, **metadata},
        )

    def _settled(self, hits: Sequence[Hit]) -> list[Hit]:
        notes = self._store.notes(list(dict.fromkeys(hit.chunk.path for hit in hits)))
        live = {note.id: note for note in notes if note.deleted_at is None}
        return [*settle(hits, live)]
