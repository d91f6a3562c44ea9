"""The one object every door holds."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from mnemolite.degraded import degradations
from mnemolite.errors import (
    Conflict,
    EmbedderUnavailable,
    InvalidInput,
    NotFound,
    RerankerUnavailable,
    SpaceMismatch,
    StoreUnavailable,
)
from mnemolite.ingest import pipeline
from mnemolite.ingest.pipeline import Changes, Progress, Report
from mnemolite.ports import Embedder, Index, Reranker, Store
from mnemolite.search.rank import signals_named
from mnemolite.search.search import search, similar
from mnemolite.settings import Settings
from mnemolite.spaces import Models, Serving, Spaces
from mnemolite.types import (
    TREE,
    AnchorState,
    Chunk,
    Domain,
    Hit,
    Query,
    Ranking,
    Results,
    Role,
    Scope,
    Space,
    Standing,
    Stats,
)

if TYPE_CHECKING:
    from mnemolite.event_log import EventLog
    from mnemolite.feedback import FeedbackLog
    from mnemolite.indexing import Indexing
    from mnemolite.notebook import Notebook
    from mnemolite.ports import FeedbackStore
    from mnemolite.records import Anchor
    from mnemolite.repositories import Repositories
    from mnemolite.types import Vector

NOTES_BESIDE = 3  # shown with hits of code, at most
BESIDE_SCORE = 0.4  # of such a note, at least; chosen with bench/note_quality.py, see docs/performance.md
MOST_PINNED = 100  # notes that may point at the hits of one search
Freshness = Literal["refresh", "check", "skip"]  # before a search: bring up to date, only say what changed, or trust


@dataclass(frozen=True)
class Tree:
    """A source tree and the store that remembers it."""

    root: Path
    store: Store
    project: str = ""  # that notes which point into it belong to


@dataclass(frozen=True)
class Records:
    """The user's notes and events, which outlive every index."""

    notes: Notebook
    events: Callable[[], EventLog]  # opened once they are asked for: most commands have nothing to do with them
    feedback: Callable[[], FeedbackStore]


class Memory:
    """
    Source trees that can be indexed and searched, with notes and events beside them. Safe to share by threads.

    Made by :func:`mnemolite.open_memory`.

    Close it, or use it as a context manager.
    """

    def __init__(
        self,
        trees: Sequence[Tree],
        index: Index,
        models: Models,
        settings: Settings,
        reranker: Reranker | None = None,
        open_records: Callable[[bool], Records | None] = lambda create: None,
        open_code: Callable[[], Memory | None] = lambda: None,
        *,
        repositories: Repositories | None = None,
        indexing: Indexing | None = None,
    ) -> None:
        """
        *open_records* is called when notes or events are first needed; True asks to make what is not there. *open_code*
        is called when a memory of no tree needs the one that notes point into. *repositories*, of a server, are what
        *index* holds, and *indexing* the jobs that bring them up to date.
        """
        self._repositories = repositories
        self._indexing = indexing
        self._open_code = open_code
        self._code: Memory | None = None
        self._open_records = open_records
        self._records: Records | None = None
        self._opening = threading.Lock()
        self._trees = tuple(trees)
        self._index = index
        self._models = models
        self._spaces: Spaces | None = None
        self._settings = settings
        self._reranker = reranker
        self._checked: tuple[float, list[int]] = (-math.inf, [])  # when the trees were, and the stores' versions then

    @property
    def trees(self) -> tuple[Tree, ...]:
        return self._trees

    @property
    def embedders(self) -> tuple[Embedder, ...]:
        """The models that made what is stored, where they are at hand; else those configured."""
        return self.serving.embedders

    @property
    def serving(self) -> Serving:
        """Of several trees, as of the first: what another model made of the others is refused there."""
        return self._models.serving(next(iter(self._stores()), None))

    @property
    def spaces(self) -> Spaces:
        """Of the one tree, or of all repositories."""
        with self._opening:
            if self._spaces is None:
                [store] = self._stores()
                self._spaces = Spaces(store, self._models)
            return self._spaces

    @property
    def repositories(self) -> Repositories:
        """What a server holds instead of trees."""
        if self._repositories is None:
            raise NotFound("this memory is of source trees, not of a server's repositories")
        return self._repositories

    @property
    def indexing(self) -> Indexing:
        """The jobs of a server."""
        if self._indexing is None:
            raise NotFound("this memory is of source trees, which are indexed at once, not by jobs")
        return self._indexing

    @property
    def notes(self) -> Notebook:
        """The notes of this memory's project, and the global ones."""
        return self._recorded().notes

    @property
    def events(self) -> EventLog:
        return self._recorded().events()

    @property
    def feedback(self) -> FeedbackLog:
        from mnemolite.feedback import FeedbackLog

        return FeedbackLog(self._recorded().feedback(), self._index, is_on=self._settings.feedback)

    @property
    def has_notes(self) -> bool:
        """Whether any can be found here; makes nothing."""
        records = self._opened(create=False)
        return records is not None and bool(records.notes.counts())

    @property
    def settings(self) -> Settings:
        return self._settings

    def index(self, *, on_progress: Callable[[Progress], None] = lambda _: None) -> list[Report]:
        """
        Brings every tree's index up to date, one report each.

        Raises:
            Conflict: another process is indexing the same tree.
            SpaceMismatch: the model that made an index is not at hand.
            EmbedderUnavailable: the model cannot be loaded.
        """
        reports = [self._index_tree(tree, on_progress) for tree in self._trees]
        self._checked = (time.monotonic(), self._versions())
        return reports

    def search(
        self,
        query: Query | str,
        *,
        freshness: Freshness = "refresh",
        on_progress: Callable[[Progress], None] = lambda _: None,
        notes: int = NOTES_BESIDE,
    ) -> Results:
        """
        The best hits, best first. A text alone is a query with the default settings.

        Notes about the query, at most *notes* of them, stand beside the hits and never take a place of one.
        """
        if isinstance(query, str):
            query = Query(text=query)
        if query.expand is None and not self._settings.expand:
            query = replace(query, expand=False)
        if query.min_score is None:
            query = replace(query, min_score=self._settings.min_score)
        start = time.perf_counter()
        stale = self._freshen(freshness, on_progress)
        fresh = time.perf_counter() - start
        with degradations() as noticed:
            serving = self.serving
            found = search(
                query,
                self._index,
                serving.embedders,
                list_weights(self._settings),
                self._reranker,
                off=signals_named(self._settings.signals_off),
            )
        beside = self._beside(query, notes)
        return replace(
            found,
            hits=self._pinned(found.hits, [self._index.origin(hit.chunk) for hit in found.hits])
            if notes
            else found.hits,
            notes=beside.hits,
            best=max(found.best, beside.hits[0].score if beside.hits else 0.0),
            relevant=found.relevant or bool(beside.hits),
            degraded=tuple(
                dict.fromkeys(filter(None, (*stale, serving.remark, *found.degraded, *noticed, *beside.degraded)))
            ),
            seconds={"fresh": fresh, **found.seconds},
        )

    def similar(
        self, path: str, line: int, limit: int = 10, scope: Scope = Scope(), *, freshness: Freshness = "refresh"
    ) -> Results:
        """
        Chunks near in meaning to the one at *line* (1-based) of *path* (relative to a tree's root), itself left out.

        Raises:
            NotFound: no such line is indexed.
        """
        stale = self._freshen(freshness, lambda _: None)
        with degradations() as noticed:
            chunk, store = self._chunk_at(path, line)
            serving = self._models.serving(store)
            found = similar(chunk.id, store, serving.embedders, scope, limit)
        pinned = self._pinned(found.hits, [(store, hit.chunk.path) for hit in found.hits])
        degraded = tuple(filter(None, (*stale, serving.remark, *found.degraded, *noticed)))
        return replace(found, hits=pinned, degraded=degraded)

    def read(self, path: str, first: int, last: int) -> list[Chunk]:
        """
        The chunks that hold the lines *first* to *last* (1-based) of *path*, in order, as they were indexed.

        Raises:
            NotFound: line *first* is not indexed.
        """
        chunk, store = self._chunk_at(path, first)
        found = [chunk]
        while found[-1].last_line < last and (following := store.chunk_at(path, found[-1].last_line + 1)) is not None:
            found.append(following)
        return found

    def anchor(self, place: str, folder: Path | None = None, freshness: Freshness = "refresh") -> Anchor:
        """
        What a note at *place* points at: path:line (the symbol there), path:first-last, or path:Symbol. The path is
        relative to *folder* or to the tree.

        Raises:
            NotFound: no tree is indexed here, or nothing in it is called so.
            InvalidInput: *place* is none, may mean several, or holds too much.
        """
        from mnemolite.anchoring import anchor, place_of
        from mnemolite.ingest.git import head

        code = self._with_code()
        if code is None:
            raise NotFound("a note can point only into an indexed source tree; run 'mnemolite index' in it first")
        code._freshen(freshness, lambda _: None)
        refusals = []
        for tree in code._trees:
            below = folder.relative_to(tree.root).as_posix() if folder and folder.is_relative_to(tree.root) else ""
            try:
                found = place_of(place.removeprefix(f"{tree.root}/"), tree.store, below)
            except NotFound as refusal:
                refusals.append(refusal)
            else:
                return anchor(found, tree.store, tree.project, head(tree.root))
        raise refusals[0]

    def standings(self, anchors: Sequence[Anchor], freshness: Freshness = "refresh") -> list[Standing]:
        """How the code that a note points at stands to what it was; unchecked where its tree is not at hand."""
        if not anchors or (code := self._with_code()) is None:
            return [Standing(state=AnchorState.UNCHECKED) for _ in anchors]
        from mnemolite.anchoring import standing_of

        code._freshen(freshness, lambda _: None)
        weights = list_weights(code.settings)
        stores = {tree.project: tree.store for tree in code._trees}
        return [
            standing_of(each, stores[each.project], code.embedders, weights)
            if each.project in stores
            else Standing(state=AnchorState.UNCHECKED)
            for each in anchors
        ]

    def preload(self) -> None:
        """
        Loads the models now, rather than at the first text.

        Raises:
            EmbedderUnavailable: one cannot be loaded.
        """
        for embedder in self.embedders:
            embedder.embed([], Role.PASSAGE)

    def embed(self, text: str, domain: Domain = Domain.TEXT, role: Role = Role.QUERY) -> Vector:
        """
        The vector of *text*, (dimension,) float32 of unit length, by the model of *domain*.

        Raises:
            InvalidInput: nothing in *text* can be embedded.
        """
        vector: Vector = self.embedder(domain).embed([text], role)[0]
        if not vector.any():
            raise InvalidInput("nothing in the text can be embedded: it has no letters or digits")
        return vector

    def similarity(self, query: str, code: str) -> float:
        """Cosine of a query and a passage of code, -1..1."""
        return float(self.embed(query, Domain.CODE, Role.QUERY) @ self.embed(code, Domain.CODE, Role.PASSAGE))

    def rank(self, query: str, passages: Sequence[str]) -> Ranking:
        """
        All *passages*, by number, with how well each answers *query*, best first: by the configured reranker in its own
        unit, else by cosine.

        Raises:
            RerankerUnavailable: the reranker failed, or did not order all of them.
        """
        if self._reranker is not None:
            ranking = self._reranker.rank(query, dict(enumerate(passages)), len(passages))
            if {number for number, _ in ranking} != set(range(len(passages))):
                raise RerankerUnavailable(f"its answer is no order of the {len(passages)} passages given")
            return ranking
        embedder = self.embedder(Domain.TEXT)
        [asked] = embedder.embed([query], Role.QUERY)
        scores = (embedder.embed(passages, Role.PASSAGE) @ asked).tolist()
        return sorted(enumerate(scores), key=lambda scored: -scored[1])

    def space(self, domain: Domain) -> Space:
        return self.embedder(domain).space

    def embedder(self, domain: Domain) -> Embedder:
        """
        Raises:
            InvalidInput: no model of *domain* is configured.
        """
        for embedder in self.embedders:
            if embedder.space.domain in (domain, Domain.HYBRID):
                return embedder
        raise InvalidInput(f"no embedding model for {domain} is configured")

    def changes(self) -> list[Changes]:
        """What differs between each tree and its index, by size and time."""
        return [pipeline.changes(t.root, TREE, t.store, self._settings.max_file_bytes) for t in self._trees]

    def stats(self) -> list[Stats]:
        """One for each tree."""
        return [tree.store.stats() for tree in self._trees]

    def close(self) -> None:
        if self._spaces is not None:
            self._spaces.close()
        for tree in self._trees:
            tree.store.close()
        if self._repositories is not None:
            self._repositories.store.close()
        if self._indexing is not None:
            self._indexing.close()
        if self._records is not None:
            self._records.notes.index.close()
        if self._code is not None:
            self._code.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _stores(self) -> list[Store]:
        """Of code."""
        if self._repositories is not None:
            return [self._repositories.store]
        return [tree.store for tree in self._trees]

    def _recorded(self) -> Records:
        records = self._opened(create=True)
        if records is None:
            raise NotFound("this memory was opened without notes and events")
        return records

    def _opened(self, *, create: bool) -> Records | None:
        with self._opening:
            if self._records is None:
                self._records = self._open_records(create)
            return self._records

    def _beside(self, query: Query, limit: int) -> Results:
        """Notes that are likely to be about the query; nothing for a scope that is of code."""
        scope = query.scope
        code_only = scope.languages or scope.paths or scope.sources
        if limit < 1 or code_only or (records := self._opened(create=False)) is None:
            return Results(hits=())
        least = max(query.min_score or 0.0, BESIDE_SCORE)
        asked = replace(query, limit=limit, rerank=False, min_score=least, scope=replace(scope, below=""))
        return records.notes.search(asked)

    def _pinned(self, hits: tuple[Hit, ...], origins: Sequence[tuple[Store, str]]) -> tuple[Hit, ...]:
        """*hits*, which are of documents in *origins*, with the notes that point at them."""
        records = self._opened(create=False)
        if records is None or not hits:
            return hits
        notes = records.notes.anchored([path for _, path in origins], _names_of(hits), MOST_PINNED)
        if not notes:
            return hits
        from mnemolite.anchoring import Where, pin

        projects = {id(tree.store): tree.project for tree in self._trees}
        return pin(hits, [Where(store, path, projects[id(store)]) for store, path in origins], notes)

    def _with_code(self) -> Memory | None:
        if self._trees:
            return self
        with self._opening:
            if self._code is None:
                self._code = self._open_code()
            return self._code

    def _chunk_at(self, path: str, line: int) -> tuple[Chunk, Store]:
        for tree in self._trees:
            chunk = tree.store.chunk_at(path, line)
            if chunk is not None:
                return chunk, tree.store
        for tree in self._trees:
            if chunks := tree.store.chunks_of(path):
                raise NotFound(f"{path} has no line {line}: it ends at {max(chunk.last_line for chunk in chunks)}")
        raise NotFound(f"{path}:{line} is not indexed; 'mnemolite status --verbose' says what is, and what was skipped")

    def _freshen(self, freshness: Freshness, on_progress: Callable[[Progress], None]) -> list[str]:
        """What an answer given now would not rest on."""
        if freshness == "skip" or self._is_checked():
            return []
        stale = []
        for tree, change in zip(self._trees, self.changes(), strict=True):
            if not change:
                continue
            if freshness == "check":
                stale.append(_stale(tree, change, "run 'mnemolite index' to refresh it"))
                continue
            try:
                self._index_tree(tree, on_progress)
            except (Conflict, EmbedderUnavailable, SpaceMismatch, StoreUnavailable) as error:
                stale.append(_stale(tree, change, str(error)))
        if not stale:  # what is stale is said each time
            self._checked = (time.monotonic(), self._versions())
        return stale

    def _is_checked(self) -> bool:
        """Not long ago, and nobody has written to an index since, as another process does that makes it anew."""
        at, versions = self._checked
        return time.monotonic() - at < self._settings.fresh_seconds and versions == self._versions()

    def _versions(self) -> list[int]:
        return [tree.store.version() for tree in self._trees]

    def _index_tree(self, tree: Tree, on_progress: Callable[[Progress], None]) -> Report:
        serving = self._models.writing(tree.store)
        report = pipeline.run(
            tree.root,
            TREE,
            tree.store,
            serving.embedders,
            max_bytes=self._settings.max_file_bytes,
            workers=self._settings.workers,
            allow_secrets=self._settings.allow_secrets,
            on_progress=on_progress,
        )
        report.remark = serving.remark
        return report


def list_weights(settings: Settings) -> dict[str, float]:
    """Of each list of a search in the fusion."""
    weights = {"lexical": settings.lexical_weight, "name": settings.lexical_weight}
    return weights | dict.fromkeys(("vector", "text", "code"), settings.vector_weight)


def _stale(tree: Tree, change: Changes, why: str) -> str:
    return f"the index of {tree.root} is stale: {len(change.changed)} files changed, {len(change.removed)} gone; {why}"


def _names_of(hits: Sequence[Hit]) -> list[str]:
    """What anchors at *hits* may be called."""
    found = (hit.chunk for hit in hits)
    return list({name for c in found for name in (*c.symbols, ".".join(filter(None, (c.parent, c.name)))) if name})
