"""
A sentence-transformers BERT, NomicBERT or JinaBERT from its safetensors into ONNX, without torch.

Its folder holds ``config.json``, ``model.safetensors`` and ``tokenizer.json``.

With *int8* the weights have 8 bits, a scale for each output, and so has what they are multiplied with, a scale for
each token: a quarter of the size, and still no text's vector depends on the others of its batch.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mnemolite.embedders.library import DESCRIPTIONS
from mnemolite.errors import EmbedderUnavailable
from mnemolite.lab.bert import Bert
from mnemolite.lab.compare import samples
from mnemolite.onnx_model import OnnxModel
from mnemolite.weights import BertConfig, read_bert, slopes, turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnemolite.types import Matrix, Vector

OPSET = 20  # the first with Gelu
IR_VERSION = 10
COMPARED_TOKENS = 256
MIDDLE = 128  # stands for 0; sums of signed and unsigned products would overflow on processors that have only AVX2
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def export(folder: Path, out: Path, *, int8: bool = False) -> float:
    """
    The lowest cosine of its vectors with those of the same forward pass in NumPy.

    Raises:
        EmbedderUnavailable: there is no such model in *folder*.
    """
    config, weights = read_bert(folder)
    model = Graph(config, weights, int8=int8).model()
    out.mkdir(parents=True, exist_ok=True)
    for name in (*DESCRIPTIONS, "tokenizer.json"):
        if (folder / name).is_file():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, out / name)
    onnx.save(model, out / "model.onnx")
    return _lowest_cosine(Bert(config, weights), out)


def _lowest_cosine(bert: Bert, out: Path) -> float:
    """Over means of token vectors."""
    cut = min(bert.config.positions, COMPARED_TOKENS)
    model = OnnxModel(out / "model.onnx", out / "tokenizer.json", EmbedderUnavailable, max_tokens=cut)
    encodings = [model.encode(text) for text in samples()]
    cosines = []
    for batch in model.run(encodings):
        for place, states, mask in zip(batch.places, batch.output, batch.mask, strict=True):
            expected = bert.states(np.array([encodings[place].ids]))[0].mean(0)
            found = states[mask == 1].mean(0)
            cosines.append(found @ expected / np.linalg.norm(found) / np.linalg.norm(expected))
    return float(min(cosines))


class Graph:
    """The graph, put together node by node. What a method gives is the name of a value."""

    def __init__(self, config: BertConfig, weights: dict[str, Vector], *, int8: bool) -> None:
        self._config = config
        self._weights = weights
        self._int8 = int8
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, NDArray[Any]] = {}

    def model(self) -> onnx.ModelProto:
        self._node("Identity", self._states(), name="last_hidden_state")
        width = self._weights["embeddings.LayerNorm.weight"].size
        graph = helper.make_graph(
            self._nodes,
            "bert",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in INPUTS],
            [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", width])],
            [numpy_helper.from_array(value, name) for name, value in self._tensors.items()],
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="mnemolite")

    def _states(self) -> str:
        words = self._rows("embeddings.word_embeddings.weight", "input_ids")
        types = self._rows("embeddings.token_type_embeddings.weight", "token_type_ids")
        embedded = [words, types]
        if self._config.learnt_positions:
            embedded.append(self._by_position("positions", self._weights["embeddings.position_embeddings.weight"]))
        x = self._norm(self._sum(*embedded), "embeddings.LayerNorm")
        lowered = [self._mask(), *([self._distances()] if self._config.alibi else ())]
        for number in range(self._config.layers):
            layer = f"encoder.layer.{number}"
            mixed = self._attend(x, lowered, f"{layer}.attention.self")
            attended = self._linear(mixed, f"{layer}.attention.output.dense")
            added = self._norm(self._sum(x, attended), f"{layer}.attention.output.LayerNorm")
            x = self._norm(self._sum(x, added), f"{layer}.attention.LayerNorm") if self._config.alibi else added
            wide = self._widened(x, f"{layer}.intermediate")
            x = self._norm(self._sum(x, self._linear(wide, f"{layer}.output.dense")), f"{layer}.output.LayerNorm")
        return x

    def _by_position(self, name: str, rows: Matrix) -> str:
        """As many of *rows* as there are tokens."""
        tokens = self._node("Shape", "input_ids", start=1)
        return self._node("Slice", self._tensor(name, rows), self._whole(0), tokens, self._whole(0))

    def _widened(self, x: str, name: str) -> str:
        given = self._quantised(x) if self._int8 else (x,)
        wide = self._product(given, f"{name}.dense")
        if not self._config.gate:
            return self._node("Gelu", wide)
        gate = self._product(given, f"{name}.gate")
        silu = self._config.gate == "silu"
        opened = self._node("Mul", gate, self._node("Sigmoid", gate)) if silu else self._node("Gelu", gate)
        return self._node("Mul", wide, opened)

    def _mask(self) -> str:
        """(texts, 1, 1, tokens): 0, or so low before a softmax that nothing is left."""
        absent = self._node("Sub", self._one("one", 1), self._node("Cast", "attention_mask", to=TensorProto.FLOAT))
        low = self._node("Mul", absent, self._one("low", -1e9))
        return self._node("Unsqueeze", low, self._whole(1, 2))

    def _distances(self) -> str:
        """(1, heads, tokens, tokens): how far tokens are from each other, by how much each head minds."""
        tokens = self._node("Squeeze", self._node("Shape", "input_ids", start=1), self._whole(0))
        zero, one = (self._tensor(f"scalar_{n}", np.array(n, np.int64)) for n in (0, 1))
        places = self._node("Cast", self._node("Range", zero, tokens, one), to=TensorProto.FLOAT)
        column, row = (self._node("Unsqueeze", places, self._whole(axis)) for axis in (1, 0))
        apart = self._node("Abs", self._node("Sub", column, row))
        minded = self._tensor("slopes", -slopes(self._config.heads)[:, None, None])
        return self._node("Unsqueeze", self._node("Mul", apart, minded), self._whole(0))

    def _attend(self, x: str, lowered: Sequence[str], name: str) -> str:
        width, heads = len(self._weights[f"{name}.query.weight"]), self._config.heads
        query, key, value = (f"{name}.{part}" for part in ("query", "key", "value"))
        shape = self._whole(0, 0, heads, width // heads)
        given = self._quantised(x) if self._int8 else (x,)
        flat = [self._product(given, part) for part in (query, key, value)]
        if self._config.alibi:
            flat[:2] = (self._norm(flat[i], f"{name}.layer_norm_{part}") for i, part in enumerate("qk"))
        split = [self._node("Reshape", each, shape) for each in flat]
        queries, keys, values = (self._node("Transpose", part, perm=[0, 2, 1, 3]) for part in split)
        if self._config.rotary_base:
            queries, keys = (self._rotated(part, width // heads) for part in (queries, keys))
        keys = self._node("Transpose", keys, perm=[0, 1, 3, 2])
        scale = self._one(f"scale_{width // heads}", (width // heads) ** -0.5)
        scores = self._node("Mul", self._node("MatMul", queries, keys), scale)
        weights = self._node("Softmax", self._sum(scores, *lowered), axis=-1)
        mixed = self._node("Transpose", self._node("MatMul", weights, values), perm=[0, 2, 1, 3])
        return self._node("Reshape", mixed, self._whole(0, 0, width))

    def _rotated(self, x: str, width: int) -> str:
        cosines, sines = (
            self._by_position(name, rows)
            for name, rows in zip(
                ("cosines", "sines"), turns(self._config.positions, width, self._config.rotary_base), strict=True
            )
        )
        first = self._node("Slice", x, self._whole(0), self._whole(width // 2), self._whole(-1))
        second = self._node("Slice", x, self._whole(width // 2), self._whole(width), self._whole(-1))
        other = self._node("Concat", self._node("Neg", second), first, axis=-1)
        return self._sum(self._node("Mul", x, cosines), self._node("Mul", other, sines))

    def _linear(self, x: str, name: str) -> str:
        return self._product(self._quantised(x) if self._int8 else (x,), name)

    def _product(self, x: Sequence[str], name: str) -> str:
        """*x* as it is, or as quantised whole numbers with their scales."""
        weight = self._weights[f"{name}.weight"].T
        bias = [f"{name}.bias"] if f"{name}.bias" in self._weights else []
        for each in bias:
            self._tensor(each, self._weights[each])
        if not self._int8:
            return self._sum(self._node("MatMul", *x, self._tensor(f"{name}.weight", weight)), *bias)
        codes, scales = quantise(weight, axis=0)
        weight_name, scale_name = self._tensor(f"{name}.weight", codes), self._tensor(f"{name}.scale", scales)
        middle = self._tensor("zero", np.array(MIDDLE, np.uint8))
        whole = self._node("MatMulInteger", x[0], weight_name, middle, middle)
        scaled = self._node("Mul", self._node("Cast", whole, to=TensorProto.FLOAT), x[1])
        return self._sum(self._node("Mul", scaled, scale_name), *bias)

    def _quantised(self, x: str) -> tuple[str, str]:
        """Whole numbers 1 to 255 around 128, and a scale for each token."""
        peak = self._node("ReduceMax", self._node("Abs", x), self._whole(-1), keepdims=1)
        scale = self._node("Mul", self._node("Max", peak, self._one("least", 1e-9)), self._one("step", 1 / 127))
        moved = self._node("Add", self._node("Round", self._node("Div", x, scale)), self._one("middle", MIDDLE))
        return self._node("Cast", moved, to=TensorProto.UINT8), scale

    def _rows(self, name: str, places: str) -> str:
        table = self._weights[name]
        if not self._int8:
            return self._node("Gather", self._tensor(name, table), places)
        codes, scales = quantise(table, axis=1)
        rows = self._node("Gather", self._tensor(name, codes), places)
        scale = self._node("Gather", self._tensor(f"{name}.scale", scales), places)
        moved = self._node("Cast", rows, to=TensorProto.FLOAT)
        return self._node("Mul", self._node("Sub", moved, self._one("middle", MIDDLE)), scale)

    def _norm(self, x: str, name: str) -> str:
        factors = [self._tensor(f"{name}.{part}", self._weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self._node("LayerNormalization", x, *factors, axis=-1, epsilon=self._config.epsilon)

    def _sum(self, first: str, *others: str) -> str:
        for other in others:
            first = self._node("Add", first, other)
        return first

    def _whole(self, *values: int) -> str:
        return self._tensor("_".join(["whole", *map(str, values)]), np.array(values, np.int64))

    def _one(self, name: str, value: float) -> str:
        return self._tensor(name, np.array(value, np.float32))

    def _tensor(self, name: str, value: NDArray[Any]) -> str:
        self._tensors[name] = value
        return name

    def _node(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name


def quantise(weights: Vector, axis: int) -> tuple[NDArray[np.uint8], Vector]:
    """Whole numbers 1 to 255 around 128, and a scale for each column (axis 0) or row (axis 1)."""
    scales = np.maximum(np.abs(weights).max(axis, keepdims=True), 1e-9) / np.float32(127)
    return (np.rint(weights / scales) + MIDDLE).astype(np.uint8), scales
