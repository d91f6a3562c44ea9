"""An archive: files, and a manifest that tells what each holds and by which digest it is known to be whole."""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol

import msgspec
from msgspec import MsgspecError

from mnemolite.errors import Conflict, InvalidInput, StoreUnavailable

MANIFEST = "manifest.json"
LEVEL = 1  # of zlib: vectors hardly get smaller, and text gets small by any
BLOCK = 1 << 20
COUNTED = ("notes", "events", "feedback", "documents", "chunks", "jobs")  # tables, where there are
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, ValueError, RuntimeError, MsgspecError)


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file of the archive holds."""

    schema: str  # the version of its tables; "" of what has none
    counts: dict[str, int]  # of rows, by table
    sha256: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mnemolite: str  # the version that made it
    made_at: datetime
    parts: dict[str, Part]

    def __post_init__(self) -> None:
        if not self.parts or any(Path(name).name != name for name in self.parts):
            raise ValueError("it names no files, or others than its own")


class Kept(Protocol):
    """Something that is kept, whole."""

    def held(self) -> bool:
        """Whether anything is there."""
        ...

    def save(self, copy: Path) -> Part: ...

    def check(self, copy: Path, part: Part) -> None:
        """Raises StoreUnavailable where this program cannot use what was saved."""
        ...

    def put_back(self, copy: Path) -> None:
        """Whole, or not at all."""
        ...

    def remove(self) -> None: ...


def pack(file: Path, program: str, parts: Mapping[str, tuple[Path, Part]]) -> Manifest:
    """
    Writes *parts*, by the names they have in the archive, for their owner's eyes only; *program* is our version.

    Raises:
        Conflict: *file* is there already.
        StoreUnavailable: it cannot be written.
    """
    try:
        with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as stream:
            try:
                return _packed(stream, program, parts)
            except BaseException:
                file.unlink()
                raise
    except FileExistsError as error:
        raise Conflict(f"{file} is there already; give another name") from error
    except OSError as error:
        raise StoreUnavailable(f"cannot write {file}: {error.strerror}") from error


def _packed(stream: IO[bytes], program: str, parts: Mapping[str, tuple[Path, Part]]) -> Manifest:
    known = {}
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for name, (path, part) in parts.items():
            with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
                known[name] = msgspec.structs.replace(part, sha256=_copied(source, target))
        manifest = Manifest(mnemolite=program, made_at=datetime.now(UTC), parts=known)
        archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    stream.flush()
    os.fsync(stream.fileno())
    return manifest


def unpack(file: Path, folder: Path) -> Manifest:
    """
    Writes the archive's files into *folder*, each compared with its digest.

    Raises:
        InvalidInput: *file* is no archive of ours, or it is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
            for name, part in manifest.parts.items():
                with archive.open(name) as source, (folder / name).open("wb") as target:
                    if _copied(source, target) != part.sha256:
                        raise InvalidInput(f"{file} is damaged: {name} is not what was saved; take another backup")
    except FileNotFoundError as error:
        raise InvalidInput(f"{file} does not exist") from error
    except _DAMAGE as error:
        raise InvalidInput(f"{file} is damaged, or no backup: {error}; take another") from error
    except OSError as error:
        raise StoreUnavailable(f"cannot unpack {file} into {folder}: {error.strerror or error}") from error
    return manifest


def _copied(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := source.read(BLOCK):
        digest.update(block)
        target.write(block)
    return digest.hexdigest()
