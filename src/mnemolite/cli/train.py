"""train: a model that knows one's own code."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click
import msgspec

from mnemolite.errors import InvalidInput
from mnemolite.settings import Settings
from mnemolite.wiring import open_memory, tree_folder

MOST = 6000
COMMITS = 1000


@click.group("train")
def train_command() -> None:
    """Have the embedding model learn from your own code; on a CPU, in minutes."""


@train_command.command("mine")
@click.argument("paths", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file of examples, JSON Lines.")
@click.option("--most", default=MOST, show_default=True, type=click.IntRange(min=1), help="Examples of one tree.")
@click.option("--commits", default=COMMITS, show_default=True, type=click.IntRange(min=0), help="The last so many.")
@click.option(
    "--accepted",
    type=click.Path(path_type=Path),
    help="A file of 'feedback export': what was chosen is an answer, what stood above it is not.",
)
def mine_command(paths: tuple[str, ...], out: Path, most: int, commits: int, accepted: Path | None) -> None:
    """
    Collect questions with known answers from the source trees at PATHS.

    What is said of code in docstrings, comments, headings, names, tests and commits is the question, the chunk of the
    index it is said of the answer; what the search finds beside it is given as wrong. Nothing leaves this machine.
    """
    from mnemolite.lab import examples as lab

    given = lab.read_feedback(accepted) if accepted else []
    examples: list[lab.Example] = []
    for path in dict.fromkeys(paths):
        with open_memory(path) as memory:
            mined = lab.mine(memory, most=most, commits=commits)
            chosen, gone = lab.accepted(memory, given)
        examples += [*mined.examples, *chosen]
        click.echo(f"{path}: {len(mined.examples):,} examples ({_listed(mined.counts)}); {_listed(mined.parts)}")
        if mined.dropped:
            click.echo(f"  left out: {_listed(mined.dropped)}", err=True)
        if given:
            click.echo(f"  accepted: {len(chosen):,}, of which the code is gone: {gone:,}")
    if not examples:
        raise InvalidInput(f"nothing is said of code in {', '.join(paths)}; no file was written")
    lab.write_examples(out, examples)


@train_command.command("run")
@click.argument("examples", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder of the new model.")
@click.option("--in", "here", default=".", help="The tree of examples that name none.")
@click.option("--start", help="The model to start from, a folder or one that was added; the shipped one unless told.")
@click.option("--name", help="Of the model; that of its folder unless told.")
@click.option("--epochs", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--batch", type=click.IntRange(min=2), help="Examples of a step; 256, or 16 for a transformer.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="1e-3, or 2e-5 for a transformer.")
@click.option(
    "--warm-up",
    type=click.IntRange(min=0),
    help="Steps until the rate is whole, at most half of all; a twentieth of all, or 100 for a transformer.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
def run_command(
    examples: Path,
    out: Path,
    here: str,
    start: str | None,
    name: str | None,
    epochs: int,
    batch: int | None,
    rate: float | None,
    warm_up: int | None,
    seed: int,
) -> None:
    """
    Train a model on EXAMPLES, a file of 'train mine' or of your own, and write it to a folder.

    It is a static one, or, where torch is installed, a transformer with model.safetensors. Files are parted by their
    path: most are trained on, some choose how much of what was learnt is taken, and those that are left are for 'train
    eval'.
    """
    from mnemolite.lab.examples import read_examples, resolve
    from mnemolite.lab.tune import tune
    from mnemolite.models import model_folder

    root = tree_folder(here)
    settings = Settings.load(root)
    record = tune(
        resolve(read_examples(examples), root),
        model_folder(msgspec.structs.replace(settings, embedding_model=start or "")),
        out,
        name=name or out.resolve().name,
        seed=seed,
        epochs=epochs,
        batch=batch,
        rate=rate,
        warm_up=warm_up,
        device=settings.device,
        say=lambda line: click.echo(line, err=True),
    )
    if not record.share:
        click.echo(f"{out}: nothing that was learnt helps on other files; it is the model as it was")
    else:
        click.echo(f"{out}: trained in {record.cpu_seconds:.0f} s of CPU; see what it is worth: mnemolite train eval")


@train_command.command("eval")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("examples", type=click.Path(path_type=Path))
@click.option("--in", "here", default=".", help="The tree of examples that name none.")
@click.option("--most", default=400, show_default=True, type=click.IntRange(min=1), help="Questions of one tree.")
@click.option("--json", "as_json", is_flag=True)
def eval_command(model: Path, examples: Path, here: str, most: int, as_json: bool) -> None:
    """
    Compare MODEL with the one in use, on the EXAMPLES of files that neither was trained on.

    They are asked of a copy of their tree in which they do not stand, of the whole search and of vectors alone.
    Differences have 95 % intervals.
    """
    from mnemolite.lab.examples import read_examples, resolve
    from mnemolite.lab.held_out import copies
    from mnemolite.lab.judge import judge

    root = tree_folder(here)
    with copies(resolve(read_examples(examples), root), most=most) as made:
        verdict = judge(model, made, Settings.load(root))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(verdict) | {"helps": verdict.helps}))
        return
    click.echo(f"{verdict.questions} questions of files that were not trained on")
    click.echo(f"{'':14}{'of':>11}{'questions':>11}{'metric':>11}{'before':>8}{'after':>8}   difference (95 %)")
    for f in verdict.figures:
        span = f"{f.difference:+.3f} ({f.low:+.3f} to {f.high:+.3f})"
        row = f"{f.way:14}{f.relation:>11}{f.questions:11}{f.metric:>11}{f.before:8.3f}{f.after:8.3f}   {span}"
        click.echo(row)
    click.echo(verdict.words)


@train_command.command("use")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("path", default=".")
@click.option("--force", is_flag=True, help="Also when it is not better, or was not evaluated.")
def use_command(model: Path, path: str, force: bool) -> None:
    """
    Have MODEL embed the index of the tree at PATH, then search by it; refused unless 'train eval' found it better.

    Searches go on meanwhile. What was searched by before stays, and 'spaces switch' goes back to it.
    """
    from mnemolite.lab.judge import approved, in_use, using
    from mnemolite.models import check_model

    settings = Settings.load(tree_folder(path))
    own = using(settings, model)
    check_model(own)
    why = approved(model, fingerprint=in_use(own), against=in_use(settings), force=force)
    with open_memory(path, settings=own, create=False) as memory:
        done = memory.spaces.build()
        memory.spaces.switch()
    click.echo(f"{done:,} chunks embedded by {model.name}; they are searched by it ({why})")
    click.echo(f"keep it configured: export MNEMOLITE_EMBEDDING_MODEL={model.resolve()}", err=True)


def _listed(counts: object) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(Counter(counts).items()))  # type: ignore[call-overload]
