"""
Trains the static model's table on pairs of texts that belong together.

    v = normalise(sum over tokens t of sqrt(tf_t) * exp(w_t) * E_t)        for queries and passages alike

InfoNCE (van den Oord et al., arXiv:1807.03748) in both directions with the batch's other pairs as negatives, summed
over the first 64, 128, 256 and all dimensions (Kusupati et al., arXiv:2205.13147). A batch is of one repository: its
negatives are hard. Adam (arXiv:1412.6980) moves the rows a batch touched and no others. With a teacher, half of the
runs also match its similarities of short texts. With scipy an epoch takes a quarter of the time.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from mnemolite.embedders.wordpiece import WordPiece
from mnemolite.errors import InvalidInput, MnemoError
from mnemolite.lab import quantise, vocabulary
from mnemolite.lab.pairs import SUFFIX, Pair, Relation, read_pairs
from mnemolite.lab.teacher import Teacher

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.types import Matrix, Vector

    Indices = NDArray[np.int64]

DIMENSION = 384
DEV_CAP = 150  # held-out pairs of one relation of one repository: every pair is compared with every other
_SHORT = frozenset({Relation.SENTENCE, Relation.HEADING, Relation.DOCSTRING, Relation.COMMIT, Relation.COMMENT})
_SMALLEST = 32  # pairs of one repository; fewer share a batch with other repositories
_BLOCK = 512  # rows: what Adam reads and writes of them stays in the cache


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to train. In the prototype batches of 512, token dropout and three epochs did not help."""

    seed: int = 0
    epochs: int = 1
    batch: int = 256  # pairs
    temperature: float = 0.05
    rate: float = 2e-3  # of the vectors, at its peak
    weight_rate: float = 1e-2  # of the log-weights
    warm_up: float = 0.05  # of all steps
    heads: tuple[tuple[int, float], ...] = ((64, 0.1), (128, 0.15), (256, 0.25), (384, 0.5))  # dimensions, weight
    distil: float = 0.3  # heavier hurts questions about code
    distil_batch: int = 128  # short texts
    checkpoint_steps: int = 1000


@dataclass(frozen=True)
class Texts:
    """Bags of tokens, one after the other: text i has ``ids[starts[i]:starts[i + 1]]``, each id once."""

    starts: Indices  # (n + 1,)
    ids: NDArray[np.uint32]
    counts: NDArray[np.uint8]  # how often; 255 stands for more

    def __len__(self) -> int:
        return len(self.starts) - 1

    def pick(self, index: Indices) -> Texts:
        lengths = self.starts[index + 1] - self.starts[index]
        starts = np.concatenate(([0], np.cumsum(lengths)))
        at = np.arange(starts[-1]) + np.repeat(self.starts[index] - starts[:-1], lengths)
        return Texts(starts, self.ids[at], self.counts[at])


@dataclass(frozen=True)
class Corpus:
    """Tokenised pairs; all arrays have one entry for each."""

    queries: Texts
    passages: Texts
    query_keys: NDArray[np.uint64]  # equal for equal texts
    passage_keys: NDArray[np.uint64]
    repositories: NDArray[np.int32]
    relations: NDArray[np.uint8]  # place in Relation

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True)
class Distillation:
    texts: Texts
    vectors: Matrix  # the teacher's, unit rows


@dataclass(frozen=True)
class Table:
    vectors: Matrix  # (tokens, 384), not of unit length once trained
    weights: Vector  # (tokens,), logarithms

    def rows(self) -> Matrix:
        """What the runtime sums: vectors times their weights."""
        rows: Matrix = self.vectors * np.exp(self.weights)[:, None]
        return rows


# pairs to arrays


def sample(file: Path, cap: int, weights: Mapping[Relation, float], seed: int) -> list[Pair]:
    """At most *cap* pairs of each relation; a relation's weight is how often one of its pairs is used."""
    chosen = random.Random(f"{seed} {file.name}")
    by_relation: dict[Relation, list[Pair]] = defaultdict(list)
    for pair in read_pairs(file):
        by_relation[pair.relation].append(pair)
    kept = []
    for relation, pairs in sorted(by_relation.items()):
        for pair in chosen.sample(pairs, cap) if len(pairs) > cap else pairs:
            times, rest = divmod(weights.get(relation, 1.0), 1)
            kept += [pair] * (int(times) + (chosen.random() < rest))
    return kept


def passage(pair: Pair, *, with_path: bool) -> str:
    """As the index embeds it: the path's words, then the text."""
    return f"{pair.path.rsplit('.', 1)[0]} \n{pair.passage}" if with_path and pair.path else pair.passage


def tokenise(texts: Sequence[str], tokens: WordPiece, limit: int) -> Texts:
    """Bags of the first *limit* tokens of each text."""
    ids, counts, lengths = [], [], [0]
    for text in texts:
        found, times = np.unique(np.array(tokens(text)[:limit], np.uint32), return_counts=True)
        ids.append(found)
        counts.append(np.minimum(times, 255).astype(np.uint8))
        lengths.append(len(found))
    empty = np.zeros(0, np.uint32)
    return Texts(np.cumsum(lengths), np.concatenate([empty, *ids]), np.concatenate([empty.astype(np.uint8), *counts]))


def corpus(
    repositories: Sequence[Sequence[Pair]], tokens: WordPiece, *, paths: float = 0.5, limit: int = 256, seed: int = 0
) -> Corpus:
    """*paths* is the share of passages that have the words of their path; pairs with an empty side are left out."""
    drawn = random.Random(seed)
    found = [(n, pair, drawn.random() < paths) for n, pairs in enumerate(repositories) for pair in pairs]
    queries = tokenise([p.query for _, p, _ in found], tokens, limit)
    passages = tokenise([passage(p, with_path=with_path) for _, p, with_path in found], tokens, limit)
    full = np.flatnonzero((np.diff(queries.starts) > 0) & (np.diff(passages.starts) > 0))
    places = {relation: place for place, relation in enumerate(Relation)}
    return Corpus(
        queries.pick(full),
        passages.pick(full),
        np.array([_key(p.query) for _, p, _ in found], np.uint64)[full],
        np.array([_key(p.passage) for _, p, _ in found], np.uint64)[full],
        np.array([n for n, _, _ in found], np.int32)[full],
        np.array([places[p.relation] for _, p, _ in found], np.uint8)[full],
    )


def short_texts(repositories: Sequence[Sequence[Pair]], count: int, seed: int) -> list[str]:
    """At most *count* different queries that are prose: what is distilled."""
    texts = sorted({p.query for pairs in repositories for p in pairs if p.relation in _SHORT})
    return random.Random(seed).sample(texts, min(count, len(texts)))


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


# one batch


@dataclass(frozen=True)
class Bag:
    """A batch's texts over the table rows they touch."""

    touched: Indices  # (m,), rising
    matrix: Any  # (texts, m) of sqrt(tf); scipy's CSR or a dense array


def bag(parts: Sequence[Texts], tokens: int) -> Bag:
    ids = np.concatenate([p.ids for p in parts])
    lengths = np.concatenate([np.diff(p.starts) for p in parts])
    values = np.sqrt(np.concatenate([p.counts for p in parts]), dtype=np.float32)
    place = np.zeros(tokens, np.int32)
    place[ids] = 1
    touched = np.flatnonzero(place)
    place[touched] = np.arange(len(touched), dtype=np.int32)
    return Bag(touched, _matrix(lengths, place[ids], values, len(touched)))


def _matrix(lengths: Indices, columns: NDArray[np.int32], values: Vector, width: int) -> Any:
    """
    In CSR a batch's two products take 13 ms, dense 130 ms, ``add.reduceat`` 180 ms (512 texts, 35,000 entries, 13,600
    columns, one core).
    """
    try:
        from scipy.sparse import csr_matrix  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        dense = np.zeros((len(lengths), width), np.float32)
        dense[np.repeat(np.arange(len(lengths)), lengths), columns] = values
        return dense
    return csr_matrix((values, columns, np.concatenate(([0], np.cumsum(lengths)))), shape=(len(lengths), width))


@dataclass(frozen=True)
class Batch:
    bag: Bag  # queries, as many passages, further negatives, then the short texts to distil
    pairs: int
    passages: int  # negatives included
    masked: NDArray[np.bool_]  # (pairs, passages): as right an answer as the pair's own
    similarities: Matrix | None  # the teacher's, of the short texts


def batch(
    data: Corpus,
    index: Indices,
    tokens: int,
    negatives: Indices | None = None,
    distilled: tuple[Distillation, Indices] | None = None,
) -> Batch:
    """The pairs of *index*; *negatives* are places of passages, *distilled* of short texts."""
    shown = index if negatives is None else np.concatenate((index, negatives))
    parts = [data.queries.pick(index), data.passages.pick(shown)]
    masked = data.passage_keys[index, None] == data.passage_keys[shown]
    masked |= data.query_keys[index, None] == data.query_keys[shown]
    np.fill_diagonal(masked, False)
    similarities = None
    if distilled is not None:
        texts, chosen = distilled
        parts.append(texts.texts.pick(chosen))
        vectors = texts.vectors[chosen]
        similarities = vectors @ vectors.T
    return Batch(bag(parts, tokens), len(index), len(shown), masked, similarities)


@dataclass(frozen=True)
class Gradient:
    loss: float
    vectors: Matrix  # (touched, dimension)
    weights: Vector  # (touched,)


def gradient(table: Table, step: Batch, options: Options) -> Gradient:
    """Of the batch's loss by the rows of the table that it touches."""
    vectors = table.vectors[step.bag.touched]
    scales = np.exp(table.weights[step.bag.touched])
    sums = step.bag.matrix @ (vectors * scales[:, None])
    loss, by_sums = _heads(sums, step, options)
    by_rows = step.bag.matrix.T @ by_sums
    by_rows *= scales[:, None]
    return Gradient(loss, by_rows, np.einsum("ij,ij->i", by_rows, vectors))


def _heads(sums: Matrix, step: Batch, options: Options) -> tuple[float, Matrix]:
    total = 0.0
    by_sums = np.zeros_like(sums)
    for dimensions, weight in options.heads:
        cut = sums[:, :dimensions]
        norms = np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-9)
        unit = cut / norms
        loss, by_unit = _loss(unit, step, options)
        total += weight * loss
        by_unit -= unit * np.einsum("ij,ij->i", unit, by_unit)[:, None]
        by_sums[:, :dimensions] += by_unit * (weight / norms)
    return total, by_sums


def _loss(unit: Matrix, step: Batch, options: Options) -> tuple[float, Matrix]:
    queries, passages, short = np.split(unit, [step.pairs, step.pairs + step.passages])
    scores = queries @ passages.T / options.temperature
    scores[step.masked] = -np.inf
    target = np.eye(step.pairs, step.passages, dtype=unit.dtype)
    loss, by_scores = _cross_entropy(scores, target)
    own = slice(step.pairs)  # a further negative is no query's, so the other direction leaves it out
    back, by_back = _cross_entropy(scores[:, own].T, target[:, own])
    by_scores[:, own] += by_back.T
    by_scores /= 2 * options.temperature
    by_unit = np.concatenate((by_scores @ passages, by_scores.T @ queries, np.zeros_like(short)))
    loss = (loss + back) / 2
    if step.similarities is not None:
        distance, by_short = _distance(short, step.similarities, options.temperature)
        loss += options.distil * distance
        by_unit[step.pairs + step.passages :] = options.distil * by_short
    return loss, by_unit


def _distance(short: Matrix, similarities: Matrix, temperature: float) -> tuple[float, Matrix]:
    """Kullback-Leibler, from the teacher's neighbours of each short text to the student's."""
    scores: Matrix = short @ short.T
    scores /= temperature
    wanted: Matrix = similarities / np.float32(temperature)
    for square in (scores, wanted):
        np.fill_diagonal(square, -np.inf)
    target = np.exp(wanted - wanted.max(1, keepdims=True))
    target /= target.sum(1, keepdims=True)
    loss, by_scores = _cross_entropy(scores, target)
    entropy = float(np.sum(target * np.log(np.where(target > 0, target, 1)))) / len(target)
    by_scores += by_scores.T.copy()
    by_short: Matrix = by_scores @ short
    by_short /= temperature
    return loss + entropy, by_short


def _cross_entropy(scores: Matrix, target: Matrix) -> tuple[float, Matrix]:
    """Mean over rows, and its gradient by the scores; a score of minus infinity takes no part."""
    shifted = scores - scores.max(1, keepdims=True)
    guess = np.exp(shifted)
    sums = guess.sum(1, keepdims=True)
    inside = np.where(target > 0, shifted - np.log(sums), 0)
    loss = -float(np.sum(target * inside)) / len(scores)
    guess /= sums
    guess -= target
    guess /= len(scores)
    return loss, guess


# training


@dataclass
class State:
    """All that a run needs to go on as if it had not stopped."""

    table: Table
    steps: int
    touched: NDArray[np.int32]  # (tokens,): how often each row was moved, for its own bias correction
    moments: tuple[Matrix, Matrix, Vector, Vector]  # first and second of the vectors, then of the weights


def begin(vectors: Matrix) -> State:
    """Directions of unit length; what *vectors* say by their lengths stands in the weights, 1 on average."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-9)
    unit = vectors / lengths[:, None]
    weights = np.log(lengths / lengths.mean()).astype(unit.dtype)
    moments = (np.zeros_like(unit), np.zeros_like(unit), np.zeros_like(weights), np.zeros_like(weights))
    return State(Table(unit, weights), 0, np.zeros(len(unit), np.int32), moments)


def train(
    data: Corpus,
    state: State,
    options: Options,
    *,
    distillation: Distillation | None = None,
    negatives: Indices | None = None,
    save: Callable[[State], None] = lambda _: None,
) -> float:
    """
    Moves *state* to the end of its run and returns the mean loss of the steps made here.

    *negatives* holds a place of a passage for each pair. *save* is called every ``checkpoint_steps``.
    """
    plan = [step for epoch in range(options.epochs) for step in batches(data, options, epoch)]
    losses = []
    for number in range(state.steps, len(plan)):
        index = plan[number]
        distilled = None if distillation is None else (distillation, _drawn(len(distillation.texts), number, options))
        further = None if negatives is None else negatives[index]
        step = batch(data, index, len(state.table.weights), further, distilled)
        found = gradient(state.table, step, options)
        _move(state, step.bag.touched, found, _pace(number, len(plan), options.warm_up), options)
        losses.append(found.loss)
        state.steps = number + 1
        if state.steps % options.checkpoint_steps == 0:
            save(state)
    return float(np.mean(losses)) if losses else 0.0


def batches(data: Corpus, options: Options, epoch: int) -> list[Indices]:
    """Every pair once, shuffled; what is left of a repository's pairs is put together with other repositories'."""
    drawn = np.random.default_rng([options.seed, epoch])
    order = drawn.permutation(len(data))
    order = order[np.argsort(data.repositories[order], kind="stable")]
    whole: list[Indices] = []
    left: list[Indices] = []
    for pairs in np.split(order, np.flatnonzero(np.diff(data.repositories[order])) + 1):
        for cut in _cut(pairs, options.batch):
            (whole if len(cut) >= min(_SMALLEST, options.batch) else left).append(cut)
    if left:
        mixed = _cut(drawn.permutation(np.concatenate(left)), options.batch)
        if len(mixed) > 1 and len(mixed[-1]) == 1:  # one pair alone would have no negatives
            mixed[-2:] = [np.concatenate(mixed[-2:])]
        whole += mixed
    return [whole[i] for i in drawn.permutation(len(whole))]


def mine(data: Corpus, rows: Matrix, seed: int, *, skip: float = 0.95) -> Indices:
    """
    For each pair the place of the passage of its repository that is nearest to its query and no right answer.

    One above *skip* times the own passage's cosine is probably right too and passed over; gains .005 MRR at most.
    """
    chosen = np.random.default_rng(seed).integers(len(data), size=len(data))
    for repository in np.unique(data.repositories):
        members = np.flatnonzero(data.repositories == repository)
        passages = embed(data.passages.pick(members), rows)
        for part in _cut(np.arange(len(members)), 1024):
            scores = embed(data.queries.pick(members[part]), rows) @ passages.T
            own = scores[np.arange(len(part)), part]
            scores[_equals(data, members[part], members)] = -np.inf
            scores[scores > skip * own[:, None]] = -np.inf
            best = scores.argmax(1)
            found = np.isfinite(scores[np.arange(len(part)), best])
            chosen[members[part[found]]] = members[best[found]]
    return chosen


def _cut(index: Indices, size: int) -> list[Indices]:
    return [index[i : i + size] for i in range(0, len(index), size)]


def _drawn(texts: int, number: int, options: Options) -> Indices:
    drawn = np.random.default_rng([options.seed, number, 1])
    return drawn.choice(texts, min(options.distil_batch, texts), replace=False)


def _pace(number: int, steps: int, warm_up: float) -> float:
    """Share of the peak rate: up in a line, down in a line."""
    peak = max(1.0, steps * warm_up)
    return min((number + 1) / peak, (steps - number) / max(1.0, steps - peak), 1.0)


def _move(state: State, touched: Indices, found: Gradient, pace: float, options: Options) -> None:
    state.touched[touched] += 1
    first, second, first_weight, second_weight = state.moments
    for i in range(0, len(touched), _BLOCK):
        rows, cut = touched[i : i + _BLOCK], slice(i, i + _BLOCK)
        times = state.touched[rows]
        _adam(state.table.vectors, first, second, rows, times[:, None], found.vectors[cut], pace * options.rate)
        weights = found.weights[cut]
        _adam(state.table.weights, first_weight, second_weight, rows, times, weights, pace * options.weight_rate)


def _adam(
    values: Matrix, first: Matrix, second: Matrix, rows: Indices, times: NDArray[np.int32], by: Matrix, rate: float
) -> None:
    """A row that no batch touches keeps its moments as they are; the constants are the paper's."""
    mean = first[rows] * np.float32(0.9)
    mean += np.float32(0.1) * by
    square = second[rows] * np.float32(0.999)
    square += np.float32(0.001) * by * by
    first[rows], second[rows] = mean, square
    speed = (rate * np.sqrt(1 - 0.999**times) / (1 - 0.9**times)).astype(values.dtype)
    values[rows] -= speed * mean / (np.sqrt(square) + np.float32(1e-8))


def average(tables: Sequence[Matrix]) -> Matrix:
    """Of runs that differ in seed or loss: the mean of their rows."""
    total = np.zeros_like(tables[0])
    for rows in tables:
        total += rows
    total /= len(tables)
    return total


# measuring


def embed(texts: Texts, rows: Matrix) -> Matrix:
    """Unit rows."""
    found = np.zeros((len(texts), rows.shape[1]), np.float32)
    for part in _cut(np.arange(len(texts)), 512):
        made = bag([texts.pick(part)], len(rows))
        found[part] = made.matrix @ rows[made.touched]
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    return found


def reciprocal_ranks(rows: Matrix, data: Corpus) -> Vector:
    """Of each pair's passage among all passages of *data*; a tie counts against it, a second right answer does not."""
    passages = embed(data.passages, rows)
    everything = np.arange(len(data))
    ranks: Vector = np.ones(len(data), np.float32)
    for part in _cut(everything, 1024):
        scores = embed(data.queries.pick(part), rows) @ passages.T
        own = scores[np.arange(len(part)), part]
        scores[_equals(data, part, everything)] = -np.inf
        ranks[part] += (scores >= own[:, None]).sum(1)
    return np.reciprocal(ranks)


def evaluate(rows: Matrix, data: Corpus) -> float:
    """Mean reciprocal rank, see :func:`reciprocal_ranks`."""
    return float(reciprocal_ranks(rows, data).mean())


def _equals(data: Corpus, some: Indices, others: Indices) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = data.passage_keys[some, None] == data.passage_keys[others]
    equal |= data.query_keys[some, None] == data.query_keys[others]
    return equal


# files


def write_state(file: Path, state: State, options: Options) -> None:
    """The file is there whole or not at all."""
    names = ("first", "second", "first_weight", "second_weight")
    arrays = dict(zip(names, state.moments, strict=True))
    _write(
        file,
        vectors=state.table.vectors,
        weights=state.table.weights,
        touched=state.touched,
        steps=np.array(state.steps),
        options=np.array(repr(options)),
        **arrays,
    )


def read_state(file: Path, options: Options) -> State:
    """
    Raises:
        InvalidInput: the run was begun with other options.
    """
    with np.load(file) as found:
        if str(found["options"]) != repr(options):
            raise InvalidInput(f"{file} was begun with {found['options']}, not {options}; run without --resume")
        moments = (found["first"], found["second"], found["first_weight"], found["second_weight"])
        return State(Table(found["vectors"], found["weights"]), int(found["steps"]), found["touched"], moments)


def _write(file: Path, **arrays: NDArray[Any]) -> None:
    temporary = file.with_name(file.name + ".part")
    with temporary.open("wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type, unused-ignore]
    temporary.replace(file)


# the door


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
    resume: bool,
) -> None:
    """Trains a static model and writes its folder."""
    work = out / "runs"
    work.mkdir(parents=True, exist_ok=True)
    repositories = _repositories(pairs, cap, _weights(weights), seed)
    known = vocabulary.read(model / "vocab.txt") if model is not None else ()
    tokens = _tokens(vocabulary_file, work / "vocab.txt", vocab_size, repositories, known, resume=resume)
    pieces = WordPiece(tokens)
    data = corpus(repositories, pieces, paths=paths, seed=seed)
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
    report = quantise.write(out, average(tables), tokens, held_out, name=name)
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
