"""
Reads and cuts files in child processes: a grammar that crashes or hangs on a file costs that file its definitions,
and nothing else.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, NamedTuple

import msgspec

from mnemolite.child import START, death, module_folders, read, write
from mnemolite.errors import MnemoError
from mnemolite.ingest import walk
from mnemolite.ingest.chunk import chunk, chunk_lines
from mnemolite.ingest.languages import language_of
from mnemolite.ingest.secrets import Masked, mask
from mnemolite.ram import give_back
from mnemolite.types import Chunk, Document, Kind

BATCH_FILES = 16
BATCH_BYTES = 8_000  # of paths: two batches must fit in the pipe of a child that has stopped reading
BATCHES_AHEAD = 2  # given to a child at a time, so that it never waits for the next
CPU_SECONDS = 10.0  # for one file; ten times what the largest takes
WALL_SECONDS = 60.0  # for one file, on a machine that is busy with other things
START_SECONDS = 60.0
START_ATTEMPTS = 3
HEAD_BYTES = 2048  # characters that language_of looks at
LARGE_BYTES = 100_000  # of a file, after which memory is given back: a syntax tree takes a hundred times as much


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """One file: its document with its chunks, or why it has none."""

    path: str
    document: Document | None = None
    chunks: tuple[Chunk, ...] = ()
    masked: tuple[Masked, ...] = ()  # its secrets, which are not in the chunks
    poison: str = ""  # what the file did to its parser, if anything; it was then cut by lines
    skipped: str = ""  # a walk.Reason


class Parser:
    """
    A pool of at most *workers* children, started when needed. *poisoned*, by digest, are cut by lines at once. Secrets
    are masked unless *allow_secrets*.

    Not for use by two threads at a time. Closing it ends the children; so does the end of this process.
    """

    def __init__(
        self, workers: int, poisoned: Mapping[str, str], max_bytes: int, *, allow_secrets: bool = False
    ) -> None:
        self._workers = max(1, workers)
        self._poisoned = frozenset(poisoned)
        self._reading = _Reading(max_bytes, allow_secrets)
        self._children: list[_Child] = []
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        self._failed_starts = 0  # in a row

    def __enter__(self) -> Parser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the children that are running."""
        return tuple(child.process.pid for child in self._children)

    def parse(self, root: Path, source: str, paths: Iterable[str]) -> Iterator[Parsed]:
        """
        Every file once, in the order they are done.

        Raises:
            MnemoError: no child process can be started.
        """
        run = _Run(root.absolute(), source, deque(), iter(paths))
        try:
            while self._assign(run):
                yield from self._collect(run)
        finally:
            for child in [child for child in self._children if child.work]:  # the rest of the work is not wanted
                self._end(child)

    def close(self) -> None:
        for child in list(self._children):
            self._end(child)

    def _assign(self, run: _Run) -> bool:
        """Gives the children work; False when there is none and none is being done."""
        for child in self._children:
            while child.has_room() and (batch := run.next_batch()):
                self._send(child, run, batch)
        while len(self._children) < self._workers and (batch := run.next_batch()):
            child = _Child(self._answers, self._poisoned, self._reading)
            self._children.append(child)
            self._send(child, run, batch)
            while child.has_room() and (batch := run.next_batch()):
                self._send(child, run, batch)
        return any(child.work for child in self._children)

    def _send(self, child: _Child, run: _Run, batch: _Batch) -> None:
        child.work.append(batch)
        child.heard = time.monotonic()
        request = (os.fsencode(run.root), [os.fsencode(path) for path in batch.paths])
        child.send(request)

    def _collect(self, run: _Run) -> Iterator[Parsed]:
        try:
            answer = self._answers.get(timeout=1.0)
        except Empty:
            self._end_silent(run)
            return
        child = answer.child
        if child not in self._children:
            return
        if answer.data is None:
            yield from self._bury(child, run)
            return
        child.ready = True
        self._failed_starts = 0
        if not answer.data:
            return
        path = child.work[0].paths.popleft()
        if not child.work[0].paths:
            child.work.popleft()
        yield _received(answer.data, run.source, path)

    def _end_silent(self, run: _Run) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.work and now - child.heard > (WALL_SECONDS if child.ready else START_SECONDS):
                child.silent = True
                child.process.kill()  # its end is then an answer

    def _bury(self, child: _Child, run: _Run) -> Iterator[Parsed]:
        """Work of a child that died: the file it was at is tried once more on its own, the others go back."""
        status = self._end(child)
        batches = [batch for batch in child.work if batch.paths]
        child.work.clear()
        if not child.ready:
            self._failed_start(status)
            run.returned.extend(batches)
            return
        if not batches:
            return
        first = batches[0]
        suspect = first.paths.popleft()
        run.returned.extend(batch for batch in batches if batch.paths)
        reason = f"no answer within {WALL_SECONDS:g} s" if child.silent else death(status)
        if first.retry or reason == _OUT_OF_TIME:
            yield self._by_lines(run, suspect, reason)
        else:
            run.returned.appendleft(_Batch(deque([suspect]), retry=True))

    def _failed_start(self, status: int) -> None:
        self._failed_starts += 1
        if self._failed_starts == START_ATTEMPTS:
            self._failed_starts = 0
            raise MnemoError(
                f"a process that parses files ended before it was ready ({death(status)}), {START_ATTEMPTS} times; "
                f"'{sys.executable} -m mnemolite.ingest.parser </dev/null' shows why"
            )

    def _by_lines(self, run: _Run, path: str, reason: str) -> Parsed:
        try:
            text, masked = self._reading.read(run.root / path)
        except walk.Skip as skip:
            return Parsed(path=path, skipped=str(skip))
        language = language_of(path, text.text[:HEAD_BYTES].encode("utf-8", "replace"))
        return Parsed(
            path=path,
            document=_document(run.source, path, language, text.digest, text.size, text.mtime_ns),
            chunks=tuple(chunk_lines(text.text, source=run.source, path=path, language=language)),
            masked=masked,
            poison=reason,
        )

    def _end(self, child: _Child) -> int:
        if child in self._children:
            self._children.remove(child)
        return child.end()


class _Reading(NamedTuple):
    """How a file is read, here and in the children."""

    max_bytes: int
    allow_secrets: bool

    def read(self, path: Path) -> tuple[walk.Text, tuple[Masked, ...]]:
        text = walk.read_text(path, self.max_bytes)
        if self.allow_secrets:
            return text, ()
        safe, masked = mask(text.text)
        return replace(text, text=safe), masked


@dataclass
class _Batch:
    paths: deque[str]
    retry: bool = False  # one file, which killed a child before


@dataclass
class _Run:
    """What one call of parse still has to give out."""

    root: Path
    source: str
    returned: deque[_Batch]
    paths: Iterator[str]

    def next_batch(self) -> _Batch | None:
        if self.returned:
            return self.returned.popleft()
        batch: deque[str] = deque()
        size = 0
        for path in self.paths:
            batch.append(path)
            size += len(os.fsencode(path))
            if len(batch) == BATCH_FILES or size > BATCH_BYTES:
                break
        return _Batch(batch) if batch else None


class _Answer(NamedTuple):
    child: _Child
    data: bytes | None  # b"": it is ready; None: it has ended


class _Child:
    """A process and the thread that listens to it."""

    def __init__(self, answers: SimpleQueue[_Answer], poisoned: Iterable[str], reading: _Reading) -> None:
        self.work: deque[_Batch] = deque()
        self.ready = self.silent = False
        self.heard = time.monotonic()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, *module_folders(PACKAGES)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise MnemoError(f"cannot start {sys.executable!r} to parse files: {error}") from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._input: IO[bytes] = self.process.stdin
        self._output: IO[bytes] = self.process.stdout
        self._answers = answers
        self._listener = threading.Thread(target=self._listen, name="mnemolite-parser", daemon=True)
        self._listener.start()
        self.send((list(poisoned), reading))

    def has_room(self) -> bool:
        retrying = bool(self.work) and self.work[0].retry
        return len(self.work) < BATCHES_AHEAD and not retrying

    def send(self, message: object) -> None:
        with suppress(OSError):  # it is dead, and the listener is about to say so
            write(self._input, msgspec.msgpack.encode(message))

    def _listen(self) -> None:
        while (data := read(self._output)) is not None:
            self.heard = time.monotonic()
            self._answers.put(_Answer(self, data))
        self._answers.put(_Answer(self, None))

    def end(self) -> int:
        """Its exit status."""
        self.process.kill()
        status = self.process.wait()
        self._listener.join()
        self._output.close()
        with suppress(OSError):  # what it had not read
            self._input.close()
        return status


PACKAGES = ("msgspec", "tree_sitter")
_START = f"{START}from mnemolite.ingest.parser import main; main()"
_OUT_OF_TIME = "SIGPROF"  # the child's timer: to try again would take as long


def _document(source: str, path: str, language: str, digest: str, size: int, mtime_ns: int) -> Document:
    return Document(source=source, path=path, digest=digest, language=language, size=size, mtime_ns=mtime_ns)


class _Piece(msgspec.Struct, array_like=True, gc=False):
    """A chunk without what all chunks of its file have in common."""

    kind: Kind
    text: str
    first_line: int
    last_line: int
    name: str
    parent: str
    signature: str
    docstring: str
    symbols: tuple[str, ...]


class _File(msgspec.Struct, array_like=True):
    digest: str = ""
    size: int = 0
    mtime_ns: int = 0
    language: str = ""
    skipped: str = ""
    poison: str = ""
    pieces: list[_Piece] = msgspec.field(default_factory=list)
    masked: list[tuple[int, str]] = msgspec.field(default_factory=list)


_decode = msgspec.msgpack.Decoder(_File).decode


def _received(data: bytes, source: str, path: str) -> Parsed:
    file = _decode(data)
    if file.skipped:
        return Parsed(path=path, skipped=file.skipped)
    language = file.language
    chunks = tuple(
        Chunk(
            source=source,
            path=path,
            language=language,
            kind=piece.kind,
            text=piece.text,
            first_line=piece.first_line,
            last_line=piece.last_line,
            name=piece.name,
            parent=piece.parent,
            signature=piece.signature,
            docstring=piece.docstring,
            symbols=piece.symbols,
        )
        for piece in file.pieces
    )
    document = _document(source, path, language, file.digest, file.size, file.mtime_ns)
    masked = tuple(Masked(line=line, kind=kind) for line, kind in file.masked)
    return Parsed(path=path, document=document, chunks=chunks, masked=masked, poison=file.poison)


# In the child


def main() -> None:
    """Answers requests on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    gc.set_threshold(10_000)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    settings = read(requests)
    if settings is None:
        return
    poisoned, reading = msgspec.msgpack.decode(settings, type=tuple[frozenset[str], _Reading])
    write(answers, b"")
    decode = msgspec.msgpack.Decoder(tuple[bytes, list[bytes]]).decode
    encode = msgspec.msgpack.Encoder().encode
    while (request := read(requests)) is not None:
        root, paths = decode(request)
        for path in paths:
            _allow(CPU_SECONDS)
            file = _parse(Path(os.fsdecode(root)), os.fsdecode(path), poisoned, reading)
            write(answers, encode(file))
            _allow(0)
            if file.size > LARGE_BYTES:
                del file
                give_back()


def _allow(cpu_seconds: float) -> None:
    """Has the system end this process after so long; a handler would wait for a grammar to return."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def _parse(root: Path, path: str, poisoned: frozenset[str], reading: _Reading) -> _File:
    try:
        text, masked = reading.read(root / path)
    except walk.Skip as skip:
        return _File(skipped=str(skip))
    language = language_of(path, text.text[:HEAD_BYTES].encode("utf-8", "replace"))
    poison = ""
    chunks: list[Chunk] | None = None
    if text.digest not in poisoned:
        try:
            chunks = chunk(text.text, source="", path=path, language=language)
        except Exception as error:  # noqa: BLE001  whatever it is, it must not take the file from the index
            poison = f"{type(error).__name__}: {error}"
    if chunks is None:
        chunks = chunk_lines(text.text, source="", path=path, language=language)
    pieces = [
        _Piece(
            chunk.kind,
            chunk.text,
            chunk.first_line,
            chunk.last_line,
            chunk.name,
            chunk.parent,
            chunk.signature,
            chunk.docstring,
            chunk.symbols,
        )
        for chunk in chunks
    ]
    places = [(place.line, place.kind) for place in masked]
    return _File(text.digest, text.size, text.mtime_ns, language, "", poison, pieces, places)


if __name__ == "__main__":
    main()
