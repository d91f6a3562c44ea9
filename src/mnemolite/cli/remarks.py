"""What is said of an answer besides its hits."""

from __future__ import annotations

import click

from mnemolite.search.relevance import doubt
from mnemolite.types import Results


def about(results: Results) -> dict[str, object]:
    """For a program."""
    return {
        "best": results.best,
        "relevant": results.relevant,
        "degraded": results.degraded,
        "seconds": results.seconds,
    }


def print_remarks(results: Results) -> None:
    shown = len(results.hits) + len(results.notes)
    for remark in filter(None, (doubt(shown, results.best, results.relevant), *results.degraded)):
        click.echo(f"mnemolite: {remark}", err=True)
