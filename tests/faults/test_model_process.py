"""The process that a model in ONNX runs in: what it answers, and what becomes of it and of those who wait for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mnemolite import ram
from mnemolite.embedders.child import ChildEmbedder
from mnemolite.embedders.onnx import OnnxEmbedder
from mnemolite.errors import EmbedderUnavailable, InvalidInput
from mnemolite.lab.onnx_export import export
from mnemolite.lab.random_model import write_bert
from mnemolite.settings import Settings
from mnemolite.types import Role
from mnemolite.wiring import open_models

TEXTS = ["read a file", "", "a \ud800 file", *(" ".join(["file"] * n) for n in range(1, 9))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bert, out = (tmp_path_factory.mktemp(name) for name in ("bert", "tiny"))
    write_bert(bert)
    export(bert, out)
    return out


def pids() -> set[int]:
    """Of the children of this process that run a model."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            command = (status.parent / "cmdline").read_bytes()
            if b"embedders.child" in command and f"PPid:\t{os.getpid()}\n" in status.read_text():
                found.add(int(status.parent.name))
        except OSError:
            continue
    return found


def test_it_answers_as_the_model_would_here_whoever_asks(folder: Path) -> None:
    expected = OnnxEmbedder(folder).embed(TEXTS, Role.PASSAGE)
    embedder = ChildEmbedder(folder)
    assert embedder.space == OnnxEmbedder(folder).space
    assert embedder.embed([], Role.QUERY).shape == (0, 8)
    here = OnnxEmbedder(folder)
    assert embedder.max_tokens == here.max_tokens
    assert embedder.tokens("read a file") == list(here.tokens("read a file")) == [1, 2, 3]
    assert np.array_equal(embedder.embed([(1, 2, 3)], Role.PASSAGE), here.embed([(1, 2, 3)], Role.PASSAGE))
    with pytest.raises(InvalidInput, match="999 is no token"):
        embedder.embed([(999,)], Role.PASSAGE)
    with ThreadPoolExecutor(8) as pool:
        for rows in pool.map(lambda _: embedder.embed(TEXTS, Role.PASSAGE), range(40)):
            assert np.array_equal(rows, expected)
        singly = pool.map(lambda text: embedder.embed([text], Role.PASSAGE)[0], TEXTS)
        assert np.array(list(singly)) == pytest.approx(expected, abs=1e-5)


def test_one_that_was_killed_is_named_and_followed_by_another(folder: Path) -> None:
    before = pids()
    embedder = ChildEmbedder(folder)
    [first] = pids() - before
    os.kill(first, signal.SIGSTOP)  # so that it cannot answer before it is killed
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(embedder.embed, ["read"], Role.QUERY)
        while not asked.running():
            time.sleep(0.001)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(EmbedderUnavailable, match=rf"of the model {folder.name} has ended \(SIGKILL\)"):
            asked.result(30)
    assert embedder.embed(["read"], Role.QUERY).any()
    [second] = pids() - before
    assert second != first


def test_it_ends_with_its_embedder_and_when_that_is_idle(folder: Path) -> None:
    before = pids()
    resident = ram.resident_bytes()
    embedder = ChildEmbedder(folder)
    assert len(pids() - before) == 1
    assert ram.resident_bytes() > resident + 20 * ram.MB  # of the other process
    del embedder
    assert not pids() - before
    assert ram.resident_bytes() < resident + 20 * ram.MB
    [lazy] = open_models(Settings(embedding_model=str(folder), perf_cache_max_size=0)).embedders
    lazy.embed(["read"], Role.QUERY)
    assert len(pids() - before) == 1
    lazy.unload()  # type: ignore[attr-defined]
    assert not pids() - before


def test_it_ends_when_its_parent_was_killed(folder: Path) -> None:
    program = f"""
from pathlib import Path
from mnemolite.embedders.child import ChildEmbedder
embedder = ChildEmbedder(Path({str(folder)!r}))
print(embedder._child._process.pid, flush=True)
input()
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        own = Path(f"/proc/{int(parent.stdout.readline())}/cmdline")
        assert b"embedders.child" in own.read_bytes()
        parent.kill()
    for _ in range(3000):
        if not own.exists() or not own.read_bytes():  # gone, or to be reaped by whoever took it over
            return
        time.sleep(0.01)
    pytest.fail("the child is still there")


def test_a_model_that_cannot_be_loaded_there_is_named(folder: Path, tmp_path: Path) -> None:
    for file in ("model.onnx", "config.json"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    with pytest.raises(EmbedderUnavailable, match=r"no model can be opened at .*tokenizer.json"):
        ChildEmbedder(tmp_path)
