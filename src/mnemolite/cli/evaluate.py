"""eval: how well a search answers a set of queries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import quantiles

import click

from mnemolite.errors import InvalidInput
from mnemolite.lab.evaluate import METRICS, K, Score, Target, evaluate, interval, mean, read_cases
from mnemolite.types import Hit, Query
from mnemolite.wiring import open_memory

MINED_COMMITS = 1000


@click.command("eval")
@click.argument("queries", type=click.Path(path_type=Path), required=False)
@click.argument("path", default=".")
@click.option("--mine", metavar="PATH", help="Ask what the tree at PATH says of itself, instead of QUERIES.")
@click.option("--most", default=400, show_default=True, type=click.IntRange(min=1), help="Questions, with --mine.")
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw the figures of --mine, as SVG.")
@click.option("--lexical-only", is_flag=True)
@click.option("--vector-only", is_flag=True)
@click.option("--expand/--no-expand", default=None, help="Search synonyms and acronyms of a query's words too, or not.")
@click.option("--rerank", is_flag=True, help="Have the first hits read again by the configured reranker.")
@click.option(
    "--fail-under",
    multiple=True,
    metavar="[CATEGORY:]METRIC=VALUE",
    help="Exit with 1 when that mean is lower, as F1=0.75 or synonym:recall@10=0.8. May be given several times.",
)
@click.option("--json", "as_json", is_flag=True)
def eval_command(
    queries: Path | None,
    path: str,
    mine: str | None,
    most: int,
    plot: Path | None,
    lexical_only: bool,
    vector_only: bool,
    expand: bool | None,
    rerank: bool,
    fail_under: tuple[str, ...],
    as_json: bool,
) -> int:
    """
    Score the search over the tree around PATH on a set of QUERIES.

    QUERIES is JSON: [{"query": "...", "expected_results": ["name", "path", "path:name"], "category": "..."}].
    A list among the expected results names alternatives, any of which will do. Precision and F1 are taken at as many
    hits as results are expected. Under each mean stands its 95 % interval.
    """
    if mine is not None:
        if queries is not None or lexical_only or vector_only or rerank or fail_under or expand is not None:
            raise InvalidInput("--mine makes its own queries and compares ways to search; give it without the others")
        return _ask_of_itself(mine, most, plot, as_json=as_json)
    if queries is None or plot is not None:
        raise InvalidInput("give a file of queries, or --mine PATH (and with it, --plot FILE)")
    cases = read_cases(queries)
    targets = [Target.parse(text) for text in fail_under]
    for target in targets:
        if target.category not in (known := {"all", *(case.category for case in cases)}):
            raise InvalidInput(
                f"no query of {queries} is of category {target.category!r}: it has {', '.join(sorted(known))}"
            )
    degraded: Counter[str] = Counter()
    doubted: list[str] = []
    with open_memory(path) as memory:
        memory.index()

        def search(text: str) -> Sequence[Hit]:
            query = Query(
                text=text,
                limit=K,
                lexical=not vector_only,
                vector=not lexical_only,
                expand=expand,
                rerank=rerank,
            )
            results = memory.search(query, freshness="skip")
            degraded.update(results.degraded)
            if not results.relevant:
                doubted.append(text)
            return results.hits

        scores = evaluate(cases, search)
    for note, count in degraded.items():
        click.echo(f"mnemolite: {count} of {len(cases)} queries: {note}", err=True)
    if as_json:
        click.echo(json.dumps({category: [asdict(score) for score in own] for category, own in scores.items()}))
    else:
        _print_table(scores)
        click.echo(f"nothing seemed relevant to {len(doubted)} queries")
    missed = [target for target in targets if mean(scores[target.category], target.metric) < target.value]
    for target in missed:
        reached = mean(scores[target.category], target.metric)
        click.echo(f"mnemolite: {target.category} {target.metric} is {reached:.4f}, under {target.value:g}", err=True)
    return int(bool(missed))


def _ask_of_itself(path: str, most: int, plot: Path | None, *, as_json: bool) -> int:
    from mnemolite.lab.contest import contest, draw, rows
    from mnemolite.lab.examples import questions

    with open_memory(path) as memory:
        asked = questions(memory, commits=MINED_COMMITS)
        settings = memory.settings
    found = contest(asked, settings, most=most)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows(found)]))
    else:
        click.echo(f"{found.title} ({', '.join(f'{k} {n}' for k, n in found.kinds)})")
        click.echo(f"{'':40}{'its file@10':>19}{'recall@10':>19}{'nDCG@10':>19}{'tokens to the answer':>28}")
        for row in rows(found):
            figures = (f"{mean:.3f} ({low:.2f}-{high:.2f})" for mean, low, high in (row.file, row.recall, row.ndcg))
            tokens = "{:,.0f} ({:,.0f}-{:,.0f})".format(*row.tokens)
            click.echo(f"{row.way:40}" + "".join(f"{each:>19}" for each in figures) + f"{tokens:>28}")
    if plot is not None:
        plot.write_text(draw(found), "utf-8")
    return 0


def _print_table(scores: dict[str, list[Score]]) -> None:
    click.echo(f"{'category':14}{'queries':>9}" + "".join(f"{metric:>11}" for metric in METRICS))
    for category in sorted(scores, key=lambda name: (name == "all", name)):
        own = scores[category]
        click.echo(f"{category:14}{len(own):9}" + "".join(f"{mean(own, metric):11.4f}" for metric in METRICS))
        spans = ("{:.2f}-{:.2f}".format(*interval(own, metric)) for metric in METRICS)
        click.echo(" " * 23 + "".join(f"{span:>11}" for span in spans))
    times = sorted(score.milliseconds for score in scores["all"])
    cuts = quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
    click.echo(f"latency ms: p50 {cuts[49]:.2f}, p95 {cuts[94]:.2f}, p99 {cuts[98]:.2f}")
