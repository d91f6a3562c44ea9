"""
Weights as sentence-transformers keeps them, by the names that BERT has for them: of BERT itself (all-MiniLM-L6-v2 and
its like), NomicBERT (nomic-embed-text-v1.5) and JinaBERT (jina-embeddings-v2-base-code).

NomicBERT turns queries and keys by their position instead of adding a vector for it, multiplies the wide layer with a
gate, and has no biases but in its norms. JinaBERT lowers scores by the distance of the tokens (ALiBi), has a gate too,
and norms of queries, of keys, and of what attention gives together with what it was given, once more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from mnemolite.errors import EmbedderUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.types import Matrix, Vector

NOMIC_POSITIONS = 2048  # beyond, its frequencies would have to change
_TYPES: dict[str, type[np.generic]] = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
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
_JINA_NAMES = {
    "mlp.down_layer": "output.dense",
    "layer_norm_1": "attention.LayerNorm",
    "layer_norm_2": "output.LayerNorm",
}
_TOGETHER = {  # what these two keep as one tensor, whose rows are those of several of BERT's
    "attn.Wqkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "mlp.up_gated_layer": ("intermediate.dense", "intermediate.gate"),
}


class BertConfig(msgspec.Struct, frozen=True):
    heads: int
    layers: int
    epsilon: float
    positions: int  # more tokens it cannot tell the places of
    rotary_base: float = 0.0  # queries and keys are turned; 0: they are not
    alibi: bool = False  # scores are lowered by distance; and with it come JinaBERT's further norms
    gate: Literal["", "silu", "gelu"] = ""  # what the wide layer is multiplied with; "": there is no gate

    @property
    def learnt_positions(self) -> bool:
        """Whether a vector is added for each position."""
        return not (self.rotary_base or self.alibi)


class _Json(msgspec.Struct):
    """``config.json``, of either."""

    model_type: str = "bert"
    num_attention_heads: int = 0
    num_hidden_layers: int = 0
    layer_norm_eps: float = 1e-12
    max_position_embeddings: int = 512
    hidden_act: str = "gelu"
    position_embedding_type: str = "absolute"
    feed_forward_type: str = ""
    n_head: int = 0
    n_layer: int = 0
    n_positions: int = 2048
    layer_norm_epsilon: float = 1e-12
    rotary_emb_base: float = 1000.0
    activation_function: str = "swiglu"
    rotary_emb_fraction: float = 1.0
    rotary_emb_interleaved: bool = False
    prenorm: bool = False


def read_bert(folder: Path) -> tuple[BertConfig, dict[str, Vector]]:
    """
    What the model in *folder* is, and its weights by name.

    Raises:
        EmbedderUnavailable: there is none, or one that is not done here.
    """
    try:
        given = msgspec.json.decode((folder / "config.json").read_bytes(), type=_Json)
        tensors = read_safetensors(folder / "model.safetensors")
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
        raise EmbedderUnavailable(f"no sentence-transformers model at {folder}: {error}") from error
    config = _config(folder, given, tensors)
    weights: dict[str, Vector] = {}
    for name, values in tensors.items():
        parts = _parts(config, name)
        weights |= zip(parts, np.split(values.astype(np.float32), len(parts)), strict=True)
    return config, weights


def write_bert(file: Path, config: BertConfig, weights: Mapping[str, Vector], *, like: Path) -> None:
    """*weights* in 32 bits, under the names and together as the file *like* has them."""
    tensors = {}
    for name, values in read_safetensors(like).items():
        joined = np.concatenate([weights[part] for part in _parts(config, name)])
        tensors[name] = joined.astype(np.int64 if values.dtype == np.int64 else np.float32)
    write_safetensors(file, tensors)


def _config(folder: Path, given: _Json, names: Iterable[str]) -> BertConfig:
    if given.model_type == "bert":
        if given.hidden_act != "gelu":
            raise EmbedderUnavailable(f"{folder} has the activation {given.hidden_act}, not gelu")
        size = given.num_attention_heads, given.num_hidden_layers
        config = BertConfig(*size, given.layer_norm_eps, given.max_position_embeddings)
        if given.position_embedding_type != "alibi":
            return config
        if given.feed_forward_type != "geglu" or not any("self.layer_norm_q" in name for name in names):
            raise EmbedderUnavailable(f"{folder} is a JinaBERT of another kind than jina-embeddings-v2-base-code's")
        return msgspec.structs.replace(config, alibi=True, gate="gelu")
    if given.model_type != "nomic_bert":
        raise EmbedderUnavailable(f"{folder} is a {given.model_type}; only bert and nomic_bert are done here")
    odd = given.prenorm or given.rotary_emb_interleaved or given.rotary_emb_fraction != 1
    if odd or given.activation_function != "swiglu":
        raise EmbedderUnavailable(f"{folder} is a nomic_bert of another kind than nomic-embed-text's")
    return BertConfig(
        heads=given.n_head,
        layers=given.n_layer,
        epsilon=given.layer_norm_epsilon,
        positions=min(given.n_positions, NOMIC_POSITIONS),
        rotary_base=given.rotary_emb_base,
        gate="silu",
    )


def _parts(config: BertConfig, name: str) -> list[str]:
    """What BERT calls the rows of a tensor, in as many equal parts."""
    name = _PREFIX.sub("", name)
    for old, new in (_NAMES if config.rotary_base else _JINA_NAMES if config.alibi else {}).items():
        name = name.replace(old, new)
    together = next((whole for whole in _TOGETHER if whole in name), "")
    return [name.replace(together, part) for part in _TOGETHER[together]] if together else [name]


def turns(tokens: int, width: int, base: float) -> tuple[Matrix, Matrix]:
    """Cosines and sines by which each position (row) turns each dimension of a head (Su et al., arXiv:2104.09864)."""
    angles = np.outer(np.arange(tokens), base ** (-np.arange(0, width, 2) / width))
    angles = np.concatenate([angles, angles], axis=1)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def slopes(heads: int) -> Vector:
    """
    By how much each head's scores sink with each token of distance (Press et al., arXiv:2108.12409): a geometric
    series, and for a number that is no power of two every other one of the next series besides.
    """
    whole = 2 ** (heads.bit_length() - 1)
    found = [2 ** (-8 * (n + 1) / whole) for n in range(whole)]
    found += [2 ** (-4 * (2 * n + 1) / whole) for n in range(heads - whole)]
    return np.array(found, np.float32)


def read_safetensors(file: Path) -> dict[str, NDArray[Any]]:
    """
    The tensors of *file* by name: 8 bytes of length, a JSON header, then the data
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
            tensors[name] = values.reshape(entry["shape"])
    return tensors


def write_safetensors(file: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # without it some readers refuse the file
    names = {type: name for name, type in _TYPES.items()}
    end = 0
    for name, values in tensors.items():
        offsets = [end, end + values.nbytes]
        header[name] = {"dtype": names[values.dtype.type], "shape": values.shape, "data_offsets": offsets}
        end += values.nbytes
    described = json.dumps(header).encode()
    described += b" " * (-len(described) % 8)
    with file.open("wb") as out:
        out.write(len(described).to_bytes(8, "little") + described)
        out.writelines(np.ascontiguousarray(values).data for values in tensors.values())
