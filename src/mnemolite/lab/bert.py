"""
BERT, which all-MiniLM-L6-v2 and its like are, and NomicBERT, which nomic-embed-text-v1.5 is, from their safetensors: a
forward pass in NumPy.

NomicBERT turns queries and keys by their position instead of adding a vector for it, multiplies the wide layer with a
gate, and has no biases but in its norms. Its weights are given BERT's names here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mnemolite.errors import EmbedderUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.types import Matrix, Vector

NOMIC_POSITIONS = 2048  # beyond, its frequencies would have to change
_TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
_PREFIX = re.compile(r"^(bert|nomic_bert|model)\.")  # some exports have one
_NAMES = {  # of NomicBERT, and what BERT calls the same
    "emb_ln": "embeddings.LayerNorm",
    "encoder.layers.": "encoder.layer.",
    "attn.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "mlp.fc11": "intermediate.dense",
    "mlp.fc12": "intermediate.gate",
    "mlp.fc2": "output.dense",
    "norm2": "output.LayerNorm",
}


class BertConfig(msgspec.Struct, frozen=True):
    heads: int
    layers: int
    epsilon: float
    positions: int  # more tokens it cannot tell the places of
    rotary_base: float = 0.0  # 0: a vector is added for each position
    gated: bool = False


class _Json(msgspec.Struct):
    """``config.json``, of either."""

    model_type: str = "bert"
    num_attention_heads: int = 0
    num_hidden_layers: int = 0
    layer_norm_eps: float = 1e-12
    max_position_embeddings: int = 512
    hidden_act: str = "gelu"
    n_head: int = 0
    n_layer: int = 0
    n_positions: int = 2048
    layer_norm_epsilon: float = 1e-12
    rotary_emb_base: float = 1000.0
    activation_function: str = "swiglu"
    rotary_emb_fraction: float = 1.0
    rotary_emb_interleaved: bool = False
    prenorm: bool = False


class Bert:
    def __init__(self, config: BertConfig, weights: dict[str, Vector]) -> None:
        self.config = config
        self._weights = weights

    @property
    def width(self) -> int:
        return int(self._weights["embeddings.word_embeddings.weight"].shape[1])

    def states(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(texts, tokens, width)"""
        w = self._weights
        x: NDArray[np.float32] = w["embeddings.word_embeddings.weight"][ids]
        if not self.config.rotary_base:
            x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for number in range(self.config.layers):
            layer = f"encoder.layer.{number}"
            attended = self._linear(self._attend(x, f"{layer}.attention.self"), f"{layer}.attention.output.dense")
            x = self._norm(x + attended, f"{layer}.attention.output.LayerNorm")
            wide = self._linear(x, f"{layer}.intermediate.dense")
            if self.config.gated:
                wide *= silu(self._linear(x, f"{layer}.intermediate.gate"))
            else:
                wide = gelu(wide)
            x = self._norm(x + self._linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        return x

    def _attend(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        texts, tokens, width = x.shape
        heads = self.config.heads
        query, key, value = (
            self._linear(x, f"{name}.{part}").reshape(texts, tokens, heads, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        if self.config.rotary_base:
            query, key = (_rotated(each, self.config.rotary_base) for each in (query, key))
        scores = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(width // heads))
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed: NDArray[np.float32] = scores / scores.sum(-1, keepdims=True) @ value
        return mixed.transpose(0, 2, 1, 3).reshape(texts, tokens, width)

    def _linear(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        flat = x.reshape(-1, x.shape[-1]) @ self._weights[f"{name}.weight"].T + self._weights.get(f"{name}.bias", 0)
        return flat.reshape(*x.shape[:-1], -1)

    def _norm(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        centred = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(self.config.epsilon))
        normed: NDArray[np.float32] = centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return normed


def read_bert(folder: Path) -> tuple[BertConfig, dict[str, Vector]]:
    """
    What the model in *folder* is, and its weights by name.

    Raises:
        EmbedderUnavailable: there is none, or one that is not done here.
    """
    try:
        given = msgspec.json.decode((folder / "config.json").read_bytes(), type=_Json)
        weights = read_safetensors(folder / "model.safetensors")
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise EmbedderUnavailable(f"no sentence-transformers model at {folder}: {error}") from error
    if given.model_type == "bert":
        if given.hidden_act != "gelu":
            raise EmbedderUnavailable(f"{folder} has the activation {given.hidden_act}, not gelu")
        size = given.num_attention_heads, given.num_hidden_layers
        return BertConfig(*size, given.layer_norm_eps, given.max_position_embeddings), weights
    if given.model_type != "nomic_bert":
        raise EmbedderUnavailable(f"{folder} is a {given.model_type}; only bert and nomic_bert are done here")
    odd = given.prenorm or given.rotary_emb_interleaved or given.rotary_emb_fraction != 1
    if odd or given.activation_function != "swiglu":
        raise EmbedderUnavailable(f"{folder} is a nomic_bert of another kind than nomic-embed-text's")
    config = BertConfig(
        heads=given.n_head,
        layers=given.n_layer,
        epsilon=given.layer_norm_epsilon,
        positions=min(given.n_positions, NOMIC_POSITIONS),
        rotary_base=given.rotary_emb_base,
        gated=True,
    )
    return config, _renamed(weights)


def _renamed(weights: dict[str, Vector]) -> dict[str, Vector]:
    renamed: dict[str, Vector] = {}
    for name, values in weights.items():
        for old, new in _NAMES.items():
            name = name.replace(old, new)  # noqa: PLW2901
        if "attn.Wqkv" in name:
            for part, rows in zip(("query", "key", "value"), np.split(values, 3), strict=True):
                renamed[name.replace("attn.Wqkv", f"attention.self.{part}")] = rows
        else:
            renamed[name] = values
    return renamed


def turns(tokens: int, width: int, base: float) -> tuple[Matrix, Matrix]:
    """Cosines and sines by which each position (row) turns each dimension of a head (Su et al., arXiv:2104.09864)."""
    angles = np.outer(np.arange(tokens), base ** (-np.arange(0, width, 2) / width))
    angles = np.concatenate([angles, angles], axis=1)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _rotated(x: NDArray[np.float32], base: float) -> NDArray[np.float32]:
    """*x* (texts, heads, tokens, width), each dimension of the first half turned with that of the second."""
    cosines, sines = turns(x.shape[2], x.shape[3], base)
    first, second = np.split(x, 2, axis=-1)
    other = np.concatenate([-second, first], axis=-1)
    return (x * cosines + other * sines).astype(np.float32, copy=False)


def silu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    smooth: NDArray[np.float32] = x * (1 + np.tanh(x / 2)) / 2
    return smooth


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
            tensors[_PREFIX.sub("", name)] = values.astype(np.float32).reshape(entry["shape"])
    return tensors
