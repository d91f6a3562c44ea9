"""
Trains the static model's table on pairs of texts that belong together.

    v = normalise(sum over tokens t of sqrt(tf_t) * exp(w_t) * E_t)        for queries and passages alike

InfoNCE (van den Oord et al., arXiv:1807.03748) in both directions with the batch's other pairs as negatives, summed
over the first 64, 128, 256 and all dimensions (Kusupati et al., arXiv:2205.13147). A batch is of one repository: its
negatives are hard. Adam (arXiv:1412.6980) moves the rows a batch touched and no others. With a teacher, half of the
runs also match its similarities of short texts. With scipy an epoch takes a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemolite.errors import InvalidInput
from mnemolite.lab.corpus import Bag, Corpus, Keyed, Texts, bag, cut, embed, equals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.lab.corpus import Indices
    from mnemolite.types import Matrix, Vector


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
    masked = right_besides(data, index, shown)
    similarities = None
    if distilled is not None:
        texts, chosen = distilled
        parts.append(texts.texts.pick(chosen))
        vectors = texts.vectors[chosen]
        similarities = vectors @ vectors.T
    return Batch(bag(parts, tokens), len(index), len(shown), masked, similarities)


def right_besides(data: Keyed, index: Indices, shown: Indices) -> NDArray[np.bool_]:
    """(index, shown): what is no negative, being as right an answer as the pair's own, which is on the diagonal."""
    masked = equals(data, index, shown)
    np.fill_diagonal(masked, False)
    return masked


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
    plan = [
        step
        for epoch in range(options.epochs)
        for step in batches(data.repositories, options.batch, options.seed, epoch)
    ]
    losses = []
    for number in range(state.steps, len(plan)):
        index = plan[number]
        distilled = None if distillation is None else (distillation, _drawn(len(distillation.texts), number, options))
        further = None if negatives is None else negatives[index]
        step = batch(data, index, len(state.table.weights), further, distilled)
        found = gradient(state.table, step, options)
        _move(state, step.bag.touched, found, pace(number, len(plan), options.warm_up), options)
        losses.append(found.loss)
        state.steps = number + 1
        if state.steps % options.checkpoint_steps == 0:
            save(state)
    return float(np.mean(losses)) if losses else 0.0


def batches(repositories: NDArray[np.int32], size: int, seed: int, epoch: int) -> list[Indices]:
    """Every pair once, shuffled; what is left of a repository's pairs is put together with other repositories'."""
    drawn = np.random.default_rng([seed, epoch])
    order = drawn.permutation(len(repositories))
    order = order[np.argsort(repositories[order], kind="stable")]
    whole: list[Indices] = []
    left: list[Indices] = []
    for pairs in np.split(order, np.flatnonzero(np.diff(repositories[order])) + 1):
        for part in cut(pairs, size):
            (whole if len(part) >= min(_SMALLEST, size) else left).append(part)
    if left:
        mixed = cut(drawn.permutation(np.concatenate(left)), size)
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
        for part in cut(np.arange(len(members)), 1024):
            scores = embed(data.queries.pick(members[part]), rows) @ passages.T
            own = scores[np.arange(len(part)), part]
            scores[equals(data, members[part], members)] = -np.inf
            scores[scores > skip * own[:, None]] = -np.inf
            best = scores.argmax(1)
            found = np.isfinite(scores[np.arange(len(part)), best])
            chosen[members[part[found]]] = members[best[found]]
    return chosen


def _drawn(texts: int, number: int, options: Options) -> Indices:
    drawn = np.random.default_rng([options.seed, number, 1])
    return drawn.choice(texts, min(options.distil_batch, texts), replace=False)


def pace(number: int, steps: int, warm_up: float) -> float:
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
