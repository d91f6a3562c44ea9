"""note list, search, similar: many notes at a time."""

from __future__ import annotations

import json
from typing import Any

import click

from mnemolite.cli.note import note_command
from mnemolite.cli.note_options import filter_from, filter_options, json_option, opened, project_options
from mnemolite.cli.note_output import hit_as_json, hits_as_text, note_lines
from mnemolite.cli.remarks import about, print_remarks
from mnemolite.memory import Memory
from mnemolite.types import Query, Results


def _hit_options(command: Any) -> Any:
    for option in (
        click.option("--jsonl", "form", flag_value="jsonl", help="One JSON object a note."),
        click.option("--json", "form", flag_value="json", help="One JSON object."),
        click.option("-k", "--limit", default=10, show_default=True, metavar="N", help="Notes at most."),
    ):
        command = option(command)
    return command


@note_command.command("list")
@filter_options
@click.option("--removed", is_flag=True, help="Those that were removed and can be restored.")
@click.option("-k", "--limit", type=click.IntRange(1), metavar="N", help="Notes at most.")
@project_options(reading=True)
@json_option
def list_command(
    form: bool, project: str | None, everywhere: bool, removed: bool, limit: int | None, **filters: Any
) -> int:
    """List notes, the last changed first; with --json one JSON object a line."""
    filter = filter_from(**filters, deleted=removed, limit=limit)
    found = False
    with opened(project, everywhere) as memory:
        for line in note_lines(memory.notes.each(filter), form, memory.standings):
            found = True
            click.echo(line)
    return 0 if found else 1


@note_command.command("search")
@click.argument("query")
@_hit_options
@filter_options
@project_options(reading=True)
@click.option(
    "--min-score", type=float, metavar="0..1", help="Leave out notes that are less relevant; exit 1 for none."
)
@click.option("--lexical-only", is_flag=True, help="By words alone.")
@click.option("--vector-only", is_flag=True, help="By meaning alone.")
def search_command(
    query: str,
    form: str | None,
    limit: int,
    project: str | None,
    everywhere: bool,
    min_score: float | None,
    lexical_only: bool,
    vector_only: bool,
    **filters: Any,
) -> int:
    """Find the notes that QUERY, a question or some words, is about."""
    asked = Query(text=query, limit=limit, lexical=not vector_only, vector=not lexical_only, min_score=min_score)
    with opened(project, everywhere) as memory:
        return print_hits(memory.notes.search(asked, filter_from(**filters)), memory, form)


@note_command.command("similar")
@click.argument("id")
@_hit_options
@filter_options
@project_options(reading=True)
def similar_command(
    id: str, form: str | None, limit: int, project: str | None, everywhere: bool, **filters: Any
) -> int:
    """Find notes near in meaning to the note ID."""
    with opened(project, everywhere) as memory:
        return print_hits(memory.notes.similar(id, limit, filter_from(**filters)), memory, form)


def print_hits(results: Results, memory: Memory, form: str | None) -> int:
    if form == "json":
        found = [hit_as_json(hit, memory.standings) for hit in results.hits]
        click.echo(json.dumps({"hits": found, **about(results)}))
        return 0 if found else 1
    if form:
        lines = [json.dumps(hit_as_json(hit, memory.standings)) for hit in results.hits]
    else:
        lines = hits_as_text(results.hits, memory.notes, memory.standings)
    for line in lines:
        click.echo(line)
    print_remarks(results)
    return 0 if results.hits else 1
