"""
From one store to another, whatever each is kept in: the index of a tree, or notes, events and feedback.

What is there already, compared in full, is not written again, so that a copy that was stopped goes on where it was;
what was written is read back and compared.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mnemolite.errors import StoreUnavailable
from mnemolite.ports import EventStore, FeedbackStore, NoteStore, Store
from mnemolite.record_index import BATCH, batches
from mnemolite.records import EVENTS, Event, EventFilter, Note, NoteChange, NoteFilter, note_source
from mnemolite.types import TREE, Indexed, Space

if TYPE_CHECKING:
    from mnemolite.types import Matrix

VECTOR_ERROR = 1e-3  # of a component of a unit vector: stores keep them in two bytes, each in its own way


@dataclass(frozen=True)
class RecordStores:
    """Notes, events and feedback, and the store of the documents of the first two."""

    index: Store
    notes: NoteStore
    events: EventStore
    feedback: FeedbackStore


@dataclass(kw_only=True)
class Copied:
    """What a copy did, by kind: documents, or notes, events and feedback."""

    written: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    present: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # already, and the same
    kept: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # of another state, which is later
    removed: int = 0
    digest: str = ""  # of all that the first has and the second now has too, vectors apart

    def add(self, kind: str, written: int, present: int, kept: int = 0) -> None:
        for counts, count in ((self.written, written), (self.present, present), (self.kept, kept)):
            if count:
                counts[kind] += count


def copy_tree(origin: Store, target: Store, told: Callable[[int, int], None]) -> Copied:
    """
    The index of a tree; what else *target* has of it is removed. *told* of documents done, and of how many.

    Raises:
        StoreUnavailable: what was written is not what is read back.
    """
    copied, digests = Copied(), hashlib.blake2b(digest_size=16)
    with origin.writer(TREE), target.writer(TREE):
        if _foreign(target.spaces(), origin.spaces()):
            target.clear()
        wanted = sorted(origin.files(TREE))
        if gone := target.files(TREE).keys() - set(wanted):
            target.drop(TREE, gone)
            copied.removed = len(gone)
        done = 0
        for paths in batches(wanted, BATCH):
            given = origin.documents(TREE, paths)
            there = {each.document.path: each for each in target.documents(TREE, paths)}
            fresh = [each for each in given if not _same(each, there.get(each.document.path))]
            target.put(fresh)
            _check_documents(fresh, target)
            for each in given:
                digests.update(_digest(each))
            copied.add("documents", len(fresh), len(given) - len(fresh))
            done += len(given)
            told(done, len(wanted))
        poison = target.poisoned()
        for digest, reason in origin.poisoned().items():
            if poison.get(digest) != reason:
                target.add_poison(digest, reason)
        left, right = origin.stats(), target.stats()
        counts = [(stats.documents, stats.skipped, stats.chunks, stats.vectors) for stats in (left, right)]
        if counts[0] != counts[1]:
            raise StoreUnavailable(f"the copy is not complete: it holds {counts[1]}, what was copied holds {counts[0]}")
    copied.digest = digests.hexdigest()
    return copied


def copy_records(origin: RecordStores, target: RecordStores, told: Callable[[int, int], None]) -> Copied:
    """
    Notes, events and feedback beside those *target* has. Of a note that both have, the later one is left; of an event,
    that of *target*. *told* of notes and events done, and of how many.

    Raises:
        StoreUnavailable: what was written is not what is read back.
    """
    copied, digests = Copied(), hashlib.blake2b(digest_size=16)
    with origin.index.writer(), target.index.writer():
        notes = sorted(id for deleted in (False, True) for id in origin.notes.note_ids((), NoteFilter(deleted=deleted)))
        events = sorted(origin.events.event_ids(EventFilter()))
        done, total = 0, len(notes) + len(events)
        for kind, ids, copy in (("notes", notes, _copy_notes), ("events", events, _copy_events)):
            for some in batches(ids, BATCH):
                written, present, kept = copy(some, origin, target, digests.update)
                copied.add(kind, written, present, kept)
                done += len(some)
                told(done, total)
        copied.add("feedback", *_copy_feedback(origin.feedback, target.feedback, digests.update))
    copied.digest = digests.hexdigest()
    return copied


def _copy_feedback(origin: FeedbackStore, target: FeedbackStore, digest: Callable[[bytes], None]) -> tuple[int, int]:
    """How much was written, and was there already."""
    given = {_hashed(asdict(each)): each for each in origin.all_feedback()}
    there = {_hashed(asdict(each)) for each in target.all_feedback()}
    fresh = given.keys() - there
    for plain, each in given.items():
        digest(plain)
        if plain in fresh:
            target.add_feedback(each)
    if missing := fresh - {_hashed(asdict(each)) for each in target.all_feedback()}:
        raise StoreUnavailable(f"{len(missing)} of feedback were written and are not read back; run the copy again")
    return len(fresh), len(given) - len(fresh)


def _copy_notes(
    ids: Sequence[str], origin: RecordStores, target: RecordStores, digest: Callable[[bytes], None]
) -> tuple[int, int, int]:
    """How many were written, were there already, and are kept as they are there."""
    there = {note.id: note for note in target.notes.notes(ids)}
    changes, kept = [], 0
    given = origin.notes.notes(ids)
    documents = _documents_of(given, origin.index, target.index)
    for note in given:
        known = there.get(note.id)
        digest(_plain(note))
        if known is None:
            changes.append(NoteChange(note=note, indexed=documents.get(note.id), was=0))
        elif _plain(known) != _plain(note):
            if (known.updated_at, known.revision) > (note.updated_at, note.revision):
                kept += 1
            else:
                changes.append(NoteChange(note=note, indexed=documents.get(note.id), was=known.revision))
    target.notes.write(changes)
    wrote = {change.note.id: _plain(change.note) for change in changes}
    _check_records("note", wrote, {note.id: _plain(note) for note in target.notes.notes(list(wrote))})
    _check_documents([change.indexed for change in changes if change.indexed is not None], target.index)
    return len(changes), len(given) - len(changes) - kept, kept


def _copy_events(
    ids: Sequence[str], origin: RecordStores, target: RecordStores, digest: Callable[[bytes], None]
) -> tuple[int, int, int]:
    there = {event.id: _plain(event) for event in target.events.events(ids)}
    given = origin.events.events(ids)
    documents = _fitting(origin.index.documents(EVENTS, ids), target.index)
    fresh = [event for event in given if event.id not in there]
    for event in given:
        digest(_plain(event))
    indexed = {each.document.path: each for each in documents}
    target.events.write_events([(event, indexed.get(event.id)) for event in fresh])
    wrote = {event.id: _plain(event) for event in fresh}
    _check_records("event", wrote, {event.id: _plain(event) for event in target.events.events(list(wrote))})
    _check_documents([indexed[id] for id in wrote if id in indexed], target.index)
    kept = sum(event.id in there and there[event.id] != _plain(event) for event in given)
    return len(fresh), len(given) - len(fresh) - kept, kept


def _documents_of(notes: Iterable[Note], origin: Store, target: Store) -> dict[str, Indexed]:
    by_source: defaultdict[str, list[str]] = defaultdict(list)
    for note in notes:
        by_source[note_source(note.project)].append(note.id)
    found = (each for source, ids in by_source.items() for each in origin.documents(source, ids))
    return {each.document.path: each for each in _fitting(found, target)}


def _fitting(items: Iterable[Indexed], target: Store) -> Iterator[Indexed]:
    """*items* without vectors that *target*, which has another model's, would refuse: it makes its own when asked."""
    held = target.spaces()
    for item in items:
        vectors = {space: rows for space, rows in item.vectors.items() if not _foreign(held, [space])}
        yield replace(item, vectors=vectors)


def _foreign(held: Sequence[Space], spaces: Sequence[Space]) -> bool:
    """Whether vectors of *spaces* cannot be put beside those *held*."""
    return any(one != other and one.domain.overlaps(other.domain) for one in held for other in spaces)


def _check_documents(items: Sequence[Indexed], store: Store) -> None:
    by_source: defaultdict[str, dict[str, Indexed]] = defaultdict(dict)
    for item in items:
        by_source[item.document.source][item.document.path] = item
    for source, wrote in by_source.items():
        found = {each.document.path: each for each in store.documents(source, list(wrote))}
        for path, item in wrote.items():
            if not _same(item, found.get(path)):
                raise StoreUnavailable(f"{path} was written and is read back as something else; run the copy again")


def _check_records(kind: str, wrote: Mapping[str, bytes], found: Mapping[str, bytes]) -> None:
    for id, plain in wrote.items():
        if found.get(id) != plain:
            raise StoreUnavailable(f"{kind} {id} was written and is read back as something else; run the copy again")


def _same(one: Indexed, other: Indexed | None) -> bool:
    if other is None or _digest(one) != _digest(other) or one.vectors.keys() != other.vectors.keys():
        return False
    return all(_near(rows, other.vectors[space]) for space, rows in one.vectors.items())


def _near(one: Matrix, other: Matrix) -> bool:
    return one.shape == other.shape and bool((abs(one - other) <= VECTOR_ERROR).all())


def _digest(item: Indexed) -> bytes:
    chunks = [{**asdict(chunk), "id": 0} for chunk in item.chunks]
    return _hashed([asdict(item.document), chunks, [digest.hex() for digest in item.digests]])


def _plain(record: Note | Event) -> bytes:
    """A digest of what of a record is its own: not what others say of it, nor how often it was looked at."""
    values = asdict(record)
    for name in ("superseded_by", "accesses", "accessed_at"):
        values.pop(name, None)
    return _hashed(values)


def _hashed(value: Any) -> bytes:
    text = json.dumps(_canonical(value), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _canonical(value: Any) -> Any:
    """Of numbers that are equal one form: a store may give 1 for 1.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(each) for key, each in value.items()}
    return [_canonical(each) for each in value] if isinstance(value, (list, tuple)) else value
