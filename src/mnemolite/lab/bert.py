"""The forward pass of the models of mnemolite.weights in NumPy: slow, and easy to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnemolite.weights import BertConfig, slopes, turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.types import Vector


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
        if self.config.learnt_positions:
            x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for number in range(self.config.layers):
            layer = f"encoder.layer.{number}"
            attended = self._linear(self._attend(x, f"{layer}.attention.self"), f"{layer}.attention.output.dense")
            added = self._norm(x + attended, f"{layer}.attention.output.LayerNorm")
            x = self._norm(x + added, f"{layer}.attention.LayerNorm") if self.config.alibi else added
            wide = self._linear(x, f"{layer}.intermediate.dense")
            if self.config.gate:
                wide *= ACTIVATIONS[self.config.gate](self._linear(x, f"{layer}.intermediate.gate"))
            else:
                wide = gelu(wide)
            x = self._norm(x + self._linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        return x

    def _attend(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        texts, tokens, width = x.shape
        heads = self.config.heads
        flat = [self._linear(x, f"{name}.{part}") for part in ("query", "key", "value")]
        if self.config.alibi:
            flat[:2] = (self._norm(flat[i], f"{name}.layer_norm_{part}") for i, part in enumerate("qk"))
        query, key, value = (each.reshape(texts, tokens, heads, -1).transpose(0, 2, 1, 3) for each in flat)
        if self.config.rotary_base:
            query, key = (_rotated(each, self.config.rotary_base) for each in (query, key))
        scores = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(width // heads))
        if self.config.alibi:
            places = np.arange(tokens)
            scores -= slopes(heads)[:, None, None] * np.abs(places[:, None] - places).astype(np.float32)
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


ACTIVATIONS = {"silu": silu, "gelu": gelu}
