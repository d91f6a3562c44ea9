"""Embeddings over HTTP: the specified routes, OpenAI's with its own client, and text-embeddings-inference's."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from mnemolite.codec import unpack
from mnemolite.embedders.static import SHIPPED
from mnemolite.serve.http.vectors import MAX_CHARACTERS, MAX_TEXTS, SLICE
from mnemolite.types import Domain, Role

from .conftest import Serve, Served

MODEL = "mnemolite-static-1"
GENERATE = "/v1/embeddings/generate"
TEXTS = ["validate an email", "charge a card once", "def retry(times): ...", "Rückerstattung", "x" * 50]


def cosine(a: Any, b: Any) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def expected(shop: Served, texts: list[str], role: Role = Role.PASSAGE) -> NDArray[np.float32]:
    return shop.memory.embedder(Domain.TEXT).embed(texts, role)


@pytest.fixture
def client(shop: Served, monkeypatch: pytest.MonkeyPatch) -> openai.OpenAI:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return openai.OpenAI(base_url=f"{shop.url}/v1", api_key="none is asked for", max_retries=0)


def test_a_query_is_embedded_in_the_domains_asked_for(shop: Served) -> None:
    [vector] = expected(shop, ["validate an email"], Role.QUERY).tolist()
    text = shop.post(GENERATE, {"query": "validate an email"})
    assert text["embedding_text"] == vector
    assert text["embedding_code"] is None
    assert (text["query"], text["dimension"], text["model"]) == ("validate an email", 384, MODEL)
    assert text["generation_time_ms"] >= 0
    code = shop.post(GENERATE, {"query": "validate an email", "domain": "CODE"})
    assert (code["embedding_text"], code["embedding_code"]) == (None, vector)
    both = shop.post(GENERATE, {"query": "validate an email", "domain": "hybrid"})
    assert both["embedding_text"] == both["embedding_code"] == vector
    assert shop.post("/v1/embeddings/single", {"query": "validate an email"}) == vector


def test_packed_vectors_carry_their_scale_and_are_taken_back(shop: Served) -> None:
    body = {"query": "charge a card", "domain": "HYBRID", "compression": "int8_base64"}
    packed = shop.post(GENERATE, body)
    [vector] = expected(shop, ["charge a card"], Role.QUERY)
    assert packed["embedding_text"] is None
    assert packed["compression"] == "int8_base64"
    assert packed["embedding_compressed"] == packed["embedding_text_compressed"] == packed["embedding_code_compressed"]
    assert cosine(unpack(packed["embedding_compressed"]), vector) > 0.999
    sent = {"query": "x", "enable_lexical": False, "limit": 5}
    found = shop.post("/v1/code/search/hybrid", {**sent, "embedding_compressed": packed["embedding_compressed"]})
    assert (
        found["results"]
        == shop.post("/v1/code/search/hybrid", {**sent, "embedding_text": packed["embedding_text_compressed"]})[
            "results"
        ]
    )


def test_a_batch_is_as_one_by_one(shop: Served) -> None:
    reply = shop.post(f"{GENERATE}/batch", {"queries": [*TEXTS, "!?"], "domain": "HYBRID"})
    assert reply["count"] == 6
    assert [each["query"] for each in reply["embeddings"]] == [*TEXTS, "!?"]
    for each in reply["embeddings"][:-1]:
        alone = shop.post(GENERATE, {"query": each["query"], "domain": "HYBRID"})
        assert each["embedding_text"] == alone["embedding_text"]
        assert each["embedding_code"] == alone["embedding_code"]
    assert reply["empty"] == [5]
    assert not any(reply["embeddings"][5]["embedding_text"])
    assert reply["avg_time_per_query_ms"] == pytest.approx(reply["total_time_ms"] / 6, abs=1e-3)
    packed = shop.post(f"{GENERATE}/batch", {"queries": TEXTS, "compression": "int8_base64"})
    assert all(each["embedding_text"] is None and each["embedding_compressed"] for each in packed["embeddings"])


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (GENERATE, {"query": ""}, "body.query"),
        (GENERATE, {"query": "?!"}, "no letters or digits"),
        (GENERATE, {"query": "x", "domain": "BLUE"}, "body.domain"),
        (GENERATE, {"query": "x", "compression": "zip"}, "body.compression"),
        (GENERATE, {"text": "x"}, "unknown key 'text'"),
        (f"{GENERATE}/batch", {"queries": []}, "body.queries"),
        (f"{GENERATE}/batch", {"queries": ["x"] * 101}, "at most 100"),
        ("/v1/embeddings/single", {"query": "..."}, "no letters or digits"),
    ],
)
def test_what_cannot_be_embedded_is_refused(shop: Served, path: str, body: dict[str, Any], said: str) -> None:
    assert said in shop.post(path, body, 422)["detail"]


def test_the_openai_client_works_unchanged(client: openai.OpenAI, shop: Served) -> None:
    """It asks for base64 by itself, and decodes it."""
    reply = client.embeddings.create(model=MODEL, input=TEXTS)
    assert reply.object == "list"
    assert [each.index for each in reply.data] == list(range(len(TEXTS)))
    vectors = np.array([each.embedding for each in reply.data], np.float32)
    assert np.array_equal(vectors, expected(shop, TEXTS))
    tokens = sum(len(shop.memory.embedder(Domain.TEXT).tokens(text)) for text in TEXTS)
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == tokens
    [one] = client.embeddings.create(model=MODEL, input=TEXTS[0], encoding_format="float", user="someone").data
    assert one.embedding == vectors[0].tolist()
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).owned_by == "mnemolite"


def test_tokens_may_be_sent_instead_of_texts(client: openai.OpenAI, shop: Served) -> None:
    ids = [list(shop.memory.embedder(Domain.TEXT).tokens(text)) for text in TEXTS]
    by_text = [each.embedding for each in client.embeddings.create(model=MODEL, input=TEXTS).data]
    assert [each.embedding for each in client.embeddings.create(model=MODEL, input=ids).data] == by_text
    assert client.embeddings.create(model=MODEL, input=ids[0]).data[0].embedding == by_text[0]
    with pytest.raises(openai.BadRequestError, match="999999 is no token of"):
        client.embeddings.create(model=MODEL, input=[999999])


def test_fewer_dimensions_are_the_first_ones_at_unit_length(client: openai.OpenAI, shop: Served) -> None:
    reply = client.embeddings.create(model=MODEL, input=TEXTS, dimensions=256)
    vectors = np.array([each.embedding for each in reply.data])
    cut = expected(shop, TEXTS)[:, :256]
    assert np.allclose(vectors, cut / np.linalg.norm(cut, axis=1, keepdims=True))
    with pytest.raises(openai.BadRequestError, match=r"dimensions must be 1\.\.384, is 385"):
        client.embeddings.create(model=MODEL, input="x", dimensions=385)


def test_smaller_encodings_are_close_to_the_floats(shop: Served) -> None:
    def encoded(encoding: str) -> list[Any]:
        body = {"model": MODEL, "input": TEXTS, "encoding_format": encoding}
        return [each["embedding"] for each in shop.post("/v1/embeddings", body)["data"]]

    floats = np.array(encoded("float"))
    for vector, int8, binary in zip(floats, encoded("int8"), encoded("binary"), strict=True):
        assert cosine(unpack(int8), vector) > 0.999
        bits = np.unpackbits(np.frombuffer(base64.b64decode(binary), np.uint8))
        assert np.array_equal(bits.astype(bool), vector > 0)


def test_errors_are_openais(client: openai.OpenAI, shop: Served) -> None:
    with pytest.raises(openai.NotFoundError, match=f"the model 'ada' is not here; there are {MODEL}") as missing:
        client.embeddings.create(model="ada", input="x")
    assert missing.value.code == "model_not_found"
    for body, said in (
        ({"model": MODEL, "input": []}, "input is an empty list"),
        ({"model": MODEL, "input": ["x", 3]}, "body.input"),
        ({"model": MODEL}, "'input' is missing"),
        ({"model": MODEL, "input": "x", "encoding_format": "morse"}, "body.encoding_format"),
        ({"model": MODEL, "input": "x", "dimension": 3}, "unknown key 'dimension'"),
        ({"model": MODEL, "input": ["x"] * (MAX_TEXTS + 1)}, "2,049 texts, 2,048 at most"),
        ({"model": MODEL, "input": "x" * (MAX_CHARACTERS + 1)}, "1,000,001 characters"),
    ):
        error = shop.post("/v1/embeddings", body, 400)["error"]
        assert said in error["message"]
        assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, None)


def test_a_large_batch_is_split_and_each_vector_is_as_alone(client: openai.OpenAI, shop: Served) -> None:
    texts = [f"number {i} of many, {TEXTS[i % 5]}" for i in range(SLICE * 2 + 3)]
    vectors = [each.embedding for each in client.embeddings.create(model=MODEL, input=texts).data]
    assert np.array_equal(np.array(vectors, np.float32), expected(shop, texts))
    for place in (0, SLICE - 1, SLICE, len(texts) - 1):
        assert client.embeddings.create(model=MODEL, input=texts[place]).data[0].embedding == vectors[place]


def test_what_was_cut_and_what_was_empty_is_reported(shop: Served) -> None:
    most = shop.memory.embedder(Domain.TEXT).max_tokens
    body = {"model": MODEL, "input": ["short", "word " * (most + 1), "word " * most, "..."]}
    reply = shop.post("/v1/embeddings", body)
    assert (reply["truncated"], reply["empty"]) == ([1], [3])
    assert reply["data"][1]["embedding"] == reply["data"][2]["embedding"]
    assert reply["usage"]["total_tokens"] == 1 + 2 * most
    assert shop.post(GENERATE, {"query": "word " * (most + 1)})["truncated"] is True


def test_text_embeddings_inference_clients_are_understood(shop: Served) -> None:
    assert shop.post("/embed", {"inputs": TEXTS}) == expected(shop, TEXTS).tolist()
    assert shop.post("/embed", {"inputs": TEXTS[0], "prompt_name": "query", "normalize": True, "truncate": True})
    ids = list(shop.memory.embedder(Domain.TEXT).tokens(TEXTS[0]))
    assert shop.post("/embed", {"inputs": [ids, TEXTS[1]], "dimensions": None}) == expected(shop, TEXTS[:2]).tolist()
    info = shop.get("/info")
    assert info["model_id"] == MODEL
    error = shop.post("/embed", {"inputs": "word " * (info["max_input_length"] + 1), "truncate": False}, 422)
    assert error["error_type"] == "Validation"
    assert "has more than" in error["error"]
    assert shop.post("/embed", {"inputs": []}, 422)["error_type"] == "Validation"


def test_texts_are_ranked_by_cosine_where_there_is_no_reranker(shop: Served) -> None:
    texts = ["charge a card", "check that a mail address is well formed", "draw a chart"]
    raw = shop.post("/rerank", {"query": "validate an email address", "texts": texts, "raw_scores": True})
    asked = expected(shop, ["validate an email address"], Role.QUERY)[0]
    cosines = expected(shop, texts) @ asked
    assert [each["index"] for each in raw] == np.argsort(-cosines).tolist()
    assert [each["score"] for each in raw] == pytest.approx(sorted(cosines.tolist(), reverse=True))
    soft = shop.post("/rerank", {"query": "validate an email address", "texts": texts, "return_text": True})
    assert soft[0] == {"index": 1, "score": pytest.approx(1 / (1 + np.exp(-cosines[1]))), "text": texts[1]}


def test_a_model_that_cannot_be_loaded_is_said_in_each_form(serve: Serve, tmp_path: Path) -> None:
    with serve(embedding_model=str(tmp_path / "moved")) as server:
        assert "no embedding model" in server.post(GENERATE, {"query": "x"}, 503)["detail"]
        error = server.post("/v1/embeddings", {"model": MODEL, "input": "x"}, 503)["error"]
        assert error["type"] == "server_error"
        assert server.post("/embed", {"inputs": "x"}, 424)["error_type"] == "Backend"
        (tmp_path / "moved").symlink_to(SHIPPED)
        assert server.post("/v1/embeddings", {"model": MODEL, "input": "x"})["model"] == MODEL
        assert server.get("/ready")["status"] == "ready"


def test_embeddings_are_counted(serve: Serve) -> None:
    with serve() as server:
        server.post("/v1/embeddings", {"model": MODEL, "input": TEXTS})
        assert server.metric('embedded_texts_total{domain="hybrid"}') == 5
        assert server.metric('embedding_generation_seconds_count{domain="hybrid"}') == 1


def test_monitoring_says_what_is_loaded_and_what_it_takes(serve: Serve) -> None:
    path = "/v1/monitoring/embeddings"
    with serve(preload_seconds=3600, ram_budget_mb=1) as server:
        before = server.get(path)
        assert before["models"]["text"] == before["models"]["code"]
        assert (before["models"]["text"]["name"], before["models"]["text"]["loaded"]) == (MODEL, False)
        assert before["ram"]["estimated_models_mb"] == 0
        for _ in range(2):
            server.post("/v1/code/search/hybrid", {"query": "retry"})
        after = server.get(path)
        assert after["models"]["text"]["loaded"]
        ram = after["ram"]
        assert ram["process_rss_mb"] > ram["estimated_models_mb"] == after["models"]["text"]["estimated_mb"] > 8
        assert (ram["budget_mb"], ram["budget_exceeded"]) == (1, True)
        [level] = after["cache"]
        assert (level["name"], level["hits"], level["misses"], level["hit_rate"]) == ("process", 1, 1, 0.5)
        assert server.metric('embedding_cache_level_total{level="process",result="hit"}') == 1
    with serve(ram_budget_mb=100_000) as server:
        assert server.get(path)["ram"]["budget_exceeded"] is False


def test_the_model_is_preloaded_after_the_server_answers(serve: Serve) -> None:
    with serve(preload_seconds=0) as server:
        while not server.get("/v1/monitoring/embeddings")["models"]["text"]["loaded"]:
            pass
        assert server.metric('embedding_generation_seconds_count{domain="hybrid"}') == 0


def test_an_idle_model_is_unloaded_and_comes_back(serve: Serve) -> None:
    with serve(perf_model_idle_timeout_minutes=0.0001) as server:
        server.post(GENERATE, {"query": "x1"})
        while server.get("/ready")["models"][MODEL] != "not loaded yet":
            pass
        assert server.post(GENERATE, {"query": "x2"})["dimension"] == 384
