"""The same server on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

from mnemolite.serve.security import Access

from .conftest import GOLDEN, Serve

HYBRID = "/v1/code/search/hybrid"


def test_repositories_notes_and_events_are_in_the_database(serve: Serve, empty_database: Callable[[], str]) -> None:
    url = empty_database()
    with serve(database_url=url, index_roots=(str(GOLDEN),)) as server:
        server.post("/v1/code/index", {"repository": "shop", "path": str(GOLDEN)}, 201)
        sent = {"repository": "tools", "files": [{"path": "retry.py", "content": "def retry(times): ...\n"}]}
        server.post("/v1/code/index", sent, 201)
        listed = server.get("/v1/code/index/repositories")["repositories"]
        assert [each["repository"] for each in listed] == ["shop", "tools"]
        of_state = {
            state: server.metric(f'database_connections{{state="{state}"}}') for state in ("busy", "idle", "most")
        }
        assert (of_state["busy"], of_state["most"]) == (0, 10) and of_state["idle"] >= 1
        event = server.post("/v1/events", {"content": {"text": "deployed"}, "metadata": {"project": "shop"}}, 201)
        note = server.post("/v1/notes", {"title": "Charge once", "project": "shop"}, 201)
    with serve(database_url=url) as server:
        assert server.get("/ready")["store"] == "ok"
        _, token = server.keys.create("tools", Access.ADMIN, ["tools"])
        key = {"Authorization": f"Bearer {token}"}
        found = server.post(HYBRID, {"query": "retry", "limit": 100}, headers=key)["results"]
        assert {hit["repository"] for hit in found} == {"tools"}
        server.get(f"/v1/events/{event['id']}", 404, headers=key)
        server.get(f"/v1/notes/{note['id']}", 404, headers=key)
        assert server.client.delete("/v1/code/index/repositories/tools", headers=key).json()["deleted_chunks"] == 1
        assert server.post(HYBRID, {"query": "retry"}, headers=key)["results"] == []
        assert server.memory.events.get(event["id"]).content == {"text": "deployed"}
        assert server.memory.repositories.store.check() == []


def test_a_database_that_is_away_makes_the_server_not_ready(serve: Serve) -> None:
    with serve(database_url="postgresql://nobody@127.0.0.1:1/nothing", database_wait_seconds=0.2) as server:
        assert server.get("/health")["status"] == "ok"
        assert server.get("/ready", 503)["status"] == "not ready"
        for path, body in ((HYBRID, {"query": "x"}), ("/v1/events", {"content": {}}), ("/v1/notes", {"title": "x"})):
            refused = server.client.post(path, json=body)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1"), refused.text
        assert server.post("/v1/embeddings/generate", {"query": "x"})["dimension"] == 384
