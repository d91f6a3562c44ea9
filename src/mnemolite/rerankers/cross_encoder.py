"""A local cross-encoder in ONNX, such as ms-marco-MiniLM: it reads query and passage together and gives a score."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mnemolite.errors import RerankerUnavailable
from mnemolite.onnx_model import OnnxModel
from mnemolite.types import Ranking

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class CrossEncoder:
    """
    A :class:`~mnemolite.ports.Reranker`: ``model.onnx`` and ``tokenizer.json`` in *folder*, opened at the first query.

    The model gives one logit for a pair, or two of which the second means relevant. Scores are the logits, or their
    difference.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._model: OnnxModel | None = None

    def rank(self, query: str, passages: Mapping[int, str], limit: int) -> Ranking:
        model = self._opened()
        ids = list(passages)
        scores: dict[int, float] = {}
        for batch in model.run([model.encode(query, passages[id]) for id in ids]):
            scores |= zip((ids[place] for place in batch.places), self._scores(batch.output), strict=True)
        return sorted(((id, scores[id]) for id in ids), key=lambda scored: -scored[1])[:limit]

    def _opened(self) -> OnnxModel:
        with self._lock:
            if self._model is None:
                file, tokenizer = self._folder / "model.onnx", self._folder / "tokenizer.json"
                self._model = OnnxModel(file, tokenizer, RerankerUnavailable)
            return self._model

    def _scores(self, logits: NDArray[np.float32]) -> list[float]:
        import numpy as np

        table = np.asarray(logits, np.float64).reshape(len(logits), -1)
        if table.shape[1] > 2:
            raise RerankerUnavailable(f"{self._folder} holds no reranker: it gives {table.shape[1]} figures for a pair")
        scores = table[:, -1] - (table[:, 0] if table.shape[1] == 2 else 0.0)
        if not np.isfinite(scores).all():
            raise RerankerUnavailable(f"the cross-encoder at {self._folder} gives scores that are not finite")
        found: list[float] = scores.tolist()
        return found
