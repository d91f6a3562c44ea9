"""What every embedder must do, whatever makes its vectors and wherever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from mnemolite.caches.embeddings import EmbeddingCache
from mnemolite.embedders.cached import CachedEmbedder
from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.embedders.lazy import LazyEmbedder
from mnemolite.embedders.onnx import OnnxEmbedder
from mnemolite.embedders.remote import BATCH_TEXTS, STREAM_BATCHES, RemoteEmbedder
from mnemolite.embedders.static import SHIPPED, StaticEmbedder
from mnemolite.errors import InvalidInput
from mnemolite.lab.onnx_export import export
from mnemolite.lab.random_model import write_bert
from mnemolite.ports import Embedder
from mnemolite.serve.batching import BatchingEmbedder
from mnemolite.serve.embedder import EmbeddingProcess
from mnemolite.serve.metrics import BatchMetrics
from mnemolite.settings import Settings
from mnemolite.types import Role, Text

TEXTS: list[Text] = ["read a file", "", " \n", "a \ud800 file", *(" ".join(["read a"] * n) for n in range(1, 12)), ()]
KINDS = ("hashing", "static", "onnx", "lazy", "cached", "batching", "remote static", "remote onnx")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bert, out = (tmp_path_factory.mktemp(name) for name in ("bert", "tiny"))
    write_bert(bert, positions=512)
    export(bert, out)
    return out


@pytest.fixture(scope="module", params=KINDS)
def embedder(
    request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Embedder]:
    def remote(folder: Path) -> Embedder:
        settings = Settings(embedding_model=str(folder), data_dir=str(tmp_path_factory.mktemp("data")))
        process = EmbeddingProcess(settings, "127.0.0.1", 0, 0)
        stack.callback(process.end)
        return RemoteEmbedder([f"grpc://127.0.0.1:{process.grpc_port}"])

    def batching() -> Embedder:
        made = BatchingEmbedder(
            OnnxEmbedder(tiny), BatchMetrics(CollectorRegistry()), batch_tokens=50, queue_tokens=10**9
        )
        stack.callback(made.close)
        return made

    makers: dict[str, Callable[[], Embedder]] = {
        "hashing": HashingEmbedder,
        "static": StaticEmbedder,
        "onnx": lambda: OnnxEmbedder(tiny),
        "lazy": lambda: LazyEmbedder(lambda: OnnxEmbedder(tiny).space, lambda: OnnxEmbedder(tiny)),
        "cached": lambda: CachedEmbedder(OnnxEmbedder(tiny), EmbeddingCache()),
        "batching": batching,
        "remote static": lambda: remote(SHIPPED),
        "remote onnx": lambda: remote(tiny),
    }
    with ExitStack() as stack:
        yield makers[request.param]()


@pytest.mark.parametrize("role", Role)
def test_a_row_for_each_text_of_unit_length_or_zero(embedder: Embedder, role: Role) -> None:
    rows = embedder.embed(TEXTS, role)
    assert rows.shape == (len(TEXTS), embedder.space.dimension)
    assert rows.dtype == np.float32
    lengths = np.linalg.norm(rows, axis=1)
    empty = [not (text.strip() if isinstance(text, str) else text) for text in TEXTS]
    assert lengths == pytest.approx(np.where(empty, 0, 1), abs=1e-5)
    assert embedder.embed([], role).shape == (0, embedder.space.dimension)


def test_a_row_does_not_depend_on_the_other_texts(embedder: Embedder) -> None:
    together = embedder.embed(TEXTS, Role.PASSAGE)
    alone = np.concatenate([embedder.embed([text], Role.PASSAGE) for text in TEXTS])
    assert np.abs(together - alone).max() <= 1e-5


def test_tokens_are_embedded_as_their_text(embedder: Embedder) -> None:
    texts = [text for text in TEXTS if isinstance(text, str) and text.strip()]
    ids = [tuple(embedder.tokens(text)) for text in texts]
    assert ids[0] and ids[1] != ids[2]
    rows = embedder.embed([*texts, *ids], Role.QUERY)
    assert rows[: len(texts)] == pytest.approx(rows[len(texts) :], abs=1e-6)


def test_what_is_no_token_is_refused_and_harms_nobody_else(embedder: Embedder) -> None:
    if isinstance(embedder, HashingEmbedder):
        pytest.skip("any number is a token to it")
    with ThreadPoolExecutor(8) as pool:
        wrong = [pool.submit(embedder.embed, [(1, 2), (id,)], Role.PASSAGE) for id in (10**7, -1, 2**40)]
        right = [pool.submit(embedder.embed, [(1, 2)], Role.PASSAGE) for _ in range(20)]
        for refused in wrong:
            with pytest.raises(InvalidInput, match=r"(10000000|-1|1099511627776) is no token"):
                refused.result()
        assert all(done.result().any() for done in right)


def test_what_follows_the_most_tokens_changes_nothing(embedder: Embedder) -> None:
    most = " ".join(["read"] * embedder.max_tokens)
    assert len(embedder.tokens(f"{most} a file")) > embedder.max_tokens or isinstance(embedder, HashingEmbedder)
    cut, whole = embedder.embed([most, most + " a file" * (embedder.max_tokens < 10_000)], Role.PASSAGE)
    assert cut == pytest.approx(whole, abs=1e-6)


def test_many_threads_get_what_one_gets(embedder: Embedder) -> None:
    expected = embedder.embed(TEXTS, Role.QUERY)
    with ThreadPoolExecutor(16) as pool:
        for rows in pool.map(lambda _: embedder.embed(TEXTS, Role.QUERY), range(48)):
            assert np.abs(rows - expected).max() <= 1e-5


def test_more_texts_than_one_message_holds_come_in_order(embedder: Embedder) -> None:
    texts = [TEXTS[number % len(TEXTS)] for number in range(BATCH_TEXTS * STREAM_BATCHES + 50)]
    distinct = embedder.embed(TEXTS, Role.PASSAGE)
    rows = embedder.embed(texts, Role.PASSAGE)
    assert np.abs(rows - distinct[np.arange(len(texts)) % len(TEXTS)]).max() <= 1e-5


def test_a_remote_model_is_the_one_it_serves(embedder: Embedder, tiny: Path) -> None:
    if not isinstance(embedder, RemoteEmbedder):
        pytest.skip("it is none")
    here = next(each for each in (StaticEmbedder(), OnnxEmbedder(tiny)) if each.space == embedder.space)
    assert (embedder.space.high, embedder.space.moderate) == (here.space.high, here.space.moderate)
    assert embedder.max_tokens == here.max_tokens
    assert embedder.state.loaded
    assert np.abs(embedder.embed(TEXTS, Role.PASSAGE) - here.embed(TEXTS, Role.PASSAGE)).max() <= 1e-6
