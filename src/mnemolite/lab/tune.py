"""
A static model that goes on learning, from examples of one's own code.

It is trained contrastively on the examples of most files (:mod:`contrastive`), then mixed with what it was: how much of
each is chosen on the examples of other files, among mixtures that have not forgotten what code in general is like. For
that stand the docstrings of this program's own source, which is wherever it is installed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

import mnemolite
from mnemolite.embedders.static import read_manifest
from mnemolite.embedders.wordpiece import WordPiece
from mnemolite.errors import InvalidInput
from mnemolite.ingest.passage import passage
from mnemolite.lab import quantise, vocabulary
from mnemolite.lab.contrastive import Options, begin, train
from mnemolite.lab.corpus import Corpus, corpus, evaluate, key_of, tokenise
from mnemolite.lab.examples import QUESTIONS, Part, Resolved
from mnemolite.lab.mine import mine_tree
from mnemolite.lab.pairs import Relation
from mnemolite.lab.questions import without

if TYPE_CHECKING:
    from mnemolite.lab.corpus import Indices

RECORD = "training.json"
LEAST = 50  # examples to train on: fewer teach it by heart
SHARES = (0.25, 0.5, 0.75, 1.0)  # of what was learnt, in the mixture
FORGOTTEN = 0.05  # share of the general figure that may be lost
# how often an example is used in an epoch; chosen by hand, after experiment 6 of docs/model/experiments.md
TIMES = {"docstring": 4, "commit": 4, "comment": 2, "test": 2, "name": 1, "heading": 1}
TIMES_OTHERS = 4
QUERY_TOKENS, PASSAGE_TOKENS = 256, 256


class Record(msgspec.Struct, kw_only=True):
    """``training.json`` beside the model: where it comes from. Figures are mean reciprocal ranks."""

    start: str  # the fingerprint of the model it started from
    trees: list[str]
    examples: dict[str, int]  # by relation, those trained on
    seed: int
    epochs: int
    rate: float
    share: float  # of what was learnt; 0 is the model as it was
    own: dict[str, float]  # on the examples that choose, by share
    general: dict[str, float]  # on this program's own source, by share
    cpu_seconds: float


def tune(
    examples: Sequence[Resolved],
    start: Path,
    out: Path,
    *,
    name: str,
    seed: int = 0,
    epochs: int = 3,
    rate: float = 1e-3,
    say: Callable[[str], None] = lambda _: None,
) -> Record:
    """
    Writes the tuned model to *out*, the same one for the same seed. *start* is the folder of a static model.

    Raises:
        InvalidInput: there are too few examples, or *start* is another kind of model.
    """
    if not (start / "scales.npy").is_file():
        raise InvalidInput(f"{start} is no static model, and only those can be trained here; name one with --start")
    began = process_time()
    tokens = vocabulary.read(start / "vocab.txt")
    pieces = WordPiece(tokens)
    taught, asked = _taught(examples), _asked(examples)
    lesson = _lesson([one for one in taught for _ in range(TIMES.get(one.relation, TIMES_OTHERS))], pieces)
    chosen_on, general = _lesson(asked, pieces).data, _general(pieces)
    say(f"{len(taught):,} examples to train on, {len(asked):,} of other files to choose by")
    rows = quantise.read(start)
    state = begin(rows)
    loss = train(lesson.data, state, Options(seed=seed, epochs=epochs, rate=rate), negatives=lesson.negatives)
    learnt = state.table.rows() * np.float32(np.linalg.norm(rows, axis=1).mean())  # begin makes lengths 1 on average
    mixtures = {0.0: rows, **{share: (1 - share) * rows + share * learnt for share in SHARES}}
    own = {share: evaluate(table, chosen_on) for share, table in mixtures.items()}
    kept = {share: evaluate(table, general) for share, table in mixtures.items()}
    for share in mixtures:
        say(f"share {share:4}: MRR {own[share]:.3f} on own code, {kept[share]:.3f} on other code")
    share = max((s for s in mixtures if kept[s] >= (1 - FORGOTTEN) * kept[0.0]), key=own.__getitem__)
    manifest = read_manifest(start)
    thresholds = quantise.relevance_like(manifest.relevance, rows, mixtures[share], chosen_on)
    report = quantise.write(out, mixtures[share], tokens, chosen_on, name=name, thresholds=thresholds)
    say(f"loss {loss:.3f}; {share:.0%} of what was learnt is taken; {report}")
    record = Record(
        start=manifest.space.fingerprint,
        trees=sorted({str(one.tree) for one in taught}),
        examples=dict(Counter(one.relation or "others" for one in taught)),
        seed=seed,
        epochs=epochs,
        rate=rate,
        share=share,
        own=_rounded(own),
        general=_rounded(kept),
        cpu_seconds=round(process_time() - began, 1),
    )
    (out / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    return record


def read_record(folder: Path) -> Record:
    """
    Raises:
        InvalidInput: there is none that can be read.
    """
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{folder} is no model of 'mnemolite train run': {error}") from error


def _taught(examples: Sequence[Resolved]) -> list[Resolved]:
    """Of the files to train on, what neither asks nor shows what is asked or shown in the other files."""
    others = [one for one in examples if one.part is not Part.TRAIN]
    asked = {one.query.lower() for one in others}
    shown = {one.positive.text for one in others}
    taught = [
        one
        for one in examples
        if one.part is Part.TRAIN and one.query.lower() not in asked and one.positive.text not in shown
    ]
    if len(taught) < LEAST:
        raise InvalidInput(f"{len(taught)} examples are too few to learn from, {LEAST} are needed; mine larger trees")
    return taught


def _asked(examples: Sequence[Resolved]) -> list[Resolved]:
    asked = [one for one in examples if one.part is Part.VALIDATION and one.relation in QUESTIONS]
    if not asked:
        raise InvalidInput("no example of a file that is not trained on is left to choose by; mine larger trees")
    return asked


@dataclass(frozen=True)
class _Lesson:
    data: Corpus  # with the chunks that seem to answer and do not as further passages
    negatives: Indices  # for each pair, the place of one of its own


def _lesson(examples: Sequence[Resolved], pieces: WordPiece) -> _Lesson:
    wrong = {(one.tree, chunk.id): chunk for one in examples for chunk in one.negatives}
    places = {key: len(examples) + number for number, key in enumerate(wrong)}
    trees = {tree: number for number, tree in enumerate(sorted({one.tree for one in examples}))}
    data = Corpus(
        queries=tokenise([one.query for one in examples], pieces, QUERY_TOKENS),
        passages=tokenise([*map(cut_passage, examples), *map(passage, wrong.values())], pieces, PASSAGE_TOKENS),
        query_keys=np.array([*(key_of(one.query.lower()) for one in examples), *([0] * len(wrong))], np.uint64),
        passage_keys=np.array(
            [key_of(chunk.text) for chunk in (*(one.positive for one in examples), *wrong.values())], np.uint64
        ),
        repositories=np.array([trees[one.tree] for one in examples], np.int32),
        relations=np.zeros(len(examples), np.uint8),
    )
    return _Lesson(data, np.array(list(_negatives(examples, places)), np.int64))


def _negatives(examples: Sequence[Resolved], places: Mapping[tuple[Path, int], int]) -> Iterator[int]:
    """An example that is there several times has another one each time; one that has none, some other passage."""
    times: Counter[Resolved] = Counter()
    for number, one in enumerate(examples):
        if one.negatives:
            yield places[one.tree, one.negatives[times[one] % len(one.negatives)].id]
        else:
            yield (number + len(examples) // 2) % len(examples)
        times[one] += 1


def cut_passage(example: Resolved) -> str:
    """As the index embeds the answer, without the words of the query, by which it would be found all too well."""
    return passage(replace(example.positive, text=without(example.positive.text, example.query)))


def _general(pieces: WordPiece) -> Corpus:
    pairs = mine_tree(Path(mnemolite.__file__).parent, commits=0).pairs
    said = [pair for pair in pairs if pair.relation is Relation.DOCSTRING]
    return corpus([said], pieces, paths=1.0, limit=quantise.MAX_TOKENS)


def _rounded(figures: Mapping[float, float]) -> dict[str, float]:
    return {f"{share:g}": round(figure, 4) for share, figure in figures.items()}
