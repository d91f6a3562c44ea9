"""spaces: which models' vectors an index has, and the way from one model to another while searches go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click

from mnemolite.cli.progress import ProgressLine
from mnemolite.ingest.pipeline import Progress
from mnemolite.settings import Settings
from mnemolite.spaces import Build, Spaces
from mnemolite.wiring import open_memory, open_server

_path = click.argument("path", default=".")
_server = click.option("--server", is_flag=True, help="All repositories of the server, not the tree at PATH.")


@click.group("spaces")
def spaces_command() -> None:
    """
    Vectors by model. To go from one model to another: configure it, 'spaces build', 'spaces switch', 'spaces drop'.

    Until the switch, the model that made the index serves searches and indexing, whatever is configured.
    """


@spaces_command.command("list")
@_path
@_server
@click.option("--json", "as_json", is_flag=True)
def list_command(path: str, server: bool, as_json: bool) -> None:
    """Each space, with how many chunks it has ('*': it is searched)."""
    with _opened(path, server) as spaces:
        found = spaces.views()
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found]))
        return
    for each in found:
        mark = "*" if each.state == "active" else " "
        missing = f", {each.missing:,} chunks missing" if each.missing else ""
        wanted = ", configured" if each.configured else ""
        click.echo(f"{mark} {each.id}  {each.model} ({each.dimension}), {each.vectors:,} vectors{missing}{wanted}")


@spaces_command.command("build")
@_path
@_server
@click.option("--switch", is_flag=True, help="Then search by them.")
def build_command(path: str, server: bool, switch: bool) -> None:
    """
    Have the configured models embed what they have not embedded yet, beside the vectors that are searched.

    Searches and indexing go on meanwhile. Killed anywhere, the next build goes on from there.
    """
    with _opened(path, server) as spaces:
        progress = ProgressLine(verb="embedding", unit="chunks")

        def told(build: Build) -> None:
            progress(Progress(files=build.done, total=build.done + build.left, chunks=build.done))

        try:
            done = spaces.build(told)
        finally:
            progress.close()
        click.echo(f"{done:,} chunks embedded; every chunk is by now")
        if switch:
            _switch(spaces)
        elif any(each.configured and each.state != "active" for each in spaces.views()):
            click.echo("search by them with: mnemolite spaces switch", err=True)


@spaces_command.command("switch")
@_path
@_server
def switch_command(path: str, server: bool) -> None:
    """Search and index by the configured models from now on; refused while a chunk lacks a vector of theirs."""
    with _opened(path, server) as spaces:
        _switch(spaces)


@spaces_command.command("drop")
@click.argument("space")
@_path
@_server
def drop_command(space: str, path: str, server: bool) -> None:
    """Forget the vectors of SPACE, an id or a model's name of 'spaces list'; refused while searches go by them."""
    with _opened(path, server) as spaces:
        click.echo(f"dropped the vectors of {spaces.drop(space).described}")


@contextmanager
def _opened(path: str, server: bool) -> Iterator[Spaces]:
    with open_server(Settings.load()) if server else open_memory(path, create=False) as memory:
        yield memory.spaces


def _switch(spaces: Spaces) -> None:
    spaces.switch()
    click.echo(f"searched by {' and '.join(space.described for space in spaces.wanted())}")
