"""The map of what is indexed: /v1/code/map and /v1/code/chunks."""

from __future__ import annotations

import numpy as np
import pytest

from mnemolite.search.plane import fit
from mnemolite.types import Scope

from .conftest import Served

MAP = "/v1/code/map"


def test_a_plane_keeps_what_varies_most() -> None:
    generator = np.random.default_rng(1)
    wanted = np.linalg.qr(generator.normal(size=(8, 2)))[0].T
    spread = generator.normal(size=(500, 2)) * [3.0, 1.0]
    vectors = (spread @ wanted + generator.normal(size=(500, 8)) * 0.01 + 5).astype(np.float32)
    plane = fit(vectors)
    assert abs(plane.axes @ plane.axes.T - np.eye(2)).max() < 1e-5
    assert abs(np.abs(plane.axes @ wanted.T) - np.eye(2)).max() < 0.05
    assert plane.variance == pytest.approx((0.9, 0.1), abs=0.03) and sum(plane.variance) < 1
    off = vectors - vectors.mean(axis=0)
    assert np.allclose(plane.points(vectors[:3]), off[:3] @ plane.axes.T, atol=1e-4)
    assert np.array_equal(fit(vectors).axes, plane.axes)


def test_one_vector_is_a_plane_without_variance() -> None:
    plane = fit(np.ones((1, 4), np.float32))
    assert plane.variance == (0.0, 0.0)
    assert plane.points(np.ones((1, 4), np.float32)) == [(0.0, 0.0)]


def test_a_query_its_results_and_neighbours_lie_among_a_sample(shop: Served) -> None:
    found = shop.post(MAP, {"query": "retry a payment", "repository": "shop", "limit": 5, "neighbours": 7})
    roles = [point["role"] for point in found["points"]]
    assert (roles.count("result"), roles.count("neighbour"), roles[-5:]) == (5, 7, ["result"] * 5)
    hits = shop.post("/v1/code/search/hybrid", {"query": "retry a payment", "repository": "shop", "limit": 5})
    ranked = sorted((p["rank"], p["chunk_id"]) for p in found["points"] if p["role"] == "result")
    assert ranked == [(hit["rank"], hit["chunk_id"]) for hit in hits["results"]]
    assert len({point["chunk_id"] for point in found["points"]}) == len(found["points"])
    assert 100 < found["sample_size"] <= found["chunk_count"]
    assert 0 < found["variance"][1] <= found["variance"][0] < 1
    space = shop.memory.embedders[0].space
    store = shop.memory.repositories.store
    near = [
        id for id, _ in store.nearest(space, np.array(found["embedding"], np.float32), Scope(sources=("shop",)), 40)
    ]
    others = {p["chunk_id"] for p in found["points"] if p["role"] == "neighbour"}
    assert others <= set(map(str, near))
    for point in found["points"][-12:]:
        vector = store.vector(space, int(point["chunk_id"]))
        assert vector is not None
        assert point["similarity"] == pytest.approx(float(vector @ np.array(found["embedding"])), abs=1e-5)
    again = shop.post(MAP, {"query": "retry a payment", "repository": "shop", "limit": 5, "neighbours": 7})
    assert again == found


def test_what_lies_around_a_chunk(shop: Served) -> None:
    [hit] = shop.post("/v1/code/search/hybrid", {"query": "retry", "repository": "tools", "limit": 1})["results"]
    chunk = shop.get(f"/v1/code/chunks/{hit['chunk_id']}")
    assert chunk["source_code"] == hit["source_code"] == "def retry(times):\n    return times\n"
    around = shop.post(MAP, {"chunk_id": hit["chunk_id"], "neighbours": 3})
    *_, asked = around["points"]
    assert (asked["role"], asked["chunk_id"], around["query"]) == ("asked", hit["chunk_id"], None)
    assert asked["similarity"] == pytest.approx(1, abs=1e-3)
    assert sum(point["role"] == "neighbour" for point in around["points"]) == 3


def test_what_cannot_be_shown_is_said(shop: Served, empty: Served) -> None:
    nothing = empty.post(MAP, {})
    assert (nothing["points"], nothing["sample_size"], nothing["variance"]) == ([], 0, [0.0, 0.0])
    assert "no chunk 999999" in shop.get("/v1/code/chunks/999999", 404)["detail"]
    assert "either a query or a chunk_id" in shop.post(MAP, {"query": "x", "chunk_id": "1"}, 422)["detail"]
    shop.get("/v1/code/chunks/x", 422)
    shop.post(MAP, {"query": "!!!"}, 422)
