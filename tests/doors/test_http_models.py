"""A server whose store was made by another model than the one it has now."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from mnemolite.embedders.static import SHIPPED

from .conftest import Serve, Served

HYBRID = "/v1/code/search/hybrid"
FILES = [{"path": "a.py", "content": "def alpha(): ...\n"}]


def model(folder: Path, name: str, tokens: int) -> Path:
    """The shipped one under another name, with another cut: its vectors are another space's."""
    shutil.copytree(SHIPPED, folder)
    manifest = folder / "model.json"
    text = manifest.read_text().replace('"max_tokens": 1024', f'"max_tokens": {tokens}')
    manifest.write_text(text.replace("mnemolite-static-1", name))
    return folder


def test_from_one_model_to_another_without_a_break(serve: Serve, tmp_path: Path) -> None:
    with serve() as server:
        server.post("/v1/code/index", {"repository": "r", "files": FILES}, 201)
        [space] = server.get("/v1/spaces")["spaces"]
        assert (space["state"], space["missing"], space["configured"]) == ("active", 0, True)
    other = model(tmp_path / "other", "other-model", 512)
    with serve(embedding_model=str(other)) as server:

        def found() -> list[str]:
            reply = server.post(HYBRID, {"query": "alpha"})
            assert reply["results"][0]["file_path"] == "a.py"
            assert reply["results"][0]["vector_similarity"] > 0
            degraded: list[str] = reply["degraded"]
            return degraded

        [remark] = found()
        assert "served by mnemolite-static-1 " in remark
        assert "not by other-model " in remark
        assert "POST /v1/spaces/build" in remark
        ready = server.get("/ready")
        assert (ready["status"], ready["models"]["configured"]) == ("degraded", remark)
        same = server.post("/v1/code/index", {"repository": "r", "files": FILES}, 201)
        assert (same["indexed_chunks"], same["degraded"]) == (0, [remark])

        assert "run 'mnemolite spaces build' first" in server.post("/v1/spaces/switch", None, 409)["detail"]
        assert server.post("/v1/spaces/build", None, 202)["build"]["failure"] == ""
        spaces = wait(server)
        assert {each["model"]: each["state"] for each in spaces} == {
            "mnemolite-static-1": "active",
            "other-model": "complete",
        }
        more = [{"path": "b.py", "content": "def beta(): ...\n"}]
        server.post("/v1/code/index", {"repository": "r", "files": more}, 201)
        assert "of 1 chunks yet" in server.post("/v1/spaces/switch", None, 409)["detail"]
        server.post("/v1/spaces/build", None, 202)
        wait(server)
        assert found() == [remark]
        assert server.client.delete(f"/v1/spaces/{spaces[0]['id']}").status_code == 409
        server.post("/v1/spaces/switch", None)
        assert found() == []
        assert server.get("/ready")["status"] == "ready"
        assert server.client.delete(f"/v1/spaces/{spaces[0]['id']}").json() == {"dropped": spaces[0]["id"]}
        assert server.client.delete(f"/v1/spaces/{spaces[0]['id']}").status_code == 404
        assert [each["model"] for each in server.get("/v1/spaces")["spaces"]] == ["other-model"]


def wait(server: Served) -> list[dict[str, Any]]:
    """Until nothing is being built."""
    while (answer := server.get("/v1/spaces"))["build"]["running"]:
        time.sleep(0.02)
    assert answer["build"]["failure"] == ""
    found: list[dict[str, Any]] = answer["spaces"]
    return found


def test_what_a_model_made_that_is_gone_is_found_by_words_until_it_is_made_again(serve: Serve, tmp_path: Path) -> None:
    gone = model(tmp_path / "gone", "gone-model", 256)
    with serve(embedding_model=str(gone)) as server:
        server.post("/v1/code/index", {"repository": "r", "files": FILES}, 201)
    other = model(tmp_path / "other", "other-model", 512)
    with serve(embedding_model=str(other)) as server:
        ready = server.get("/ready")
        assert ready["status"] == "degraded"
        assert "made by gone-model: run 'mnemolite spaces build'" in ready["models"]["other-model"]
        reply = server.post(HYBRID, {"query": "alpha"})
        assert [hit["file_path"] for hit in reply["results"]] == ["a.py"]
        assert reply["results"][0]["vector_similarity"] is None
        [reason] = reply["degraded"]
        more = [{"path": "b.py", "content": "def beta(): ...\n"}]
        for refused in (
            server.post("/v1/code/search/vector", {"query": "alpha"}, 409)["detail"],
            server.post("/v1/code/index", {"repository": "s", "files": more}, 409)["detail"],
            server.post("/v1/code/index", {"repository": "r", "files": FILES}, 409)["detail"],  # nothing new in it
            reason,
        ):
            assert "vectors of gone-model" in refused
            assert "the model is now other-model" in refused
            assert "run 'mnemolite spaces build'" in refused
        server.post("/v1/spaces/build", None, 202)
        wait(server)
        server.post("/v1/spaces/switch", None)
        assert server.get("/ready")["status"] == "ready"
        found = server.post(HYBRID, {"query": "alpha"})
        assert found["degraded"] == []
        assert found["results"][0]["vector_similarity"] > 0
