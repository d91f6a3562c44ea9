"""What makes a note a note: its id, where it ranks, when it is due for review, which of two holds."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mnemolite.errors import InvalidInput
from mnemolite.records import Note, NoteHit, Relation, Review, Status
from mnemolite.types import Hit

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u
ID_LENGTH = 10
ID_EPOCH_MS = 1_704_067_200_000  # 2024: 40 bits of milliseconds last until 2058
ID_RANDOM_BITS = 10

WRITTEN = ("added", "updated")
FATES = (*WRITTEN, "unchanged", "older")  # of a note that is put; older than what is here, it is left out
OUTLIVED = 0.5  # factor on the score of a note that is obsolete or superseded
BELOW = 0.99  # of the score of the note that supersedes it, at most

_PASSED = 3  # the lowest quality that counts as remembered
_LEAST_EASE = 1.3

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Ten characters, rising with time; never the same twice in one process."""
    global _last  # noqa: PLW0603
    now = (time.time_ns() // 1_000_000 - ID_EPOCH_MS) << ID_RANDOM_BITS
    with _lock:
        _last = max(_last + 1, now + secrets.randbits(ID_RANDOM_BITS))
        number = _last
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (ID_LENGTH - 1), -1, -5))


def typed_id(text: str) -> str:
    """What a person meant who typed *text* for an id or its beginning: case, and letters that look like digits."""
    lower = text.strip().lower()
    if len(lower) <= ID_LENGTH and not set(lower) - set(ALPHABET) - set("ilo"):
        return lower.translate(str.maketrans("ilo", "110"))
    return lower


def settle(hits: Sequence[Hit], notes: Mapping[str, Note]) -> list[NoteHit]:
    """
    One hit for each of *notes*, that of its best chunk; a note that is obsolete or superseded goes down, and below what
    superseded it. *hits* must be best first; those of other documents are left out.
    """
    best: dict[str, Hit] = {}
    for hit in hits:
        if hit.chunk.path in notes:
            best.setdefault(hit.chunk.path, hit)
    scores: dict[str, float] = {}

    def score(id: str) -> float:
        if id not in scores:
            note = notes[id]
            scores[id] = best[id].score * (OUTLIVED if outlived(note) else 1)  # also what ends a circle
            above = [score(other) for other in note.superseded_by if other in best]
            scores[id] = min([scores[id], *(BELOW * each for each in above)])
        return scores[id]

    settled = []
    for id, hit in best.items():
        factor = score(id) / hit.score if hit.score else 1.0
        signals = {**hit.signals, _signal(notes[id]): factor} if factor != 1 else hit.signals
        settled.append(
            NoteHit(chunk=hit.chunk, score=score(id), ranks=hit.ranks, signals=signals, note=notes[id]),
        )
    return sorted(settled, key=lambda hit: (-hit.score, hit.chunk.id))


def outlived(note: Note) -> bool:
    """Whether something else holds now instead of it."""
    return note.status is Status.OBSOLETE or bool(note.superseded_by)


def _signal(note: Note) -> str:
    return "superseded" if note.superseded_by else "obsolete"


def reviewed(review: Review, quality: int, now: datetime) -> Review:
    """
    *review* after one more look, by SM-2: *quality* 0 (forgotten) to 5 (known at once).

    Raises:
        InvalidInput: *quality* is none of these.
    """
    if not 0 <= quality <= 5:
        raise InvalidInput(f"the quality of a review must be 0 (forgotten) to 5 (known at once), is {quality}")
    missed = 5 - quality
    ease = max(_LEAST_EASE, review.ease + 0.1 - missed * (0.08 + missed * 0.02))
    if quality < _PASSED:
        repetitions, interval = 0, 1
    else:
        repetitions = review.repetitions + 1
        interval = {1: 1, 2: 6}.get(repetitions) or round(review.interval_days * ease)
    interval = min(interval, 36_500)  # a century: beyond it, dates run out
    return Review(
        ease=ease,
        interval_days=interval,
        repetitions=repetitions,
        due=now + timedelta(days=interval),
        reviewed_at=now,
    )


def changed(note: Note, now: datetime, **values: Any) -> Note:
    """*note* with other values, one revision on."""
    return replace(note, **values, updated_at=max(now, note.updated_at), revision=note.revision + 1)


def supersedes(note: Note) -> list[str]:
    return [link.target for link in note.links if link.relation is Relation.SUPERSEDES]


def fate(note: Note, own: Note | None, overwrite: bool) -> str:
    """What becomes of *note* where *own* is what is here by its id: one of :data:`FATES`."""
    if own is None:
        return "added"
    if _content(note) == _content(own):
        return "unchanged"
    return "updated" if overwrite or _touched(note) > _touched(own) else "older"


def _content(note: Note) -> Note:
    """*note* without what changes by being looked at, and what others say of it."""
    return replace(note, revision=1, accesses=0, accessed_at=None, superseded_by=())


def _touched(note: Note) -> datetime:
    return max(note.updated_at, note.deleted_at or note.updated_at)
