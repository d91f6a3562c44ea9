"""
A transformer that goes on learning, in torch: all of its weights, by AdamW (arXiv:1711.05101).

InfoNCE in both directions as in :mod:`contrastive`: the negatives of a query are the other answers of its batch and a
passage for each that the search mistook for one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemolite.embedders.configuration import WEIGHTS, read_configuration, space_of, write_descriptions
from mnemolite.embedders.library import record
from mnemolite.embedders.sentences import SentenceEmbedder
from mnemolite.embedders.torch import TorchModel
from mnemolite.errors import InvalidInput
from mnemolite.lab.contrastive import batches, pace, right_besides
from mnemolite.lab.corpus import Vectors
from mnemolite.lab.lesson import Plan
from mnemolite.types import Role
from mnemolite.weights import write_bert

if TYPE_CHECKING:
    from mnemolite.embedders.manifest import Relevance
    from mnemolite.lab.lesson import Lesson
    from mnemolite.settings import Device
    from mnemolite.transformer import Tokens

TOKENS = 256  # of a text, with its prompt: what a step costs grows with it
TEMPERATURE = 0.05
LONGEST_GRADIENT = 1.0
SAID_SECONDS = 10.0  # between lines
RECENT = 20  # steps whose mean loss is told
BESIDE = ("config.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")  # for other programs


class TransformerLearner:
    """
    A :class:`~mnemolite.lab.tune.Learner`.

    On a CPU each share takes as long as some steps of training for every hundred questions: so few of both.
    """

    plan = Plan(epochs=3, batch=16, rate=2e-5, warm_up=100)
    shares = (0.5, 1.0)
    asked = 200

    def __init__(self, start: Path, device: Device) -> None:
        try:
            import tokenizers  # noqa: F401
            import torch  # noqa: F401
        except ImportError as error:
            raise InvalidInput(
                f"{start} is a transformer, and to train one takes torch: pip install 'mnemolite[torch]'"
            ) from error
        self._start = start
        self._configuration = replace(read_configuration(start), model=WEIGHTS, files={})
        self.fingerprint = space_of(start, self._configuration).fingerprint
        self.relevance = self._configuration.relevance
        cut = replace(self._configuration, max_tokens=min(self._configuration.max_tokens or TOKENS, TOKENS))
        self._model = TorchModel(start, cut, device, exact=True)
        self._embedder = SentenceEmbedder(start, cut, self._model)
        self._before = self._learnt = self._weights()

    def times(self, relation: str) -> int:
        return 1

    def learn(self, lesson: Lesson, plan: Plan, say: Callable[[str], None]) -> float:
        import torch

        queries = [self._embedder.encoded(text, Role.QUERY) for text in lesson.queries]
        passages = [self._embedder.encoded(text, Role.PASSAGE) for text in lesson.passages]
        steps = [
            index
            for epoch in range(plan.epochs)
            for index in batches(lesson.repositories, plan.batch, plan.seed, epoch)
        ]
        weights = [weight.requires_grad_() for weight in self._model.weights.values()]
        optimizer = torch.optim.AdamW(weights, lr=plan.rate)
        losses = []
        tell = _progress(len(steps), say)
        for number, index in enumerate(steps):
            shown = np.concatenate((index, lesson.negatives[index]))
            rows = self._rows([*(queries[i] for i in index), *(passages[i] for i in shown)])
            loss = _loss(rows[: len(index)], rows[len(index) :], right_besides(lesson, index, shown))
            losses.append(loss.item())
            if not np.isfinite(losses[-1]):
                raise InvalidInput(f"in step {number + 1} the loss is {losses[-1]}: --rate {plan.rate:g} is too high")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, LONGEST_GRADIENT)
            for group in optimizer.param_groups:
                group["lr"] = plan.rate * pace(number, len(steps), plan.warm_up_share(len(steps)))
            optimizer.step()
            tell(losses)
        for weight in weights:
            weight.requires_grad_(False)
        self._learnt = self._weights()
        return float(np.mean(losses))

    def _rows(self, texts: Sequence[Tokens]) -> Any:
        """(texts, dimension), of unit length."""
        import torch

        found, order = [], []
        for places, inputs in self._model.padded(texts):
            found.append(self._embedder.cut(self._model.pooled(inputs)))
            order += places
        rows = torch.cat(found)
        return torch.nn.functional.normalize(rows[torch.from_numpy(np.argsort(order)).to(rows.device)])

    def vectors(self, lesson: Lesson) -> dict[float, Vectors]:
        found = {}
        for share in (0.0, *self.shares):
            self._take(share)
            found[share] = Vectors(
                self._embedder.embed(lesson.queries, Role.QUERY), self._embedder.embed(lesson.passages, Role.PASSAGE)
            )
        return found

    def write(self, folder: Path, share: float, *, name: str, relevance: Relevance) -> None:
        self._take(share)
        weights = {name: weight.cpu().numpy() for name, weight in self._model.weights.items()}
        write_bert(folder / WEIGHTS, self._model.config, weights, like=self._start / WEIGHTS)
        for file in BESIDE:
            if (self._start / file).is_file():
                shutil.copyfile(self._start / file, folder / file)
        shutil.copyfile(self._start / self._configuration.tokenizer, folder / "tokenizer.json")
        configuration = replace(
            self._configuration, name=name, tokenizer="tokenizer.json", relevance=relevance, source=""
        )
        write_descriptions(folder, configuration)
        record(folder, configuration)

    def _weights(self) -> dict[str, Any]:
        return {name: weight.detach().clone() for name, weight in self._model.weights.items()}

    def _take(self, share: float) -> None:
        for name, weight in self._model.weights.items():
            weight.copy_((1 - share) * self._before[name] + share * self._learnt[name])


def _loss(queries: Any, passages: Any, masked: Any) -> Any:
    """A further negative is no query's, so the other direction leaves it out."""
    import torch
    from torch.nn.functional import cross_entropy

    scores = queries @ passages.T / TEMPERATURE
    scores = scores.masked_fill(torch.from_numpy(masked).to(scores.device), -torch.inf)
    own = torch.arange(len(queries), device=scores.device)
    return (cross_entropy(scores, own) + cross_entropy(scores[:, : len(queries)].T, own)) / 2


def _progress(steps: int, say: Callable[[str], None]) -> Callable[[Sequence[float]], None]:
    """Tells of the losses so far, each time some seconds after the last."""
    began = said = monotonic()

    def tell(losses: Sequence[float]) -> None:
        nonlocal said
        now, done = monotonic(), len(losses)
        if now - said >= SAID_SECONDS or done == steps:
            recent = losses[-RECENT:]
            left = (now - began) / done * (steps - done)
            say(f"step {done:,} of {steps:,}, loss {sum(recent) / len(recent):.3f}, {left:,.0f} s left")
            said = now

    return tell
