"""
A sentence-transformers model in NumPy: where token vectors start, and what is distilled.

Texts are batched by their exact number of tokens, so nothing is padded and no mask is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnemolite.errors import EmbedderUnavailable
from mnemolite.lab.bert import Bert
from mnemolite.weights import read_bert

if TYPE_CHECKING:
    from mnemolite.types import Matrix

_MAX_TOKENS = 256  # what all-MiniLM-L6-v2 was trained with
_BATCH_TOKENS = 1024  # activations that stay in the cache


class Teacher:
    """Opens *folder*: ``config.json``, ``model.safetensors`` and ``tokenizer.json``."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._bert = Bert(*read_bert(folder))
        try:
            self._tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise EmbedderUnavailable(f"no sentence-transformers model at {folder}: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(min(_MAX_TOKENS, self._bert.config.positions))

    def embed(self, texts: Sequence[str]) -> Matrix:
        """One unit row for each text: the mean of its last hidden states, special tokens included."""
        encoded = [e.ids for e in self._tokenizer.encode_batch(list(texts))]
        rows = np.zeros((len(texts), self._bert.width), np.float32)
        for index in _batches(encoded):
            states = self._bert.states(np.array([encoded[i] for i in index]))
            rows[index] = states.mean(1)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return rows


def _batches(encoded: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indices of texts with equally many tokens."""
    by_length = defaultdict(list)
    for i, ids in enumerate(encoded):
        by_length[len(ids)].append(i)
    for length, index in by_length.items():
        step = max(1, _BATCH_TOKENS // max(1, length))
        yield from (index[i : i + step] for i in range(0, len(index), step))
