"""From settings to an embedding model: where it lies and of what kind it is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from weakref import WeakValueDictionary

from mnemolite.errors import Conflict, EmbedderUnavailable, InvalidInput
from mnemolite.ports import Embedder
from mnemolite.settings import Settings
from mnemolite.types import Domain, Role, Space

if TYPE_CHECKING:
    from mnemolite.embedders.budget import RamBudget
    from mnemolite.embedders.configuration import Configuration
    from mnemolite.embedders.lazy import LazyEmbedder
    from mnemolite.embedders.library import Library
    from mnemolite.embedders.remote import RemoteEmbedder

_shared: WeakValueDictionary[tuple[object, ...], LazyEmbedder] = WeakValueDictionary()  # by what shapes them


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model that can be used, or could be added."""

    name: str
    state: Literal["shipped", "added", "known", "folder", "missing"]
    in_use: bool
    dimension: int
    licence: str
    source: str  # where it is published, or its folder
    size: int  # bytes on disk


def list_models(settings: Settings) -> list[Entry]:
    """
    The shipped one, those the user has added, those that are known by name, and the configured one.

    Raises:
        EmbedderUnavailable: what is recorded of one cannot be read.
    """
    from mnemolite.embedders.profiles import PROFILES
    from mnemolite.embedders.static import SHIPPED, read_manifest

    used = set(configured(settings).values())
    shipped = read_manifest(SHIPPED)
    size = sum(file.bytes for file in shipped.files.values())
    entries = [
        Entry(
            name=shipped.name,
            state="shipped",
            in_use=SHIPPED in used,
            dimension=shipped.dimension,
            licence=shipped.licence,
            source="",
            size=size,
        )
    ]
    added = _library(settings)
    entries += [_entry(added.configuration(name), in_use=added.path(name) in used) for name in added.names()]
    entries += [
        Entry(
            name=name,
            state="known",
            in_use=added.path(name) in used,
            dimension=profile.dimension,
            licence=profile.licence,
            source=profile.source,
            size=0,
        )
        for name, profile in PROFILES.items()
        if name not in added.names()
    ]
    listed = {SHIPPED, *(added.path(entry.name) for entry in entries)}
    for folder in sorted(used - listed):
        there = folder.is_dir()
        entries.append(
            Entry(
                name=folder.name,
                state="folder" if there else "missing",
                in_use=True,
                dimension=_space(folder).dimension if there else 0,
                licence="",
                source=str(folder),
                size=0,
            )
        )
    return entries


def add_model(
    settings: Settings,
    name: str,
    folder: Path | None = None,
    *,
    dimension: int | None = None,
    again: bool = False,
    hub: str = "",
) -> Entry:
    """
    Copies the model in *folder*, or downloads a known one from *hub*; *dimension* is what its vectors are cut to.

    Raises:
        InvalidInput: *name* is none of a known model and there is no *folder*, or *dimension* does not suit it.
        Conflict: there is one of that name, and it is not to be taken *again*.
        EmbedderUnavailable: the model cannot be had or used; nothing was added.
    """
    from mnemolite.embedders.library import HUB, from_folder, from_hub
    from mnemolite.embedders.profiles import PROFILES

    if folder is None and name not in PROFILES:
        raise InvalidInput(f"{name!r} is no known model; give one of {', '.join(PROFILES)}, or a model's folder")
    given = from_hub(PROFILES[name].source, hub or HUB) if folder is None else from_folder(folder)
    added = _library(settings)
    configuration = added.add(name, given, dimension=dimension, again=again)
    return _entry(configuration, in_use=added.path(name) in configured(settings).values())


def remove_model(settings: Settings, name: str) -> None:
    """
    Raises:
        NotFound: none of that name was added.
        Conflict: it is configured.
        EmbedderUnavailable: it cannot be removed.
    """
    added = _library(settings)
    if added.path(name) in configured(settings).values():
        raise Conflict(f"{name} is the configured model; configure another first")
    added.remove(name)


def model_folder(settings: Settings, domain: Domain = Domain.HYBRID) -> Path:
    """Of the configured model, whether it is there or not: the shipped one's, that of an added one, or any other."""
    from mnemolite.embedders.static import SHIPPED

    own = {Domain.TEXT: settings.text_embedding_model, Domain.CODE: settings.code_embedding_model}
    given = own.get(domain) or settings.embedding_model
    if not given:
        return SHIPPED
    folder = Path(given).expanduser()
    if "/" in given and not folder.is_dir():
        from mnemolite.embedders.profiles import PROFILES

        given = next((profile.name for profile in PROFILES.values() if profile.source == given), given)
        folder = Path(given).expanduser()
    added = _added(settings) / given
    is_name = folder.name == given and given[0] not in ".~"
    return added if is_name and (added.is_dir() or not folder.is_dir()) else folder


def model_space(settings: Settings, domain: Domain = Domain.HYBRID) -> Space:
    """Of the model configured for *domain*, which is not loaded for it."""
    return _space(model_folder(settings, domain))


def load_model(settings: Settings, domain: Domain = Domain.HYBRID) -> Embedder:
    """The model configured for *domain*, in this process, for as long as it is held."""
    return _load(model_folder(settings, domain), settings)


def check_model(settings: Settings, domain: Domain = Domain.HYBRID) -> Space:
    """
    Compares the files of the model configured for *domain* with its manifest where it has one, and has it embed a text.

    Raises:
        EmbedderUnavailable: it cannot be used.
    """
    folder = model_folder(settings, domain)
    if _is_transformer(folder):
        from mnemolite.embedders.library import verify
    else:
        from mnemolite.embedders.static import verify
    verify(folder)
    embedder = _load(folder, settings)
    embedder.embed(["check"], Role.QUERY)
    return embedder.space


def configured(settings: Settings) -> dict[Domain, Path]:
    """The folders of the configured models: of one for everything, or of those of text and of code."""
    text, code = (model_folder(settings, domain) for domain in (Domain.TEXT, Domain.CODE))
    return {Domain.HYBRID: text} if text == code else {Domain.TEXT: text, Domain.CODE: code}


def shared_models(settings: Settings) -> list[LazyEmbedder]:
    """The configured models, that of text first: the same for all memories of a process that use them."""
    wanted = {
        Domain.TEXT: {settings.embedding_dimension},
        Domain.CODE: {settings.code_embedding_dimension},
        Domain.HYBRID: {settings.embedding_dimension, settings.code_embedding_dimension},
    }
    return [
        _shared_model(settings, folder, domain, wanted[domain] - {0}) for domain, folder in configured(settings).items()
    ]


def shared_maker(settings: Settings, space: Space) -> LazyEmbedder | None:
    """The model at hand that makes vectors of *space*, configured or not."""
    from mnemolite.embedders.static import SHIPPED

    added = _library(settings)
    folders = dict.fromkeys((SHIPPED, *configured(settings).values(), *map(added.path, added.names())))
    for folder in folders:
        with suppress(EmbedderUnavailable):
            if replace(_space(folder), domain=space.domain) == space:
                return _shared_model(settings, folder, space.domain, set())
    return None


def _shared_model(settings: Settings, folder: Path, domain: Domain, dimensions: set[int]) -> LazyEmbedder:
    from mnemolite.embedders.static import SHIPPED

    def describe() -> Space:
        space = _space(folder)
        if wrong := dimensions - {space.dimension}:
            raise InvalidInput(
                f"an embedding dimension of {min(wrong)} is configured, and {space.model} makes {space.dimension};"
                " unset it, or 'mnemolite models add --dimension' the model cut to it"
            )
        return replace(space, domain=domain)

    idle_seconds = 60 * settings.perf_model_idle_timeout_minutes
    key = folder.absolute(), domain, *sorted(dimensions), idle_seconds, settings.ram_budget_mb, settings.device
    if (shared := _shared.get(key)) is None:
        shared = _budget(settings.ram_budget_mb).embedder(
            describe,
            lambda: _load(folder, settings, to_be_unloaded=idle_seconds > 0),
            lambda: _size(folder),
            idle_seconds=idle_seconds,
            slow=folder != SHIPPED,
        )
        _shared[key] = shared
    return shared


def remote_models(settings: Settings) -> list[RemoteEmbedder]:
    """
    Those of the embedding service, for the domains that models are configured for: connections are shared by all
    memories of a process.

    Raises:
        InvalidInput: gRPC is not installed, or a file of the settings cannot be read.
    """
    return [
        _remote(
            settings.embedding_service_url,
            domain,
            settings.embedding_service_token,
            settings.embedding_service_ca,
            settings.embedding_service_seconds,
            settings.embedding_service_patience_seconds,
        )
        for domain in configured(settings)
    ]


@cache
def _remote(
    urls: str, domain: Domain, token: str, ca: str, query_seconds: float, passage_seconds: float
) -> RemoteEmbedder:
    try:
        from mnemolite.embedders.remote import RemoteEmbedder
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"embedding_service_url is set, and {error}; install it with: pip install 'mnemolite[grpc]'"
        ) from error
    try:
        certificates = Path(ca).expanduser().read_bytes() if ca else None
    except OSError as error:
        raise InvalidInput(f"embedding_service_ca is {ca}, which cannot be read: {error.strerror}") from error
    return RemoteEmbedder(
        urls.split(","),
        domain,
        token=token,
        ca=certificates,
        query_seconds=query_seconds,
        passage_seconds=passage_seconds,
    )


@cache
def _budget(megabytes: int) -> RamBudget:
    from mnemolite.embedders.budget import RamBudget
    from mnemolite.ram import MB

    return RamBudget(megabytes * MB)


def _library(settings: Settings) -> Library:
    from mnemolite.embedders.library import Library

    return Library(_added(settings))


def _entry(configuration: Configuration, *, in_use: bool) -> Entry:
    return Entry(
        name=configuration.name,
        state="added",
        in_use=in_use,
        dimension=configuration.dimension,
        licence=configuration.licence,
        source=configuration.source,
        size=sum(file.bytes for file in configuration.files.values()),
    )


def _added(settings: Settings) -> Path:
    return Path(settings.data_dir or Settings.load().data_dir) / "models"


def _is_transformer(folder: Path) -> bool:
    if (folder / "model.json").is_file():  # the shipped model's kind, without a look at the other
        return False
    if not folder.is_dir():
        raise EmbedderUnavailable(
            f"there is no embedding model at {folder}; 'mnemolite models list' shows which there are"
        )
    from mnemolite.embedders.configuration import model_file

    return model_file(folder) is not None


def _space(folder: Path) -> Space:
    if _is_transformer(folder):
        from mnemolite.embedders.configuration import read_configuration, space_of

        return space_of(folder, read_configuration(folder))
    from mnemolite.embedders.static import read_manifest

    return read_manifest(folder).space


def _size(folder: Path) -> int:
    if _is_transformer(folder):
        from mnemolite.embedders.configuration import read_configuration, size_of

        return size_of(folder, read_configuration(folder))
    from mnemolite.embedders.static import read_manifest

    return read_manifest(folder).size


def _load(folder: Path, settings: Settings, *, to_be_unloaded: bool = False) -> Embedder:
    if _is_transformer(folder):
        from mnemolite.embedders.configuration import WEIGHTS, model_file
        from mnemolite.embedders.library import open_transformer

        if not to_be_unloaded or (model_file(folder) or folder).name == WEIGHTS:
            return open_transformer(folder, settings.device)
        from mnemolite.embedders.child import ChildEmbedder

        return ChildEmbedder(folder)
    from mnemolite.embedders.static import StaticEmbedder

    return StaticEmbedder(folder)
