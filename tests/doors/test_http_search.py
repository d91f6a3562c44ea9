"""Code search over HTTP, in the spellings of all its clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mnemolite.codec import pack
from mnemolite.types import Domain, Query, Scope

from .conftest import Serve, Served

HYBRID = "/v1/code/search/hybrid"


def paths(reply: dict[str, Any]) -> list[str]:
    return [hit["file_path"] for hit in reply["results"]]


def test_a_hit_says_where_it_is_and_what_put_it_there(shop: Served) -> None:
    reply = shop.post(HYBRID, {"query": "stop a payment being charged twice", "repository": "shop", "limit": 5})
    assert [hit["rank"] for hit in reply["results"]] == [1, 2, 3, 4, 5]
    first = reply["results"][0]
    lines = (Path(__file__).parents[1] / "golden/tree" / first["file_path"]).read_text().splitlines()
    shown = lines[first["first_line"] - 1 : first["last_line"]]
    assert first["source_code"].splitlines() == shown
    assert set(first["snippet"].splitlines()) <= set(shown)
    scores = [hit["rrf_score"] for hit in reply["results"]]
    assert scores == sorted(scores, reverse=True)
    signals = 1.0
    for factor in first["signals"].values():
        signals *= factor
    assert first["rrf_score"] == pytest.approx(sum(first["contribution"].values()) * signals)
    assert first["vector_distance"] == pytest.approx(1 - first["vector_similarity"])
    assert reply["degraded"] == []
    metadata = reply["metadata"]
    assert metadata["total_results"] == reply["total_results"] == 5
    assert metadata["unique_after_fusion"] >= max(metadata["lexical_count"], metadata["vector_count"]) > 5
    assert metadata["execution_time_ms"] >= metadata["embedding_time_ms"] >= 0


def test_the_answer_is_that_of_the_engine(shop: Served) -> None:
    asked = Query(text="retry with backoff", limit=10, scope=Scope(sources=("shop",)))
    hits = shop.memory.search(asked, freshness="skip").hits
    reply = shop.post(HYBRID, {"query": asked.text, "repository": "shop"})
    assert [hit["chunk_id"] for hit in reply["results"]] == [str(hit.chunk.id) for hit in hits]


def test_older_clients_spell_it_otherwise_and_get_the_same(shop: Served) -> None:
    """The load test's form, the form with filters and top_k, and both with what they send besides."""
    query = {"query": "validate an email address"}
    ours = shop.post(HYBRID, {**query, "repository": "shop", "limit": 7})
    theirs = {
        "filters": {"repository": "shop", "language": None, "chunk_type": None, "file_path": None},
        "top_k": 7,
        "enable_lexical": True,
        "enable_vector": True,
        "lexical_weight": 0.4,
        "vector_weight": 0.6,
        "candidate_pool_size": 100,
        "auto_weights": True,
        "embedding_text": None,
        "embedding_code": None,
    }
    reply = shop.post(HYBRID, {**query, **theirs})
    assert reply["results"] == ours["results"]
    assert shop.post(HYBRID, {**query, "repository": "shop", "limit": 7, "enable_llm_reranking": False})["results"]


def test_weights_and_the_pool_are_obeyed(shop: Served) -> None:
    body = {"query": "how are customers told that an order has been sent", "limit": 20, "repository": "shop"}
    lexical = shop.post(HYBRID, {**body, "lexical_weight": 1, "vector_weight": 0})
    vector = shop.post(HYBRID, {**body, "lexical_weight": 0, "vector_weight": 1})
    assert paths(lexical) != paths(vector)
    assert all(hit["contribution"]["vector"] == 0 for hit in lexical["results"])
    assert (lexical["metadata"]["lexical_weight"], lexical["metadata"]["vector_weight"]) == (1, 0)
    small = shop.post(HYBRID, {**body, "candidate_pool_size": 10})
    assert small["metadata"]["vector_count"] == 10


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        ({"language": "ruby"}, lambda hit: hit["language"] == "ruby"),
        ({"chunk_type": "method"}, lambda hit: hit["chunk_type"] == "method"),
        ({"file_path": "services/pay"}, lambda hit: "services/pay" in hit["file_path"]),
        ({"file_path": "services/**/*.py"}, lambda hit: hit["file_path"].endswith(".py")),
        ({"repository": "tools"}, lambda hit: hit["repository"] == "tools"),
    ],
)
def test_a_filter_keeps_to_what_it_says(shop: Served, filters: dict[str, str], holds: Any) -> None:
    hits = shop.post(HYBRID, {"query": "order total retry", "filters": filters})["results"]
    assert hits
    assert all(map(holds, hits))


def test_by_words_or_by_meaning_alone(shop: Served) -> None:
    lexical = shop.post("/v1/code/search/lexical", {"query": "payment gateway", "limit": 3})
    assert all(hit["vector_similarity"] is None and hit["lexical_score"] > 0 for hit in lexical["results"])
    vector = shop.post("/v1/code/search/vector", {"query": "payment gateway", "limit": 3, "repository": "shop"})
    assert all(hit["lexical_score"] is None and hit["vector_similarity"] > 0 for hit in vector["results"])
    off = shop.post(HYBRID, {"query": "payment gateway", "enable_lexical": False, "repository": "shop", "limit": 3})
    assert off["results"] == vector["results"]


def test_a_client_may_bring_its_own_vector_as_floats_or_packed(shop: Served) -> None:
    vector = shop.memory.embed("charge a card", Domain.CODE)
    ours = shop.post("/v1/code/search/vector", {"query": "charge a card", "limit": 5})
    floats = shop.post("/v1/code/search/vector", {"embedding": vector.tolist(), "embedding_domain": "CODE", "limit": 5})
    packed = shop.post("/v1/code/search/vector", {"embedding": pack(vector), "limit": 5})
    assert paths(ours) == paths(floats) == paths(packed)
    body = {"query": "charge a card", "enable_lexical": False, "limit": 5, "compression": "int8_base64"}
    for key in ("embedding_text", "embedding_code", "embedding_compressed"):
        sent = shop.post(HYBRID, {**body, key: pack(vector), "embedding_model": "mnemolite-static-1"})
        assert paths(sent) == paths(ours)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"query": "x", "limmit": 3}, "unknown key 'limmit' in the body"),
        ({"query": "x", "filters": {"lang": "go"}}, "unknown key 'lang' in the body.filters"),
        ({"query": "x", "limit": 3, "top_k": 4}, "limit is 3 and top_k 4, which mean the same"),
        ({"query": "x", "limit": 1001}, "less than or equal to 1000, is 1001"),
        ({"query": "x", "enable_lexical": False, "enable_vector": False}, "both off"),
        ({"query": "x", "lexical_weight": 0, "vector_weight": 0}, "both 0"),
        ({"query": " "}, "the query is empty"),
        ({}, "'query' is missing in the body"),
        (
            {"query": "x", "repository": "a", "filters": {"repository": "b"}},
            "repository is 'a' and filters.repository 'b'",
        ),
        ({"query": "x", "filters": {"language": "klingon"}}, "klingon"),
        ({"query": "x", "filters": {"chunk_type": "poem"}}, "no kind 'poem'; there are function"),
        (
            {"query": "x", "embedding_text": [0.5] * 383},
            "embedding_text has 383 components; mnemolite-static-1 makes 384",
        ),
        ({"query": "x", "embedding_code": [float("nan")] * 384}, "embedding_code has NaN"),
        ({"query": "x", "embedding_text": [0.0] * 384, "embedding_model": "other"}, "was made by 'other'"),
        ({"query": "x", "embedding_compressed": "AAAA"}, "must hold 388 bytes, holds 3; mnemolite-static-1"),
        ({"query": "x", "embedding_compressed": "%"}, "must be base64"),
        ({"query": "x", "embedding_text": [0.0] * 384, "embedding_compressed": "AA"}, "mean the same"),
        ({"query": "\ud800"}, "body.query"),
    ],
)
def test_what_cannot_be_is_refused_by_name(shop: Served, body: dict[str, Any], said: str) -> None:
    import json

    answer = shop.client.post(HYBRID, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 422
    problem = answer.json()
    assert said in problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_what_is_no_json_object_is_refused(shop: Served) -> None:
    json = {"content-type": "application/json"}
    for content in (b"", b"nonsense", b"[]", b"3", b'"x"', b"\xff", b"[" * 100_000, b'{"query": "x", "limit": 1e999}'):
        assert shop.client.post(HYBRID, content=content, headers=json).status_code in (400, 422), content[:20]
    assert (
        shop.client.post(HYBRID, content=b'{"query": "x"}', headers={"content-type": "text/plain"}).status_code == 422
    )


def test_reranking_that_is_not_configured_is_said(shop: Served) -> None:
    reply = shop.post(HYBRID, {"query": "payment", "enable_llm_reranking": True})
    assert reply["results"]
    assert [reason.split(":")[0] for reason in reply["degraded"]] == ["reranking"]


def test_expansion_can_be_switched(shop: Served) -> None:
    without = shop.post(HYBRID, {"query": "authenticate a client", "enable_vector": False, "expand": False})
    with_it = shop.post(HYBRID, {"query": "authenticate a client", "enable_vector": False, "expand": True})
    assert with_it["metadata"]["lexical_count"] > without["metadata"]["lexical_count"]


def test_a_model_that_cannot_be_loaded_leaves_search_by_words(serve: Serve, tmp_path: Path) -> None:
    with serve(embedding_model=str(tmp_path / "moved")) as server:
        reply = server.post(HYBRID, {"query": "retry"})
        assert "no embedding model at" in reply["degraded"][0]
        assert "no embedding model at" in server.post("/v1/code/search/vector", {"query": "retry"}, 503)["detail"]
        sent = {"repository": "shop", "files": [{"path": "a.py", "content": "def retry(): ..."}]}
        assert "no embedding model at" in server.post("/v1/code/index", sent, 503)["detail"]
        assert server.get("/v1/code/index/repositories")["repositories"] == []
        ready = server.get("/ready")
        assert ready["status"] == "degraded"
        assert "no embedding model at" in ready["models"]["configured"]
        assert server.metric('degraded_total{part="vector search"}') == 1
        assert server.metric('search_requests_total{method="vector",status="error"}') == 1


def test_searches_are_counted_and_timed(serve: Serve) -> None:
    with serve() as server:
        for _ in range(2):
            server.post(HYBRID, {"query": "retry"})
        server.post(HYBRID, {"query": "retry", "embedding_text": [2e30] * 384}, 422)
        assert server.metric('search_requests_total{method="hybrid",status="success"}') == 2
        assert server.metric('search_duration_seconds_count{method="hybrid"}') == 2
        assert server.metric('embedding_generation_seconds_count{domain="hybrid"}') == 2
        assert server.metric('embedding_cache_hits_total{result="hit"}') == 1
        assert server.metric('model_loaded{model_name="mnemolite-static-1"}') == 1
        assert server.metric('model_memory_bytes{model_name="mnemolite-static-1"}') > 8e6
        route = 'http_requests_total{method="POST",route="/v1/code/search/hybrid"'
        assert (server.metric(route + ',status="200"}'), server.metric(route + ',status="422"}')) == (2, 1)
        text = server.client.get("/metrics").text
        for bound in ("0.01", "0.05", "0.1", "0.2", "0.5", "1.0", "5.0"):
            assert f'search_duration_seconds_bucket{{le="{bound}",method="hybrid"}}' in text
        for bound in ("0.005", "0.01", "0.02", "0.05", "0.1", "0.5"):
            assert f'embedding_generation_seconds_bucket{{domain="hybrid",le="{bound}"}}' in text


def test_hits_below_a_score_are_left_out_and_doubt_is_said(shop: Served) -> None:
    asked = {"query": "validate an email address", "repository": "shop"}
    reply = shop.post(HYBRID, asked)
    assert reply["relevant"] and reply["best_score"] == pytest.approx(reply["results"][0]["rrf_score"])
    less = reply["results"][1]["rrf_score"]
    assert [hit["rank"] for hit in shop.post(HYBRID, {**asked, "min_score": less + 1e-9})["results"]] == [1]
    other = shop.post(HYBRID, {"query": "photosynthesis of alpine mosses", "min_score": 0.5})
    assert (other["results"], other["relevant"]) == ([], False)
    assert 0 < other["best_score"] < 0.5


def test_a_body_that_is_no_json_is_said_to_be_none(shop: Served) -> None:
    answer = shop.client.post(HYBRID, content=b'{"query": mail}', headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "the body is no JSON: Expecting value at character 10"
