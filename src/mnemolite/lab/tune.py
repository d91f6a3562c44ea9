"""
A model that goes on learning, from examples of one's own code.

It is trained contrastively on the examples of most files, then mixed with what it was (Wortsman et al.,
arXiv:2109.01903): how much of each is chosen on the examples of other files, among mixtures that have not forgotten
what code in general is like. For that stand the docstrings of this program's own source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING, Protocol

import msgspec

from mnemolite.embedders.configuration import WEIGHTS, model_file
from mnemolite.errors import InvalidInput
from mnemolite.lab.corpus import reciprocal_ranks
from mnemolite.lab.lesson import Plan, general_questions, lesson, questions, taught
from mnemolite.lab.quantise import relevance_like

if TYPE_CHECKING:
    from mnemolite.embedders.manifest import Relevance
    from mnemolite.lab.corpus import Vectors
    from mnemolite.lab.examples import Resolved
    from mnemolite.lab.lesson import Lesson
    from mnemolite.settings import Device

RECORD = "training.json"
FORGOTTEN = 0.05  # share of the general figure that may be lost


class Record(msgspec.Struct, kw_only=True):
    """``training.json`` beside the model: where it comes from. Figures are mean reciprocal ranks."""

    start: str  # the fingerprint of the model it started from
    trees: list[str]
    examples: dict[str, int]  # by relation, those trained on
    seed: int
    epochs: int
    batch: int
    rate: float
    share: float  # of what was learnt; 0 is the model as it was
    own: dict[str, float]  # on the examples that choose, by share
    general: dict[str, float]  # on this program's own source, by share
    cpu_seconds: float


class Learner(Protocol):
    """A model of one kind: how it is trained, what comes of it, and how it is written."""

    @property
    def plan(self) -> Plan:
        """What suits it unless told."""

    @property
    def shares(self) -> Sequence[float]:
        """Of what was learnt, in the mixtures that are tried."""

    @property
    def asked(self) -> int | None:
        """How many questions choose among them, and as many of other code; None is all there are."""

    @property
    def fingerprint(self) -> str: ...  # as it was
    @property
    def relevance(self) -> Relevance: ...
    def times(self, relation: str) -> int:
        """How often an epoch has an example of *relation*."""

    def learn(self, lesson: Lesson, plan: Plan, say: Callable[[str], None]) -> float:
        """The mean loss."""

    def vectors(self, lesson: Lesson) -> Mapping[float, Vectors]:
        """By share, 0 among them."""

    def write(self, folder: Path, share: float, *, name: str, relevance: Relevance) -> None: ...


def tune(
    examples: Sequence[Resolved],
    start: Path,
    out: Path,
    *,
    name: str,
    seed: int = 0,
    epochs: int | None = None,
    batch: int | None = None,
    rate: float | None = None,
    warm_up: int | None = None,
    device: Device = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> Record:
    """
    Writes the tuned model to *out*, the same one for the same seed; what is not told is as suits the kind of model
    that *start* is the folder of.

    Raises:
        InvalidInput: there are too few examples, *start* cannot be trained, or *out* is something else.
    """
    _check_place(out)
    learner = _learner(start, device)
    usual = learner.plan
    plan = Plan(
        seed=seed,
        epochs=epochs or usual.epochs,
        batch=batch or usual.batch,
        rate=rate or usual.rate,
        warm_up=usual.warm_up if warm_up is None else warm_up,
    )
    began = process_time()
    known = taught(examples)
    asked, general = questions(examples, learner.asked), general_questions(learner.asked)
    say(f"{len(known):,} examples to train on, {len(asked.queries):,} of other files to choose by")
    loss = learner.learn(lesson(known, learner.times), plan, say)
    on_own, on_general = learner.vectors(asked), learner.vectors(general)
    own = {share: _mean_rank(found, asked) for share, found in on_own.items()}
    kept = {share: _mean_rank(found, general) for share, found in on_general.items()}
    for share, figure in own.items():
        say(f"share {share:4}: MRR {figure:.3f} on own code, {kept[share]:.3f} on other code")
    share = max((s for s in own if kept[s] >= (1 - FORGOTTEN) * kept[0.0]), key=own.__getitem__)
    relevance = relevance_like(learner.relevance, on_own[0.0], on_own[share])
    record = Record(
        start=learner.fingerprint,
        trees=sorted({str(one.tree) for one in known}),
        examples=dict(Counter(one.relation or "others" for one in known)),
        seed=seed,
        epochs=plan.epochs,
        batch=plan.batch,
        rate=plan.rate,
        share=share,
        own=_rounded(own),
        general=_rounded(kept),
        cpu_seconds=round(process_time() - began, 1),
    )
    with taking_the_place_of(out) as folder:
        learner.write(folder, share, name=name, relevance=relevance)
        (folder / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    cosines = f"relevance high {relevance.high}, moderate {relevance.moderate}"
    say(f"loss {loss:.3f}; {share:.0%} of what was learnt is taken; {cosines}")
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


def _learner(start: Path, device: Device) -> Learner:
    if (start / "scales.npy").is_file():
        from mnemolite.lab.tune_static import StaticLearner

        return StaticLearner(start)
    if (start / WEIGHTS).is_file():
        from mnemolite.lab.tune_transformer import TransformerLearner

        return TransformerLearner(start, device)
    if start.is_dir() and model_file(start) is not None:
        raise InvalidInput(f"{start} has a model in ONNX alone; to train it takes its weights, {WEIGHTS}, beside")
    raise InvalidInput(
        f"{start} is no model that can be trained; --start wants a static model, as 'train run' writes it, or a"
        f" sentence-transformers folder with {WEIGHTS}"
    )


def _mean_rank(found: Vectors, data: Lesson) -> float:
    return float(reciprocal_ranks(found, data).mean())


def _rounded(figures: Mapping[float, float]) -> dict[str, float]:
    return {f"{share:g}": round(figure, 4) for share, figure in figures.items()}


# Where it is written


def _check_place(out: Path) -> None:
    if out.exists() and not (out / RECORD).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidInput(f"{out} is there, and is no model of 'mnemolite train run'; give another folder with --out")


@contextmanager
def taking_the_place_of(out: Path) -> Iterator[Path]:
    """A folder that becomes *out* when it is whole."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out.parent, prefix=".") as scratch:
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            new.mkdir()
            yield new
            if out.exists():
                out.rename(old)
            new.rename(out)
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error}") from error
