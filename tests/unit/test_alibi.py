"""JinaBERT against its definition, token by token and head by head, under the names its weights are published with."""

from __future__ import annotations

from math import erf, exp, sqrt
from pathlib import Path

import numpy as np
import pytest
from msgspec import json

from mnemolite.embedders.onnx import OnnxEmbedder
from mnemolite.errors import EmbedderUnavailable
from mnemolite.lab.bert import Bert
from mnemolite.lab.onnx_export import export
from mnemolite.lab.random_model import Weights, write_jina
from mnemolite.types import Role
from mnemolite.weights import read_bert, slopes

WORDS = ["[UNK]", "read", "a", "file", "mail"]
WIDTH, HEADS, LAYERS = 12, 6, 2
EPSILON = 1e-12


def norm(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    found: np.ndarray = (x - x.mean()) / sqrt(x.var() + EPSILON) * w[f"{name}.weight"] + w[f"{name}.bias"]
    return found


def linear(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    found: np.ndarray = w[f"{name}.weight"] @ x + w[f"{name}.bias"]
    return found


def states(ids: list[int], w: Weights, minded: list[float]) -> list[np.ndarray]:
    """Of each token; *minded* is by how much each head minds a token of distance."""
    words, types = w["embeddings.word_embeddings.weight"], w["embeddings.token_type_embeddings.weight"]
    xs = [norm(words[id].astype(float) + types[0], w, "embeddings.LayerNorm") for id in ids]
    size = WIDTH // HEADS
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        attention = f"{layer}.attention.self"
        queries = [norm(linear(x, w, f"{attention}.query"), w, f"{attention}.layer_norm_q") for x in xs]
        keys = [norm(linear(x, w, f"{attention}.key"), w, f"{attention}.layer_norm_k") for x in xs]
        values = [linear(x, w, f"{attention}.value") for x in xs]
        following = []
        for place, x in enumerate(xs):
            mixed = np.zeros(WIDTH)
            for head in range(HEADS):
                part = slice(head * size, (head + 1) * size)
                scores = [
                    float(queries[place][part] @ key[part]) / sqrt(size) - minded[head] * abs(place - other)
                    for other, key in enumerate(keys)
                ]
                shares = [exp(score) for score in scores]
                for share, value in zip(shares, values, strict=True):
                    mixed[part] += share / sum(shares) * value[part]
            attended = norm(
                x + linear(mixed, w, f"{layer}.attention.output.dense"), w, f"{layer}.attention.output.LayerNorm"
            )
            between = norm(x + attended, w, f"{layer}.layer_norm_1")
            up, gate = np.split(w[f"{layer}.mlp.up_gated_layer.weight"] @ between, 2)
            opened = np.array([g / 2 * (1 + erf(g / sqrt(2))) for g in gate])
            following.append(
                norm(between + linear(up * opened, w, f"{layer}.mlp.down_layer"), w, f"{layer}.layer_norm_2")
            )
        xs = following
    return xs


def test_a_head_minds_distance_as_the_paper_says() -> None:
    assert slopes(8).tolist() == [2.0**-n for n in range(1, 9)]
    assert slopes(12)[8:] == pytest.approx([2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5])
    assert slopes(6) == pytest.approx([2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3])


def test_what_is_exported_is_what_is_defined(tmp_path: Path) -> None:
    weights = write_jina(tmp_path, WORDS, layers=LAYERS, width=WIDTH, positions=600, heads=HEADS)
    minded = [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]
    assert export(tmp_path, tmp_path / "out") > 0.9999
    texts = ["mail", "read a file", "a file a mail read unknown a a file read mail mail"]
    embedder, bert = OnnxEmbedder(tmp_path / "out"), Bert(*read_bert(tmp_path))
    for text, row in zip(texts, embedder.embed(texts, Role.PASSAGE), strict=True):
        ids = [WORDS.index(word) if word in WORDS else 0 for word in text.split()]
        expected = np.array(states(ids, weights, minded))
        assert bert.states(np.array([ids]))[0] == pytest.approx(expected, abs=2e-5)
        mean = expected.mean(0)
        assert row == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert export(tmp_path, tmp_path / "small", int8=True) > 0.99


def test_a_jinabert_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_jina(tmp_path)
    config = json.decode((tmp_path / "config.json").read_bytes())
    (tmp_path / "config.json").write_bytes(json.encode(config | {"feed_forward_type": "original"}))
    with pytest.raises(EmbedderUnavailable, match="another kind than jina-embeddings-v2-base-code's"):
        export(tmp_path, tmp_path / "out")
