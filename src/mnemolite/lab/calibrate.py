"""
The weights of search.relevance, fitted on questions that a tree answers and on those of other trees.

    python -m mnemolite.lab.calibrate PAIRS --mirror MIRROR --test PAIRS

PAIRS is what mnemolite.lab.mine made of the repositories in MIRROR. A repository's questions are first sentences of
docstrings, which are cut out of its files, subjects of commits, and names of definitions and files; sentences are also
asked in two to five of their words, as people do. Every tree is asked its own and as many of the others'. Its own count
as answered where a file they are about is among the first ten hits, and are left out elsewhere: whether something else
answers them is not known. Prints weights fitted on the first repositories, and what they are worth on the others.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from mnemolite.errors import MnemoError
from mnemolite.lab.mine import extract
from mnemolite.lab.mine_text import TEST_PATH
from mnemolite.lab.pairs import SUFFIX, Pair, Relation, read_pairs
from mnemolite.lab.repository import Git, git_folder
from mnemolite.memory import Memory
from mnemolite.search.relevance import BIAS, RELEVANT, WEIGHTS, logistic, signs
from mnemolite.search.retrieve import retrieve
from mnemolite.search.understand import STOP_WORDS, understand
from mnemolite.settings import Settings
from mnemolite.types import Chunk, Query
from mnemolite.wiring import open_tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

EACH = 20  # questions of a tree, of each kind
SHORT = (2, 5)  # words
PER_FILE = 2
RIDGE = 1e-3
STEPS = 50
RESAMPLES = 1000
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)

_ROUTINE = re.compile(r"(?i)merge|typo|bump|release|lint|format|readme|changelog|revert|version")


@dataclass(frozen=True)
class Question:
    text: str
    paths: frozenset[str]
    kind: str


@dataclass(frozen=True)
class Asked:
    """A question put to a tree."""

    tree: str
    kind: str
    answered: bool
    signs: Mapping[str, float]


@dataclass
class Tree:
    name: str
    root: Path
    memory: Memory
    questions: list[Question] = field(default_factory=list)


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
        trees = [prepare(file, mirror, Path(scratch)) for file in files]
        for tree in trees:
            opened.enter_context(tree.memory)
        return [asked for tree in trees for asked in _put(tree, trees)]


def prepare(file: Path, mirror: Path, scratch: Path) -> Tree:
    """The repository's files without the docstrings that are asked for, indexed."""
    name = file.name.removesuffix(SUFFIX)
    git, root = Git(git_folder(mirror / name)), scratch / name / "tree"
    root.mkdir(parents=True)
    extract(git, git.blobs(), root, Counter())
    dice = Random(name)
    pairs = list(read_pairs(file))
    dice.shuffle(pairs)
    questions = [*commits(pairs, root), *cut_docstrings(pairs, root)]
    memory = open_tree(root, settings=Settings(data_dir=str(scratch / "none")), create=True)
    memory.index()
    questions += names(memory, dice)
    shorts = [_short(question, dice) for question in questions if question.kind in ("commit", "docstring")]
    return Tree(name, root, memory, questions + shorts)


def commits(pairs: Iterable[Pair], root: Path) -> list[Question]:
    """Subjects of commits that changed one to three files that are there."""
    changed: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if pair.relation is Relation.COMMIT and len(pair.query.split()) >= 4 and not _ROUTINE.search(pair.query):
            changed[pair.query].add(pair.path)
    kept = [
        (text, paths) for text, paths in changed.items() if len(paths) <= 3 and any((root / p).is_file() for p in paths)
    ]
    return [Question(text, frozenset(paths), "commit") for text, paths in kept[:EACH]]


def cut_docstrings(pairs: Iterable[Pair], root: Path) -> list[Question]:
    """Docstrings that stand in their files once, and are cut out of them there."""
    found: list[Question] = []
    spans: dict[Path, list[tuple[int, int]]] = defaultdict(list)
    texts: dict[Path, str] = {}
    wanted = [p for p in pairs if p.relation is Relation.DOCSTRING and not TEST_PATH.search(p.path)]
    uses = Counter(pair.query for pair in wanted)
    for pair in wanted:
        file = root / pair.path
        if uses[pair.query] > 1 or not 5 <= len(pair.query.split()) <= 25 or len(spans[file]) >= PER_FILE:
            continue
        if file not in texts:
            texts[file] = file.read_text("utf-8", "replace") if file.is_file() else ""
        words = map(re.escape, re.findall(r"\w+", pair.query))
        if (stands := re.search(r"\W+".join(words), texts[file])) is None:
            continue
        spans[file].append(stands.span())
        found.append(Question(pair.query, frozenset([pair.path]), "docstring"))
        if len(found) == EACH:
            break
    for file, places in spans.items():
        text = texts[file]
        for start, end in sorted(places, reverse=True):
            text = text[:start] + "\n" * text.count("\n", start, end) + text[end:]
        if places:
            file.write_text(text, "utf-8")
    return found


def names(memory: Memory, dice: Random) -> list[Question]:
    """Names of definitions that only one file has, half of them typed in part; and names of files."""
    [tree] = memory.trees
    files: dict[str, set[str]] = defaultdict(set)
    paths: dict[str, set[str]] = defaultdict(set)
    for chunk in tree.store.chunks(range(1, 1 + sum(stats.chunks for stats in memory.stats()))):
        paths[chunk.path.rpartition("/")[2]].add(chunk.path)
        if chunk.signature and not TEST_PATH.search(chunk.path):
            files[chunk.name].add(chunk.path)
    own = sorted(name for name, where in files.items() if len(where) == 1 and len(name) >= 6 and name.isidentifier())
    named = dice.sample(own, min(EACH, len(own)))
    unique = sorted(name for name, where in paths.items() if len(where) == 1 and len(name) >= 6)
    return [
        *(Question(name, frozenset(files[name]), "name") for name in named),
        *(Question(name[: dice.randint(5, len(name) - 1)], frozenset(files[name]), "part") for name in named[::2]),
        *(Question(name, frozenset(paths[name]), "file") for name in dice.sample(unique, min(EACH // 2, len(unique)))),
    ]


def _short(question: Question, dice: Random) -> Question:
    """It in a few of its words, in their order."""
    words = [word for word in question.text.split() if word.lower() not in STOP_WORDS]
    size = min(dice.randint(*SHORT), len(words))
    kept = sorted(dice.sample(range(len(words)), size))
    return Question(" ".join(words[i] for i in kept) or question.text, question.paths, f"short {question.kind}")


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


def seen(asked: Asked, searched: str) -> dict[str, float]:
    """The signs that a search by no more than *searched* has."""
    missing = {"words", "known", "symbol", "name"} if "words" not in searched else set()
    missing |= {"meaning"} if "meaning" not in searched else set()
    return {name: value for name, value in asked.signs.items() if name not in missing}


def fit(asked: Sequence[Asked], searched: str) -> dict[str, float]:
    """Weights of the signs, and BIAS, that make the answered and the others likeliest, both weighing the same."""
    names = list(seen(asked[0], searched))
    values = np.array([[*seen(each, searched).values()] for each in asked])
    answered = np.array([each.answered for each in asked], float)
    share = answered.mean()
    weight = np.where(answered == 1, 0.5 / share, 0.5 / (1 - share))
    middle, width = values.mean(0), values.std(0) + 1e-9
    columns = np.column_stack([(values - middle) / width, np.ones(len(values))])
    ridge = RIDGE * len(values) * np.diag([*np.ones(len(names)), 0.0])
    fitted = np.zeros(len(names) + 1)
    for _ in range(STEPS):  # Newton's
        chance = 0.5 + 0.5 * np.tanh(0.5 * (columns @ fitted))
        slope = columns.T @ (weight * (chance - answered)) + ridge @ fitted
        bend = (columns * (weight * chance * (1 - chance))[:, None]).T @ columns + ridge
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


def chance(asked: Asked, searched: str, weights: Mapping[str, float]) -> float:
    return logistic(weights[BIAS] + sum(weights[name] * value for name, value in seen(asked, searched).items()))


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
    scores = np.array([chance(each, searched, weights) for each in test])
    answered = np.array([each.answered for each in test])
    kinds = np.array([each.kind for each in test])
    whole = worth(scores, answered)
    groups: dict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(test):
        groups[each.tree].append(number)
    drawn = list(_resampled(list(groups.values()), scores, answered))
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


def _resampled(groups: Sequence[Sequence[int]], scores: Numbers, answered: NDArray[np.bool_]) -> Iterator[Worth]:
    """Of trees drawn anew: questions about one resemble each other."""
    dice = np.random.default_rng(0)
    for _ in range(RESAMPLES):
        chosen = np.concatenate([groups[i] for i in dice.integers(0, len(groups), len(groups))])
        yield worth(scores[chosen], answered[chosen])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
