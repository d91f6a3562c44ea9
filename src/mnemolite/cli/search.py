"""search, similar: finding."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnemolite.cli import is_rekall
from mnemolite.cli.plain import in_line, plain, visible
from mnemolite.cli.progress import ProgressLine
from mnemolite.cli.remarks import about, print_remarks
from mnemolite.errors import InvalidInput
from mnemolite.ingest.lines import Lines
from mnemolite.memory import NOTES_BESIDE, Freshness, Memory
from mnemolite.search.snippet import window
from mnemolite.types import Chunk, Hit, Kind, Query, Results, Scope
from mnemolite.wiring import find_root, open_memory, open_notes, open_places

if TYPE_CHECKING:
    from mnemolite.cli.note_output import Standings

CONTEXT = 2  # lines shown on each side of the line that matches best


def _scope_options(command: Any) -> Any:
    for option in (
        click.option("--repo", "repos", multiple=True, metavar="NAME", help="Only this one of the searched folders."),
        click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind: function, class, ..."),
        click.option("--path", "paths", multiple=True, metavar="GLOB", help="Only these files: 'src/**', '*.py'."),
        click.option("--lang", "languages", multiple=True, metavar="NAME", help="Only this language."),
    ):
        command = option(command)
    return command


def _output_options(command: Any) -> Any:
    for option in (
        click.option("--explain", is_flag=True, help="Show what put each hit in its place."),
        click.option("-C", "--context", type=click.IntRange(0), metavar="N", help="Lines around the best line."),
        click.option("--jsonl", "form", flag_value="jsonl", help="One JSON object a hit."),
        click.option("--json", "form", flag_value="json", help="One JSON object."),
        click.option("-k", "--limit", default=10, show_default=True, metavar="N", help="Hits at most."),
    ):
        command = option(command)
    return command


@click.command("search")
@click.argument("query")
@click.argument("path", nargs=-1)
@_output_options
@_scope_options
@click.option("--min-score", type=float, metavar="0..1", help="Leave out hits that are less relevant; exit 1 for none.")
@click.option("--lexical-only", is_flag=True, help="By words alone.")
@click.option("--vector-only", is_flag=True, help="By meaning alone.")
@click.option("--expand/--no-expand", default=None, help="Search synonyms and acronyms of its words too, or not.")
@click.option("--rerank", is_flag=True, help="Have the first hits read again by the configured reranker.")
@click.option("--code", "about", flag_value="code", help="Code alone.")
@click.option("--notes", "about", flag_value="notes", help="Notes alone.")
@click.option("--no-refresh", is_flag=True, help="Answer from the index as it is; say whether it is stale.")
def search_command(
    query: str,
    path: tuple[str, ...],
    limit: int,
    form: str | None,
    context: int | None,
    explain: bool,
    min_score: float | None,
    lexical_only: bool,
    vector_only: bool,
    expand: bool | None,
    rerank: bool,
    no_refresh: bool,
    about: str | None,
    **scope: tuple[str, ...],
) -> int:
    """
    Find the places in the tree at PATH that QUERY, a question or a name, is about.

    Without PATH: the tree around the current folder that has an index. Notes about the query, three at most, follow
    the hits; 'rekall search' shows notes first.
    """
    asked = Query(
        text=query,
        limit=limit,
        scope=_scope(**scope),
        lexical=not vector_only,
        vector=not lexical_only,
        expand=expand,
        rerank=rerank,
        min_score=min_score,
    )
    progress = ProgressLine()
    freshness: Freshness = "check" if no_refresh else "refresh"
    with _opened(path, about) as memory:
        try:
            if about == "notes" or (is_rekall() and about is None):
                results = _notes_first(memory, asked, freshness, progress)
            else:
                beside = 0 if about == "code" else NOTES_BESIDE
                results = memory.search(asked, freshness=freshness, on_progress=progress, notes=beside)
        finally:
            progress.close()
        return _print(results, query, form, context, explain, memory, "skip" if no_refresh else "refresh")


def _opened(path: tuple[str, ...], about: str | None) -> Memory:
    """Without an index of code, the notes alone, if there are any."""
    if about == "notes":
        return open_notes(*path)
    if path:
        return open_places(path)
    if about is None and find_root(Path.cwd()) is None:
        notes = open_notes()
        if notes.has_notes:
            return notes
        notes.close()
    return open_memory(create=False)


def _notes_first(memory: Memory, asked: Query, freshness: Freshness, progress: ProgressLine) -> Results:
    notes = memory.notes.search(asked)
    if not memory.trees:
        return replace(notes, hits=(), notes=notes.hits)
    code = memory.search(asked, freshness=freshness, on_progress=progress, notes=0)
    return replace(
        code,
        notes=notes.hits,
        degraded=tuple(dict.fromkeys((*code.degraded, *notes.degraded))),
        best=max(code.best, notes.best),
        relevant=code.relevant or notes.relevant,
    )


@click.command("similar")
@click.argument("place", metavar="FILE:LINE|NOTE")
@click.argument("path", default=".")
@_output_options
@_scope_options
def similar_command(
    place: str, path: str, limit: int, form: str | None, context: int | None, explain: bool, **scope: tuple[str, ...]
) -> int:
    """
    Find code like that at FILE:LINE (FILE relative to the tree's root) in the tree around PATH.

    Given the id of a NOTE: notes like it.
    """
    file, _, line = place.rpartition(":")
    if not set(place) & set(":./\\ "):
        with open_notes(path) as memory:
            found = memory.notes.similar(place, limit)
            return _print(replace(found, hits=(), notes=found.hits), "", form, context, explain, memory)
    if not file or not line.isdecimal():
        raise InvalidInput(f"{place!r} is not FILE:LINE; write for example src/app.py:12, or the id of a note")
    with open_memory(path, create=False) as memory:
        results = memory.similar(file.removeprefix("./"), int(line), limit, _scope(**scope))
        return _print(results, "", form, context, explain, memory)


def _scope(languages: tuple[str, ...], kinds: tuple[str, ...], paths: tuple[str, ...], repos: tuple[str, ...]) -> Scope:
    if languages:
        from mnemolite.ingest.languages import known  # a large table that other searches need not load

        languages = known(languages)
    return Scope(languages=languages, kinds=tuple(Kind(kind) for kind in kinds), paths=paths, sources=repos)


def _print(
    results: Results,
    query: str,
    form: str | None,
    context: int | None,
    explain: bool,
    memory: Memory,
    freshness: Freshness = "refresh",
) -> int:
    standings = partial(memory.standings, freshness=freshness)
    if form is None:
        shown = [_as_text(hit, query, context) for hit in results.hits]
        notes = _notes_as_text(results, memory, standings)
        if explain:
            shown = [f"{text}\n{_explained(hit)}" for text, hit in zip(shown, results.hits, strict=True)]
            notes = [f"{text}\n{_explained(hit)}" for text, hit in zip(notes, results.notes, strict=True)]
        click.echo("\n".join(notes + shown if is_rekall() else shown + notes), nl=bool(shown or notes))
    else:
        code = [_as_json(hit, query, context) for hit in results.hits]
        notes_found = _notes_as_json(results, standings)
        found = notes_found + code if is_rekall() else code + notes_found
        if form == "jsonl":
            click.echo("".join(json.dumps(hit) + "\n" for hit in found), nl=False)
        else:
            click.echo(json.dumps({"hits": found, **about(results)}))
    if form != "json":
        print_remarks(results)
    return 0 if results.hits or results.notes else 1


def _notes_as_text(results: Results, memory: Memory, standings: Standings) -> list[str]:
    if not results.notes:
        return []
    from mnemolite.cli.note_output import hits_as_text

    return hits_as_text(results.notes, memory.notes, standings)


def _notes_as_json(results: Results, standings: Standings) -> list[dict[str, object]]:
    if not results.notes:
        return []
    from mnemolite.cli.note_output import hit_as_json

    return [hit_as_json(hit, standings) for hit in results.notes]


def _as_json(hit: Hit, query: str, context: int | None) -> dict[str, object]:
    chunk = hit.chunk
    first, lines = _snippet(chunk, query, context) if context is not None else (chunk.first_line, None)
    return {
        "type": "code",
        "path": _shown(chunk),
        "first_line": chunk.first_line,
        "last_line": chunk.last_line,
        "name": chunk.name,
        "kind": chunk.kind,
        "parent": chunk.parent,
        "signature": chunk.signature,
        "language": chunk.language,
        "score": hit.score,
        "ranks": {
            name: {"rank": place.rank, "score": place.score, "contribution": place.contribution}
            for name, place in hit.ranks.items()
        },
        "signals": hit.signals,
        "notes": [asdict(pinned) for pinned in hit.notes],
        "snippet": chunk.text if lines is None else "\n".join(lines),
        "snippet_line": first,
    }


def _as_text(hit: Hit, query: str, context: int | None) -> str:
    chunk = hit.chunk
    ranks = ", ".join(f"{name} {place.rank}" for name, place in hit.ranks.items())
    place = f"{in_line(_shown(chunk))}:{chunk.first_line}-{chunk.last_line}"
    head = f"{click.style(place, fg='magenta')}   {click.style(plain(_title(chunk)), bold=True)}   {ranks}"
    first, lines = _snippet(chunk, query, CONTEXT if context is None else context)
    body = "".join(f"\n{click.style(f'{first + i:6}', fg='green')}  {visible(line)}" for i, line in enumerate(lines))
    return head + _pins(hit) + body + ("\n" if body else "")


def _pins(hit: Hit) -> str:
    if not hit.notes:
        return ""
    from mnemolite.cli.note_output import pinned_text

    return "".join(click.style(f"\n        {pinned_text(pinned)}", fg="cyan") for pinned in hit.notes)


def _explained(hit: Hit) -> str:
    parts = [f"{name}: rank {p.rank}, score {p.score:.3f}, +{p.contribution:.4f}" for name, p in hit.ranks.items()]
    parts += [f"{signal}: x{factor:.3g}" for signal, factor in hit.signals.items()]
    return f"        score {hit.score:.4f} = " + "; ".join(parts) + "\n"


def _snippet(chunk: Chunk, query: str, context: int) -> tuple[int, list[str]]:
    """What of *chunk* to show for *query*, and the number of its first line."""
    lines = [line.rstrip("\r\n") for line in Lines(chunk.text).rows] or [""]
    shown = window(lines, query, context)
    width = 200 if sys.stdout.isatty() else 1000
    return chunk.first_line + shown.start, [lines[i][:width] for i in shown]


def _title(chunk: Chunk) -> str:
    return ".".join(filter(None, (chunk.parent, chunk.name))) or str(chunk.kind)


def _shown(chunk: Chunk) -> str:
    """With the searched folder before it, where there are several."""
    return chunk.path if chunk.source == "." else f"{chunk.source}/{chunk.path}"
