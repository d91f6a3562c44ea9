"""
From a source tree to a store, incrementally: what has not changed costs a stat, batches are committed as they come.

Killed at any point, the store holds whole documents and fewer of them; the next run goes on.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnemolite.ingest.passage import Passages
from mnemolite.ingest.walk import Reason, Walk
from mnemolite.ports import Embedder, Store
from mnemolite.types import Chunk, Document, FileState, Indexed, Space

if TYPE_CHECKING:
    from mnemolite.ingest.parser import Parsed, Parser
    from mnemolite.ingest.secrets import Masked
    from mnemolite.types import Matrix, Vector

BATCH_CHUNKS = 1024  # a transaction: large enough that its commit is cheap, small enough to hold in a few MB
NAMED_SKIPS = 100  # of each reason, in a report
RACY_NS = 20_000_000  # two ticks of a slow file system's clock


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What differs between a tree and its index."""

    changed: tuple[str, ...]  # new, or of another size or time
    removed: tuple[str, ...]
    files: int  # in the tree
    skipped: Mapping[str, int]  # files by reason
    skipped_paths: Mapping[str, Sequence[str]]  # some of them, by reason

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)


@dataclass(frozen=True, kw_only=True)
class Progress:
    files: int
    total: int
    chunks: int


@dataclass(kw_only=True)
class Report:
    """What a run of indexing did."""

    files: int = 0  # in the tree
    indexed: int = 0  # read, cut and stored
    removed: int = 0
    chunks: int = 0  # stored
    chunks_held: int = 0  # of what was read and turned out to be as stored
    embedded: int = 0  # texts: what was known already is not embedded again
    skipped: Counter[str] = field(default_factory=Counter)  # files by reason
    skipped_paths: dict[str, list[str]] = field(default_factory=dict)  # some of them, by reason
    poison: dict[str, str] = field(default_factory=dict)  # path -> what its parser did; it was cut by lines
    masked: dict[str, tuple[Masked, ...]] = field(default_factory=dict)  # secrets in what was read, by path
    remark: str = ""  # where other models than the configured ones made the vectors
    seconds: float = 0.0


def changes(root: Path, source: str, store: Store, max_bytes: int) -> Changes:
    """Compares the tree with the store by size and time; reads no file."""
    walk = Walk(root, max_bytes=max_bytes)
    known = dict(store.files(source))
    changed, files = [], 0
    for found in walk:
        files += 1
        state = known.pop(found.path, None)
        if state is None or (state.size, state.mtime_ns) != (found.size, found.mtime_ns):
            changed.append(found.path)
    # what lies in a folder that cannot be read just now is not gone
    closed = tuple(path for path in walk.skipped_paths.get(Reason.UNREADABLE, ()) if path.endswith("/"))
    return Changes(
        changed=tuple(changed),
        removed=tuple(path for path in known if not path.startswith(closed)),
        files=files,
        skipped=walk.skipped,
        skipped_paths=walk.skipped_paths,
    )


def run(
    root: Path,
    source: str,
    store: Store,
    embedders: Sequence[Embedder],
    *,
    max_bytes: int,
    workers: int = 0,
    allow_secrets: bool = False,
    drop_missing: bool = True,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """
    Makes *source* in the store equal to the tree at *root*, with secrets masked unless *allow_secrets*. Documents that
    the tree has not are dropped, unless *drop_missing* is off: then the tree is put beside them.

    Raises:
        Conflict: another process is writing the same store.
        EmbedderUnavailable: a model cannot be loaded; what was stored before stays.
    """
    start, started_ns = time.perf_counter(), time.time_ns()
    with store.writer(source):
        todo = changes(root, source, store, max_bytes)
        removed = todo.removed if drop_missing else ()
        report = Report(files=todo.files, removed=len(removed), skipped=Counter(todo.skipped))
        report.skipped_paths = {reason: list(paths) for reason, paths in todo.skipped_paths.items()}
        if removed:
            store.drop(source, removed)
        if todo.changed:
            from mnemolite.ingest.parser import Parser  # a search of a fresh tree need not load it

            workers = workers or min(8, os.cpu_count() or 1)
            poisoned = store.poisoned()
            with Parser(workers, poisoned, max_bytes, allow_secrets=allow_secrets) as parser:
                put(root, source, store, embedders, parser, todo.changed, report, started_ns, on_progress)
    report.seconds = time.perf_counter() - start
    return report


def put(
    root: Path,
    source: str,
    store: Store,
    embedders: Sequence[Embedder],
    parser: Parser,
    paths: Sequence[str],
    report: Report,
    started_ns: int,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """
    Reads, cuts, embeds and stores the files of *root* at *paths*, and adds to *report* what was done. One whose content
    is what is stored is only touched, so that to do it twice is to do it once. *started_ns* is before *paths* were
    looked at.
    """
    run = _Run(root, source, store, embedders, store.files(source, paths), started_ns, report)
    for batch in _batches(parser.parse(root, source, paths)):
        run.store_batch(batch)
        on_progress(Progress(files=report.indexed, total=len(paths), chunks=report.chunks))


@dataclass(frozen=True)
class _Run:
    """What stays the same from batch to batch."""

    root: Path
    source: str
    store: Store
    embedders: Sequence[Embedder]
    known: Mapping[str, FileState]
    started_ns: int
    report: Report

    def store_batch(self, batch: Sequence[Parsed]) -> None:
        """Files whose content is what is stored are only touched, the others embedded and put."""
        touched: dict[str, FileState] = {}
        fresh: list[tuple[Document, tuple[Chunk, ...]]] = []
        for file in batch:
            document = file.document or self._skipped(file)
            if document is None:
                continue
            document = self._not_racy(document)
            if file.masked:
                self.report.masked[document.path] = file.masked
            if file.poison:
                self.store.add_poison(document.digest, file.poison)
                self.report.poison[document.path] = file.poison
            state = self.known.get(document.path)
            if state is not None and state.digest == document.digest and not file.poison:
                touched[document.path] = FileState(digest=state.digest, size=document.size, mtime_ns=document.mtime_ns)
                self.report.chunks_held += len(file.chunks)
            else:
                fresh.append((document, file.chunks))
        indexed, texts = embed(fresh, self.store, self.embedders)
        if touched:
            self.store.touch(self.source, touched)
        if indexed:
            self.store.put(indexed)
        self.report.indexed += len(batch)
        self.report.embedded += texts
        self.report.chunks += sum(len(chunks) for _, chunks in fresh)

    def _skipped(self, file: Parsed) -> Document | None:
        """What the store remembers of a file without text; None where it may get some without a new time."""
        self.report.skipped[file.skipped] += 1
        named = self.report.skipped_paths.setdefault(file.skipped, [])
        if len(named) < NAMED_SKIPS:
            named.append(file.path)
        if file.skipped == Reason.UNREADABLE:
            return None
        try:
            stat = (self.root / file.path).lstat()
        except OSError:
            return None
        return Document(
            source=self.source,
            path=file.path,
            digest="",
            language="",
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            skipped=file.skipped,
        )

    def _not_racy(self, document: Document) -> Document:
        """A file written as it was read may change again within one tick of the clock: the next run looks again."""
        racy = document.mtime_ns > self.started_ns - RACY_NS
        return replace(document, mtime_ns=0) if racy else document


def embed(
    documents: Sequence[tuple[Document, tuple[Chunk, ...]]],
    store: Store,
    embedders: Sequence[Embedder],
    given: Mapping[Space, Mapping[str, Vector]] = {},
) -> tuple[list[Indexed], int]:
    """
    The documents with their vectors, and how many texts had to be embedded for it: each passage once, ever. *given* are
    vectors that are there already, by path, of documents that are one chunk.
    """
    passages = Passages()
    digests = [passages.add(chunks) for _, chunks in documents]
    vectors: dict[Space, list[Matrix]] = {}
    texts = 0
    for embedder in embedders:
        space = embedder.space
        known = dict(store.known_vectors(space, passages.of(space)))
        for (document, _), keys in zip(documents, digests, strict=True):
            if len(keys) == 1 and (vector := given.get(space, {}).get(document.path)) is not None:
                known[keys[0]] = vector
        found = passages.embedded(embedder, known)
        texts += len(found.keys() - known.keys())
        vectors[space] = [passages.matrix(keys, found, space) for keys in digests]
    indexed = [
        Indexed(
            document=document,
            chunks=chunks,
            digests=keys,
            vectors={space: matrices[i] for space, matrices in vectors.items()},
        )
        for i, ((document, chunks), keys) in enumerate(zip(documents, digests, strict=True))
    ]
    return indexed, texts


def _batches(parsed: Iterable[Parsed]) -> Iterator[list[Parsed]]:
    batch: list[Parsed] = []
    chunks = 0
    for file in parsed:
        batch.append(file)
        chunks += len(file.chunks)
        if chunks >= BATCH_CHUNKS or len(batch) >= BATCH_CHUNKS:
            yield batch
            batch, chunks = [], 0
    if batch:
        yield batch
