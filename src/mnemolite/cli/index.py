"""index, status, clear: what is remembered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import structs

from mnemolite.cli import is_rekall
from mnemolite.cli.plain import in_line
from mnemolite.cli.progress import ProgressLine
from mnemolite.errors import InvalidInput, NotFound
from mnemolite.ingest.pipeline import Changes, Report
from mnemolite.memory import Memory
from mnemolite.settings import Settings
from mnemolite.types import Stats
from mnemolite.wiring import find_root, open_memory, open_notes, open_tree, remove_index, tree_folder

if TYPE_CHECKING:
    from mnemolite.ingest.secrets import Masked

REBUILD = "rebuild"


@click.command("index")
@click.argument("path", nargs=-1)
@click.option("--rebuild", is_flag=True, help="Forget the index and make it anew; also 'index rebuild'.")
@click.option("-v", "--verbose", is_flag=True, help="Name the files that were skipped, and why.")
@click.option("--allow-secrets", is_flag=True, help="Do not mask keys, tokens and passwords in what is read now.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def index_command(path: tuple[str, ...], rebuild: bool, verbose: bool, allow_secrets: bool, as_json: bool) -> int:
    """
    Index the tree at PATH, or bring its index up to date.

    Without PATH: the tree around the current folder that has an index, else the current folder. 'rekall index rebuild'
    makes that of the notes anew.
    """
    if path[:1] == (REBUILD,) and not Path(REBUILD).is_dir():
        path, rebuild = path[1:], True
        if is_rekall() and not path:
            return _rebuild_notes(as_json)
    if len(path) > 1:
        raise InvalidInput(f"index takes one folder, was given {len(path)}: {', '.join(path)}")
    root = tree_folder(path[0]) if path else _around(Path.cwd())
    if rebuild:
        remove_index(root)  # whole, because a damaged one could not be emptied
    progress = ProgressLine()
    settings = Settings.load(root)
    if allow_secrets:
        settings = structs.replace(settings, allow_secrets=True)
    with open_tree(root, settings=settings, create=True) as memory:
        try:
            [report] = memory.index(on_progress=progress)
        finally:
            progress.close()
    if as_json:
        click.echo(json.dumps(asdict(report) | {"skipped": dict(report.skipped)}))  # asdict counts a Counter's pairs
    else:
        _print_report(root, report, verbose)
    return 0


@click.command("status")
@click.argument("path", default=".")
@click.option("-v", "--verbose", is_flag=True, help="Name the changed and the skipped files.")
@click.option("--json", "as_json", is_flag=True)
def status_command(path: str, verbose: bool, as_json: bool) -> None:
    """What is indexed, by which model, how large it is and whether it is fresh."""
    with open_memory(path, create=False) as memory:
        [stats], [change] = memory.stats(), memory.changes()
        if as_json:
            click.echo(json.dumps(_status(memory, stats, change)))
        else:
            _print_status(memory, stats, change, verbose)


@click.command("clear")
@click.argument("path", default=".")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def clear_command(path: str, yes: bool) -> None:
    """Delete the index of the tree at PATH; the tree itself is not touched."""
    root = _around(tree_folder(path))
    if not yes:
        click.confirm(f"Delete the index of {root}?", abort=True, err=True)
    if not remove_index(root):
        raise NotFound(f"there is no index of {root}")
    click.echo(f"deleted the index of {root}", err=True)


def _rebuild_notes(as_json: bool) -> int:
    with open_notes() as memory:
        count = memory.notes.rebuild()
    click.echo(json.dumps({"notes": count}) if as_json else f"indexed {count:,} notes")
    return 0


def _around(folder: Path) -> Path:
    return find_root(folder) or folder


def _print_report(root: Path, report: Report, verbose: bool) -> None:
    unchanged = report.files - report.indexed
    click.echo(
        f"{root}: {report.files:,} files, {report.indexed:,} read, {unchanged:,} unchanged, {report.removed:,} gone; "
        f"{report.chunks:,} chunks stored in {report.seconds:.1f} s"
    )
    if report.remark:
        click.echo(f"mnemolite: {report.remark}", err=True)
    _print_skipped(report.skipped, report.skipped_paths, verbose)
    _print_masked(report.masked, verbose)
    for path, reason in report.poison.items():
        click.echo(f"mnemolite: {in_line(path)} stopped its parser ({reason}) and was cut by lines", err=True)


def _print_skipped(skipped: Mapping[str, int], paths: Mapping[str, Sequence[str]], verbose: bool) -> None:
    if not skipped:
        return
    counts = ", ".join(f"{n:,} {reason}" for reason, n in sorted(skipped.items(), key=lambda item: -item[1]))
    click.echo(f"skipped: {counts}" + ("" if verbose else " (--verbose names them)"))
    if verbose:
        for reason, count in skipped.items():
            named = paths.get(reason, ())
            for path in named:
                click.echo(f"  {reason}: {in_line(path)}")
            if named and count > len(named):
                click.echo(f"  {reason}: and {count - len(named):,} more")


def _print_masked(masked: Mapping[str, Sequence[Masked]], verbose: bool) -> None:
    if not masked:
        return
    count = sum(map(len, masked.values()))
    hint = "" if verbose else " (--verbose names them)"
    click.echo(f"masked: {count:,} secrets in {len(masked):,} of the files read{hint}")
    if verbose:
        for path, places in masked.items():
            for place in places:
                click.echo(f"  {place.kind}: {in_line(path)}:{place.line}")


def _status(memory: Memory, stats: Stats, change: Changes) -> dict[str, object]:
    return {
        "root": str(memory.trees[0].root),
        **asdict(stats),
        "skipped": {**change.skipped, **stats.skipped},
        "fresh": not change,
        "changed": list(change.changed),
        "removed": list(change.removed),
    }


def _print_status(memory: Memory, stats: Stats, change: Changes, verbose: bool) -> None:
    languages = ", ".join(f"{name} {n:,}" for name, n in stats.languages.items())
    click.echo(f"tree       {memory.trees[0].root}")
    click.echo(f"documents  {stats.documents:,}")
    click.echo(f"chunks     {stats.chunks:,}: {languages}" if languages else "chunks     0")
    for space, vectors in stats.vectors.items():
        click.echo(f"vectors    {vectors:,} in {space}, searched by {stats.vector_backend}")
    click.echo(f"size       {stats.bytes_on_disk / 1e6:,.1f} MB")
    if change:
        click.echo(f"stale      {len(change.changed):,} files changed, {len(change.removed):,} gone")
    else:
        click.echo("fresh      as the tree is now")
    if verbose:
        for path in change.changed:
            click.echo(f"  changed: {in_line(path)}")
        for path in change.removed:
            click.echo(f"  gone: {in_line(path)}")
    _print_skipped({**change.skipped, **stats.skipped}, change.skipped_paths, verbose)
