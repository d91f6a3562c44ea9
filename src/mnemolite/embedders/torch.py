"""
A sentence-transformers BERT, NomicBERT or JinaBERT from its safetensors, in torch: on a GPU where there is one, with
16 bits there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnemolite.embedders.configuration import Configuration
from mnemolite.embedders.sentences import SentenceEmbedder, checked_configuration
from mnemolite.errors import EmbedderUnavailable
from mnemolite.settings import Device
from mnemolite.transformer import BATCH_TOKENS, PADDING_SHARE, Transformer
from mnemolite.weights import BertConfig, read_bert, slopes, turns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnemolite.types import Vector

GPU_TOKENS = 65_536  # of a batch
GPU_PADDING = 0.5  # of a batch: to start many small ones takes longer
GPU_STEP = 32  # texts are padded to multiples of it: few shapes, for each of which memory and kernels are sought


class TorchEmbedder(SentenceEmbedder):
    """Making one loads the model."""

    def __init__(self, folder: Path, device: Device = "auto") -> None:
        try:
            import tokenizers  # noqa: F401
            import torch  # noqa: F401
        except ImportError as error:
            raise EmbedderUnavailable(
                f"{folder} has weights for torch and no model in ONNX: install what runs them with pip install"
                " 'mnemolite[torch]', or bring them into ONNX with 'mnemolite models export'"
            ) from error
        configuration = checked_configuration(folder)
        super().__init__(folder, configuration, TorchModel(folder, configuration, device))


class TorchModel(Transformer):
    """
    Attributes:
        config: what it is.
        weights: tensors by their names in BERT; what is changed in them changes what it says.
    """

    def __init__(self, folder: Path, configuration: Configuration, device: Device, *, exact: bool = False) -> None:
        """*exact*: with 32 bits on a GPU too."""
        import torch

        self.config, weights = read_bert(folder)
        self._device = _chosen(device)
        on_gpu = self._device.type == "cuda"
        super().__init__(
            folder / configuration.model,
            folder / configuration.tokenizer,
            EmbedderUnavailable,
            max_tokens=min(configuration.max_tokens or self.config.positions, self.config.positions),
            batch_tokens=GPU_TOKENS if on_gpu else BATCH_TOKENS,
            padding_share=GPU_PADDING if on_gpu else PADDING_SHARE,
            step=GPU_STEP if on_gpu else 1,
        )
        self._pooling = configuration.pooling
        kind = torch.float16 if on_gpu and not exact else torch.float32
        self._states = _States(self.config, weights, self._device, kind)
        self.weights = self._states.weights

    def _forward(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """One vector for each text: those of all tokens are many times as much to bring from a GPU."""
        import torch

        with torch.inference_mode():
            found: NDArray[np.float32] = self.pooled(inputs).cpu().numpy()
        return found

    def pooled(self, inputs: Mapping[str, NDArray[np.int64]]) -> Any:
        """(texts, width)"""
        import torch

        ids, types, mask = (
            torch.from_numpy(inputs[name]).to(self._device)
            for name in ("input_ids", "token_type_ids", "attention_mask")
        )
        states = self._states(ids, types, mask).float()
        there = mask[:, :, None].bool()
        if self._pooling == "cls":
            return states[:, 0]
        if self._pooling == "last":
            return states[torch.arange(len(states)), mask.sum(1) - 1]
        if self._pooling == "max":
            return states.masked_fill(~there, -torch.inf).amax(1)
        return states.masked_fill(~there, 0).sum(1) / mask.sum(1, keepdim=True)


class _States:
    """The forward pass: (texts, tokens) of ids to (texts, tokens, width)."""

    def __init__(self, config: BertConfig, weights: Mapping[str, Vector], device: Any, kind: Any) -> None:
        import torch

        self._config = config
        self.weights = {name: torch.from_numpy(value.copy()).to(device, kind) for name, value in weights.items()}
        self._slopes = torch.from_numpy(slopes(config.heads)).to(device)
        self._kind = kind
        self._turns: tuple[Any, ...] = ()
        if config.rotary_base:
            width = len(weights["embeddings.LayerNorm.weight"]) // config.heads
            tables = turns(config.positions, width, config.rotary_base)
            self._turns = tuple(torch.from_numpy(table).to(device, kind) for table in tables)

    def __call__(self, ids: Any, types: Any, mask: Any) -> Any:
        from torch.nn import functional

        config, weights = self._config, self.weights
        words, kinds = (weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "token_type"))
        x = functional.embedding(ids, words) + functional.embedding(types, kinds)
        if config.learnt_positions:
            x = x + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x, "embeddings.LayerNorm")
        lowered = self._lowered(mask)
        for number in range(config.layers):
            layer = f"encoder.layer.{number}"
            mixed = self._attend(x, lowered, f"{layer}.attention.self")
            added = self._norm(
                x + self._linear(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm"
            )
            x = self._norm(x + added, f"{layer}.attention.LayerNorm") if config.alibi else added
            wide = self._linear(x, f"{layer}.intermediate.dense")
            if config.gate:
                opened = functional.silu if config.gate == "silu" else functional.gelu
                wide = wide * opened(self._linear(x, f"{layer}.intermediate.gate"))
            else:
                wide = functional.gelu(wide)
            x = self._norm(x + self._linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        return x

    def _lowered(self, mask: Any) -> Any:
        """(texts, 1 or heads, 1 or tokens, tokens): what is added to scores, so that nothing is left of padding."""
        import torch

        lowered = torch.zeros(mask.shape, device=mask.device).masked_fill(mask == 0, -torch.inf)[:, None, None, :]
        if self._config.alibi:
            places = torch.arange(mask.shape[1], device=mask.device)
            lowered = lowered - self._slopes[:, None, None] * (places[:, None] - places).abs()
        return lowered.to(self._kind)

    def _attend(self, x: Any, lowered: Any, name: str) -> Any:
        from torch.nn import functional

        query, key, value = (self._linear(x, f"{name}.{part}") for part in ("query", "key", "value"))
        if self._config.alibi:
            query, key = self._norm(query, f"{name}.layer_norm_q"), self._norm(key, f"{name}.layer_norm_k")
        shape = (*x.shape[:2], self._config.heads, -1)
        query, key, value = (each.reshape(shape).transpose(1, 2) for each in (query, key, value))
        if self._config.rotary_base:
            query, key = self._turned(query), self._turned(key)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=lowered)
        return mixed.transpose(1, 2).reshape(x.shape)

    def _turned(self, x: Any) -> Any:
        import torch

        cosines, sines = (table[: x.shape[2]] for table in self._turns)
        first, second = x.chunk(2, -1)
        return x * cosines + torch.cat((-second, first), -1) * sines

    def _linear(self, x: Any, name: str) -> Any:
        from torch.nn import functional

        return functional.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def _norm(self, x: Any, name: str) -> Any:
        from torch.nn import functional

        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, self._config.epsilon)


def _chosen(device: Device) -> Any:
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise EmbedderUnavailable(
            f"device is cuda, and torch {torch.__version__} finds none here; set device to auto or cpu, or install a"
            " torch with CUDA and its driver"
        )
    return torch.device("cuda" if there and device != "cpu" else "cpu")
