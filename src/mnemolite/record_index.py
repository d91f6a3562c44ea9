"""Keeps notes and events findable: their documents follow from them, so they can always be made anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from mnemolite.errors import Conflict, EmbedderUnavailable, StoreUnavailable
from mnemolite.ingest.pipeline import embed
from mnemolite.ports import Embedder, Store
from mnemolite.types import Chunk, Document, Indexed, Space

if TYPE_CHECKING:
    from mnemolite.types import Vector

logger = logging.getLogger(__name__)

BATCH = 256  # records a transaction: others wait for it no longer than a blink

T = TypeVar("T")


class RecordIndex:
    """
    The documents of one kind of record in *store*. *missing* gives the ids of those that are not indexed in some
    spaces, *index* makes their documents.
    """

    def __init__(
        self,
        store: Store,
        embedders: Sequence[Embedder],
        missing: Callable[[Sequence[Space]], list[str]],
        index: Callable[[list[str]], None],
    ) -> None:
        self._store = store
        self._embedders = embedders
        self._missing = missing
        self._index = index
        self._complete = False

    def embedded(
        self,
        documents: Sequence[tuple[Document, tuple[Chunk, ...]]],
        *,
        need: bool,
        given: Mapping[Space, Mapping[str, Vector]] = {},
    ) -> list[Indexed]:
        """
        Documents with their vectors; where no model can be had and there is no *need*, without: what is written down
        is not lost for that, and gets its vectors by the next :meth:`complete`.
        """
        try:
            return embed(documents, self._store, self._embedders, given)[0]
        except EmbedderUnavailable as error:
            if need:
                raise
            logger.warning("stored without vectors: %s", error)
            self._complete = False
            return embed(documents, self._store, ())[0]

    def complete(self) -> list[str]:
        """Indexes what is not, once in a process; gives what an answer would not rest on."""
        if self._complete:
            return []
        try:
            spaces = [embedder.space for embedder in self._embedders]
            if self._is_foreign(spaces):
                logger.info("another model is configured: indexing all notes and events anew")
                with self._store.writer():
                    if self._is_foreign(spaces):  # nobody was faster
                        self._store.clear()
            if self._missing(spaces):
                with self._store.writer():
                    self.index_missing(spaces)
        except (Conflict, StoreUnavailable, EmbedderUnavailable) as error:
            return [f"notes and events may be missing: {error}"]
        self._complete = True
        return []

    def index_missing(self, spaces: Sequence[Space]) -> int:
        """How many there were."""
        missing = self._missing(spaces)
        for batch in batches(missing, BATCH):
            self._index(batch)
        return len(missing)

    def rebuild(self) -> int:
        """Indexes all of them anew; the other kinds' follow when they are asked for. Gives how many there are."""
        with self._store.writer():
            self._store.clear()
            return self.index_missing([embedder.space for embedder in self._embedders])

    def _is_foreign(self, spaces: Sequence[Space]) -> bool:
        """Whether the store holds vectors made by another model."""
        return bool(spaces) and any(stored not in spaces for stored in self._store.spaces())


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
