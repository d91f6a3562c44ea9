"""What a server and its users keep, saved into one archive and put back from it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mnemolite import __version__
from mnemolite.archive import Kept, Manifest, Part, pack, unpack
from mnemolite.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from mnemolite.settings import Settings
from mnemolite.wiring_backup import kept_parts

KEYS = "keys.json"


class _PlainFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def held(self) -> bool:
        return self._path.is_file()

    def save(self, copy: Path) -> Part:
        shutil.copyfile(self._path, copy)
        return Part(schema="", counts={})

    def check(self, copy: Path, part: Part) -> None:
        pass

    def put_back(self, copy: Path) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(self._path.name + ".restored")
        new.touch(0o600)
        shutil.copyfile(copy, new)
        new.replace(self._path)

    def remove(self) -> None:
        self._path.unlink()


def backup(settings: Settings, keys: Path, file: Path) -> Manifest:
    """
    Saves notes, events, repositories, jobs and *keys* into *file*; each part is as it was at one moment.

    Raises:
        NotFound: there is nothing to save.
        Conflict: *file* is there already.
    """
    if file.exists():
        raise Conflict(f"{file} is there already; give another name")
    if not file.absolute().parent.is_dir():
        raise NotFound(f"there is no folder {file.absolute().parent}")
    held = {name: kept for name, kept in _places(settings, keys).items() if kept.held()}
    if not held:
        raise NotFound(f"there is nothing to save in {'the database' if settings.database_url else settings.data_dir}")
    with _folder(file.absolute().parent) as folder:
        return pack(file, __version__, {name: (folder / name, kept.save(folder / name)) for name, kept in held.items()})


def restore(settings: Settings, keys: Path, file: Path, *, force: bool) -> Manifest:
    """
    Puts back what *file* holds, in place of what is there where *force*. What it does not hold stays as it is; when
    some of it cannot be put back, everything does.

    Raises:
        InvalidInput: *file* is damaged, or holds files where there is a database, or a database where there is none.
        Conflict: something is there already, and *force* is off.
    """
    places = _places(settings, keys)
    with _folder(Path(settings.data_dir)) as folder:
        manifest = unpack(file, folder)
        if others := manifest.parts.keys() - places.keys():
            advice = "DATABASE_URL names a database: unset it" if settings.database_url else "set DATABASE_URL"
            raise InvalidInput(f"{file} holds {', '.join(sorted(others))}; {advice}")
        wanted = {name: places[name] for name in sorted(manifest.parts)}  # a database comes last
        for name, kept in wanted.items():
            kept.check(folder / name, manifest.parts[name])
        there = [name for name, kept in wanted.items() if kept.held()]
        if there and not force:
            raise Conflict(f"{', '.join(there)} would be replaced; say --force if they may be")
        _put_back(wanted, there, folder)
    return manifest


def _put_back(wanted: Mapping[str, Kept], there: list[str], folder: Path) -> None:
    done: list[str] = []
    *first, _ = wanted
    for name in first:
        if name in there:
            wanted[name].save(folder / f"{name}.before")
    try:
        for name, kept in wanted.items():
            kept.put_back(folder / name)
            done.append(name)
    except BaseException:
        for name in done:
            if name in there:
                wanted[name].put_back(folder / f"{name}.before")
            else:
                wanted[name].remove()
        raise


def _places(settings: Settings, keys: Path) -> dict[str, Kept]:
    """By the names they have in an archive."""
    return {KEYS: _PlainFile(keys), **kept_parts(settings)}


@contextmanager
def _folder(beside: Path) -> Iterator[Path]:
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=beside, prefix=".mnemolite-") as folder:
            yield Path(folder)
    except OSError as error:
        raise StoreUnavailable(f"cannot write in {beside}: {error.strerror or error}") from error
