"""
What a score tells of queries a tree cannot answer, on the sets of bench/quality.py:

    python bench/unanswerable.py --data DATA --trees TREES [--lexical-only | --vector-only]

Each tree is asked its own queries, as many of the other trees', and some that no program has to do with. Prints, by the
least score asked for: which share of the tree's own queries keeps a hit, and a right one; of those that keep one, how
often the first is right; how many hits are kept; and of which share of the other queries nothing is left. In brackets
95 %, by the bootstrap over trees.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from mnemolite.lab.calibrate import THRESHOLDS, area, resamples
from mnemolite.search.relevance import RELEVANT
from mnemolite.settings import Settings
from mnemolite.types import Query
from mnemolite.wiring import open_tree
from quality import K, first_rank

NOWHERE = """
how to bake sourdough bread|mortgage interest amortisation|protein folding simulation|chess engine move generation
train schedule from Berlin to Munich|detect faces in a photo|satellite orbit propagation|guitar tuner pitch detection
tax return deductions|elevator dispatch algorithm|where are patients scheduled for surgery|asdkjh qwelkjzx
xyzzy plugh|FooBarBazQuux|calculateMoonPhase|RenderShadowMap
"""  # a line each, or parted by |


@dataclass(frozen=True)
class Answer:
    tree: str
    whose: str  # "own", "other" or "nowhere"
    relevant: bool
    hits: tuple[tuple[float, bool], ...]  # score, and whether it is right

    @property
    def best(self) -> float:
        return max((score for score, _ in self.hits), default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trees", type=Path, required=True)
    parser.add_argument("--lexical-only", action="store_true")
    parser.add_argument("--vector-only", action="store_true")
    args = parser.parse_args()
    sets = {
        repo["name"]: (
            (args.trees / repo["name"] / (repo.get("benchmark_root") or "")).resolve(),
            json.loads((args.data / "annotations" / f"{repo['name']}.json").read_text()),
        )
        for repo in json.loads((args.data / "repos.json").read_text())
    }
    answers = []
    for name, (root, own) in sets.items():
        others = [entry["query"] for other, (_, entries) in sets.items() if other != name for entry in entries]
        asked = [("own", entry["query"], [*entry["relevant"], *entry.get("secondary", [])]) for entry in own]
        asked += [("other", text, []) for text in Random(name).sample(others, len(own))]
        asked += [("nowhere", text, []) for text in NOWHERE.strip().replace("\n", "|").split("|")]
        answers += put(name, root, asked, args)
    bests = {whose: np.array([a.best for a in answers if a.whose == whose]) for whose in ("own", "other", "nowhere")}
    print(f"AUC of own against other {area(bests['own'], bests['other']):.3f}", end=", ")
    print(f"against nowhere {area(bests['own'], bests['nowhere']):.3f}")
    print(f"{'least score':13}" + "".join(f"{title:21}" for title in FIGURES))
    groups = [[a for a in answers if a.tree == name] for name in sets]
    for least in (0.0, *THRESHOLDS):
        cells = (shown(partial(figure, least), groups) for figure in FIGURES.values())
        print(f"{least:<4}{'*' if least == RELEVANT else '':9}" + "".join(f"{cell:21}" for cell in cells))
    doubted = [a for a in answers if a.whose == "own" and not a.relevant]
    print(f"* below, an answer says that nothing seems relevant: {len(doubted)} of the trees' own queries")


def put(tree: str, root: Path, asked: Sequence[tuple[str, str, list[Any]]], args: argparse.Namespace) -> list[Answer]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(None, {"MNEMOLITE_INDEX_DIR": folder})
        with open_tree(root, settings=settings, create=True) as memory:
            memory.index()
            for whose, text, targets in asked:
                query = Query(text=text, limit=K, lexical=not args.vector_only, vector=not args.lexical_only)
                results = memory.search(query, freshness="skip", notes=0)
                right = (any(first_rank(target, [hit.chunk]) for target in targets) for hit in results.hits)
                scores = (hit.score for hit in results.hits)
                found.append(Answer(tree, whose, results.relevant, tuple(zip(scores, right, strict=True))))
    return found


def kept(least: float, answers: Sequence[Answer]) -> float:
    return share([a.best >= least for a in answers if a.whose == "own"])


def answered(least: float, answers: Sequence[Answer]) -> float:
    return share([any(score >= least and right for score, right in a.hits) for a in answers if a.whose == "own"])


def first_right(least: float, answers: Sequence[Answer]) -> float:
    return share([a.hits[0][1] for a in answers if a.whose == "own" and a.best >= least])


def hits(least: float, answers: Sequence[Answer]) -> float:
    own = [a for a in answers if a.whose == "own"]
    return sum(score >= least for a in own for score, _ in a.hits) / len(own)


def others_refused(least: float, answers: Sequence[Answer]) -> float:
    return share([a.best < least for a in answers if a.whose == "other"])


def nowhere_refused(least: float, answers: Sequence[Answer]) -> float:
    return share([a.best < least for a in answers if a.whose == "nowhere"])


FIGURES: Mapping[str, Callable[[float, Sequence[Answer]], float]] = {
    "own: any hit": kept,
    "own: a right hit": answered,
    "own: first right": first_right,
    "own: hits": hits,
    "other: refused": others_refused,
    "nowhere: refused": nowhere_refused,
}


def share(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else float("nan")


def shown(figure: Callable[[list[Answer]], float], groups: Sequence[list[Answer]]) -> str:
    values = [
        figure([answer for number in drawn for answer in groups[number]]) for drawn in resamples(len(groups), 200)
    ]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return f"{figure([answer for group in groups for answer in group]):.3f} ({low:.2f}-{high:.2f})"


if __name__ == "__main__":
    main()
