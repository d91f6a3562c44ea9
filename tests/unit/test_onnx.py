"""Embedding models in ONNX, on small BERTs of random weights exported here, beside the same forward pass in NumPy."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime import InferenceSession
from tokenizers import Tokenizer, processors

from mnemolite.embedders.configuration import read_configuration, space_of
from mnemolite.embedders.onnx import OnnxEmbedder
from mnemolite.errors import EmbedderUnavailable, InvalidInput
from mnemolite.lab.onnx_export import export
from mnemolite.lab.random_model import write_bert
from mnemolite.lab.teacher import Teacher
from mnemolite.settings import Settings
from mnemolite.transformer import BATCH_TOKENS
from mnemolite.types import Role
from mnemolite.wiring import open_tree

if TYPE_CHECKING:
    from mnemolite.types import Matrix, Vector

WORDS = "[UNK] [CLS] [SEP] [PAD] read a file write the mail query passage : Big big".split()
WIDTH = 32
CUT = 40  # tokens, special ones included
random_texts = random.Random(3)
TEXTS = [" ".join(random_texts.choices(WORDS[4:], k=random_texts.randrange(1, 60))) for _ in range(200)]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it is published, with a tokenizer that cuts and pads to a fixed length, as that of MiniLM does."""
    folder = tmp_path_factory.mktemp("bert")
    write_bert(folder, WORDS, layers=2, width=WIDTH, positions=CUT)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_padding(pad_id=WORDS.index("[PAD]"), pad_token="[PAD]", length=24)
    tokenizer.enable_truncation(24)
    tokenizer.save(str(folder / "tokenizer.json"))
    write(folder, "sentence_bert_config.json", max_seq_length=CUT)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    listed = [{"type": f"sentence_transformers.models.{name}", "path": path} for name, path in modules]
    (folder / "modules.json").write_text(json.dumps(listed))
    pool(folder, "mean_tokens")
    return folder


@pytest.fixture
def folder(bert: Path, tmp_path: Path) -> Path:
    export(bert, tmp_path / "tiny")
    return tmp_path / "tiny"


def write(folder: Path, name: str, **values: Any) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(values))


def pool(folder: Path, *modes: str) -> None:
    chosen = {f"pooling_mode_{mode}": mode in modes for mode in ("cls_token", "mean_tokens", "max_tokens", *modes)}
    write(folder, "1_Pooling/config.json", word_embedding_dimension=WIDTH, **chosen)


def states(folder: Path, text: str) -> Matrix:
    """(tokens, width), of one text without padding."""
    ids = [1, *(WORDS.index(word) for word in text.split()), 2]
    given = {"input_ids": [ids], "attention_mask": [[1] * len(ids)], "token_type_ids": [[0] * len(ids)]}
    session = InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    found: Matrix = session.run(None, {name: np.array(value) for name, value in given.items()})[0][0]
    return found


def unit(row: Vector) -> Vector:
    return row / np.linalg.norm(row)


def test_vectors_are_those_of_the_model(bert: Path, folder: Path) -> None:
    found = OnnxEmbedder(folder).embed(TEXTS, Role.PASSAGE)
    assert found == pytest.approx(Teacher(bert).embed(TEXTS), abs=1e-5)
    assert found.dtype == np.float32


def test_eight_bits_keep_the_direction_at_a_fraction_of_the_size(bert: Path, tmp_path: Path) -> None:
    for int8 in (False, True):
        export(bert, tmp_path / str(int8), int8=int8)
    whole, small = (tmp_path / str(int8) / "model.onnx" for int8 in (False, True))
    cosines = (OnnxEmbedder(small.parent).embed(TEXTS, Role.PASSAGE) * Teacher(bert).embed(TEXTS)).sum(1)
    assert cosines.min() > 0.99
    assert small.stat().st_size < 0.7 * whole.stat().st_size  # of so small a model much is no weights


def quantise_as_it_runs(folder: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    shutil.move(folder / "model.onnx", folder / "whole.onnx")
    quantize_dynamic(folder / "whole.onnx", folder / "model.onnx")


@pytest.mark.parametrize("form", ["whole", "int8", "quantised as it runs"])
def test_a_row_does_not_depend_on_the_other_texts(form: str, bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    export(bert, folder, int8=form == "int8")
    if form == "quantised as it runs":
        quantise_as_it_runs(folder)
    embedder = OnnxEmbedder(folder)
    together = embedder.embed(TEXTS, Role.PASSAGE)
    alone = np.concatenate([embedder.embed([text], Role.PASSAGE) for text in TEXTS])
    assert together == pytest.approx(alone, abs=1e-5)
    assert sum(len(text.split()) for text in TEXTS) > 2 * BATCH_TOKENS  # so that there was more than one batch
    assert embedder.embed(TEXTS[::-1], Role.PASSAGE)[::-1] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize(
    ("mode", "pooled"),
    [
        ("cls_token", lambda states: states[0]),
        ("lasttoken", lambda states: states[-1]),
        ("max_tokens", lambda states: states.max(0)),
        ("mean_tokens", lambda states: states.mean(0)),
        ("mean_sqrt_len_tokens", lambda states: states.sum(0) / np.sqrt(len(states))),
    ],
)
def test_pooling_is_what_the_configuration_says(mode: str, pooled: Callable[[Matrix], Vector], folder: Path) -> None:
    pool(folder, mode)
    texts = ["read a file", "mail", "write the big mail : read"]
    for text, row in zip(texts, OnnxEmbedder(folder).embed(texts, Role.PASSAGE), strict=True):
        assert row == pytest.approx(unit(pooled(states(folder, text))), abs=1e-5)


def test_without_any_configuration_the_mean_is_taken(folder: Path) -> None:
    for name in ("modules.json", "1_Pooling/config.json", "sentence_bert_config.json"):
        (folder / name).unlink()
    (folder / "onnx").mkdir()
    shutil.move(folder / "model.onnx", folder / "onnx" / "model.onnx")
    [row] = OnnxEmbedder(folder).embed(["read a file"], Role.PASSAGE)
    assert row == pytest.approx(unit(states(folder / "onnx", "read a file").mean(0)), abs=1e-5)


def test_a_model_that_pools_by_itself_is_left_to(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    model.graph.node.append(
        helper.make_node("ReduceMin", ["last_hidden_state", "whole_1"], ["sentence_embedding"], keepdims=0)
    )
    model.graph.initializer.append(helper.make_tensor("whole_1", TensorProto.INT64, [1], [1]))
    model.graph.output.append(helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["texts", WIDTH]))
    onnx.save(model, folder / "model.onnx")
    [row] = OnnxEmbedder(folder).embed(["read a file"], Role.PASSAGE)
    assert row == pytest.approx(unit(states(folder, "read a file").min(0)), abs=1e-5)


def test_prompts_stand_before_queries_and_passages(folder: Path) -> None:
    plain = OnnxEmbedder(folder).embed(["query : mail", "passage : mail", "a mail"], Role.QUERY)
    write(folder, "config_sentence_transformers.json", prompts={"query": "query : ", "passage": "passage : "})
    both = OnnxEmbedder(folder)
    assert both.embed(["mail"], Role.QUERY) == pytest.approx(plain[:1], abs=1e-6)
    assert both.embed(["mail"], Role.PASSAGE) == pytest.approx(plain[1:2], abs=1e-6)
    write(folder, "config_sentence_transformers.json", prompts={"any": "a "}, default_prompt_name="any")
    assert OnnxEmbedder(folder).embed(["mail"], Role.PASSAGE) == pytest.approx(plain[2:], abs=1e-6)


def test_a_model_may_want_lower_case(folder: Path) -> None:
    [upper, lower] = OnnxEmbedder(folder).embed(["Big", "big"], Role.QUERY)
    assert upper != pytest.approx(lower, abs=1e-3)
    write(folder, "sentence_bert_config.json", max_seq_length=CUT, do_lower_case=True)
    assert OnnxEmbedder(folder).embed(["Big"], Role.QUERY)[0] == pytest.approx(lower, abs=1e-6)


def test_nothing_to_embed_gives_a_zero_row(folder: Path) -> None:
    embedder = OnnxEmbedder(folder)
    rows = embedder.embed(["mail", " \n", ""], Role.QUERY)
    assert rows.any(axis=1).tolist() == [True, False, False]
    assert embedder.embed([], Role.QUERY).shape == (0, WIDTH)


def changed_weight(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    tensor.raw_data = bytes(4) + tensor.raw_data[4:]
    onnx.save(model, folder / "model.onnx")


def changed_tokenizer(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"Big"', '"Huge"'))


@pytest.mark.parametrize(
    "change",
    [
        changed_weight,
        changed_tokenizer,
        lambda folder: pool(folder, "cls_token"),
        lambda folder: write(folder, "sentence_bert_config.json", max_seq_length=CUT - 1),
        lambda folder: write(folder, "sentence_bert_config.json", max_seq_length=CUT, do_lower_case=True),
        lambda folder: write(folder, "config_sentence_transformers.json", prompts={"query": "query : "}),
    ],
)
def test_whatever_shapes_a_vector_is_in_the_fingerprint(change: Callable[[Path], None], folder: Path) -> None:
    before = space_of(folder, read_configuration(folder))
    (folder / "README.md").write_text("about it")
    assert space_of(folder, read_configuration(folder)) == before
    change(folder)
    after = space_of(folder, read_configuration(folder))
    assert after.fingerprint != before.fingerprint
    assert (after.model, after.dimension) == ("tiny", WIDTH)


def add_dense(folder: Path) -> None:
    listed = json.loads((folder / "modules.json").read_text())
    listed.insert(2, {"type": "sentence_transformers.models.Dense", "path": "2_Dense"})
    (folder / "modules.json").write_text(json.dumps(listed))


def lose_dimension(folder: Path) -> None:
    write(folder, "config.json")
    write(folder, "1_Pooling/config.json", pooling_mode_mean_tokens=True)


def lie_about_dimension(folder: Path) -> None:
    write(folder, "1_Pooling/config.json", word_embedding_dimension=48)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), r"no embedding model at .*: it has neither model.onnx nor"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"no model"), "no model in ONNX can be opened at "),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no model can be opened at .*tokenizer.json"),
        (lambda folder: (folder / "modules.json").write_text("{"), "modules.json cannot be read"),
        (
            lambda folder: pool(folder, "weightedmean_tokens"),
            "pools by pooling_mode_weightedmean_tokens, not done here",
        ),
        (
            lambda folder: pool(folder, "cls_token", "max_tokens"),
            "pools by .*cls_token and .*max_tokens, not done here",
        ),
        (add_dense, "has a step Dense, which is not done here; export it with its steps in the graph"),
        (lose_dimension, "does not say its dimension"),
        (lie_about_dimension, r"output of shape \(1, 3, 32\), its configuration says 48 dimensions"),
    ],
)
def test_a_model_that_cannot_be_used_is_named(folder: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(folder)
    with pytest.raises(EmbedderUnavailable, match=said):
        OnnxEmbedder(folder).embed(["mail"], Role.QUERY)


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EmbedderUnavailable, match=r"pip install 'mnemolite\[onnx\]'"):
        OnnxEmbedder(folder)


def test_the_setting_chooses_it_and_a_lost_model_leaves_the_words(folder: Path, tree: Path) -> None:
    settings = Settings(embedding_model=str(folder), perf_cache_max_size=0)
    with open_tree(tree, settings=settings, create=True) as memory:
        memory.index()
        [stats] = memory.stats()
        assert stats.vectors == {f"tiny ({WIDTH})": stats.chunks}
        found = memory.search("read a file")
        assert found.degraded == ()
        assert "vector" in found.hits[0].ranks
        [lazy] = memory.embedders
        lazy.unload()  # type: ignore[attr-defined]
        (folder / "tokenizer.json").unlink()
        without = memory.search("where is mail checked", freshness="skip")
        [why] = without.degraded
        assert "the embedding model tiny cannot be read" in why
        assert without.hits


def test_the_command_line_says_on_stderr_that_a_model_is_loaded(folder: Path, tree: Path) -> None:
    def run(*args: object) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "mnemolite"), *map(str, args)]
        environ = {**os.environ, "MNEMOLITE_EMBEDDING_MODEL": str(folder)}
        return subprocess.run(command, capture_output=True, text=True, env=environ, check=True)

    said = run("index", tree, "--json").stderr
    assert said.startswith("mnemolite: loading embedding model tiny\nmnemolite: loaded tiny in ")
    done = run("search", "--json", "read a file", tree)
    assert json.loads(done.stdout)["degraded"] == []
    assert done.stderr.count("tiny") == 2
    assert json.loads(run("stats", tree, "--memory", "--json").stdout)["model tiny"] == "loaded"
    assert "tiny, 32 dimensions" in run("doctor", tree).stdout


def test_what_a_cosine_means_may_stand_beside_the_model(folder: Path) -> None:
    space = OnnxEmbedder(folder).space
    assert 0 < space.moderate < space.high < 1
    write(folder, "relevance.json", high=0.9, moderate=0.8)
    space = OnnxEmbedder(folder).space
    assert (space.high, space.moderate) == (0.9, 0.8)


def test_tokens_are_embedded_as_their_text_is(folder: Path) -> None:
    write(folder, "config_sentence_transformers.json", prompts={"query": "query : "})
    embedder = OnnxEmbedder(folder)
    ids = [tuple(embedder.tokens(text)) for text in TEXTS]
    assert max(map(len, ids)) > embedder.max_tokens == CUT - len(["[CLS]", "[SEP]", "query", ":"])
    for role in Role:
        np.testing.assert_allclose(embedder.embed(ids, role), embedder.embed(TEXTS, role), atol=1e-6)
    with pytest.raises(InvalidInput, match="999 is no token"):
        embedder.embed([(999,)], Role.QUERY)
