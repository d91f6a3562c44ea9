"""The local reranker, on a cross-encoder of a few random weights made here, beside the same forward pass in NumPy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from mnemolite.errors import RerankerUnavailable
from mnemolite.rerankers.cross_encoder import CrossEncoder
from mnemolite.settings import Settings
from mnemolite.transformer import BATCH_TOKENS
from mnemolite.types import Query
from mnemolite.wiring import open_tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS = "[UNK] [CLS] [SEP] [PAD] where is mail checked def validate email address charge card refund money".split()
PAD = WORDS.index("[PAD]")
WIDTH = 8
CUT = 24  # tokens; what tokenizer.json says
PASSAGES = {
    7: "def validate email address",
    3: "charge card",
    9: "refund money refund money mail",
    1: "",
    4: "mail checked " * 30,  # is cut
    **{100 + i: "card " * (1 + i % 30) for i in range(1 + BATCH_TOKENS // CUT)},  # more than a batch
}
SCALARS = {"one": 1.0, "low": -1e9, "scale": WIDTH**-0.5}
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Weights:
    """One layer of attention of a single head, and a head on the first token."""

    def __init__(self, logits: int = 1) -> None:
        random = np.random.default_rng(5)

        def matrix(*shape: int) -> NDArray[np.float32]:
            return random.normal(size=shape).astype(np.float32)

        self.tokens, self.types = matrix(len(WORDS), WIDTH), matrix(2, WIDTH)
        self.query, self.key, self.value = (matrix(WIDTH, WIDTH) for _ in range(3))
        self.head, self.bias = matrix(WIDTH, logits), matrix(logits)

    def forward(self, ids: list[int], types: list[int]) -> NDArray[np.float64]:
        """Logits of one pair, without padding, in double precision."""
        x = self.tokens[ids].astype(np.float64) + self.types[types]
        scores = (x @ self.query) @ (x @ self.key).T / np.sqrt(WIDTH)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        x = x + (weights / weights.sum(axis=1, keepdims=True)) @ (x @ self.value)
        logits: NDArray[np.float64] = np.tanh(x[0]) @ self.head + self.bias
        return logits


def write_model(folder: Path, weights: Weights, inputs: Sequence[str] = INPUTS) -> Path:
    """A model that is not given the types takes all tokens for the query's."""
    constants = {name: np.asarray(value, np.float32) for name, value in vars(weights).items()}
    constants |= {name: np.array([value], np.float32) for name, value in SCALARS.items()}
    given = [] if "token_type_ids" in inputs else [helper.make_node("Sub", ["input_ids"] * 2, ["token_type_ids"])]
    nodes = [
        *given,
        helper.make_node("Gather", ["tokens", "input_ids"], ["words"]),
        helper.make_node("Gather", ["types", "token_type_ids"], ["sides"]),
        helper.make_node("Add", ["words", "sides"], ["x"]),
        *(helper.make_node("MatMul", ["x", name], [f"x_{name}"]) for name in ("query", "key", "value")),
        helper.make_node("Transpose", ["x_key"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x_query", "keys"], ["products"]),
        helper.make_node("Mul", ["products", "scale"], ["scaled"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["one", "mask"], ["absent"]),
        helper.make_node("Mul", ["absent", "low"], ["hidden"]),
        helper.make_node("Unsqueeze", ["hidden", "axis_1"], ["hidden_rows"]),
        helper.make_node("Add", ["scaled", "hidden_rows"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["attention"], axis=-1),
        helper.make_node("MatMul", ["attention", "x_value"], ["attended"]),
        helper.make_node("Add", ["x", "attended"], ["y"]),
        helper.make_node("Gather", ["y", "first"], ["top"], axis=1),
        helper.make_node("Tanh", ["top"], ["bounded"]),
        helper.make_node("MatMul", ["bounded", "head"], ["raw"]),
        helper.make_node("Add", ["raw", "bias"], ["logits"]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    tensors += [numpy_helper.from_array(np.array([1]), "axis_1"), numpy_helper.from_array(np.array(0), "first")]
    graph = helper.make_graph(
        nodes,
        "cross-encoder",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["pairs", "tokens"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["pairs", weights.head.shape[1]])],
        tensors,
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / "model.onnx"
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a tokenizer that pads to a fixed length, as that of MiniLM does."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    tokenizer.enable_padding(pad_id=PAD, pad_token="[PAD]", length=128)
    tokenizer.enable_truncation(CUT)
    folder = tmp_path / "model"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    return write_model(folder, Weights())


def expected(query: str, passage: str, weights: Weights, second: int = 1) -> NDArray[np.float64]:
    words, others = query.split(), passage.split()
    while len(words) + len(others) + 3 > CUT:
        (words if len(words) >= len(others) else others).pop()
    known = [WORDS.index(word) if word in WORDS else 0 for word in ("[CLS]", *words, "[SEP]", *others, "[SEP]")]
    return weights.forward(known, [0] * (len(words) + 2) + [second] * (len(others) + 1))


def test_scores_are_those_of_the_model(folder: Path) -> None:
    ranking = CrossEncoder(folder).rank("where is mail checked", PASSAGES, 100)
    assert {id for id, _ in ranking} == PASSAGES.keys()
    assert [score for _, score in ranking] == sorted((score for _, score in ranking), reverse=True)
    for id, score in ranking:
        [logit] = expected("where is mail checked", PASSAGES[id], Weights())
        assert score == pytest.approx(logit, abs=1e-4), PASSAGES[id]


def test_the_best_come_first_and_no_more_than_asked_for(folder: Path) -> None:
    encoder = CrossEncoder(folder)
    assert encoder.rank("mail", PASSAGES, 3) == encoder.rank("mail", PASSAGES, 100)[:3]
    assert encoder.rank("mail", {1: "card", 2: "card"}, 2)[0][0] == 1


def test_of_two_logits_the_second_means_relevant(folder: Path) -> None:
    write_model(folder, Weights(logits=2))
    for id, score in CrossEncoder(folder).rank("mail", PASSAGES, 100):
        no, yes = expected("mail", PASSAGES[id], Weights(logits=2))
        assert score == pytest.approx(yes - no, abs=1e-4)


def test_a_model_need_not_take_the_types(folder: Path) -> None:
    write_model(folder, Weights(), INPUTS[:2])
    for id, score in CrossEncoder(folder).rank("mail", PASSAGES, 100):
        [logit] = expected("mail", PASSAGES[id], Weights(), second=0)
        assert score == pytest.approx(logit, abs=1e-4)


def test_a_long_query_leaves_room_for_the_passage(folder: Path) -> None:
    query = "where " * 100
    for id, score in CrossEncoder(folder).rank(query, {1: "mail", 2: "card", 3: "card " * 100}, 3):
        [logit] = expected(query, {1: "mail", 2: "card", 3: "card " * 100}[id], Weights())
        assert score == pytest.approx(logit, abs=1e-4)


def break_model(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a model")


def lose_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def break_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def give_three(folder: Path) -> None:
    write_model(folder, Weights(logits=3))


def give_nothing_finite(folder: Path) -> None:
    weights = Weights()
    weights.bias[:] = np.nan
    write_model(folder, weights)


def want_more(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    model.graph.input.append(helper.make_tensor_value_info("position_ids", TensorProto.INT64, ["pairs", "tokens"]))
    onnx.save(model, folder / "model.onnx")


def know_fewer_words(folder: Path) -> None:
    weights = Weights()
    weights.tokens = weights.tokens[:3]
    write_model(folder, weights)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (break_model, "no model in ONNX can be opened at "),
        (lose_tokenizer, "no model can be opened at .*tokenizer.json"),
        (break_tokenizer, "no model can be opened at "),
        (give_three, "holds no reranker: it gives 3 figures for a pair"),
        (give_nothing_finite, "gives scores that are not finite"),
        (want_more, "wants position_ids, which nothing here gives"),
        (know_fewer_words, "the model at .* failed"),
    ],
)
def test_a_model_that_cannot_be_used_is_named(folder: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(folder)
    with pytest.raises(RerankerUnavailable, match=said):
        CrossEncoder(folder).rank("mail", PASSAGES, 5)


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RerankerUnavailable, match=r"pip install 'mnemolite\[onnx\]'"):
        CrossEncoder(folder).rank("mail", PASSAGES, 5)


def test_a_search_takes_the_order_of_the_model(folder: Path, tree: Path) -> None:
    query = Query(text="where is mail checked", rerank=True)
    with open_tree(tree, settings=Settings(reranker=str(folder)), create=True) as memory:
        found = memory.search(query)
        scores = [hit.ranks["rerank"].score for hit in found.hits[:5]]
        assert found.degraded == ()
        assert scores == sorted(scores, reverse=True)
        break_model(folder)
        assert memory.search(query).degraded == ()  # what is loaded stays
    with open_tree(tree, settings=Settings(reranker=str(folder))) as memory:
        [note] = memory.search(query).degraded
        assert note.startswith("reranking: no model in ONNX can be opened at ")
