"""note add, edit, show, rm, restore, link, unlink, review: one note at a time."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from mnemolite.cli.note_options import as_choice, as_json, confidence, json_option, opened, project_options, read_input
from mnemolite.cli.note_output import note_lines, print_changed, print_json, print_note, print_written
from mnemolite.errors import InvalidInput
from mnemolite.memory import Memory
from mnemolite.notes.forms import from_markdown, note_from, to_markdown
from mnemolite.notes.rules import new_id
from mnemolite.records import GLOBAL, NOTE_KINDS, Anchor, Context, Note, Relation, Status
from mnemolite.types import Kind

EDITED = ("kind", "title", "body", "tags", "project", "context", "confidence", "status", "anchors", "metadata")
UNTITLED = "(title)"  # until the editor gives one
TEXT_FIELDS = ("situation", "solution", "what_failed")


@click.group("note")
def note_command() -> None:
    """What you have learnt: bugs, decisions, pitfalls and other notes, found by what they mean."""


def _content_options(command: Any) -> Any:
    for option in (
        click.option("--what-failed", help="What did not work."),
        click.option("--solution", help="What helped."),
        click.option("--situation", help="When it applies."),
        click.option("--keyword", "keywords", multiple=True, help="A word it should be found by; may be repeated."),
        click.option("-c", "--confidence", type=confidence, metavar="0-5", help="How sure you are."),
        click.option(
            "--at", "places", multiple=True, metavar="PLACE", help="Code it is about: path:line, path:Symbol."
        ),
        click.option("-t", "--tag", "tags", multiple=True, help="May be repeated."),
        click.option("-b", "--body", help="The body; '-' reads it from stdin."),
        click.option("-e", "--edit", is_flag=True, help="Write it in $VISUAL or $EDITOR."),
    ):
        command = option(command)
    return command


@note_command.command("add")
@click.argument("kind", required=False, type=as_choice(NOTE_KINDS))
@click.argument("title", required=False)
@_content_options
@project_options(reading=False)
@json_option
def add_command(
    kind: str | None,
    title: str | None,
    edit: bool,
    form: bool,
    project: str | None,
    everywhere: bool,
    places: tuple[str, ...],
    **given: Any,
) -> int:
    """
    Remember something: KIND is bug, pattern, decision, pitfall, config, reference or snippet.

    Without KIND and TITLE: a note as a JSON object from stdin with --json, else in the editor.
    """
    with opened(project) as memory:
        home = GLOBAL if everywhere else memory.notes.project
        given["anchors"] = _anchors(memory, places)
        if kind is None and form and not edit:
            note = _from_json(memory, as_json(read_input(), "stdin"), home, given)
        elif title is None or edit:
            note = memory.notes.insert(_from_editor(_draft(kind, title or UNTITLED, home, given)))
        else:
            note = memory.notes.insert(_draft(kind, title, home, given))
    print_written(note, "added", form)
    return 0


@note_command.command("edit")
@click.argument("id")
@click.option("--kind", type=as_choice(NOTE_KINDS))
@click.option("--title")
@click.option("--status", type=as_choice(Status))
@click.option("--move-to", metavar="PROJECT", help="Another project; '' makes it global.")
@_content_options
@project_options(reading=True)
@json_option
def edit_command(
    id: str,
    edit: bool,
    form: bool,
    project: str | None,
    everywhere: bool,
    move_to: str | None,
    places: tuple[str, ...],
    **given: Any,
) -> int:
    """
    Change the note ID by the options given; without any, in the editor. Tags, keywords and places given replace all.
    """
    with opened(project, everywhere) as memory:
        note = memory.notes.get(id)
        values = _changes(note, {**given, "anchors": _anchors(memory, places)})
        if move_to is not None:
            values["project"] = move_to
        if edit or not values:
            edited = _from_editor(note, **values)
            values = {name: getattr(edited, name) for name in EDITED if getattr(edited, name) != getattr(note, name)}
        if values:
            note = memory.notes.edit(note.id, **values)
    print_written(note, "changed" if values else "not changed", form)
    return 0


@note_command.command("show")
@click.argument("id")
@click.option("--markdown", is_flag=True, help="As Markdown with a YAML front matter, as 'export' writes it.")
@project_options(reading=True)
@json_option
def show_command(id: str, markdown: bool, form: bool, project: str | None, everywhere: bool) -> int:
    """Show the note ID in full; its beginning is enough."""
    with opened(project, everywhere) as memory:
        note = memory.notes.get(id, deleted=True, count=True)
        if form:
            print_json(note, memory.standings)
        elif markdown:
            sys.stdout.buffer.write(to_markdown(note).encode())
        else:
            print_note(note, memory.notes, memory.standings)
    return 0


@note_command.command("rm")
@click.argument("ids", nargs=-1, required=True)
@click.option("--purge", is_flag=True, help="For good: it cannot be restored.")
@project_options(reading=True)
@json_option
def rm_command(ids: tuple[str, ...], purge: bool, form: bool, project: str | None, everywhere: bool) -> int:
    """Remove notes; 'note restore ID' brings one back."""
    with opened(project, everywhere) as memory:
        for id in ids:
            note = memory.notes.purge(id) if purge else memory.notes.forget(id)
            print_changed(note, "purged" if purge else "removed", form)
    return 0


@note_command.command("restore")
@click.argument("ids", nargs=-1, required=True)
@project_options(reading=True)
@json_option
def restore_command(ids: tuple[str, ...], form: bool, project: str | None, everywhere: bool) -> int:
    """Bring back notes that were removed; 'note list --removed' shows them."""
    with opened(project, everywhere) as memory:
        for id in ids:
            print_changed(memory.notes.restore(id), "restored", form)
    return 0


@note_command.command("link")
@click.argument("id")
@click.argument("relation", type=as_choice(Relation))
@click.argument("target")
@click.option("-r", "--reason", default="", help="Why.")
@project_options(reading=True)
@json_option
def link_command(
    id: str, relation: str, target: str, reason: str, form: bool, project: str | None, everywhere: bool
) -> int:
    """Say what the note ID is to the note TARGET: related, supersedes, derived_from or contradicts."""
    with opened(project, everywhere) as memory:
        print_changed(memory.notes.link(id, Relation(relation), target, reason), f"{relation} {target}", form)
    return 0


@note_command.command("unlink")
@click.argument("id")
@click.argument("target")
@click.option("--relation", type=as_choice(Relation), help="Only this one.")
@project_options(reading=True)
@json_option
def unlink_command(
    id: str, target: str, relation: str | None, form: bool, project: str | None, everywhere: bool
) -> int:
    """Take back what was said of the note ID and the note TARGET."""
    with opened(project, everywhere) as memory:
        note = memory.notes.unlink(id, target, Relation(relation) if relation else None)
        print_changed(note, f"no longer linked to {target}", form)
    return 0


@note_command.command("review")
@click.argument("id", required=False)
@click.argument("quality", required=False, type=int)
@click.option("-k", "--limit", default=20, show_default=True, type=click.IntRange(1), help="Notes at most.")
@project_options(reading=True)
@json_option
def review_command(
    id: str | None, quality: int | None, limit: int, form: bool, project: str | None, everywhere: bool
) -> int:
    """
    Look at notes again before they are forgotten: each is asked for at growing intervals.

    With ID and QUALITY, 0 (forgotten) to 5 (known at once): records how it went. Without: asks on a terminal, else
    lists what is due.
    """
    with opened(project, everywhere) as memory:
        if id is not None:
            if quality is None:
                raise InvalidInput("say how well you knew it: 'note review ID QUALITY', 0 (forgotten) to 5 (at once)")
            _print_reviewed(memory.notes.review(id, quality), form)
            return 0
        due = memory.notes.due(limit)
        if form or not (sys.stdin.isatty() and sys.stdout.isatty()):
            for line in note_lines(due, form, memory.standings):
                click.echo(line)
        else:
            _ask(memory, due)
        return 0 if due else 1


def _ask(memory: Memory, due: list[Note]) -> None:
    for note in due:
        click.echo(f"\n{click.style(note.title, bold=True)}")
        click.pause("Enter shows the note")
        print_note(note, memory.notes, memory.standings)
        quality = click.prompt("How well did you know it, 0 to 5", type=click.IntRange(0, 5), err=True)
        _print_reviewed(memory.notes.review(note.id, quality), False)


def _print_reviewed(note: Note, form: bool) -> None:
    assert note.review.due is not None
    print_changed(note, f"due again on {note.review.due:%Y-%m-%d}", form)


def _draft(kind: str | None, title: str, project: str, given: Mapping[str, Any]) -> Note:
    """The note that the options say."""
    now = datetime.now(UTC)
    blank = Note(
        id=new_id(),
        kind=Kind(kind or Kind.REFERENCE),
        title=title,
        project=project,
        created_at=now,
        updated_at=now,
    )
    return replace(blank, **_changes(blank, given))


def _anchors(memory: Memory, places: Sequence[str]) -> tuple[Anchor, ...]:
    return tuple(memory.anchor(place, Path.cwd()) for place in places)


def _from_json(memory: Memory, values: dict[str, Any], project: str, given: Mapping[str, Any]) -> Note:
    now = datetime.now(UTC)
    note = note_from({"id": new_id(), **values}, "stdin", now, project)
    if given["anchors"]:
        note = replace(note, anchors=given["anchors"])
    if "id" not in values:
        return memory.notes.insert(note)
    [(note, fate)] = memory.notes.put([note])
    if fate == "older":
        raise InvalidInput(f"the note {note.id} that is here was changed or removed later; 'note edit' changes it")
    return note


def _changes(note: Note, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the options change of *note*; those not given change nothing."""
    values: dict[str, Any] = {}
    for name, kind in (("kind", Kind), ("status", Status), ("title", str), ("confidence", int)):
        if given.get(name) is not None:
            values[name] = kind(given[name])
    if (body := given.get("body")) is not None:
        values["body"] = read_input() if body == "-" else body
    values |= {name: given[name] for name in ("tags", "anchors") if given.get(name)}
    context = {name: given[name] for name in TEXT_FIELDS if given.get(name) is not None}
    if given.get("keywords"):
        context["keywords"] = given["keywords"]
    if context:
        old = {name: getattr(note.context, name) for name in (*TEXT_FIELDS, "keywords")}
        values["context"] = Context(**{**old, **context})
    return values


def _from_editor(note: Note, **values: Any) -> Note:
    """
    *note* as the editor left it.

    Raises:
        InvalidInput: what was written is no note; says where it has been kept.
    """
    import tempfile

    text = to_markdown(replace(note, **values)).encode()
    with tempfile.NamedTemporaryFile(prefix="note-", suffix=".md", delete=False) as file:
        file.write(text)
    path = Path(file.name)
    try:
        click.edit(filename=str(path))  # in place: what click.edit() does to a text changes its line ends
        written = path.read_bytes()
        edited = from_markdown(written.decode(), path.name, note.updated_at, note.project)
        if edited.title == UNTITLED or edited.id != note.id:
            raise InvalidInput("the note has no title" if edited.id == note.id else "the id of a note cannot be edited")
    except (InvalidInput, UnicodeDecodeError, OSError, click.ClickException) as error:
        raise InvalidInput(f"{error}; nothing was stored, what you wrote is in {path}") from error
    with suppress(OSError):
        path.unlink()
    return edited
