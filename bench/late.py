"""
Late interaction: each token of a query with the token of a candidate that is nearest to it, by the shipped model's
static vectors, as one more list of the fusion. nDCG@10 and hit@1 with it less those without, and its cost.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np

from answered import answered, arguments
from mnemolite.embedders.static import SHIPPED
from mnemolite.embedders.wordpiece import WordPiece
from mnemolite.ingest.passage import passage
from mnemolite.lab.evaluate import compare
from mnemolite.lab.learn import BY_HAND, Asked, ask
from mnemolite.lab.quantise import MAX_TOKENS, read

if TYPE_CHECKING:
    from mnemolite.lab.learn import Floats

READ = 50  # candidates
VARIANTS = ((0.05, 2), (0.1, 1), (0.1, 2), (0.1, 4), (0.2, 2), (0.2, 4), (0.4, 4))  # weight; power of the share


class Late:
    def __init__(self) -> None:
        rows = read(SHIPPED)
        self._lengths = np.linalg.norm(rows, axis=1)  # the rarer a token, the longer
        self._units = rows / np.maximum(self._lengths, 1e-9)[:, None]
        self._tokens = WordPiece((SHIPPED / "vocab.txt").read_text("utf-8").split("\n"))

    def __call__(self, query: str, texts: Sequence[str]) -> Floats:
        """For each text the mean cosine, over the query's tokens, of the nearest token in it."""
        asked = np.array(list(dict.fromkeys(self._tokens(query))), int)
        bags = [self._tokens(text)[:MAX_TOKENS] or [0] for text in texts]
        tokens, places = np.unique(np.concatenate(bags), return_inverse=True)
        cosines = self._units[tokens] @ self._units[asked].T
        starts = np.cumsum([0, *map(len, bags[:-1])])
        weights = self._lengths[asked]
        found: Floats = np.maximum.reduceat(cosines[places], starts) @ (weights / max(weights.sum(), 1e-9))
        return found


def main() -> None:
    late, costs = Late(), []
    sets: dict[str, dict[str, list[list[tuple[float, float]]]]] = defaultdict(lambda: defaultdict(list))
    for memory, query in answered(arguments("bench/late.py", __doc__)):
        asked = ask(memory, query.text, query.targets)
        row = [(0.0, 0.0)] * (1 + len(VARIANTS))
        if asked is not None:
            read = np.argsort(-(asked.words + asked.meaning), kind="stable")[:READ]
            chunks = memory.trees[0].store.chunks([int(id) for id in asked.ids[read]])
            texts = [passage(chunk) for chunk in chunks]
            start = time.process_time()
            nearness = late(query.text, texts)
            costs.append(1000 * (time.process_time() - start))
            row = [figures(asked), *(figures(listed(asked, read, nearness, *variant)) for variant in VARIANTS)]
        for name in query.sets:
            sets[name][query.group].append(row)
    for name, groups in sorted(sets.items()):
        print(name, f"nDCG@10 {mean(groups, 0, 0):.4f} hit@1 {mean(groups, 0, 1):.4f}")
        for place, (weight, power) in enumerate(VARIANTS, 1):
            adds = compare(*({g: [row[p][0] for row in own] for g, own in groups.items()} for p in (0, place)))
            print(
                f"  weight {weight:4} power {power} {adds.mean:+.4f} ({adds.low:+.4f} {adds.high:+.4f})"
                f" helps {adds.better} hurts {adds.worse}, hit@1 {mean(groups, place, 1) - mean(groups, 0, 1):+.4f}"
            )
    print(f"CPU ms a query, median {median(costs):.2f}")


def listed(asked: Asked, read: np.ndarray, nearness: Floats, weight: float, power: int) -> Asked:
    meaning = asked.meaning.copy()
    meaning[read] += weight * np.maximum(nearness / max(nearness.max(), 1e-9), 0) ** power
    return replace(asked, meaning=meaning)


def figures(asked: Asked) -> tuple[float, float]:
    return asked.ndcg(BY_HAND), float(asked.answers[asked.order(BY_HAND)[0]].any())


def mean(groups: dict[str, list[list[tuple[float, float]]]], place: int, figure: int) -> float:
    return fmean(fmean(row[place][figure] for row in own) for own in groups.values())


if __name__ == "__main__":
    main()
