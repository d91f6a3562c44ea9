"""
The weights of search.relevance, fitted on questions that a tree answers and on those of other trees.

    python -m mnemolite.lab.calibrate PAIRS --mirror MIRROR --test PAIRS

PAIRS is what mnemolite.lab.mine made of the repositories in MIRROR, of which those of more than 1,000 files are left
out. A repository's questions are those of mnemolite.lab.questions, the same in two to five of their words, as people
ask, and names of definitions and files. Every tree is asked its own and as many of the others'. Its own count as
answered where a file they are about is among the first ten hits, and are left out elsewhere: whether something else
answers them is not known. Prints weights fitted on the first repositories, and what they are worth on the others.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from mnemolite.errors import MnemoError
from mnemolite.lab.mine_text import TEST_PATH
from mnemolite.lab.pairs import SUFFIX, read_pairs
from mnemolite.lab.questions import questions_of, write_tree
from mnemolite.lab.repository import Git, git_folder
from mnemolite.memory import Memory
from mnemolite.search.relevance import BIAS, RELEVANT, WEIGHTS, chance, signs
from mnemolite.search.retrieve import retrieve
from mnemolite.search.understand import STOP_WORDS, understand
from mnemolite.settings import Settings
from mnemolite.types import Chunk, Query
from mnemolite.wiring import open_tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

MAX_FILES = 1_000  # of a repository that is asked
MAX_BYTES = 400_000
NAMES = 20  # of a tree
SHORT = (2, 5)  # words
RIDGE = 1e-3
STEPS = 50
RESAMPLES = 1000
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Asking:
    text: str
    paths: frozenset[str]  # of files that answer it
    kind: str


@dataclass(frozen=True)
class Asked:
    """A question put to a tree."""

    tree: str
    kind: str
    answered: bool
    signs: Mapping[str, float]


@dataclass(frozen=True)
class Tree:
    name: str
    memory: Memory
    questions: Sequence[Asking]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="mnemolite.lab.calibrate", description=__doc__.split("\n\n")[0])
    parser.add_argument("pairs", type=Path, help="folder of pairs, to fit on")
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True, help="folder of pairs of other repositories")
    given = parser.parse_args(arguments)
    try:
        fitted, test = (ask(sorted(folder.glob(f"*{SUFFIX}")), given.mirror) for folder in (given.pairs, given.test))
    except MnemoError as error:
        print(f"mnemolite.lab.calibrate: {error}", file=sys.stderr)  # noqa: T201
        return 2
    for searched in WEIGHTS:
        report(searched, fit(fitted, searched), test)
    return 0


# Asking


def ask(files: Sequence[Path], mirror: Path) -> list[Asked]:
    """Each tree its own questions and as many of other trees'; what is asked is the same each time."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as opened:
        trees = list(filter(None, (prepare(file, mirror, Path(scratch)) for file in files)))
        for tree in trees:
            opened.enter_context(tree.memory)
        return [asked for tree in trees for asked in _put(tree, trees)]


def prepare(file: Path, mirror: Path, scratch: Path) -> Tree | None:
    """The repository's files without the docstrings that are asked for, indexed; None for one that is too large."""
    name = file.name.removesuffix(SUFFIX)
    git, folder = Git(git_folder(mirror / name)), scratch / name
    if len(git.blobs()) > MAX_FILES:
        return None
    write_tree(git, folder, max_bytes=MAX_BYTES)
    root, dice = folder / "tree", Random(name)
    mined = questions_of(read_pairs(file), root)
    sentences = [Asking(question.text, frozenset(question.files), question.relation.value) for question in mined]
    memory = open_tree(root, settings=Settings(data_dir=str(scratch / "none")), create=True)
    memory.index()
    return Tree(name, memory, [*sentences, *(_short(each, dice) for each in sentences), *names(memory, dice)])


def names(memory: Memory, dice: Random) -> list[Asking]:
    """Names of definitions that only one file has, half of them typed in part; and names of files."""
    [tree] = memory.trees
    files: dict[str, set[str]] = defaultdict(set)
    paths: dict[str, set[str]] = defaultdict(set)
    for chunk in tree.store.chunks(range(1, 1 + sum(stats.chunks for stats in memory.stats()))):
        paths[chunk.path.rpartition("/")[2]].add(chunk.path)
        if chunk.signature and not TEST_PATH.search(chunk.path):
            files[chunk.name].add(chunk.path)
    own = sorted(name for name, where in files.items() if len(where) == 1 and len(name) >= 6 and name.isidentifier())
    named = dice.sample(own, min(NAMES, len(own)))
    unique = sorted(name for name, where in paths.items() if len(where) == 1 and len(name) >= 6)
    return [
        *(Asking(name, frozenset(files[name]), "name") for name in named),
        *(Asking(name[: dice.randint(5, len(name) - 1)], frozenset(files[name]), "part") for name in named[::2]),
        *(Asking(name, frozenset(paths[name]), "file") for name in dice.sample(unique, min(NAMES // 2, len(unique)))),
    ]


def _short(question: Asking, dice: Random) -> Asking:
    """It in a few of its words, in their order."""
    words = [word for word in question.text.split() if word.lower() not in STOP_WORDS]
    size = min(dice.randint(*SHORT), len(words))
    kept = sorted(dice.sample(range(len(words)), size))
    return Asking(" ".join(words[i] for i in kept) or question.text, question.paths, f"short {question.kind}")


def _put(tree: Tree, trees: Sequence[Tree]) -> Iterator[Asked]:
    others = [question for other in trees if other is not tree for question in other.questions]
    foreign = Random(tree.name).sample(others, min(len(tree.questions), len(others)))
    for question in (*tree.questions, *foreign):
        hits = tree.memory.search(Query(text=question.text), freshness="skip", notes=0).hits
        own = question in tree.questions
        if own and not any(hit.chunk.path in question.paths for hit in hits):
            continue
        if not own and any(_has(hit.chunk, question.text) for hit in hits):
            continue
        yield Asked(tree.name, question.kind, own, signs_of(tree.memory, question.text))


def _has(chunk: Chunk, name: str) -> bool:
    """Other trees have a README too."""
    return name in chunk.symbols or name == chunk.path.rpartition("/")[2]


def signs_of(memory: Memory, text: str) -> Mapping[str, float]:
    query, intent = Query(text=text), understand(text)
    [tree] = memory.trees
    return signs(text, intent, retrieve(query, intent, tree.store, memory.embedders), tree.store)


# Fitting


def fit(asked: Sequence[Asked], searched: str) -> dict[str, float]:
    """Weights of the signs, and BIAS, that make the answered and the others likeliest, both weighing the same."""
    names = [name for name in WEIGHTS[searched] if name != BIAS]
    values = np.array([[each.signs[name] for name in names] for each in asked])
    answered = np.array([each.answered for each in asked], float)
    share = answered.mean()
    weight = np.where(answered == 1, 0.5 / share, 0.5 / (1 - share))
    middle, width = values.mean(0), values.std(0) + 1e-9
    columns = np.column_stack([(values - middle) / width, np.ones(len(values))])
    ridge = RIDGE * len(values) * np.diag([*np.ones(len(names)), 0.0])
    fitted = np.zeros(len(names) + 1)
    for _ in range(STEPS):  # Newton's
        told = 0.5 + 0.5 * np.tanh(0.5 * (columns @ fitted))
        slope = columns.T @ (weight * (told - answered)) + ridge @ fitted
        bend = (columns * (weight * told * (1 - told))[:, None]).T @ columns + ridge
        fitted -= np.linalg.solve(bend, slope)
    scaled = fitted[:-1] / width
    return {**dict(zip(names, map(float, scaled), strict=True)), BIAS: float(fitted[-1] - scaled @ middle)}


# Reporting


@dataclass(frozen=True)
class Worth:
    """What scores tell: by the threshold, which share of the answered is kept and of what is kept is answered."""

    auc: float
    precision: Mapping[float, float]
    recall: Mapping[float, float]
    refused: Mapping[float, float]  # share of the others that are under it


def worth(scores: Numbers, answered: NDArray[np.bool_]) -> Worth:
    """As many unanswered as answered ones are assumed, whatever there are."""
    recall = {t: float((scores[answered] >= t).mean()) for t in THRESHOLDS}
    passed = {t: float((scores[~answered] >= t).mean()) for t in THRESHOLDS}
    return Worth(
        auc=area(scores[answered], scores[~answered]),
        precision={t: recall[t] / ((recall[t] + passed[t]) or 1.0) for t in THRESHOLDS},
        recall=recall,
        refused={t: 1 - share for t, share in passed.items()},
    )


def area(higher: Numbers, lower: Numbers) -> float:
    """The chance that one of *higher* is above one of *lower*."""
    ranked = np.sort(lower)
    below, up_to = np.searchsorted(ranked, higher, "left"), np.searchsorted(ranked, higher, "right")
    return float((below + up_to).mean() / 2 / len(lower))


def report(searched: str, weights: Mapping[str, float], test: Sequence[Asked]) -> None:
    print(f"\n{searched}\n    " + ", ".join(f'"{name}": {value:.2f}' for name, value in weights.items()))  # noqa: T201
    scores = np.array([chance(each.signs, weights) for each in test])
    answered = np.array([each.answered for each in test])
    kinds = np.array([each.kind for each in test])
    whole = worth(scores, answered)
    trees = np.array([each.tree for each in test])
    groups = [np.flatnonzero(trees == tree) for tree in sorted(set(trees))]
    choices = (np.concatenate([groups[number] for number in drawn]) for drawn in resamples(len(groups)))
    drawn = [worth(scores[chosen], answered[chosen]) for chosen in choices]
    low, high = np.percentile([each.auc for each in drawn], [2.5, 97.5])
    print(f"    AUC {whole.auc:.3f} ({low:.3f}-{high:.3f}) over {len(groups)} trees, {len(test)} questions")  # noqa: T201
    for kind in sorted(set(kinds)):
        own = worth(scores[kinds == kind], answered[kinds == kind])
        print(f"        {kind:16} AUC {own.auc:.3f}, kept at {RELEVANT} {own.recall[RELEVANT]:.3f}")  # noqa: T201
    for t in THRESHOLDS:
        spans = (np.percentile([getattr(d, name)[t] for d in drawn], [2.5, 97.5]) for name in ("precision", "recall"))
        told = [f"({low:.2f}-{high:.2f})" for low, high in spans]
        print(  # noqa: T201
            f"    from {t:4}: precision {whole.precision[t]:.3f} {told[0]}, recall {whole.recall[t]:.3f} {told[1]}, "
            f"others refused {whole.refused[t]:.3f}"
        )


def resamples(groups: int, times: int = RESAMPLES) -> Iterator[list[int]]:
    """Numbers of groups drawn anew: questions about one tree resemble each other. The same each time."""
    dice = np.random.default_rng(0)
    for _ in range(times):
        yield dice.integers(0, groups, groups).tolist()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
