"""Trains a static model from files of pairs and writes its folder: ``python -m mnemolite.lab.train --help``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import click
import numpy as np

from mnemolite.embedders.wordpiece import WordPiece
from mnemolite.errors import InvalidInput, MnemoError
from mnemolite.lab import quantise, vocabulary
from mnemolite.lab.contrastive import Distillation, Options, average, begin, read_state, train, write_state
from mnemolite.lab.corpus import Corpus, corpus, evaluate, passage, sample, short_texts, tokenise
from mnemolite.lab.pairs import SUFFIX, Pair, Relation
from mnemolite.lab.teacher import Teacher

if TYPE_CHECKING:
    from mnemolite.types import Matrix


DIMENSION = 384
DEV_CAP = 150  # held-out pairs of one relation of one repository: every pair is compared with every other


def start(tokens: Sequence[str], teacher: Teacher | None, model: Path | None, seed: int) -> Matrix:
    """
    What a model of ours has for each token, a new one as the sum of its old pieces; else the teacher's vector of the
    token alone; else random directions, .02 MRR behind on code. The last two are of one length.
    """
    if model is not None:
        return _continued(tokens, model)
    if teacher is not None:
        return teacher.embed([token.removeprefix("##") for token in tokens])
    drawn = np.random.default_rng(seed).standard_normal((len(tokens), DIMENSION), np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def _continued(tokens: Sequence[str], model: Path) -> Matrix:
    rows, old = quantise.read(model), vocabulary.read(model / "vocab.txt")
    place, pieces = {token: row for row, token in enumerate(old)}, WordPiece(old)
    found = np.empty((len(tokens), rows.shape[1]), np.float32)
    for row, token in zip(found, tokens, strict=True):
        row[:] = rows[place[token]] if token in place else rows[pieces(token.removeprefix("##"))].sum(0)
    return found


def run(
    data: Corpus, vectors: Matrix, options: Options, folder: Path, distillation: Distillation | None, *, resume: bool
) -> Matrix:
    """The rows of one run, kept in *folder*; with *resume* a run that is there is read or gone on with."""
    done, half = folder / f"run-{options.seed}.npz", folder / f"run-{options.seed}.half.npz"
    kept = [file for file in (half, done) if resume and file.exists()]
    state = read_state(kept[0], options) if kept else begin(vectors)
    began, first = process_time(), state.steps
    loss = train(data, state, options, distillation=distillation, save=lambda s: write_state(half, s, options))
    write_state(done, state, options)
    half.unlink(missing_ok=True)
    _say(f"run {options.seed}: {state.steps - first} steps, loss {loss:.3f}, {process_time() - began:.0f} CPU s")
    return state.table.rows()


def _say(line: str) -> None:
    click.echo(line, err=True)


def _repositories(folder: Path, cap: int, weights: Mapping[Relation, float], seed: int) -> list[list[Pair]]:
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise InvalidInput(f"{folder} holds no *{SUFFIX}")
    return [sample(file, cap, weights, seed) for file in files]


def _texts(repositories: Sequence[Sequence[Pair]]) -> Iterator[str]:
    for pairs in repositories:
        for pair in pairs:
            yield pair.query
            yield passage(pair, with_path=True)


def _weights(texts: Sequence[str]) -> dict[Relation, float]:
    try:
        return {Relation(name): float(weight) for name, _, weight in (t.partition("=") for t in texts)}
    except ValueError as error:
        raise InvalidInput(f"--weight wants RELATION=NUMBER: {error}") from error


@click.command()
@click.option("--pairs", type=click.Path(path_type=Path), required=True, help="folder of *.jsonl.gz to train on")
@click.option("--dev", type=click.Path(path_type=Path), required=True, help="the same, of other repositories")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="folder of the model; runs are kept in it")
@click.option("--name", default="mnemolite-static-2", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--vocabulary", "vocabulary_file", type=click.Path(path_type=Path), help="a vocab.txt to use")
@click.option("--vocab-size", default=vocabulary.SIZE, show_default=True)
@click.option("--teacher", "teacher_folder", type=click.Path(path_type=Path), help="a sentence-transformers folder")
@click.option("--start", "model", type=click.Path(path_type=Path), help="a model of ours to start from")
@click.option("--epochs", default=1, show_default=True)
@click.option("--runs", default=3, show_default=True, help="to average; with a teacher every other one distils")
@click.option("--cap", default=3000, show_default=True, help="pairs of one relation of one repository")
@click.option("--weight", "weights", multiple=True, help="RELATION=NUMBER: how often a pair of it is used")
@click.option("--distil-texts", default=20_000, show_default=True)
@click.option("--rate", default=Options.rate, show_default=True)
@click.option("--paths", default=0.5, show_default=True, help="share of passages that have the words of their path")
@click.option("--questions", default=0.4, show_default=True, help="share of queries that are put as a question")
@click.option("--resume", is_flag=True)
def main(
    pairs: Path,
    dev: Path,
    out: Path,
    name: str,
    seed: int,
    vocabulary_file: Path | None,
    vocab_size: int,
    teacher_folder: Path | None,
    model: Path | None,
    epochs: int,
    runs: int,
    cap: int,
    weights: Sequence[str],
    distil_texts: int,
    rate: float,
    paths: float,
    questions: float,
    resume: bool,
) -> None:
    """Trains a static model and writes its folder."""
    work = out / "runs"
    work.mkdir(parents=True, exist_ok=True)
    repositories = _repositories(pairs, cap, _weights(weights), seed)
    known = vocabulary.read(model / "vocab.txt") if model is not None else ()
    tokens = _tokens(vocabulary_file, work / "vocab.txt", vocab_size, repositories, known, resume=resume)
    pieces = WordPiece(tokens)
    data = corpus(repositories, pieces, paths=paths, questions=questions, seed=seed)
    held_out = corpus(_repositories(dev, DEV_CAP, {}, seed), pieces, paths=1.0, limit=quantise.MAX_TOKENS)
    _say(f"{len(data)} pairs of {len(repositories)} repositories, {len(tokens)} tokens; {len(held_out)} pairs held out")
    teacher = None if teacher_folder is None else Teacher(teacher_folder)
    kept = work / "start.npy"
    vectors = np.load(kept) if resume and kept.exists() else start(tokens, teacher, model, seed)
    np.save(kept, vectors)
    distillation = None
    if teacher is not None:
        short = short_texts(repositories, distil_texts, seed)
        distillation = Distillation(tokenise(short, pieces, 256), teacher.embed(short))
    _say(f"start: MRR {evaluate(begin(vectors).table.rows(), held_out):.4f}")
    tables = []
    for number in range(runs):
        options = Options(seed=seed + number, epochs=epochs, rate=rate)
        tables.append(run(data, vectors, options, work, None if number % 2 else distillation, resume=resume))
        _say(f"run {options.seed}: MRR {evaluate(tables[-1], held_out):.4f}")
    rows = average(tables)
    report = quantise.report(rows, held_out)
    quantise.write(out, rows, tokens, name=name, relevance=report.relevance)
    _say(f"{out}: {report}")


def _tokens(
    given: Path | None,
    kept: Path,
    size: int,
    repositories: Sequence[Sequence[Pair]],
    known: Sequence[str],
    *,
    resume: bool,
) -> list[str]:
    """Those of a model that is gone on with come first, then what the pairs have beside."""
    if given is not None:
        return vocabulary.read(given)
    if resume and kept.exists():
        return vocabulary.read(kept)
    trained = vocabulary.train(vocabulary.count_words(_texts(repositories)), size)
    tokens = list(dict.fromkeys([*known, *trained]))[:size]
    kept.write_text("\n".join(tokens), "utf-8")
    return tokens


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except (MnemoError, click.ClickException) as error:
        _say(f"mnemolite.lab.train: {error}")
        raise SystemExit(2) from error
