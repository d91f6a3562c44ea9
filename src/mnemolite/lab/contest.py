"""The search of a tree beside its words alone and beside grep, on questions that the tree answers itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mnemolite.lab.evaluate import bounds
from mnemolite.lab.examples import Resolved
from mnemolite.lab.grep import Grep
from mnemolite.lab.held_out import LEXICAL, WHOLE, Answer, ask, copies
from mnemolite.lab.plot import Bar, bars
from mnemolite.settings import Settings

TITLES = {
    "file": "right file among the first ten",
    "recall": "recall@10",
    "ndcg": "nDCG@10",
    "tokens": "tokens read up to the answer (less is better)",
}
Figure = tuple[float, float, float]  # a mean, and its 95 % interval


@dataclass(frozen=True)
class Contest:
    title: str
    kinds: Sequence[tuple[str, int]]  # of questions
    answers: dict[str, list[Answer]]  # by way of searching


@dataclass(frozen=True)
class Row:
    way: str
    file: Figure  # share of questions with anything of the right file among the first ten
    recall: Figure
    ndcg: Figure
    tokens: Figure  # read up to the answer; 32,000 where it is not found


def contest(examples: Sequence[Resolved], settings: Settings, *, most: int) -> Contest:
    """Of the examples of one tree that are held out."""
    with copies(examples, most=most) as [copy]:
        answers = ask(copy, settings, {"search": WHOLE, "words alone (BM25)": LEXICAL})
        grep = Grep(copy.root)
        answers[grep.name] = [grep.answer(question) for question in copy.questions]
        kinds = Counter(question.relation or "others" for question in copy.questions)
        return Contest(f"{copy.origin.name}: {len(copy.questions)} questions", sorted(kinds.items()), answers)


def rows(found: Contest) -> list[Row]:
    return [
        Row(
            way,
            _figure([float(answer.file) for answer in answers]),
            _figure([answer.recall for answer in answers]),
            _figure([answer.ndcg for answer in answers]),
            _figure([answer.tokens for answer in answers]),
        )
        for way, answers in found.answers.items()
    ]


def draw(found: Contest) -> str:
    """As SVG."""
    drawn = []
    for name, title in TITLES.items():
        for row in rows(found):
            mean, low, high = getattr(row, name)
            shown = f"{mean:,.0f}" if name == "tokens" else f"{mean:.3f}"
            drawn.append(Bar(title, row.way, mean, low, high, shown))
    return bars(found.title, drawn)


def _figure(values: Sequence[float]) -> Figure:
    return (sum(values) / len(values), *bounds(values))
