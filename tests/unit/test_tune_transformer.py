"""A transformer that learns from one's own tree; in torch, and what is said where that is not installed."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from mnemolite.cli import cli
from mnemolite.embedders.configuration import MANIFEST, WEIGHTS, read_configuration
from mnemolite.embedders.library import open_transformer, verify
from mnemolite.errors import InvalidInput
from mnemolite.lab import judge, tune
from mnemolite.lab.random_model import Weights, write_bert, write_jina, write_nomic
from mnemolite.models import add_model, load_model
from mnemolite.settings import Settings
from mnemolite.types import Role
from mnemolite.weights import read_bert, read_safetensors, write_safetensors
from mnemolite.weights import write_bert as write_weights
from mnemolite.wiring import open_memory

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="torch is not installed: pip install 'mnemolite[torch]'"
)
ABOUT = [f"{first}{second}" for first in ("mail", "file", "user", "page") for second in ("ab", "cd", "ef", "gh", "ij")]
SAID = "gives back what there is of every such thing at once".split()
DONE = "value = self other call list for in return none".split()
WORDS = ["[UNK]", *ABOUT, *SAID, *DONE, "def", "f"]


def mnemolite(*arguments: object) -> None:
    cli.main([str(each) for each in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a function is about stands in its docstring and in its code, among words that are everywhere."""
    drawn = random.Random(0)
    root = tmp_path_factory.mktemp("own") / "project"
    root.mkdir()
    for number in range(90):
        functions = []
        for _ in range(4):
            about = drawn.sample(ABOUT, 3)
            said = [word for each in about for word in (*drawn.sample(SAID, 2), each)]
            done = [word for each in sorted(about) for word in (*drawn.sample(DONE, 4), each)]
            lines = [f"    {' '.join(done[i : i + 5])}" for i in range(0, len(done), 5)]
            functions.append("\n".join(["def f ( ) :", f'    """{" ".join(said)}"""', *lines]))
        (root / f"file{number}.py").write_text("\n\n".join(functions) + "\n")
    return root


@pytest.fixture(scope="module")
def mined(project: Path) -> Path:
    mnemolite("train", "mine", project, "--out", project.parent / "examples.jsonl")
    return project.parent / "examples.jsonl"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    write_bert(folder, WORDS, width=32, positions=128)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_max_tokens": true}'
    )
    modules = [{"type": "models.Transformer", "path": ""}, {"type": "models.Pooling", "path": "1_Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    prompts = {"query": "gives ", "document": "value "}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    return folder


def run(mined: Path, start: Path, out: Path, *options: object) -> None:
    """A rate and epochs with which even random weights learn something."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "FORGOTTEN", 1.0)  # random weights know nothing that they could forget
        given = ("--rate", 5e-3, "--epochs", 8, "--warm-up", 10, *options)
        mnemolite("train", "run", mined, "--start", start, "--out", out, *given)


@pytest.fixture(scope="module")
def tuned(mined: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run(mined, start, out := tmp_path_factory.mktemp("tuned") / "own-2")
    return out


@needs_torch
def test_training_raises_the_rank_of_answers_in_files_it_has_not_seen_and_is_the_same_each_time(
    tuned: Path, mined: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tune.read_record(tuned)
    assert record.share > 0
    assert record.own[f"{record.share:g}"] > record.own["0"] + 0.05
    assert (record.batch, record.epochs, record.seed) == (16, 8, 0)
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        run(mined, start, tmp_path / name, "--epochs", 1, "--seed", seed)
        assert "step 18 of 18, loss " in capsys.readouterr().err
    one, again, other = ((tmp_path / name / WEIGHTS).read_bytes() for name in ("one", "again", "other"))
    assert one == again != other


@needs_torch
def test_what_is_written_is_asked_as_the_start_was_with_or_without_our_manifest(
    tuned: Path, start: Path, tmp_path: Path
) -> None:
    verify(tuned)
    before, after = read_configuration(start), read_configuration(tuned)
    assert after.prompts == before.prompts == {Role.QUERY: "gives ", Role.PASSAGE: "value "}
    assert (after.pooling, after.dimension, after.max_tokens) == ("max", 32, before.max_tokens)
    assert (after.name, after.relevance == before.relevance) == ("own-2", False)
    bare = tmp_path / "own-2"
    shutil.copytree(tuned, bare)
    (bare / MANIFEST).unlink()
    plain = read_configuration(bare)
    assert (plain.prompts, plain.pooling, plain.relevance) == (after.prompts, "max", after.relevance)
    assert open_transformer(bare).space.fingerprint == open_transformer(tuned).space.fingerprint
    assert open_transformer(tuned).space.fingerprint != open_transformer(start).space.fingerprint


@needs_torch
def test_it_can_be_brought_into_onnx(tuned: Path, tmp_path: Path) -> None:
    mnemolite("models", "export", tuned, tmp_path / "onnx")
    texts = ["mailab gives", "value of userij"]
    for role in Role:
        in_torch, in_onnx = (open_transformer(each).embed(texts, role) for each in (tuned, tmp_path / "onnx"))
        assert in_onnx == pytest.approx(in_torch, abs=1e-4)


@needs_torch
def test_an_added_model_that_is_in_use_is_compared_with_what_was_trained_from_it(
    mined: Path, start: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("MNEMOLITE_DATA_DIR", str(tmp_path / "data"))
    add_model(Settings(data_dir=str(tmp_path / "data")), "mine", start, dimension=16)
    run(mined, Path("mine"), tmp_path / "own-3", "--epochs", 1)
    assert read_configuration(tmp_path / "own-3").dimension == 16
    monkeypatch.setenv("MNEMOLITE_EMBEDDING_MODEL", "mine")
    capsys.readouterr()
    mnemolite("train", "eval", tmp_path / "own-3", mined, "--json")
    told = json.loads(capsys.readouterr().out)
    settings = Settings.load(project)
    assert told["against"] == load_model(settings).space.fingerprint == tune.read_record(tmp_path / "own-3").start
    assert told["model"] == open_transformer(tmp_path / "own-3").space.fingerprint
    assert any(f["before"] != f["after"] for f in told["figures"] if f["way"] == "vectors alone")
    mnemolite("train", "use", tmp_path / "own-3", project, "--force")
    with open_memory(project, settings=judge.using(settings, tmp_path / "own-3"), create=False) as memory:
        assert [(v.model, v.state) for v in memory.spaces.views() if v.configured] == [("own-3", "active")]


@needs_torch
def test_a_rate_that_is_too_high_is_said(mined: Path, start: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"in step \d+ the loss is nan: --rate 1e\+30 is too high"):
        run(mined, start, tmp_path / "own", "--rate", 1e30)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [write_bert, write_nomic, write_jina])
def test_weights_are_written_under_the_names_they_were_read_from(write: Callable[..., Weights], tmp_path: Path) -> None:
    """Some of which are several of ours together, have a prefix, or are whole numbers."""
    kept = write(tmp_path, layers=2, width=16)
    given = {f"bert.{name}": values for name, values in kept.items()}
    write_safetensors(tmp_path / WEIGHTS, given | {"embeddings.position_ids": np.arange(16)[None]})
    config, weights = read_bert(tmp_path)
    write_weights(tmp_path / "new", config, {n: 2 * w for n, w in weights.items()}, like=tmp_path / WEIGHTS)
    written = read_safetensors(tmp_path / "new")
    assert written.keys() == {*given, "embeddings.position_ids"}
    assert all(np.array_equal(written[name], 2 * values) for name, values in given.items())
    assert written["embeddings.position_ids"].dtype == np.int64


def test_without_torch_it_is_said_what_to_install(
    mined: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InvalidInput, match=r"to train one takes torch: pip install 'mnemolite\[torch\]'"):
        run(mined, start, tmp_path / "own")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_trained_or_is_in_the_way_is_said(mined: Path, start: Path, tmp_path: Path) -> None:
    onnx = tmp_path / "exported"
    onnx.mkdir()
    (onnx / "model.onnx").touch()
    with pytest.raises(InvalidInput, match=r"in ONNX alone; to train it takes its weights, model\.safetensors"):
        run(mined, onnx, tmp_path / "own")
    for neither in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InvalidInput, match="is no model that can be trained; --start wants"):
            run(mined, neither, tmp_path / "own")
    with pytest.raises(InvalidInput, match="is there, and is no model of 'mnemolite train run'"):
        run(mined, start, onnx)
    assert [each.name for each in onnx.iterdir()] == ["model.onnx"]
    assert [each.name for each in tmp_path.iterdir()] == ["exported"]


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_is_interrupted_leaves_what_was_there(there: bool, tmp_path: Path) -> None:
    out = tmp_path / "own"
    if there:
        out.mkdir()
        (out / "training.json").write_text("{}")
    with pytest.raises(KeyboardInterrupt), tune.taking_the_place_of(out) as folder:
        (folder / "training.json").write_text("half")
        raise KeyboardInterrupt
    assert [each.name for each in tmp_path.iterdir()] == (["own"] if there else [])
    with tune.taking_the_place_of(out) as folder:
        (folder / "training.json").write_text("whole")
    assert [each.name for each in tmp_path.iterdir()] == ["own"]
    assert (out / "training.json").read_text() == "whole"
