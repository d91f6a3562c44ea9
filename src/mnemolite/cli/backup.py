"""backup, restore: all that a server and its users keep, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnemolite.backup import backup, restore
from mnemolite.serve.security import keys_file
from mnemolite.settings import Settings

if TYPE_CHECKING:
    from mnemolite.archive import Manifest


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
def backup_command(file: Path) -> None:
    """
    Save notes, events, the server's repositories, jobs and keys into FILE, while all of it may be in use.

    With DATABASE_URL the database, by pg_dump. The index of a tree is not saved: 'mnemolite index' makes it anew.
    """
    settings = Settings.load()
    _say(backup(settings, keys_file(settings), file))


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="In place of what is there.")
def restore_command(file: Path, force: bool) -> None:
    """Put back what 'mnemolite backup' saved into FILE, all of it or nothing; first it is checked."""
    settings = Settings.load()
    _say(restore(settings, keys_file(settings), file, force=force))


def _say(manifest: Manifest) -> None:
    for name, part in manifest.parts.items():
        counts = ", ".join(f"{count:,} {kind}" for kind, count in part.counts.items() if count)
        click.echo(f"{name:13} {counts or ('empty' if part.counts else '')}".rstrip())
