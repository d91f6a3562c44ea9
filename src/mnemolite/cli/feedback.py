"""feedback: what was chosen among hits that were shown."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mnemolite.errors import InvalidInput
from mnemolite.wiring import open_notes


@click.group("feedback")
def feedback_command() -> None:
    """What was chosen among hits that were shown; kept only where the setting 'feedback' is on."""


@feedback_command.command("export")
@click.argument("file", type=click.Path(path_type=Path), required=False)
def export_command(file: Path | None) -> None:
    """Write all of it to FILE, else to stdout: JSON Lines, which 'train mine --accepted' reads."""
    with open_notes() as memory:
        lines = memory.feedback.export()
    if file is None:
        sys.stdout.buffer.write(lines)
        return
    try:
        file.write_bytes(lines)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}") from error


@feedback_command.command("clear")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def clear_command(yes: bool) -> None:
    """Delete all of it."""
    if not yes:
        click.confirm("Delete all feedback?", abort=True, err=True)
    with open_notes() as memory:
        click.echo(f"deleted {memory.feedback.clear():,}")
