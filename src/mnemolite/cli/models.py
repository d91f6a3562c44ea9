"""models: which embedding models there are; adding, checking and exporting one."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from mnemolite.errors import InvalidInput
from mnemolite.models import Entry, add_model, check_model, configured, list_models, load_model, remove_model
from mnemolite.settings import Settings
from mnemolite.types import Domain


@click.group("models")
def models_command() -> None:
    """Embedding models: which there are, and how to get others."""


@models_command.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_command(as_json: bool) -> None:
    """What can be used ('*' is), and what is known by name and can be added."""
    entries = list_models(Settings.load(Path.cwd()))
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries]))
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        mark = "*" if entry.in_use else " "
        size = f"{entry.size / 1e6:.0f} MB" if entry.size else ""
        line = f"{mark} {entry.name:{width}}  {entry.dimension:5}  {entry.licence:10}  {entry.state:7}  {size:>8}"
        click.echo(f"{line}  {entry.source}".rstrip())


@models_command.command("add")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--dimension", type=click.IntRange(min=1), help="Cut its vectors to so many dimensions.")
@click.option("--again", is_flag=True, help="Replace the one of that name.")
@click.option("--hub", default="", help="Download from there, not from huggingface.co.")
def add_command(name: str, folder: Path | None, dimension: int | None, again: bool, hub: str) -> None:
    """
    Add the sentence-transformers model that lies in FOLDER under NAME; without FOLDER, download the known one.

    Where NAME is a known model, its prompts, cuts and licence are known too.
    """
    settings = Settings.load(Path.cwd())
    entry = add_model(settings, name, folder, dimension=dimension, again=again, hub=hub)
    click.echo(f"added {_described(entry)}")
    if not entry.in_use:
        then = "'mnemolite spaces build' and 'mnemolite spaces switch'"
        click.echo(f"use it with: export MNEMOLITE_EMBEDDING_MODEL={name}; then {then}", err=True)


@models_command.command("rm")
@click.argument("name")
def remove_command(name: str) -> None:
    """Delete the added model NAME. Indexes that it made go by words alone until another has made them anew."""
    remove_model(Settings.load(Path.cwd()), name)
    click.echo(f"removed {name}")


@models_command.command("check")
@click.argument("model", required=False)
@click.option("--against", help="Another model, whose vectors of the same texts should be the same.")
def check_command(model: str | None, against: str | None) -> None:
    """
    Whether MODEL, a name or a folder, can be used, and what a text costs; without MODEL, each in use.

    Its files are compared with what was recorded when it was added.
    """
    from mnemolite.lab.compare import cost, lowest_cosine

    settings = _using(Settings.load(Path.cwd()), model)
    for domain in [Domain.HYBRID] if model else configured(settings):
        space = check_model(settings, domain)
        click.echo(f"{space.model}, {space.dimension} dimensions, fingerprint {space.fingerprint}: as it should be")
        start = time.process_time()
        embedder = load_model(settings, domain)
        click.echo(f"loading: {time.process_time() - start:.2f} s of CPU")
        found = cost(embedder)
        click.echo(f"a text: {found.together:.2f} ms of CPU among others, {found.alone:.2f} ms alone")
        click.echo(f"the texts beside it move a component by at most {found.batch_error:.1e}")
        if against is not None:
            other = load_model(_using(settings, against))
            if other.space.dimension != space.dimension:
                raise InvalidInput(f"{against} has {other.space.dimension} dimensions, not {space.dimension}")
            click.echo(f"lowest cosine with {against}: {lowest_cosine(embedder, other):.6f}")


@models_command.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--int8", is_flag=True, help="Weights of 8 bits: a quarter of the size, less CPU.")
def export_command(folder: Path, out: Path, int8: bool) -> None:
    """
    Bring the sentence-transformers model in FOLDER (model.safetensors) into ONNX, in OUT, without torch.

    The result is compared with the same forward pass in NumPy.
    """
    try:
        from mnemolite.lab.onnx_export import export
    except ModuleNotFoundError as error:
        raise InvalidInput(f"{error}; install what an export needs: pip install 'mnemolite[onnx,train]'") from error
    cosine = export(folder, out, int8=int8)
    size = (out / "model.onnx").stat().st_size
    click.echo(f"{out / 'model.onnx'}: {size / 1e6:.1f} MB, lowest cosine with {folder}: {cosine:.6f}")


def _using(settings: Settings, model: str | None) -> Settings:
    return settings if model is None else msgspec.structs.replace(settings, embedding_model=model)


def _described(entry: Entry) -> str:
    licence = entry.licence or "of unknown licence"
    return f"{entry.name}: {entry.dimension} dimensions, {entry.size / 1e6:.1f} MB, {licence}"
