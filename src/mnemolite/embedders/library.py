"""The user's own models: a folder each, with a manifest of what lies in it."""

from __future__ import annotations

import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from mnemolite.embedders.configuration import (
    FILES,
    MANIFEST,
    RELEVANCE,
    WEIGHTS,
    Configuration,
    model_file,
    read_configuration,
    shaping_files,
)
from mnemolite.embedders.manifest import check_digests, describe
from mnemolite.embedders.profiles import PROFILES, Profile
from mnemolite.errors import Conflict, EmbedderUnavailable, InvalidInput, NotFound
from mnemolite.types import Role

if TYPE_CHECKING:
    from mnemolite.embedders.sentences import SentenceEmbedder
    from mnemolite.settings import Device

DESCRIPTIONS = (
    "config.json",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    RELEVANCE,
)
HUB = "https://huggingface.co"
SECONDS = 30.0  # without a byte
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Library:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        return sorted(manifest.parent.name for manifest in self.folder.glob(f"[!.]*/{MANIFEST}"))

    def path(self, name: str) -> Path:
        return self.folder / name

    def configuration(self, name: str) -> Configuration:
        return read_configuration(self.path(name))

    def add(
        self, name: str, given: Callable[[Path], None], *, dimension: int | None = None, again: bool = False
    ) -> Configuration:
        """
        The model that *given* puts into a folder, under *name*, its vectors cut to *dimension*. A profile of that
        name says what the files may leave open.

        Raises:
            InvalidInput: *name* can be none, or the vectors cannot be cut so.
            Conflict: there is one of that name, and it is not to be taken *again*.
            EmbedderUnavailable: there is no model, or it does not do what it says; nothing was added.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"{name!r} cannot be a model's name; use letters, digits, '.', '_' and '-'")
        if self.path(name).exists() and not again:
            raise Conflict(f"there is a model {name} already, at {self.path(name)}; --again replaces it")
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".") as temporary:
            new, old = Path(temporary) / "new", Path(temporary) / "old"
            new.mkdir()
            given(new)
            (new / MANIFEST).unlink(missing_ok=True)
            configuration = _configured(replace(read_configuration(new), name=name), PROFILES.get(name), dimension)
            configuration = record(new, configuration)
            open_transformer(new).embed(["a text"], Role.QUERY)
            if self.path(name).exists():
                self.path(name).rename(old)
            new.rename(self.path(name))
        return configuration

    def remove(self, name: str) -> None:
        """
        Raises:
            NotFound: none of that name was added.
            EmbedderUnavailable: it cannot be removed.
        """
        if name not in self.names():
            raise NotFound(f"no model {name!r} was added; 'mnemolite models list' shows those that were")
        try:
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".") as temporary:
                self.path(name).rename(Path(temporary) / name)
        except OSError as error:
            raise EmbedderUnavailable(f"{self.path(name)} cannot be removed: {error.strerror}") from error

    def verify(self, name: str) -> None:
        """
        Reads all files of a model.

        Raises:
            EmbedderUnavailable: one is missing, or is not the one that was added.
        """
        verify(self.path(name))


def record(folder: Path, configuration: Configuration) -> Configuration:
    """Writes the manifest of the model in *folder*, whose files are recorded as they are."""
    try:
        files = {file: describe(folder / file) for file in shaping_files(folder, configuration)}
    except OSError as error:
        raise EmbedderUnavailable(f"the model {configuration.name} lacks a file: {error}") from error
    configuration = replace(configuration, files=files)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(configuration)))
    return configuration


def open_transformer(folder: Path, device: Device = "auto") -> SentenceEmbedder:
    """The model in *folder*, loaded into this process, by what runs such files."""
    if (model_file(folder) or folder).name == WEIGHTS:
        from mnemolite.embedders.torch import TorchEmbedder

        return TorchEmbedder(folder, device)
    from mnemolite.embedders.onnx import OnnxEmbedder

    return OnnxEmbedder(folder)


def verify(folder: Path) -> None:
    configuration = read_configuration(folder)
    check_digests(folder, configuration.files, "add the model again with 'mnemolite models add --again'")


def from_folder(source: Path) -> Callable[[Path], None]:
    """Copies a model."""

    def copy(target: Path) -> None:
        if not source.is_dir():
            raise InvalidInput(f"{source} is no folder; give that of a sentence-transformers model in ONNX")
        configuration = read_configuration(source)
        found = [*shaping_files(source, configuration), *(name for name in DESCRIPTIONS if (source / name).is_file())]
        try:
            for name in found:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, target / name)
        except OSError as error:
            raise EmbedderUnavailable(f"the model at {source} cannot be copied: {error}") from error

    return copy


def from_hub(source: str, hub: str = HUB) -> Callable[[Path], None]:
    """Downloads a model, *source* being ``owner/name``."""

    def download(target: Path) -> None:
        home = f"{hub.rstrip('/')}/{quote(source)}/resolve/main"
        for name in (*DESCRIPTIONS, "tokenizer.json"):
            _download(f"{home}/{name}", target / name)
        for name in reversed(FILES):  # where there are both, the first is no Transformer's
            if _download(f"{home}/{name}", target / name):
                _download(f"{home}/{name}_data", target / f"{name}_data")
                return
        raise EmbedderUnavailable(f"{source} at {hub} has no model in ONNX: neither {' nor '.join(FILES)}")

    return download


def _download(url: str, file: Path) -> bool:
    """False when there is no such file."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as opened:
                shutil.copyfileobj(answer, opened)
            size = answer.headers.get("Content-Length")
            if size is not None and int(size) != file.stat().st_size:
                raise EmbedderUnavailable(f"{url} broke off after {file.stat().st_size:,} of {int(size):,} bytes")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise EmbedderUnavailable(f"{url} answers {error.code} {error.reason}") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise EmbedderUnavailable(
            f"cannot reach {url}: {reason}; download the model elsewhere and give its folder to 'mnemolite models add'"
        ) from error
    return True


def _configured(found: Configuration, profile: Profile | None, dimension: int | None) -> Configuration:
    if profile is not None:
        if found.width != profile.dimension:
            raise EmbedderUnavailable(
                f"this is no {profile.name}: its vectors have {found.width} dimensions, not {profile.dimension}"
            )
        found = replace(
            found,
            max_tokens=profile.max_tokens,
            prompts=dict(profile.prompts),
            centred=profile.centred,
            source=profile.source,
            licence=profile.licence,
        )
    if dimension is None or dimension == found.width:
        return found
    cuts = profile.cuts if profile is not None else range(1, found.width)
    if dimension not in cuts:
        allowed = ", ".join(map(str, (found.width, *cuts))) if profile is not None else f"1 to {found.width}"
        raise InvalidInput(f"vectors of {found.name} cannot be cut to {dimension} dimensions; give {allowed}")
    return replace(found, dimension=dimension)
