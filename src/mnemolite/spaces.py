"""Which models an index is served by, and its way from one to another without a break."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mnemolite.errors import (
    Conflict,
    EmbedderUnavailable,
    InvalidInput,
    MnemoError,
    NotFound,
    SpaceMismatch,
    StoreUnavailable,
)
from mnemolite.ports import Embedder, Store
from mnemolite.types import Chunk, Domain, Space, SpaceState

if TYPE_CHECKING:
    from mnemolite.types import Vector

BATCH = 128  # chunks a transaction: what is lost when a build is killed, and how long its end may take
ADVICE = (
    "run 'mnemolite spaces build' and then 'mnemolite spaces switch' (of a server, POST /v1/spaces/build and"
    " /v1/spaces/switch)"
)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Serving:
    """The models that an index is searched and written by; *remark* says so where they are not those configured."""

    embedders: tuple[Embedder, ...]
    remark: str = ""


@dataclass(frozen=True)
class Models:
    """The embedding models at hand: *find* gives one that makes vectors of a space, configured or not."""

    configured: tuple[Embedder, ...]
    find: Callable[[Space], Embedder | None] = lambda _: None

    def serving(self, store: Store | None) -> Serving:
        """Those that made what is stored, while it is not made anew and they are there; else those configured."""
        try:
            held = store.spaces() if store is not None else []
        except StoreUnavailable:  # as whoever asks it for more is told
            held = []
        if not held:
            return Serving(self.configured)
        try:
            foreign = _foreign(held, [embedder.space for embedder in self.configured])
            wanted = " and ".join(embedder.space.described for embedder in self.configured) + f"; {ADVICE}"
        except EmbedderUnavailable as error:  # to be mended first
            foreign, wanted = held, f"what is configured: {error}"
        if not foreign:
            return Serving(self.configured)
        found = tuple(embedder for space in held if (embedder := self.find(space)) is not None)
        if len(found) < len(held):
            return Serving(self.configured)
        made = " and ".join(space.described for space in held)
        return Serving(found, f"the index is served by {made}, which made it, not by {wanted}")

    def writing(self, store: Store) -> Serving:
        """
        Raises:
            SpaceMismatch: what is stored was made by a model that is not at hand.
        """
        serving = self.serving(store)
        if foreign := _foreign(store.spaces(), [embedder.space for embedder in serving.embedders]):
            [first, *_] = foreign
            now = " and ".join(embedder.space.described for embedder in serving.embedders)
            raise SpaceMismatch(
                f"the index holds {first.domain} vectors of {first.described}, which is not at hand; the model is now"
                f" {now}; {ADVICE}, or 'mnemolite index rebuild'"
            )
        return serving


def _foreign(held: Sequence[Space], wanted: Sequence[Space]) -> list[Space]:
    """Those of *held* that stand in the way of *wanted*."""
    new = [space for space in wanted if space not in held]
    return [one for one in held if any(one.domain.overlaps(other.domain) for other in new)]


@dataclass(frozen=True, kw_only=True)
class SpaceView:
    """What the doors show of a space."""

    id: str
    domain: Domain
    model: str
    dimension: int
    fingerprint: str
    state: Literal["active", "complete", "incomplete"]
    vectors: int
    missing: int  # chunks that it lacks
    configured: bool


@dataclass(frozen=True, kw_only=True)
class Build:
    """How far the making of vectors has come."""

    running: bool = False
    done: int = 0  # chunks, by this build
    left: int = 0  # when it was last counted
    failure: str = ""  # why it ended before it was done


@dataclass
class Spaces:
    """The spaces of one store: filled by the configured models while the active ones serve. Thread-safe."""

    store: Store
    models: Models
    _state: Build = Build()
    _thread: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def views(self) -> list[SpaceView]:
        """Of those that are stored, and of the configured ones also those that are not."""
        try:
            wanted = self.wanted()
        except EmbedderUnavailable:  # as whoever wants to build is told
            wanted = []
        return [
            SpaceView(
                id=each.space.id,
                domain=each.space.domain,
                model=each.space.model,
                dimension=each.space.dimension,
                fingerprint=each.space.fingerprint,
                state="active" if each.active else "incomplete" if each.missing else "complete",
                vectors=each.vectors,
                missing=each.missing,
                configured=each.space in wanted,
            )
            for each in self._states(wanted)
        ]

    def wanted(self) -> list[Space]:
        """
        Of the configured models.

        Raises:
            EmbedderUnavailable: one is not there.
        """
        return [embedder.space for embedder in self.models.configured]

    def build(self, told: Callable[[Build], None] = lambda _: None) -> int:
        """
        Has the configured models embed all chunks that they have not embedded yet, while others search and index; gives
        how many there were. Killed anywhere, it goes on from there the next time.

        Raises:
            NotFound: nothing is indexed.
            EmbedderUnavailable: a model cannot be loaded.
            Conflict: a run of indexing was not to be waited for at the end; all but its chunks are done.
        """
        left, done = self._left(), 0

        def tell(chunks: int) -> None:
            nonlocal done, left
            done, left = done + chunks, max(left - chunks, 0)
            told(Build(running=True, done=done, left=left))

        for embedder in self.models.configured:
            self._fill(embedder, tell)
        with self.store.writer():  # nobody puts meanwhile, and at its end a store has indexed what was put
            for embedder in self.models.configured:
                self._fill(embedder, tell)
        return done

    def switch(self) -> None:
        """
        Searches and what is indexed go by the configured models from now on, all at once; vectors of others stay.

        Raises:
            Conflict: a chunk is not embedded by them yet.
        """
        self.store.activate(self.wanted())

    def drop(self, name: str) -> Space:
        """
        Forgets the vectors of a space, named by its id or by its model.

        Raises:
            NotFound: there is none of that name.
            InvalidInput: there are several of that model.
            Conflict: searches go by it, or it is being built.
        """
        held = [state.space for state in self.store.space_states()]
        found = [space for space in held if space.id == name] or [space for space in held if space.model == name]
        if not found:
            there = ", ".join(space.id for space in held) or "none"
            raise NotFound(f"there is no space {name!r}; there are {there}")
        if len(found) > 1:
            raise InvalidInput(f"several spaces are of {name!r}; name one of {', '.join(space.id for space in found)}")
        if self._state.running and found[0] in self.wanted():
            raise Conflict(f"{found[0].described} is being built; wait for it")
        self.store.drop_space(found[0])
        return found[0]

    # In the background, for a server

    @property
    def state(self) -> Build:
        return self._state

    def start(self) -> None:
        """
        Builds in a thread.

        Raises:
            Conflict: it does already.
            EmbedderUnavailable: a model is not there.
            NotFound: nothing is indexed.
        """
        with self._lock:
            if self._state.running:
                raise Conflict("the spaces are being built already; GET /v1/spaces says how far they are")
            self._state = Build(running=True, left=self._left())
            self._thread = threading.Thread(target=self._run, name="mnemolite-spaces", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends what runs in the background, after its batch."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        def told(state: Build) -> None:
            self._state = state
            if self._stop.is_set():
                raise Conflict("the server ended; build again to go on")

        failure = ""
        try:
            self.build(told)
        except MnemoError as error:
            failure = str(error)
        except Exception as error:
            log.exception("building spaces failed")
            failure = f"{type(error).__name__}; the log says more"
        self._state = Build(done=self._state.done, left=self._state.left, failure=failure)

    def _states(self, wanted: Sequence[Space]) -> list[SpaceState]:
        stored = self.store.space_states()
        known = {state.space for state in stored}
        chunks = max((state.chunks + state.missing for state in stored), default=0)
        return stored + [
            SpaceState(space=space, active=False, chunks=0, vectors=0, missing=chunks)
            for space in wanted
            if space not in known
        ]

    def _left(self) -> int:
        """Chunks that the configured models have to embed, each counted for each of them."""
        wanted = self.wanted()
        states = self._states(wanted)
        if not any(state.chunks for state in states):
            raise NotFound("nothing is indexed; what is indexed first is embedded by the configured models anyway")
        return sum(state.missing for state in states if state.space in wanted)

    def _fill(self, embedder: Embedder, tell: Callable[[int], None]) -> None:
        after = 0
        while chunks := self.store.lacking(embedder.space, after, BATCH):
            self.store.fill(embedder.space, self._vectors(chunks, embedder))
            after = chunks[-1].id
            tell(len(chunks))

    def _vectors(self, chunks: Sequence[Chunk], embedder: Embedder) -> Mapping[int, Vector]:
        from mnemolite.ingest.passage import Passages

        passages = Passages()
        keys = passages.add(chunks)
        try:
            known = self.store.known_vectors(embedder.space, keys)
        except SpaceMismatch:  # nothing of it is stored yet
            known = {}
        rows = passages.matrix(keys, passages.embedded(embedder, known), embedder.space)
        return {chunk.id: row for chunk, row in zip(chunks, rows, strict=True)}
