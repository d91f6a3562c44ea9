"""stats, doctor: how the program itself is."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from mnemolite import __version__
from mnemolite.errors import MnemoError
from mnemolite.memory import Memory
from mnemolite.models import check_model, configured
from mnemolite.ram import resident_bytes
from mnemolite.settings import Settings
from mnemolite.wiring import find_root, open_memory, open_models, open_notes, tree_folder


@click.command("stats")
@click.argument("path", default=".")
@click.option("--memory", "with_memory", is_flag=True, help="Also what is loaded, and how much RAM it takes.")
@click.option("--json", "as_json", is_flag=True)
def stats_command(path: str, with_memory: bool, as_json: bool) -> None:
    """Figures of the index of the tree around PATH, of the notes, and of this program."""
    answer: dict[str, object] = {}
    with _opened(path) as memory:
        for stats in memory.stats():
            answer |= {
                "documents": stats.documents,
                "chunks": stats.chunks,
                **{f"vectors, {space}": count for space, count in stats.vectors.items()},
                "vector backend": stats.vector_backend,
                "bytes on disk": stats.bytes_on_disk,
                **{f"kind {kind}": count for kind, count in stats.kinds.items()},
                **stats.details,
            }
        if memory.has_notes:
            answer |= _of_notes(memory)
        if with_memory:
            answer |= _of_memory(memory)
    if as_json:
        click.echo(json.dumps(answer))
    else:
        for name, value in answer.items():
            click.echo(f"{name:36}{value:>16,}" if isinstance(value, int) else f"{name:36}{value:>16}")


def _opened(path: str) -> Memory:
    """Without an index of code, the notes alone, if there are any."""
    if find_root(tree_folder(path)) is None:
        notes = open_notes(path)
        if notes.has_notes:
            return notes
        notes.close()
    return open_memory(path, create=False)


def _of_notes(memory: Memory) -> dict[str, object]:
    stats = memory.notes.index.stats()
    counts = memory.notes.counts()
    return {
        "notes": sum(counts.values()),
        **{f"notes, {kind}": count for kind, count in counts.items()},
        "events": memory.events.count(),
        **{f"vectors of notes, {space}": count for space, count in stats.vectors.items()},
        "bytes of notes on disk": stats.bytes_on_disk,
    }


def _of_memory(memory: Memory) -> dict[str, object]:
    before = resident_bytes()
    answer: dict[str, object] = {}
    memory.preload()
    for embedder in memory.embedders:
        answer[f"model {embedder.space.model}"] = "loaded"
        if (cache := getattr(embedder, "cache", None)) is not None:
            answer |= {"cached queries": len(cache), "cached queries at most": cache.maxsize}
            answer |= {"cache hits": cache.hits, "cache misses": cache.misses}
    return answer | {"resident bytes before the model": before, "resident bytes": resident_bytes()}


@click.command("doctor")
@click.argument("path", default=".")
def doctor_command(path: str) -> int:
    """Check that everything MnemoLite needs is there and well; exit with 2 when something is not."""
    root = find_root(tree_folder(path)) or tree_folder(path)
    failed = False
    for name, check in _checks(root):
        try:
            click.echo(f"{click.style('ok', fg='green'):6}  {name}: {check()}")
        except MnemoError as error:
            failed = True
            click.echo(f"{click.style('FAIL', fg='red'):6}  {name}: {error}")
    return 2 if failed else 0


def _checks(root: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "program", lambda: f"mnemolite {__version__}, Python {platform.python_version()}, {platform.system()}"
    yield "settings", lambda: f"vector backend {Settings.load(root).perf_vector_backend}"
    yield "model", lambda: _model(Settings.load(root))
    yield "grammars", _grammars
    yield "index", lambda: _index(root)


def _model(settings: Settings) -> str:
    if settings.embedding_service_url or settings.embedding_mode == "mock":
        with open_models(settings) as memory:
            memory.preload()
            names = [f"{each.space.model}, {each.space.dimension} dimensions" for each in memory.embedders]
        where = "mock" if settings.embedding_mode == "mock" else f"at {settings.embedding_service_url}"
        return f"{'; '.join(names)}, {where}"
    spaces = [check_model(settings, domain) for domain in configured(settings)]
    return f"{'; '.join(f'{space.model}, {space.dimension} dimensions' for space in spaces)}, as it should be"


def _grammars() -> str:
    from mnemolite.ingest.languages import LANGUAGES, query_of

    names = [name for name, language in LANGUAGES.items() if language.grammar]
    missing = [name for name in names if query_of(name) is None]
    if missing:
        raise MnemoError(f"no grammar for {', '.join(missing)}, so these are cut by lines; reinstall mnemolite")
    return f"{len(names)} languages"


def _index(root: Path) -> str:
    if find_root(root) != root:
        return f"none at {root}; 'mnemolite index {root}' makes it"
    with open_memory(root, create=False) as memory:
        [tree] = memory.trees
        problems = tree.store.check()
        if problems:
            raise MnemoError(f"{'; '.join(problems)}; run 'mnemolite index rebuild'")
        [change] = memory.changes()
        [stats] = memory.stats()
    freshness = f"{len(change.changed)} files changed since, {len(change.removed)} gone" if change else "fresh"
    return f"{stats.chunks:,} chunks of {stats.documents:,} documents, consistent, {freshness}"
