from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

if TYPE_CHECKING:
    from numpy.typing import NDArray

WriteBert = Callable[..., dict[str, "NDArray[np.float32]"]]


@pytest.fixture(scope="session")
def write_bert() -> WriteBert:
    return _write_bert


def _write_bert(
    folder: Path,
    words: Sequence[str] = ("[UNK]", "read", "a", "file"),
    layers: int = 1,
    width: int = 8,
    positions: int = 16,
) -> dict[str, NDArray[np.float32]]:
    """A BERT of two heads with random weights, as sentence-transformers keeps it; gives the weights by name."""
    drawn, norm = np.random.default_rng(0), "LayerNorm"
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(words), width),
        "embeddings.position_embeddings.weight": (positions, width),
        "embeddings.token_type_embeddings.weight": (2, width),
    }
    norms = [f"embeddings.{norm}"]
    for layer in (f"encoder.layer.{number}" for number in range(layers)):
        for name, rows, columns in (
            *((f"{layer}.attention.self.{part}", width, width) for part in ("query", "key", "value")),
            (f"{layer}.attention.output.dense", width, width),
            (f"{layer}.intermediate.dense", 2 * width, width),
            (f"{layer}.output.dense", width, 2 * width),
        ):
            shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
        norms += [f"{layer}.attention.output.{norm}", f"{layer}.output.{norm}"]
    for name in norms:
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    # of a size with which attention is spread over several tokens, as in a trained model
    sizes = {
        name: width**-0.5 if name.startswith("encoder.") and len(shape) == 2 else 1 for name, shape in shapes.items()
    }
    weights = {name: (sizes[name] * drawn.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    header: dict[str, Any] = {}
    data = b""
    for name, values in weights.items():
        header[name] = {
            "dtype": "F32",
            "shape": values.shape,
            "data_offsets": [len(data), len(data) + values.nbytes],
        }
        data += values.tobytes()
    described = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(described).to_bytes(8, "little") + described + data)
    config = {
        "num_attention_heads": 2,
        "num_hidden_layers": layers,
        "max_position_embeddings": positions,
        "hidden_size": width,
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return weights
