"""What people chose among the hits they were shown: kept only where the setting ``feedback`` says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from mnemolite.errors import Conflict, InvalidInput, NotFound
from mnemolite.ports import FeedbackStore, Index
from mnemolite.records import Feedback, Shown
from mnemolite.types import Chunk

OFF = "feedback is off and nothing was kept; set feedback (MNEMOLITE_FEEDBACK=true) to have it kept on this machine"


class FeedbackLog:
    """Thread-safe. *index* has the chunks that are shown; *is_on* says whether anything may be kept."""

    def __init__(
        self,
        store: FeedbackStore,
        index: Index,
        *,
        is_on: bool,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._index = index
        self._is_on = is_on
        self._clock = clock

    def chunks(self, shown: Sequence[int]) -> list[Chunk]:
        """
        Those that were shown, in order.

        Raises:
            NotFound: one is not there any more.
        """
        chunks = self._index.chunks(shown)
        if len(chunks) < len(shown):
            gone = set(shown) - {chunk.id for chunk in chunks}
            raise NotFound(f"there is no chunk {min(gone)} (any more)")
        return chunks

    def give(self, query: str, shown: Sequence[int], chosen: int) -> Feedback:
        """
        Keeps that of the chunks *shown*, best first, *chosen* answered *query*: their places, not their text.

        Raises:
            Conflict: feedback is off.
            InvalidInput: *chosen* was not shown, or the query is empty.
            NotFound: a chunk is not there any more.
        """
        if not self._is_on:
            raise Conflict(OFF)
        if chosen not in shown:
            raise InvalidInput(f"the chosen chunk {chosen} is none of those shown")
        if len(set(shown)) < len(shown):
            raise InvalidInput("a chunk is named twice among those shown")
        given = Feedback(
            given_at=self._clock(),
            query=query,
            shown=tuple(Shown.of(chunk) for chunk in self.chunks(shown)),
            chosen=list(shown).index(chosen),
        )
        self._store.add_feedback(given)
        return given

    def export(self) -> bytes:
        """JSON Lines, the oldest first."""
        return b"".join(msgspec.json.encode(each) + b"\n" for each in self._store.all_feedback())

    def clear(self) -> int:
        """How many there were."""
        return self._store.clear_feedback()
