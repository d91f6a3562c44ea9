"""How notes look on a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from mnemolite.cli.note_options import shown_project
from mnemolite.cli.plain import plain, visible
from mnemolite.note_documents import secrets_in
from mnemolite.notebook import Notebook
from mnemolite.notes.anchors import described, texts
from mnemolite.notes.forms import values_of
from mnemolite.records import Anchor, Note, NoteHit, Status
from mnemolite.types import AnchorState, Hit, Pinned, Standing

Standings = Callable[[Sequence[Anchor]], Sequence[Standing]]
SNIPPET_LINES = 4
KEPT = "kept as it was written, masked where it is searched and shown to agents"  # of a secret
WIDTH = 160


def print_changed(note: Note, what: str, form: bool) -> None:
    if form:
        print_json(note)
    else:
        click.echo(f"{click.style(note.id, fg='magenta')}  {what}: {plain(note.title)}")


def print_written(note: Note, what: str, form: bool) -> None:
    """As :func:`print_changed`, for what somebody has just written: it may have a secret."""
    masked = secrets_in(note)
    if form:
        click.echo(json.dumps({**json_of(note), "masked": masked}))
    else:
        print_changed(note, what, form)
    if masked:
        click.echo(f"mnemolite: note {note.id} holds a secret ({', '.join(masked)}): {KEPT}", err=True)


def print_json(note: Note, standings: Standings | None = None) -> None:
    click.echo(json.dumps(json_of(note, standings)))


def json_of(note: Note, standings: Standings | None = None) -> dict[str, Any]:
    """With how its anchors stand, one for each."""
    found = {**values_of(note), "superseded_by": list(note.superseded_by)}
    if note.anchors and standings is not None:
        found["standings"] = [{**asdict(each), "state": each.state.value} for each in standings(note.anchors)]
    return found


def note_lines(notes: Iterable[Note], form: bool, standings: Standings) -> Iterator[str]:
    for note in notes:
        yield json.dumps(json_of(note, standings)) if form else note_line(note, standings)


def note_line(note: Note, standings: Standings) -> str:
    tags = "".join(f" #{plain(tag)}" for tag in note.tags)
    stale = [each for each in standings(note.anchors) if each.state is not AnchorState.FRESH]
    state = "".join(f" [{word}]" for word in (*states(note), *map(plain, map(described, stale))))
    id = click.style(note.id, fg="magenta")
    return f"{id}  {note.updated_at:%Y-%m-%d}  {note.kind:9}  {plain(note.title)}{tags}{state}"


def states(note: Note) -> list[str]:
    """What a reader should know before believing the note."""
    found = [f"superseded by {', '.join(note.superseded_by)}"] if note.superseded_by else []
    found += ["obsolete"] if note.status is Status.OBSOLETE else []
    return found + (["removed"] if note.deleted_at is not None else [])


def print_note(note: Note, notes: Notebook, standings: Standings) -> None:
    backlinks = notes.links_to(note.id)
    ends = notes.titles([link.target for link in note.links] + [id for id, _ in backlinks])
    click.echo(f"{click.style(note.id, fg='magenta')}   {click.style(plain(note.title), bold=True)}")
    rows: list[tuple[str, str]] = [
        ("kind", f"{note.kind}, confidence {note.confidence}, {', '.join(states(note)) or 'active'}"),
        ("project", shown_project(note.project)),
        ("tags", ", ".join(note.tags)),
        ("written", f"{note.created_at:%Y-%m-%d %H:%M}Z, changed {note.updated_at:%Y-%m-%d %H:%M}Z"),
        ("shown", f"{note.accesses} times" if note.accesses else ""),
        ("review", f"due {note.review.due:%Y-%m-%d}" if note.review.due else ""),
        ("situation", note.context.situation),
        ("failed", note.context.what_failed),
        ("solution", note.context.solution),
        ("keywords", ", ".join(note.context.keywords)),
        *((link.relation, _end(link.target, link.reason, ends)) for link in note.links),
        *((f"{link.relation} this", _end(id, link.reason, ends)) for id, link in backlinks),
        *(("at", text) for text in texts(note.anchors, standings(note.anchors))),
        *((name, json.dumps(value)) for name, value in note.metadata.items()),
    ]
    for name, value in rows:
        if value:
            click.echo(f"{plain(name):12} {plain(value)}")
    if note.body:
        click.echo("\n" + visible(note.body.replace("\r\n", "\n")))


def pinned_text(pinned: Pinned) -> str:
    return plain(f"note {pinned.id} {pinned.kind} {pinned.title} ({described(pinned.standing)})")


def hit_as_json(hit: Hit, standings: Standings) -> dict[str, Any]:
    assert isinstance(hit, NoteHit)
    return {
        "type": "note",
        **{name: value for name, value in json_of(hit.note, standings).items() if name != "body"},
        "score": hit.score,
        "ranks": {
            name: {"rank": place.rank, "score": place.score, "contribution": place.contribution}
            for name, place in hit.ranks.items()
        },
        "signals": hit.signals,
        "snippet": hit.chunk.text,
    }


def hits_as_text(hits: Sequence[Hit], notes: Notebook, standings: Standings) -> list[str]:
    found = [hit for hit in hits if isinstance(hit, NoteHit)]
    superseding = notes.titles([id for hit in found for id in hit.note.superseded_by])
    return [_hit_as_text(hit, superseding, standings) for hit in found]


def _hit_as_text(hit: NoteHit, superseding: Mapping[str, Note], standings: Standings) -> str:
    note = hit.note
    ranks = ", ".join(f"{name} {place.rank}" for name, place in hit.ranks.items())
    head = f"{click.style(note.id, fg='magenta')}   {click.style(plain(note.title), bold=True)}   {note.kind}   {ranks}"
    lines = [head]
    for id in note.superseded_by:
        title = plain(superseding[id].title) if id in superseding else ""
        lines.append(click.style(f"        superseded by {id} {title}".rstrip(), fg="yellow"))
    if note.status is Status.OBSOLETE:
        lines.append(click.style("        obsolete", fg="yellow"))
    lines += [f"        at {plain(text)}" for text in texts(note.anchors, standings(note.anchors))]
    shown = [line for line in hit.chunk.text.splitlines() if line.strip() and line != note.title][:SNIPPET_LINES]
    lines += [f"        {plain(line)[:WIDTH]}" for line in shown]
    return "\n".join(lines) + ("\n" if shown else "")


def _end(id: str, reason: str, ends: Mapping[str, Note]) -> str:
    title = plain(ends[id].title) if id in ends else "(not here)"
    return f"{id} {title}" + (f" ({plain(reason)})" if reason else "")
