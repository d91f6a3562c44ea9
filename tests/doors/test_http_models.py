"""A server whose store was made by another model than the one it has now."""

from __future__ import annotations

import shutil
from pathlib import Path

from mnemolite.embedders.static import SHIPPED

from .conftest import Serve

HYBRID = "/v1/code/search/hybrid"
FILES = [{"path": "a.py", "content": "def alpha(): ...\n"}]


def test_what_another_model_made_is_found_by_words_until_it_is_made_again(serve: Serve, tmp_path: Path) -> None:
    with serve() as server:
        server.post("/v1/code/index", {"repository": "r", "files": FILES}, 201)
    other = Path(shutil.copytree(SHIPPED, tmp_path / "other"))
    manifest = other / "model.json"
    text = manifest.read_text().replace('"max_tokens": 1024', '"max_tokens": 512')
    manifest.write_text(text.replace("mnemolite-static-1", "other-model"))
    with serve(embedding_model=str(other)) as server:
        ready = server.get("/ready")
        assert ready["status"] == "degraded"
        assert "made by mnemolite-static-1: delete it" in ready["models"]["other-model"]
        reply = server.post(HYBRID, {"query": "alpha"})
        assert [hit["file_path"] for hit in reply["results"]] == ["a.py"]
        assert reply["results"][0]["vector_similarity"] is None
        [reason] = reply["degraded"]
        more = [{"path": "b.py", "content": "def beta(): ...\n"}]
        for refused in (
            server.post("/v1/code/search/vector", {"query": "alpha"}, 409)["detail"],
            server.post("/v1/code/index", {"repository": "s", "files": more}, 409)["detail"],
            reason,
        ):
            assert "vectors of mnemolite-static-1" in refused
            assert "the model is now other-model" in refused
            assert "delete its repositories and index them again" in refused
        assert server.client.delete("/v1/code/index/repositories/r").status_code == 200
        server.post("/v1/code/index", {"repository": "r", "files": FILES}, 201)
        assert server.get("/ready")["status"] == "ready"
        found = server.post(HYBRID, {"query": "alpha"})
        assert found["degraded"] == []
        assert found["results"][0]["vector_similarity"] > 0
