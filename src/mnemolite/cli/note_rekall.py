"""note import --from rekall."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from mnemolite.cli.note_exchange import fates_text, masked_lines
from mnemolite.cli.note_options import opened
from mnemolite.cli.plain import plain
from mnemolite.records import GLOBAL
from mnemolite.rekall import Report, take_rekall
from mnemolite.wiring import open_rekall


def import_rekall(paths: Sequence[str], project: str | None, overwrite: bool, as_json: bool) -> int:
    """Says what came over and what could not; 1 when an entry could not."""
    refused = False
    with opened(project) as memory:
        for path in paths:
            with open_rekall(Path(path)) as source:
                home = GLOBAL if project is None else project
                report = take_rekall(source, memory.notes, memory.embedders, project=home, overwrite=overwrite)
            refused = refused or bool(report.refused)
            for line in [json.dumps(asdict(report))] if as_json else _lines(path, report):
                click.echo(line)
    return 1 if refused else 0


def _lines(path: str, report: Report) -> Iterator[str]:
    yield f"{path}, Rekall's schema {report.schema}: {fates_text(report.fates)}"
    came = [f"{count:,} {name}" for name, count in report.carried.items()]
    for model, counts in report.vectors.items():
        came += [f"{count:,} embeddings of {plain(model)} {what}" for what, count in counts.items()]
    yield f"with {', '.join(came)}"
    yield from (f"not taken: {plain(id)}: {plain(reason)}" for id, reason in report.refused)
    yield from (f"{plain(id)}: {plain(remark)}" for id, remark in report.remarks)
    yield from masked_lines(report.masked)
    if report.left:
        rows = ", ".join(f"{count:,} {name}" for name, count in report.left.items())
        yield f"not notes, and left where they are: {rows}"
