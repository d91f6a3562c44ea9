"""
An embedding model by itself, beside others and beside BM25:

    python bench/model.py [--pairs HELD_OUT] [--model FOLDER ...] [--sts FILE.csv]

FOLDER is what the setting embedding_model may name. HELD_OUT holds pairs of repositories that no model was trained on
(python -m mnemolite.lab.mine). For each language: mean reciprocal rank of the function a docstring belongs to, among
all functions of that language in HELD_OUT; and for prose, of the section below a heading and of the body of a commit
message. FILE.csv has lines "sentence,sentence,score".
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnemolite.embedders.static import SHIPPED
from mnemolite.lab.pairs import SUFFIX, Pair, Relation, read_pairs
from mnemolite.models import load_model
from mnemolite.ports import Embedder
from mnemolite.search.tokens import terms
from mnemolite.settings import Settings
from mnemolite.types import Role

if TYPE_CHECKING:
    from mnemolite.types import Matrix

QUERIES = 2000  # of each set, the first by hash
LEAST_QUERIES = 50
FUNCTIONS = {Relation.DOCSTRING, Relation.NAME, Relation.SIGNATURE, Relation.TEST}
PROSE = {Relation.HEADING, Relation.COMMIT_BODY, Relation.SENTENCE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--sts", type=Path)
    args = parser.parse_args()
    models = {folder.name: load_model(Settings(embedding_model=str(folder))) for folder in args.model or [SHIPPED]}
    if args.pairs:
        ranks(args.pairs, models)
    if args.sts:
        sts(args.sts, models)


def ranks(folder: Path, models: dict[str, Embedder]) -> None:
    pairs = [pair for file in sorted(folder.glob(f"*{SUFFIX}")) for pair in read_pairs(file)]
    print(f"{'set':24}{'queries':>9}{'candidates':>12}{'BM25':>8}" + "".join(f"{name[-14:]:>15}" for name in models))
    means: dict[str, list[float]] = defaultdict(list)
    by_language: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.relation in FUNCTIONS:
            by_language[pair.language].append(pair)
    for language, own in sorted(by_language.items()):
        queries = [pair for pair in own if pair.relation is Relation.DOCSTRING]
        if len(queries) >= LEAST_QUERIES:
            row(language, queries, own, models, means)
    print(
        f"{'mean of languages':45}" + "".join(f"{np.mean(v):>{8 if k == 'BM25' else 15}.3f}" for k, v in means.items())
    )
    for relation in sorted(PROSE):
        own = [pair for pair in pairs if pair.relation is relation]
        if len(own) >= LEAST_QUERIES:
            row(relation, own, own, models, defaultdict(list))
    speed(pairs, models)


def row(
    title: str,
    queries: list[Pair],
    candidates: list[Pair],
    models: dict[str, Embedder],
    means: dict[str, list[float]],
) -> None:
    passages = list(dict.fromkeys(pair.passage for pair in candidates))
    place = {passage: number for number, passage in enumerate(passages)}
    queries = sorted(queries, key=lambda pair: hash_of(pair.query))[:QUERIES]
    texts, wanted = [pair.query for pair in queries], [place[pair.passage] for pair in queries]
    figures = {"BM25": bm25_mrr(texts, wanted, passages)}
    for name, model in models.items():
        embedded = model.embed(passages, Role.PASSAGE)
        figures[name] = mrr(model.embed(texts, Role.QUERY), embedded, wanted)
    for name, figure in figures.items():
        means[name].append(figure)
    print(
        f"{title:24}{len(queries):9,}{len(passages):12,}"
        + "".join(f"{f:>{8 if n == 'BM25' else 15}.3f}" for n, f in figures.items()),
        flush=True,
    )


def mrr(queries: Matrix, passages: Matrix, wanted: Sequence[int]) -> float:
    ranks: list[float] = []
    for start in range(0, len(queries), 256):
        scores = queries[start : start + 256] @ passages.T
        own = scores[np.arange(len(scores)), wanted[start : start + 256]]
        ranks += (1 / (1 + (scores > own[:, None] + 1e-7).sum(1))).tolist()
    return float(np.mean(ranks))


def bm25_mrr(
    queries: Sequence[str], wanted: Sequence[int], passages: Sequence[str], k1: float = 1.2, b: float = 0.75
) -> float:
    """Over our own terms."""
    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    lengths = np.zeros(len(passages), np.float32)
    for number, passage in enumerate(passages):
        counts = Counter(terms(passage))
        lengths[number] = sum(counts.values())
        for term, count in counts.items():
            postings[term].append((number, count))
    norm = k1 * (1 - b + b * lengths / max(float(lengths.mean()), 1.0))
    weighted = {}
    ranks = []
    for query, target in zip(queries, wanted, strict=True):
        scores = np.zeros(len(passages), np.float32)
        for term in set(terms(query)) & postings.keys():
            if term not in weighted:
                numbers, found = (np.array(column) for column in zip(*postings[term], strict=True))
                idf = math.log(1 + (len(passages) - len(numbers) + 0.5) / (len(numbers) + 0.5))
                weighted[term] = numbers, (idf * found * (k1 + 1) / (found + norm[numbers])).astype(np.float32)
            numbers, gains = weighted[term]
            scores[numbers] += gains
        ranks.append(1 / (1 + int((scores > scores[target]).sum())) if scores[target] else 0.0)
    return float(np.mean(ranks))


def speed(pairs: list[Pair], models: dict[str, Embedder]) -> None:
    functions = [pair.passage for pair in pairs if pair.relation is Relation.DOCSTRING][:10_000]
    for name, model in models.items():
        start = time.process_time()
        model.embed(functions, Role.PASSAGE)
        seconds = time.process_time() - start
        size = sum(map(len, functions)) / max(len(functions), 1)
        print(f"{name}: {len(functions) / seconds:,.0f} functions of {size:.0f} characters per CPU second")


def sts(file: Path, models: dict[str, Embedder]) -> None:
    """Spearman's correlation of the cosine with human scores, and what a sentence costs."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [line for line in csv.reader(lines) if len(line) == 3]
    truth = _ranks(np.array([float(line[2]) for line in rows]))
    for name, model in models.items():
        start = time.process_time()
        one, other = (model.embed([line[i] for line in rows], Role.QUERY) for i in (0, 1))
        together = (time.process_time() - start) / (2 * len(rows))
        start = time.process_time()
        for line in rows[:200]:
            model.embed([line[0]], Role.QUERY)
        alone = (time.process_time() - start) / len(rows[:200])
        spearman = np.corrcoef(_ranks((one * other).sum(1)), truth)[0, 1]
        print(
            f"{name}: Spearman {spearman:.3f} over {len(rows):,} pairs;"
            f" CPU ms a sentence: {1000 * together:.2f} together, {1000 * alone:.2f} alone"
        )


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ties share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def hash_of(text: str) -> int:
    from zlib import crc32

    return crc32(text.encode())


if __name__ == "__main__":
    main()
