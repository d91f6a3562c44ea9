"""note export, import, rebuild: all notes."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from mnemolite.cli.note import note_command
from mnemolite.cli.note_options import filter_from, filter_options, json_option, opened, project_options
from mnemolite.cli.note_output import KEPT
from mnemolite.errors import InvalidInput
from mnemolite.note_documents import secrets_in
from mnemolite.notes.forms import from_json_lines, from_markdown, to_json_lines, to_markdown
from mnemolite.notes.rules import FATES, WRITTEN
from mnemolite.records import GLOBAL, Note

FORMS = ("markdown", "jsonl")


@note_command.command("export")
@click.argument("target", default="-")
@click.option("--format", "form", type=click.Choice(FORMS), help="By default what TARGET looks like.")
@filter_options
@click.option("--removed", is_flag=True, help="Those that were removed.")
@project_options(reading=True)
def export_command(
    target: str, form: str | None, project: str | None, everywhere: bool, removed: bool, **filters: Any
) -> int:
    """
    Write notes to TARGET: a folder, which gets a Markdown file for each, or a file of JSON Lines; '-' is stdout.

    What is written can be imported again exactly. The project's notes and the global ones; all with --all-projects.
    """
    path = Path(target)
    form = form or ("jsonl" if target == "-" or path.suffix in (".jsonl", ".json", ".ndjson") else "markdown")
    count = 0

    def counted(notes: Iterator[Note]) -> Iterator[Note]:
        nonlocal count
        for note in notes:
            count += 1
            yield note

    with opened(project, everywhere) as memory:
        notes = counted(memory.notes.each(filter_from(**filters, deleted=removed)))
        if form == "markdown":
            if target == "-":
                raise InvalidInput("Markdown is a file for each note; give a folder, or use 'note show --markdown ID'")
            _write_folder(path, notes)
        elif target == "-":
            for line in to_json_lines(notes):
                sys.stdout.buffer.write(line.encode())
        else:
            _write_lines(path, notes)
    click.echo(f"exported {count:,} notes", err=True)
    return 0 if count else 1


@note_command.command("import")
@click.argument("paths", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(FORMS), help="By default what PATHS look like.")
@click.option("--from", "program", type=click.Choice(["rekall"]), help="PATHS are databases of this program.")
@click.option("--overwrite", is_flag=True, help="Also what was changed or removed here later.")
@project_options(reading=False)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def import_command(
    paths: tuple[str, ...],
    form: str | None,
    program: str | None,
    project: str | None,
    everywhere: bool,
    overwrite: bool,
    as_json: bool,
) -> int:
    """
    Take in notes from PATHS: Markdown files, folders of them, or files of JSON Lines; '-' is stdin, of JSON Lines.

    A note keeps its id, so importing twice changes nothing. The project given is that of notes which name none; without
    one, those of another program become global.
    """
    if program is not None:
        from mnemolite.cli.note_rekall import import_rekall

        return import_rekall(paths, project, overwrite, as_json)
    fates: Counter[str] = Counter()
    masked: dict[str, tuple[str, ...]] = {}
    with opened(project) as memory:
        home = GLOBAL if everywhere else memory.notes.project
        given = (note for path in paths for note in _read(path, form, home))
        for note, fate in memory.notes.put(given, overwrite=overwrite):
            fates[fate] += 1
            if fate in WRITTEN and (kinds := secrets_in(note)):
                masked[note.id] = kinds
    report = {fate: fates[fate] for fate in FATES}
    if as_json:
        click.echo(json.dumps({**report, "masked": masked}))
    else:
        click.echo(fates_text(report))
        for line in masked_lines(masked):
            click.echo(line)
    return 0


@note_command.command("rebuild")
@json_option
def rebuild_command(form: bool) -> int:
    """Make the index of all notes anew; the notes stay as they are."""
    with opened(None, everywhere=True) as memory:
        count = memory.notes.rebuild()
    click.echo(json.dumps({"notes": count}) if form else f"indexed {count:,} notes")
    return 0


def fates_text(fates: Mapping[str, int]) -> str:
    return (
        f"{fates['added']:,} added, {fates['updated']:,} updated, {fates['unchanged']:,} unchanged, "
        f"{fates['older']:,} left as they are here, where they were changed or removed later"
    )


def masked_lines(masked: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """*masked* has the kinds of secrets by note."""
    if masked:
        yield f"{len(masked):,} notes hold secrets, {KEPT}:"
    yield from (f"  {id}: {', '.join(kinds)}" for id, kinds in masked.items())


def _write_folder(folder: Path, notes: Iterator[Note]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for note in notes:
            (folder / f"{note.id}.md").write_bytes(to_markdown(note).encode())
    except OSError as error:
        raise InvalidInput(f"cannot write to {folder}: {error.strerror}") from error


def _write_lines(path: Path, notes: Iterator[Note]) -> None:
    """The file is there whole or not at all."""
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
            try:
                file.writelines(line.encode() for line in to_json_lines(notes))
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error


def _read(given: str, form: str | None, project: str) -> Iterator[Note]:
    now = datetime.now(UTC)
    path = Path(given)
    try:
        if given == "-":
            yield from from_json_lines(sys.stdin.buffer, "stdin", now, project)
        elif path.is_dir():
            for file in sorted(path.rglob("*.md")):
                yield _read_markdown(file, now, project)
        elif (form or ("markdown" if path.suffix in (".md", ".markdown") else "jsonl")) == "markdown":
            yield _read_markdown(path, now, project)
        else:
            with path.open("rb") as lines:
                yield from from_json_lines(lines, given, now, project)
    except OSError as error:
        raise InvalidInput(f"cannot read {error.filename or given}: {error.strerror}") from error


def _read_markdown(file: Path, now: datetime, project: str) -> Note:
    try:
        return from_markdown(file.read_bytes().decode(), str(file), now, project)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 at byte {error.start}; convert it, with iconv for example") from error
