"""Transformers with random weights, of any size, as sentence-transformers keeps them: to test with, and to measure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from mnemolite.weights import write_safetensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

Weights = dict[str, "NDArray[np.float32]"]
WORDS = ("[UNK]", "read", "a", "file")
HEADS = 2


def write_bert(
    folder: Path, words: Sequence[str] = WORDS, layers: int = 1, width: int = 8, positions: int = 16
) -> Weights:
    """As all-MiniLM-L6-v2 is; gives the weights by name."""
    shapes: dict[str, tuple[int, ...]] = {"embeddings.position_embeddings.weight": (positions, width)}
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(layers)):
        for name, rows, columns in (
            *((f"{layer}.attention.self.{part}", width, width) for part in ("query", "key", "value")),
            (f"{layer}.attention.output.dense", width, width),
            (f"{layer}.intermediate.dense", 2 * width, width),
            (f"{layer}.output.dense", width, 2 * width),
        ):
            shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    config = {
        "model_type": "bert",
        "num_attention_heads": HEADS,
        "num_hidden_layers": layers,
        "max_position_embeddings": positions,
        "hidden_size": width,
    }
    return _write(folder, words, width, shapes, norms, config)


def write_nomic(
    folder: Path, words: Sequence[str] = WORDS, layers: int = 1, width: int = 8, positions: int = 16
) -> Weights:
    """As nomic-embed-text-v1.5 is; gives the weights by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    norms = ["emb_ln"]
    for layer in (f"encoder.layers.{number}" for number in range(layers)):
        shapes |= {
            f"{layer}.attn.Wqkv.weight": (3 * width, width),
            f"{layer}.attn.out_proj.weight": (width, width),
            f"{layer}.mlp.fc11.weight": (2 * width, width),
            f"{layer}.mlp.fc12.weight": (2 * width, width),
            f"{layer}.mlp.fc2.weight": (width, 2 * width),
        }
        norms += [f"{layer}.norm1", f"{layer}.norm2"]
    config = {
        "model_type": "nomic_bert",
        "n_head": HEADS,
        "n_layer": layers,
        "n_positions": positions,
        "n_embd": width,
        "n_inner": 2 * width,
        "vocab_size": len(words),
        "activation_function": "swiglu",
        "rotary_emb_base": 1000,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "prenorm": False,
    }
    return _write(folder, words, width, shapes, norms, config)


def write_jina(
    folder: Path,
    words: Sequence[str] = WORDS,
    layers: int = 1,
    width: int = 8,
    positions: int = 16,
    heads: int = HEADS,
) -> Weights:
    """As jina-embeddings-v2-base-code is; gives the weights by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(layers)):
        for name, rows, columns in (
            *((f"{layer}.attention.self.{part}", width, width) for part in ("query", "key", "value")),
            (f"{layer}.attention.output.dense", width, width),
            (f"{layer}.mlp.down_layer", width, 2 * width),
        ):
            shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
        shapes[f"{layer}.mlp.up_gated_layer.weight"] = (4 * width, width)
        norms += [f"{layer}.attention.self.layer_norm_q", f"{layer}.attention.self.layer_norm_k"]
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.layer_norm_1", f"{layer}.layer_norm_2"]
    config = {
        "model_type": "bert",
        "position_embedding_type": "alibi",
        "feed_forward_type": "geglu",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "max_position_embeddings": positions,
        "hidden_size": width,
        "intermediate_size": 2 * width,
    }
    return _write(folder, words, width, shapes, norms, config)


def _write(
    folder: Path,
    words: Sequence[str],
    width: int,
    shapes: dict[str, tuple[int, ...]],
    norms: Iterable[str],
    config: Mapping[str, Any],
) -> Weights:
    shapes |= {
        "embeddings.word_embeddings.weight": (len(words), width),
        "embeddings.token_type_embeddings.weight": (2, width),
    }
    for name in norms:
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    drawn = np.random.default_rng(0)
    # of a size with which attention is spread over several tokens, as in a trained model
    sizes = {
        name: width**-0.5 if name.startswith("encoder.") and len(shape) == 2 else 1 for name, shape in shapes.items()
    }
    weights = {name: (sizes[name] * drawn.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    write_safetensors(folder / "model.safetensors", weights)
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return weights
