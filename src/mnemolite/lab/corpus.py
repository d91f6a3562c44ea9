"""Pairs as arrays: bags of tokens, the rows of a table that they touch, and how well the table tells them apart."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from mnemolite.embedders.wordpiece import WordPiece
from mnemolite.lab.pairs import Pair, Relation, read_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.types import Matrix, Vector

    Indices = NDArray[np.int64]

_ASKED = (
    "how does {} work|how do we {}|how to {}|how is {} done|how are {} handled|where is {}|where are {} defined"
    "|where do we {}|where is the code for {}|what is {}|what does {} do|what happens with {}|which function does {}"
    "|which part of the code {}|when do we {}|why do we {}|show me {}|find {}|explain how {} works|code that {}"
    "|implementation of {}|is there a way to {}|can we {}|I want to {}|the part that deals with {}"
).split("|")
_SHORT = frozenset({Relation.SENTENCE, Relation.HEADING, Relation.DOCSTRING, Relation.COMMIT, Relation.COMMENT})


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


class Keyed(Protocol):
    """Pairs whose equal texts have equal keys, among them those of passages that are of no pair."""

    @property
    def query_keys(self) -> NDArray[np.uint64]: ...
    @property
    def passage_keys(self) -> NDArray[np.uint64]: ...


class Vectors(NamedTuple):
    """Unit rows."""

    queries: Matrix
    passages: Matrix


@dataclass(frozen=True)
class Corpus:
    """Tokenised pairs; arrays have one entry for each. Passages and keys may go on with some that are of no pair."""

    queries: Texts
    passages: Texts
    query_keys: NDArray[np.uint64]  # equal for equal texts
    passage_keys: NDArray[np.uint64]
    repositories: NDArray[np.int32]
    relations: NDArray[np.uint8]  # place in Relation

    def __len__(self) -> int:
        return len(self.queries)


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
    repositories: Sequence[Sequence[Pair]],
    tokens: WordPiece,
    *,
    paths: float = 0.5,
    questions: float = 0.0,
    limit: int = 256,
    seed: int = 0,
) -> Corpus:
    """
    *paths* is the share of passages that have the words of their path, *questions* that of queries put as a question:
    no docstring asks, so the words that people ask with would else weigh as much as rare ones. Pairs with an empty
    side are left out.
    """
    drawn = random.Random(seed)
    found = [(n, pair, drawn.random() < paths) for n, pairs in enumerate(repositories) for pair in pairs]
    asked = [asked_for(p.query, drawn) if drawn.random() < questions else p.query for _, p, _ in found]
    queries = tokenise(asked, tokens, limit)
    passages = tokenise([passage(p, with_path=with_path) for _, p, with_path in found], tokens, limit)
    full = np.flatnonzero((np.diff(queries.starts) > 0) & (np.diff(passages.starts) > 0))
    places = {relation: place for place, relation in enumerate(Relation)}
    return Corpus(
        queries.pick(full),
        passages.pick(full),
        np.array([key_of(p.query) for _, p, _ in found], np.uint64)[full],
        np.array([key_of(p.passage) for _, p, _ in found], np.uint64)[full],
        np.array([n for n, _, _ in found], np.int32)[full],
        np.array([places[p.relation] for _, p, _ in found], np.uint8)[full],
    )


def asked_for(query: str, drawn: random.Random) -> str:
    """*query* as somebody would ask for it."""
    return drawn.choice(_ASKED).replace("{}", query.rstrip(".!?"))


def short_texts(repositories: Sequence[Sequence[Pair]], count: int, seed: int) -> list[str]:
    """At most *count* different queries that are prose: what is distilled."""
    texts = sorted({p.query for pairs in repositories for p in pairs if p.relation in _SHORT})
    return random.Random(seed).sample(texts, min(count, len(texts)))


def key_of(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


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


def cut(index: Indices, size: int) -> list[Indices]:
    return [index[i : i + size] for i in range(0, len(index), size)]


def embed(texts: Texts, rows: Matrix) -> Matrix:
    """Unit rows."""
    found = np.zeros((len(texts), rows.shape[1]), np.float32)
    for part in cut(np.arange(len(texts)), 512):
        made = bag([texts.pick(part)], len(rows))
        found[part] = made.matrix @ rows[made.touched]
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    return found


def vectors(data: Corpus, rows: Matrix) -> Vectors:
    return Vectors(embed(data.queries, rows), embed(data.passages, rows))


def reciprocal_ranks(found: Vectors, data: Keyed) -> Vector:
    """Of each pair's passage among all passages of *data*; a tie counts against it, a second right answer does not."""
    everything = np.arange(len(found.passages))
    ranks: Vector = np.ones(len(found.queries), np.float32)
    for part in cut(np.arange(len(ranks)), 1024):
        scores = found.queries[part] @ found.passages.T
        own = scores[np.arange(len(part)), part]
        scores[equals(data, part, everything)] = -np.inf
        ranks[part] += (scores >= own[:, None]).sum(1)
    return np.reciprocal(ranks)


def evaluate(rows: Matrix, data: Corpus) -> float:
    """Mean reciprocal rank, see :func:`reciprocal_ranks`."""
    return float(reciprocal_ranks(vectors(data, rows), data).mean())


def equals(data: Keyed, some: Indices, others: Indices) -> NDArray[np.bool_]:
    """(some, others): whether the passage of the one answers the query of the other as well."""
    equal: NDArray[np.bool_] = data.passage_keys[some, None] == data.passage_keys[others]
    equal |= data.query_keys[some, None] == data.query_keys[others]
    return equal
