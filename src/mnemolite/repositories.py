"""Source trees that one store holds together, each under a name: what a server keeps of many repositories."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mnemolite.errors import InvalidInput, NotFound, StoreUnavailable
from mnemolite.ingest import pipeline
from mnemolite.ingest.pipeline import Changes, Progress, Report
from mnemolite.ingest.walk import Reason, Walk
from mnemolite.jobs import Batch
from mnemolite.ports import Store
from mnemolite.records import check_text
from mnemolite.settings import Settings
from mnemolite.spaces import Models
from mnemolite.types import Source

if TYPE_CHECKING:
    from mnemolite.ingest.parser import Parser

MAX_NAME = 200  # characters
MAX_PATH_BYTES = 4000
MAX_SEGMENT_BYTES = 255


class Repositories:
    """Thread-safe; one indexes at a time, others wait for it as long as the settings say."""

    def __init__(self, store: Store, models: Models, settings: Settings, *, only: str = "") -> None:
        """*only*, where given, is the one repository that can be indexed here."""
        self.store = store
        self._only = only
        self._models = models
        self._settings = settings

    def all(self) -> list[Source]:
        """By name."""
        return self.store.sources()

    def index(self, name: str, root: Path, on_progress: Callable[[Progress], None] = lambda _: None) -> Report:
        """
        Makes the repository equal to the tree at *root*.

        Raises:
            InvalidInput: *name* cannot be one.
            Conflict: another is being indexed.
            SpaceMismatch: the model that made what is stored is not at hand.
        """
        return self._run(name, root, on_progress, drop_missing=True)

    def add(self, name: str, files: Mapping[str, str]) -> Report:
        """
        Puts files, text by path, into the repository beside those it has.

        Raises:
            InvalidInput: *name*, a path or a text cannot be one.
            Conflict: another is being indexed.
        """
        with _folder() as root:  # where the parser's processes find them
            given = {_write(root, path, text) for path, text in files.items()}
            with self.store.writer(name):
                report = self._run(name, root, lambda _: None, drop_missing=False)
                left_out = given - {found.path for found in Walk(root, max_bytes=self._settings.max_file_bytes)}
                self.store.drop(name, left_out)  # what was there before is no longer true
        return report

    def plan(self, name: str, root: Path) -> Changes:
        """
        What has to be put for the repository to be equal to the tree at *root*; what is gone from it is dropped.

        Raises:
            InvalidInput: there is no such folder.
            Conflict: another is being indexed.
            SpaceMismatch: the model that made what is stored is not at hand.
        """
        self._models.writing(self.store)
        with self.store.writer(name):
            changes = pipeline.changes(root, name, self.store, self._settings.max_file_bytes)
            if changes.removed:
                self.store.drop(name, changes.removed)
        return changes

    def put(self, name: str, root: Path, paths: Sequence[str], parser: Parser) -> Report:
        """Those files of *root*, beside whatever else is put: each is stored whole, and again changes nothing."""
        report = Report(files=len(paths))
        serving = self._models.writing(self.store)
        report.remark = serving.remark
        pipeline.put(root, name, self.store, serving.embedders, parser, paths, report, time.time_ns())
        return report

    def put_files(self, name: str, batch: Batch, parser: Parser) -> Report:
        """As :meth:`put`, files that were sent."""
        wanted = set(batch.paths)
        with _folder() as root:
            for path, text in (batch.contents or {}).items():
                _write(root, path, text)
            walk = Walk(root, max_bytes=self._settings.max_file_bytes)
            found = {each.path for each in walk}
            report = self.put(name, root, sorted(wanted & found), parser)
            self.store.drop(name, wanted - found)  # what was there before is no longer true
        for path in wanted - found:
            reason = _reason(walk.skipped_paths, path)
            report.skipped[reason] += 1
            report.skipped_paths.setdefault(reason, []).append(path)
        return report

    def parser(self) -> Parser:
        from mnemolite.ingest.parser import Parser

        workers = self._settings.workers or min(8, os.cpu_count() or 1)
        poisoned, settings = self.store.poisoned(), self._settings
        return Parser(workers, poisoned, settings.max_file_bytes, allow_secrets=settings.allow_secrets)

    def delete(self, name: str) -> Source:
        """
        What there was of it.

        Raises:
            NotFound: there is no such repository.
        """
        with self.store.writer(name):
            held = next((source for source in self.all() if source.name == name), None)
            paths = self.store.files(name)
            if not paths:
                raise NotFound(f"no repository {name!r} is indexed")
            self.store.drop(name, paths)
        return held or Source(name=name, documents=0, chunks=0)

    def _run(self, name: str, root: Path, on_progress: Callable[[Progress], None], *, drop_missing: bool) -> Report:
        check_name(name)
        if self._only and name != self._only:
            raise InvalidInput(f"this index is of one tree alone, whose name here is {self._only!r}, not {name!r}")
        serving = self._models.writing(self.store)
        report = pipeline.run(
            root,
            name,
            self.store,
            serving.embedders,
            max_bytes=self._settings.max_file_bytes,
            workers=self._settings.workers,
            allow_secrets=self._settings.allow_secrets,
            drop_missing=drop_missing,
            on_progress=on_progress,
        )
        report.remark = serving.remark
        return report


def check_name(name: str) -> None:
    check_text("the name of a repository", name)
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput(f"{name[:MAX_NAME]!r} cannot name a repository: 1 to {MAX_NAME} printable characters can")


@contextmanager
def _folder() -> Iterator[Path]:
    try:
        folder = TemporaryDirectory(prefix="mnemolite-")
    except OSError as error:
        raise StoreUnavailable(f"no folder can be made for the files: {error}") from error
    with folder as path:
        yield Path(path)


def check_path(path: str) -> str:
    """
    *path* as it will be known by.

    Raises:
        InvalidInput: it leads out of a repository, or cannot be a path.
    """
    check_text("a path", path)
    pure = PurePosixPath(path)
    segments = path.split("/")
    wrong = pure.is_absolute() or ".." in segments or "\\" in path or not pure.parts
    if wrong or len(path.encode()) > MAX_PATH_BYTES or any(len(s.encode()) > MAX_SEGMENT_BYTES for s in segments):
        raise InvalidInput(f"{path[:200]!r} is no path within a repository; write it like src/app.py")
    return pure.as_posix()


def _reason(skipped: Mapping[str, Sequence[str]], path: str) -> str:
    """Why a walk left out the file at *path*, or a folder it is in."""
    for reason, paths in skipped.items():
        if any(path == each or (each.endswith("/") and path.startswith(each)) for each in paths):
            return reason
    return Reason.IGNORED


def _write(root: Path, path: str, text: str) -> str:
    """Within *root*, whatever *path* says; gives the path as it will be known by."""
    checked = check_path(path)
    target = root / checked
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise InvalidInput(f"{path!r} is a file and a folder at once among the given ones") from None
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the text of {path!r} is not valid Unicode at position {error.start}") from error
    except OSError as error:
        raise StoreUnavailable(f"{path!r} cannot be written to be read: {error}; nothing was stored") from error
    return checked
