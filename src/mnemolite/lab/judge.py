"""Whether a tuned model is better than the one in use: on questions of files that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import structs

from mnemolite.errors import Conflict, InvalidInput
from mnemolite.lab.evaluate import Difference, compare
from mnemolite.lab.held_out import VECTORS, WHOLE, Answer, Copy, ask
from mnemolite.models import model_space
from mnemolite.settings import Settings
from mnemolite.types import Domain

VERDICT = "evaluation.json"
METRICS = {"recall@10": "recall", "nDCG@10": "ndcg", "MRR": "reciprocal_rank"}
WAYS = {"search": WHOLE, "vectors alone": VECTORS}
DECIDES = "nDCG@10"  # of the whole search

Asked = Mapping[str, Sequence[Answer]]  # by tree


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over trees of the mean over their questions."""

    way: str
    relation: str  # of the questions, or "all"
    metric: str
    questions: int
    before: float
    after: float
    low: float  # of the difference: 95 %, by the bootstrap
    high: float

    @property
    def difference(self) -> float:
        return self.after - self.before


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``evaluation.json`` beside the model."""

    model: str  # fingerprints
    against: str
    questions: int
    figures: tuple[Figure, ...]

    @property
    def decisive(self) -> Figure:
        return next(f for f in self.figures if (f.way, f.relation, f.metric) == ("search", "all", DECIDES))

    @property
    def helps(self) -> bool:
        return self.decisive.low > 0

    @property
    def words(self) -> str:
        if self.helps:
            return "it helps: what is searched for stands higher than before, beyond chance"
        if self.decisive.high < 0:
            return "it harms: what is searched for stands lower than before, beyond chance"
        return "no difference can be told from chance; more questions, or a larger tree, might tell"


def judge(model: Path, made: Sequence[Copy], settings: Settings) -> Verdict:
    """*settings* say what is in use; the verdict is kept beside the model."""
    after = using(settings, model)
    fingerprints = in_use(after), in_use(settings)
    asked = [{str(copy.origin): ask(copy, used, WAYS) for copy in made} for used in (settings, after)]
    kinds = {str(copy.origin): [question.relation or "others" for question in copy.questions] for copy in made}
    verdict = Verdict(
        model=fingerprints[0],
        against=fingerprints[1],
        questions=sum(map(len, kinds.values())),
        figures=tuple(_figures(asked[0], asked[1], kinds)),
    )
    (model / VERDICT).write_bytes(msgspec.json.format(msgspec.json.encode(verdict), indent=1) + b"\n")
    return verdict


def using(settings: Settings, model: Path) -> Settings:
    """With *model* for prose and code alike."""
    return structs.replace(
        settings,
        embedding_model=str(model.resolve()),
        text_embedding_model="",
        code_embedding_model="",
        embedding_dimension=0,
        code_embedding_dimension=0,
    )


def in_use(settings: Settings) -> str:
    """The fingerprint of the configured model, of that of code where there are two."""
    return model_space(settings, Domain.CODE).fingerprint


def _figures(
    before: Mapping[str, Mapping[str, Sequence[Answer]]],
    after: Mapping[str, Mapping[str, Sequence[Answer]]],
    kinds: Mapping[str, Sequence[str]],
) -> Iterator[Figure]:
    relations = sorted({kind for own in kinds.values() for kind in own})
    for way in WAYS:
        for relation in ("all", *relations):
            for metric, field in METRICS.items():
                one, other = (
                    {
                        tree: [
                            getattr(answer, field)
                            for answer, kind in zip(ways[way], kinds[tree], strict=True)
                            if relation in ("all", kind)
                        ]
                        for tree, ways in run.items()
                        if relation == "all" or relation in kinds[tree]
                    }
                    for run in (before, after)
                )
                yield _figure(way, relation, metric, one, other)


def _figure(
    way: str, relation: str, metric: str, one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]
) -> Figure:
    difference: Difference = compare(one, other)
    means = [sum(sum(own) / len(own) for own in run.values()) / len(run) for run in (one, other)]
    return Figure(
        way=way,
        relation=relation,
        metric=metric,
        questions=sum(map(len, one.values())),
        before=means[0],
        after=means[1],
        low=difference.low,
        high=difference.high,
    )


def approved(model: Path, *, fingerprint: str, against: str, force: bool) -> str:
    """
    Why the model may be used, whose *fingerprint* is this.

    Raises:
        InvalidInput: it was not evaluated as it is now, or not against what is in use.
        Conflict: it is not better.
    """
    if force:
        return "as you say"
    try:
        verdict = msgspec.json.decode((model / VERDICT).read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{model} has not been evaluated; run 'mnemolite train eval {model} EXAMPLES'") from error
    if (verdict.model, verdict.against) != (fingerprint, against):
        raise InvalidInput(f"{model} was evaluated as, or against, another model; run 'mnemolite train eval' again")
    if not verdict.helps:
        raise Conflict(f"{model} is not used: {verdict.words}; --force uses it all the same")
    return verdict.words
