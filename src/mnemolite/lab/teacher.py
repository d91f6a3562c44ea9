"""
A sentence-transformers BERT (all-MiniLM-L6-v2 and its like) in NumPy: where token vectors start, and what is distilled.

A forward pass only. Texts are batched by their exact number of tokens, so nothing is padded and no mask is needed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mnemolite.errors import EmbedderUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.types import Matrix, Vector

_MAX_TOKENS = 256  # what all-MiniLM-L6-v2 was trained with
_BATCH_TOKENS = 1024  # activations that stay in the cache
_TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
_PREFIX = "bert."  # some exports have it


class BertConfig(msgspec.Struct, frozen=True):
    num_attention_heads: int
    num_hidden_layers: int
    layer_norm_eps: float = 1e-12
    max_position_embeddings: int = 512
    hidden_act: str = "gelu"


class Teacher:
    """Opens *folder*: ``config.json``, ``model.safetensors`` and ``tokenizer.json``."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._config, self._weights = read_bert(folder)
        try:
            self._tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise EmbedderUnavailable(f"no sentence-transformers model at {folder}: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(min(_MAX_TOKENS, self._config.max_position_embeddings))

    def embed(self, texts: Sequence[str]) -> Matrix:
        """One unit row for each text: the mean of its last hidden states, special tokens included."""
        encoded = [e.ids for e in self._tokenizer.encode_batch(list(texts))]
        rows = np.zeros((len(texts), self._weights["embeddings.word_embeddings.weight"].shape[1]), np.float32)
        for index in _batches(encoded):
            states = self._states(np.array([encoded[i] for i in index]))
            rows[index] = states.mean(1)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return rows

    def _states(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(texts, tokens, width)"""
        w = self._weights
        x: NDArray[np.float32] = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for number in range(self._config.num_hidden_layers):
            layer = f"encoder.layer.{number}"
            attended = self._linear(self._attend(x, f"{layer}.attention.self"), f"{layer}.attention.output.dense")
            x = self._norm(x + attended, f"{layer}.attention.output.LayerNorm")
            wide = gelu(self._linear(x, f"{layer}.intermediate.dense"))
            x = self._norm(x + self._linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        return x

    def _attend(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        texts, tokens, width = x.shape
        heads = self._config.num_attention_heads
        query, key, value = (
            self._linear(x, f"{name}.{part}").reshape(texts, tokens, heads, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(width // heads))
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed: NDArray[np.float32] = scores / scores.sum(-1, keepdims=True) @ value
        return mixed.transpose(0, 2, 1, 3).reshape(texts, tokens, width)

    def _linear(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        flat = x.reshape(-1, x.shape[-1]) @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return flat.reshape(*x.shape[:-1], -1)

    def _norm(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        centred = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(self._config.layer_norm_eps))
        normed: NDArray[np.float32] = centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return normed


def read_bert(folder: Path) -> tuple[BertConfig, dict[str, Vector]]:
    """
    What the model in *folder* is, and its weights by name.

    Raises:
        EmbedderUnavailable: there is none, or one that is not done here.
    """
    try:
        config = msgspec.json.decode((folder / "config.json").read_bytes(), type=BertConfig)
        weights = read_safetensors(folder / "model.safetensors")
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise EmbedderUnavailable(f"no sentence-transformers model at {folder}: {error}") from error
    if config.hidden_act != "gelu":
        raise EmbedderUnavailable(f"{folder} has the activation {config.hidden_act}, not gelu")
    return config, weights


def gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """x times the normal distribution's integral up to x; erf by Abramowitz and Stegun 7.1.26, good to 1.5e-7."""
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    tail = np.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail = (tail + np.float32(factor)) * t
    erf = np.copysign(1 - tail * np.exp(-z * z), x)
    half: NDArray[np.float32] = x * (1 + erf) / 2
    return half


def read_safetensors(file: Path) -> dict[str, Vector]:
    """
    The tensors of *file* by name, in float32: 8 bytes of length, a JSON header, then the data
    (https://github.com/huggingface/safetensors#format).
    """
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = np.frombuffer(data[8 + size + start : 8 + size + end], _TYPES[entry["dtype"]])
            tensors[name.removeprefix(_PREFIX)] = values.astype(np.float32).reshape(entry["shape"])
    return tensors


def _batches(encoded: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indices of texts with equally many tokens."""
    by_length = defaultdict(list)
    for i, ids in enumerate(encoded):
        by_length[len(ids)].append(i)
    for length, index in by_length.items():
        step = max(1, _BATCH_TOKENS // max(1, length))
        yield from (index[i : i + step] for i in range(0, len(index), step))
