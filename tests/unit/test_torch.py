"""Models in torch, on random weights; skipped where torch, which only this needs, is not installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnemolite.embedders.torch import TorchEmbedder
from mnemolite.errors import EmbedderUnavailable
from mnemolite.lab.bert import Bert
from mnemolite.lab.random_model import Weights, write_bert, write_jina, write_nomic
from mnemolite.models import add_model, check_model, load_model
from mnemolite.settings import Settings
from mnemolite.types import Role
from mnemolite.weights import read_bert

WORDS = "[UNK] read a file write mail".split()
TEXTS = ["mail", "read a file", "", *(" ".join(WORDS[1 + (i * k) % 5] for i in range(k)) for k in range(3, 60, 7))]
torch = pytest.importorskip(
    "torch", reason="torch is not installed: pip install 'mnemolite[torch]'", exc_type=ImportError
)


@pytest.fixture(params=[write_bert, write_nomic, write_jina])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write: Callable[..., Weights] = request.param
    write(tmp_path, WORDS, layers=2, width=16, positions=64)
    return tmp_path


def test_its_vectors_are_those_of_the_forward_pass_in_numpy(folder: Path) -> None:
    bert = Bert(*read_bert(folder))
    embedder = TorchEmbedder(folder, "cpu")
    rows = embedder.embed(TEXTS, Role.PASSAGE)
    assert not rows[2].any()
    for text, row in zip(TEXTS, rows, strict=True):
        if text:
            mean = bert.states(np.array([[WORDS.index(word) for word in text.split()]]))[0].mean(0)
            assert row == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
            assert embedder.embed([text], Role.PASSAGE)[0] == pytest.approx(row, abs=1e-5)


def test_it_is_added_and_used_as_any_other(folder: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"), embedding_model="mine")
    assert add_model(settings, "mine", folder).dimension == 16
    space = check_model(settings)
    assert load_model(settings).space == space
    config = tmp_path / "data" / "models" / "mine" / "config.json"
    config.write_text(config.read_text().replace("16", "17"))
    with pytest.raises(EmbedderUnavailable, match=r"config\.json"):
        check_model(settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(EmbedderUnavailable, match=r"device is cuda, and torch .* finds none here; set device to auto"):
        TorchEmbedder(folder, "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_same_but_for_what_16_bits_lose(folder: Path) -> None:
    on_gpu, on_cpu = (TorchEmbedder(folder, device).embed(TEXTS, Role.PASSAGE) for device in ("cuda", "cpu"))
    cosines = (on_gpu * on_cpu).sum(1)
    assert np.delete(cosines, 2).min() > 0.999
