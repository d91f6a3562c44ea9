"""A sentence-transformers model, whatever runs it: see :mod:`mnemolite.embedders.configuration`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnemolite.embedders.configuration import ADVICE, Configuration, Described, read_configuration
from mnemolite.embedders.manifest import check_sizes
from mnemolite.errors import EmbedderUnavailable
from mnemolite.transformer import Batch, Tokens, Transformer
from mnemolite.types import Role, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix


class SentenceEmbedder(Described):
    """An :class:`~mnemolite.ports.Embedder`."""

    def __init__(self, folder: Path, configuration: Configuration, model: Transformer) -> None:
        super().__init__(folder, configuration)
        self._prompts = configuration.prompts
        self._file = folder / configuration.model
        self._model = model

    @property
    def max_tokens(self) -> int:
        return self._model.max_tokens - max(len(self._model.tokens(prompt)) for prompt in self._prompts.values())

    def tokens(self, text: str) -> Sequence[int]:
        return self._model.tokens(self._cased(text))

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        import numpy as np

        rows = np.zeros((len(texts), self._configuration.dimension), np.float32)
        told = [place for place, text in enumerate(texts) if (text.strip() if isinstance(text, str) else text)]
        for batch in self._model.run([self.encoded(texts[place], role) for place in told]):
            rows[[told[place] for place in batch.places]] = self.cut(self._pooled(batch))
        if not np.isfinite(rows).all():
            raise EmbedderUnavailable(f"the model at {self._file} gives figures that are not finite")
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return rows

    def encoded(self, text: Text, role: Role) -> Tokens:
        """With the prompt of its role."""
        if isinstance(text, str):
            return self._model.encode(self._cased(self._prompts[role] + text))
        return self._model.framed([*self._model.tokens(self._cased(self._prompts[role])), *text])

    def _cased(self, text: str) -> str:
        return text.lower() if self._configuration.lower_case else text

    def _pooled(self, batch: Batch) -> Matrix:
        import numpy as np

        states, mask = batch.output, batch.mask
        if states.shape[-1] != self._configuration.width or states.ndim not in (2, 3):
            raise EmbedderUnavailable(
                f"{self._file} gives an output of shape {states.shape},"
                f" its configuration says {self._configuration.width} dimensions"
            )
        pooled: Matrix
        if states.ndim == 2:
            pooled = states
        elif self._configuration.pooling == "cls":
            pooled = states[:, 0]
        elif self._configuration.pooling == "last":
            pooled = states[np.arange(len(states)), mask.sum(1) - 1]
        elif self._configuration.pooling == "max":
            pooled = np.where(mask[:, :, None] == 1, states, -np.inf).max(1)
        else:
            pooled = np.einsum("ntd,nt->nd", states, mask.astype(np.float32)) / mask.sum(1, keepdims=True)
        return pooled

    def cut(self, rows: Matrix) -> Matrix:
        """Those of a Matryoshka model to their first dimensions, which mean the most."""
        dimension = self._configuration.dimension
        if dimension < self._configuration.width and self._configuration.centred:
            rows = rows - rows.mean(1, keepdims=True)  # what else a layer norm does, unit length undoes
        return rows[:, :dimension]


def checked_configuration(folder: Path) -> Configuration:
    """
    Raises:
        EmbedderUnavailable: there is no model in *folder*, or one of its files is cut short.
    """
    configuration = read_configuration(folder)
    check_sizes(folder, configuration.files, ADVICE)
    return configuration
