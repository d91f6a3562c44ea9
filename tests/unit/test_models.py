"""Models that are added by name, on random weights in the shape of those that are known."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from tokenizers import Tokenizer, processors

from mnemolite.embedders.configuration import MANIFEST
from mnemolite.embedders.manifest import describe
from mnemolite.embedders.profiles import PROFILES
from mnemolite.errors import Conflict, EmbedderUnavailable, InvalidInput
from mnemolite.lab.bert import Bert
from mnemolite.lab.onnx_export import export
from mnemolite.lab.random_model import write_bert, write_jina, write_nomic
from mnemolite.models import add_model, check_model, list_models, load_model, shared_models
from mnemolite.settings import Settings
from mnemolite.types import Domain, Role
from mnemolite.weights import read_bert
from mnemolite.wiring import open_memory

WORDS = "[UNK] <s> </s> <pad> read a file mail search_query search_document :".split()
TEXTS = ["read a file", "mail", "a file : a mail read"]
NOMIC = "nomic-embed-text-v1.5"
JINA = "jina-embeddings-v2-base-code"


def publish(folder: Path, name: str) -> Path:
    """The weights, and beside them what is published of such a model; its ONNX lies deeper."""
    profile = PROFILES.get(name)
    write = {NOMIC: write_nomic, JINA: write_jina}.get(name, write_bert)
    write(folder, WORDS, width=profile.dimension if profile else 8)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 1))
    tokenizer.save(str(folder / "tokenizer.json"))
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    listed = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in modules]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 16}))
    assert export(folder, folder / "onnx") > 0.9999
    for file in (folder / "onnx").iterdir():
        if file.name != "model.onnx":
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: publish(tmp_path_factory.mktemp("published"), name) for name in (*PROFILES, "tiny")}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), perf_cache_max_size=0)


def using(settings: Settings, model: str) -> Settings:
    return Settings(data_dir=settings.data_dir, embedding_model=model, perf_cache_max_size=0)


def means(folder: Path, texts: list[str]) -> np.ndarray:
    """Of the token vectors, as the NumPy forward pass gives them: not yet of unit length."""
    bert = Bert(*read_bert(folder))
    rows = []
    for text in texts:
        ids = [1, *(WORDS.index(word) for word in text.replace(":", " : ").split()), 2]
        rows.append(bert.states(np.array([ids]))[0].mean(0))
    return np.array(rows)


def unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


@pytest.mark.parametrize("name", PROFILES)
def test_a_known_model_is_asked_as_it_wants_to_be(name: str, published: dict[str, Path], settings: Settings) -> None:
    profile = PROFILES[name]
    entry = add_model(settings, name, published[name])
    assert (entry.dimension, entry.licence, entry.source) == (profile.dimension, "Apache-2.0", profile.source)
    embedder = load_model(using(settings, name))
    for role in Role:
        expected = unit(means(published[name], [profile.prompts[role] + text for text in TEXTS]))
        assert (embedder.embed(TEXTS, role) * expected).sum(1).min() > 0.9999
    assert any(profile.prompts.values()) == (name == NOMIC)


def test_vectors_of_a_matryoshka_model_may_be_cut(published: dict[str, Path], settings: Settings) -> None:
    entry = add_model(settings, NOMIC, published[NOMIC], dimension=256)
    assert entry.dimension == 256
    embedder = load_model(using(settings, NOMIC))
    assert embedder.space.dimension == 256
    whole = means(published[NOMIC], [f"search_query: {text}" for text in TEXTS])
    normed = (whole - whole.mean(1, keepdims=True)) / whole.std(1, keepdims=True)  # as its model card has it
    assert embedder.embed(TEXTS, Role.QUERY) == pytest.approx(unit(normed[:, :256]), abs=1e-5)
    with pytest.raises(InvalidInput, match="cannot be cut to 300 dimensions; give 768, 512, 256, 128, 64"):
        add_model(settings, NOMIC, published[NOMIC], dimension=300, again=True)
    with pytest.raises(InvalidInput, match="cannot be cut to 100 dimensions; give 384"):
        add_model(settings, "all-MiniLM-L6-v2", published["all-MiniLM-L6-v2"], dimension=100)


def test_its_files_are_recorded_and_compared(published: dict[str, Path], settings: Settings) -> None:
    before = load_model(using(settings, str(published["tiny"]))).space.fingerprint
    add_model(settings, "tiny", published["tiny"])
    own = using(settings, "tiny")
    assert check_model(own).fingerprint == before
    home = Path(settings.data_dir) / "models" / "tiny"
    recorded = json.loads((home / MANIFEST).read_text())["files"]
    assert recorded == {
        name: {"bytes": (home / name).stat().st_size, "sha256": describe(published["tiny"] / name).sha256}
        for name in ("onnx/model.onnx", "tokenizer.json")
    }
    model = home / "onnx" / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(EmbedderUnavailable, match=r"model.onnx is damaged: SHA-256 .* 'mnemolite models add --again'"):
        check_model(own)
    model.write_bytes(whole[:-1])
    with pytest.raises(EmbedderUnavailable, match=r"cut short or foreign: .*add it again"):
        load_model(own)
    with pytest.raises(Conflict, match="there is a model tiny already"):
        add_model(settings, "tiny", published["tiny"])
    add_model(settings, "tiny", published["tiny"], again=True)
    assert check_model(own).fingerprint == before


def test_texts_are_cut_to_the_places_that_a_model_has(tmp_path: Path, settings: Settings) -> None:
    for name in ("source", "model"):
        (tmp_path / name).mkdir()
    write_bert(tmp_path / "source", WORDS, positions=32)
    export(tmp_path / "source", tmp_path / "model")
    add_model(settings, "short", tmp_path / "model")
    embedder = load_model(using(settings, "short"))
    whole, longer = embedder.embed(["read " * 32, "read " * 32 + "mail " * 100], Role.PASSAGE)
    assert np.array_equal(whole, longer)


def test_what_cannot_be_added_leaves_nothing(published: dict[str, Path], settings: Settings, tmp_path: Path) -> None:
    models = Path(settings.data_dir) / "models"
    tiny = published["tiny"]
    broken = Path(shutil.copytree(tiny, tmp_path / "broken"))
    (broken / "onnx" / "model.onnx").write_bytes(b"no model")
    for name, folder, error, said in (
        ("../out", tiny, InvalidInput, "cannot be a model's name"),
        ("unknown", None, InvalidInput, "is no known model; give one of all-MiniLM-L6-v2, nomic"),
        ("x", tmp_path / "none", InvalidInput, "is no folder"),
        ("x", tmp_path, EmbedderUnavailable, "it has neither model.onnx nor onnx/model.onnx"),
        ("x", broken, EmbedderUnavailable, "no model in ONNX can be opened"),
        (NOMIC, tiny, EmbedderUnavailable, f"this is no {NOMIC}: its vectors have 8 dimensions, not 768"),
    ):
        with pytest.raises(error, match=said):
            add_model(settings, name, folder)
        assert not models.exists() or not list(models.iterdir())


def test_one_that_is_chosen_but_missing_leaves_the_words(settings: Settings, tree: Path) -> None:
    with open_memory(tree, settings=settings) as memory:
        memory.index()
    with open_memory(tree, settings=using(settings, "all-MiniLM-L6-v2")) as memory:
        [why] = memory.search("where is mail checked", freshness="skip").degraded
        assert "there is no embedding model at " in why
        assert "'mnemolite models list'" in why
        assert "spaces build" not in why  # which needs the model


def test_text_and_code_may_have_models_of_their_own(published: dict[str, Path], settings: Settings) -> None:
    add_model(settings, NOMIC, published[NOMIC])
    tiny = str(published["tiny"])
    text, code = shared_models(replace(settings, text_embedding_model=NOMIC, code_embedding_model=tiny))
    assert (text.space.domain, text.space.dimension) == (Domain.TEXT, 768)
    assert (code.space.domain, code.space.dimension) == (Domain.CODE, 8)
    [alone] = shared_models(replace(settings, text_embedding_model=tiny, code_embedding_model=tiny))
    assert alone.space == load_model(using(settings, tiny)).space
    [published_name] = shared_models(using(settings, PROFILES[NOMIC].source))
    assert published_name.space.model == NOMIC
    in_use = [e.name for e in list_models(replace(settings, code_embedding_model=NOMIC)) if e.in_use]
    assert len(in_use) == 2
    assert NOMIC in in_use


@pytest.mark.parametrize("name", ["embedding_dimension", "code_embedding_dimension"])
def test_a_dimension_that_the_model_has_not_is_refused(
    name: str, published: dict[str, Path], settings: Settings
) -> None:
    tiny = using(settings, str(published["tiny"]))
    assert [model.space.dimension for model in shared_models(replace(tiny, **{name: 8}))] == [8]
    [wrong] = shared_models(replace(tiny, **{name: 768}))
    with pytest.raises(InvalidInput, match=r"768 is configured, and .* makes 8; unset"):
        _ = wrong.space


def test_those_that_are_there_and_those_that_could_be_are_listed(
    published: dict[str, Path], settings: Settings
) -> None:
    add_model(settings, "tiny", published["tiny"])
    add_model(settings, NOMIC, published[NOMIC], dimension=64)
    found = {entry.name: entry for entry in list_models(using(settings, NOMIC))}
    states = {name: entry.state for name, entry in found.items() if entry.state != "shipped"}
    known = "known"
    assert states == {"tiny": "added", NOMIC: "added", "all-MiniLM-L6-v2": known, "jina-embeddings-v2-base-code": known}
    assert [name for name, entry in found.items() if entry.in_use] == [NOMIC]
    assert found[NOMIC].dimension == 64
    assert found["tiny"].size == sum(
        (published["tiny"] / name).stat().st_size for name in ("onnx/model.onnx", "tokenizer.json")
    )
    shipped, *_ = list_models(settings)
    assert (shipped.state, shipped.in_use) == ("shipped", True)
    folder = list_models(using(settings, str(published["tiny"])))[-1]
    assert (folder.state, folder.in_use, folder.source) == ("folder", True, str(published["tiny"]))
    gone = list_models(using(settings, "/nowhere/gone"))[-1]
    assert (gone.state, gone.in_use, gone.source) == ("missing", True, "/nowhere/gone")


class Hub(SimpleHTTPRequestHandler):
    """Says of each file more than it gives where it is told to."""

    cut = 0

    def send_header(self, keyword: str, value: str) -> None:
        if keyword == "Content-Length" and self.path.endswith("model.onnx"):
            value = str(int(value) + self.cut)
        super().send_header(keyword, value)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(published: dict[str, Path], tmp_path: Path) -> Iterator[str]:
    name = "all-MiniLM-L6-v2"
    home = tmp_path / "hub" / PROFILES[name].source / "resolve"
    home.mkdir(parents=True)
    (home / "main").symlink_to(published[name])
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(tmp_path / "hub")))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_known_model_is_downloaded(
    hub: str, published: dict[str, Path], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "all-MiniLM-L6-v2"
    monkeypatch.setattr(Hub, "cut", 5)
    with pytest.raises(EmbedderUnavailable, match=r"model.onnx broke off after [\d,]+ of [\d,]+ bytes"):
        add_model(settings, name, hub=hub)
    monkeypatch.setattr(Hub, "cut", 0)
    with pytest.raises(EmbedderUnavailable, match=rf"{PROFILES[NOMIC].source} at .* has no model in ONNX"):
        add_model(settings, NOMIC, hub=hub)
    with pytest.raises(EmbedderUnavailable, match=r"cannot reach .*; download the model elsewhere and give its folder"):
        add_model(settings, name, hub="http://127.0.0.1:1")
    assert not list((Path(settings.data_dir) / "models").iterdir())
    add_model(settings, name, hub=hub)
    [row] = load_model(using(settings, name)).embed(["read a file"], Role.QUERY)
    assert row == pytest.approx(unit(means(published[name], ["read a file"]))[0], abs=1e-5)
