"""Repositories over HTTP: indexed by path within the roots or by files, listed, deleted."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from mnemolite.stores.sqlite import SqliteStore

from .conftest import GOLDEN, Serve, Served

INDEX = "/v1/code/index"
HYBRID = "/v1/code/search/hybrid"
REPOSITORIES = f"{INDEX}/repositories"


def found(server: Served, query: str, **more: Any) -> set[tuple[str, str]]:
    hits = server.post(HYBRID, {"query": query, "enable_vector": False, **more})["results"]
    return {(hit["repository"], hit["file_path"]) for hit in hits}


def test_a_folder_below_a_root_becomes_a_repository_and_follows_it(serve: Serve, tree: Path) -> None:
    with serve(index_roots=(str(tree.parent),)) as server:
        report = server.post(INDEX, {"repository": "shop", "path": str(tree)}, 201)
        assert (report["indexed_files"], report["removed_files"], report["failed_files"]) == (5, 0, 0)
        assert report["indexed_chunks"] > 4
        assert report["skipped"]["ignored"] == 1
        assert found(server, "validate_email") == {("shop", "auth/email.py")}
        (tree / "auth/email.py").unlink()
        (tree / "new.py").write_text("def brand_new(): ...\n")
        report = server.post(INDEX, {"repository": "shop", "path": str(tree)}, 201)
        assert (report["indexed_files"], report["removed_files"]) == (1, 1)
        assert found(server, "validate_email") == set()
        assert found(server, "brand_new") == {("shop", "new.py")}


def test_files_are_put_beside_those_there_are(serve: Serve) -> None:
    with serve() as server:
        files = [{"path": "a.py", "content": "def alpha(): ...\n"}, {"path": "b/c.go", "content": "func Beta() {}\n"}]
        report = server.post(INDEX, {"repository": "r", "files": files}, 201)
        assert (report["indexed_files"], report["indexed_chunks"]) == (2, 2)
        files = [{"path": "./a.py", "content": "def gamma(): ...\n", "language": "python"}]
        server.post(INDEX, {"repository": "r", "files": files}, 201)
        assert found(server, "alpha") == set()
        assert found(server, "gamma") == {("r", "a.py")}
        assert found(server, "Beta") == {("r", "b/c.go")}
        held = {"repository": "r", "file_count": 2, "chunk_count": 2, "skipped": {}}
        assert server.get(REPOSITORIES) == {"repositories": [held]}
        same = server.post(INDEX, {"repository": "r", "files": files}, 201)
        assert same["indexed_chunks"] == 0


def test_what_an_older_client_sends_besides_is_taken(serve: Serve) -> None:
    body = {
        "repository": "r",
        "files": [{"path": "a.py", "content": "def alpha(): ...\n"}],
        "repository_root": "/app",
        "commit_hash": None,
        "extract_metadata": True,
        "generate_embeddings": True,
        "build_graph": True,
    }
    with serve() as server:
        report = server.post(INDEX, body, 201)
    assert {"repository", "indexed_files", "indexed_chunks", "indexed_nodes", "indexed_edges"} <= report.keys()
    assert {"failed_files", "processing_time_ms", "errors"} <= report.keys()


def test_files_without_text_are_named_and_what_they_replace_is_gone(serve: Serve) -> None:
    with serve() as server:
        server.post(INDEX, {"repository": "r", "files": [{"path": "a.py", "content": "def alpha(): ...\n"}]}, 201)
        files = [
            {"path": "a.py", "content": "def alpha(): ...\n" * 100_000},
            {"path": ".env", "content": "TOKEN=secret\n"},
            {"path": "empty.py", "content": " \n"},
            {"path": "config.py", "content": 'password = "hunter2-and-more-9Xq"\n'},
        ]
        report = server.post(INDEX, {"repository": "r", "files": files}, 201)
        assert {(e["file"], e["error"]) for e in report["errors"]} == {
            ("a.py", "too large"),
            (".env", "secrets file"),
            ("empty.py", "empty"),
        }
        assert report["failed_files"] == 3
        assert report["masked_secrets"] == 1
        assert found(server, "alpha") == set()
        assert "hunter2" not in server.post(HYBRID, {"query": "password"})["results"][0]["source_code"]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../up.py", "a/../../up.py", "", ".", "..", "a\\b.py", "a\0b.py", "x" * 256, "a/" * 2001 + "b.py"],
)
def test_no_path_leads_out_of_a_repository(empty: Served, path: str) -> None:
    answer = empty.post(INDEX, {"repository": "r", "files": [{"path": path, "content": "x = 1\n"}]}, 422)
    assert "path" in answer["detail"]
    assert empty.get(REPOSITORIES) == {"repositories": []}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"repository": "r"}, "give either the path of a folder on the server, or files"),
        ({"repository": "r", "path": "/x", "files": []}, "give either"),
        ({"repository": " ", "files": []}, "cannot name a repository"),
        ({"repository": "a\nb", "files": []}, "cannot name a repository"),
        ({"repository": "r", "files": [{"path": "a", "content": "1"}, {"path": "a", "content": "2"}]}, "given twice"),
        ({"repository": "r", "files": [{"path": "a", "content": "1"}, {"path": "a/b", "content": "2"}]}, "a folder"),
        ({"repository": "r", "files": [{"path": "a", "text": "1"}]}, "unknown key 'text'"),
    ],
)
def test_what_cannot_be_indexed_is_refused_and_nothing_is_stored(
    empty: Served, body: dict[str, Any], said: str
) -> None:
    assert said in empty.post(INDEX, body, 422)["detail"]
    assert empty.get(REPOSITORIES) == {"repositories": []}


def test_only_folders_below_the_roots_may_be_named(serve: Serve, empty: Served, tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.py").write_text("x = 1\n")
    (tree / "link").symlink_to(outside)
    with serve(index_roots=(str(tree),)) as server:
        for path in (
            outside,
            tree / "link",
            tree / ".." / "outside",
            tree.parent,
            "/",
            "/nowhere",
            "relative",
            f"{tree}x",
        ):
            answer = server.post(INDEX, {"repository": "r", "path": str(path)}, 403)
            assert "is not in a folder that may be indexed" in answer["detail"]
        assert "there is no folder" in server.post(INDEX, {"repository": "r", "path": f"{tree}/no"}, 404)["detail"]
        assert "cannot be a path" in server.post(INDEX, {"repository": "r", "path": "a\0"}, 422)["detail"]
        server.post(INDEX, {"repository": "r", "path": str(tree)}, 201)
        assert found(server, "x") == set()
    assert "that may be indexed" in empty.post(INDEX, {"repository": "r", "path": str(tree)}, 403)["detail"]


def test_a_repository_is_deleted_with_all_that_was_stored_of_it(serve: Serve) -> None:
    with serve() as server:
        for name in ("one", "group/two"):
            server.post(INDEX, {"repository": name, "files": [{"path": "a.py", "content": "def alpha(): ...\n"}]}, 201)
        gone = server.client.delete(f"{REPOSITORIES}/group/two").json()
        assert (gone["repository"], gone["deleted_files"], gone["deleted_chunks"]) == ("group/two", 1, 1)
        assert found(server, "alpha") == {("one", "a.py")}
        assert server.client.delete(f"{REPOSITORIES}/group/two").status_code == 404
        assert server.memory.repositories.store.check() == []


class Gate:
    """Holds the writer's lock, as another process that indexes would, until it is left."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._entered = threading.Event()
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        with self._server.memory.repositories.store.writer():
            self._entered.set()
            self._leave.wait()

    def __enter__(self) -> Gate:
        self._thread.start()
        self._entered.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join()


def test_while_one_indexes_others_search_and_a_second_is_told_to_wait(serve: Serve) -> None:
    files = [{"path": "a.py", "content": "def alpha(): ...\n"}]
    with serve(lock_wait_seconds=0.05) as server:
        server.post(INDEX, {"repository": "r", "files": files}, 201)
        with Gate(server):
            busy = server.client.post(INDEX, json={"repository": "r", "files": files})
            assert (busy.status_code, busy.headers["retry-after"]) == (409, "1")
            assert server.get("/health")["status"] == "ok"
            assert server.get("/ready")["status"] == "ready"
            assert found(server, "alpha") == {("r", "a.py")}
    with serve(lock_wait_seconds=30, request_threads=1) as server:
        with Gate(server):
            waiting = [
                threading.Thread(target=server.post, args=(INDEX, {"repository": f"r{i}", "files": files}, 201))
                for i in range(3)
            ]
            for thread in waiting:
                thread.start()
            while server.metric("http_requests_in_flight") < 4:  # the three, and this one
                pass
            assert server.post(HYBRID, {"query": "alpha"})["results"]  # on the one thread that requests have
        for thread in waiting:
            thread.join()
        assert len(server.get(REPOSITORIES)["repositories"]) == 4


def test_a_server_that_ends_says_so_to_who_still_waits(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemolite.serve.http.server.DRAIN_SECONDS", 1)
    files = [{"path": "a.py", "content": "def alpha(): ...\n"}]
    answers: list[httpx.Response] = []

    def ask(url: str) -> None:
        answers.append(httpx.post(url, json={"repository": "r", "files": files}, trust_env=False))

    with ExitStack() as stack:
        with serve(lock_wait_seconds=3) as server:
            other = stack.enter_context(closing(SqliteStore(Path(server.memory.settings.data_dir) / "server.db")))
            stack.enter_context(other.writer())
            asking = threading.Thread(target=ask, args=(server.url + INDEX,))
            asking.start()
            while server.metric("http_requests_in_flight") < 2:
                pass
        asking.join()
    assert answers[0].status_code == 503
    assert "the server is ending" in answers[0].json()["detail"]


def test_what_a_client_asked_for_is_done_when_it_has_gone(serve: Serve) -> None:
    with serve(index_roots=(str(GOLDEN),)) as server:
        body = json.dumps({"repository": "shop", "path": str(GOLDEN)})
        with Gate(server):
            connection = HTTPConnection(server.url.removeprefix("http://"))
            connection.request("POST", INDEX, body, {"content-type": "application/json"})
            while server.metric("http_requests_in_flight") < 2:
                pass
            connection.close()
        while server.metric("http_requests_in_flight") > 1:
            pass
        assert found(server, "checkout")
        assert server.memory.repositories.store.check() == []


def test_a_store_that_is_damaged_makes_the_server_not_ready(serve: Serve) -> None:
    with serve() as server:
        server.post(INDEX, {"repository": "r", "files": [{"path": "a.py", "content": "def alpha(): ...\n"}]}, 201)
        file = Path(server.memory.settings.data_dir) / "server.db"
        kept = [each.rename(each.with_name(f"{each.name}.kept")) for each in file.parent.glob("server.db*")]
        file.write_bytes(b"not a database, but long enough to be looked at as one" * 10)
        ready = server.client.get("/ready")
        assert ready.status_code == 503
        assert "is damaged" in ready.json()["store"]
        assert "index the repositories again" in server.post(HYBRID, {"query": "alpha"}, 503)["detail"]
        assert server.client.get("/health").status_code == 200
        for each in kept:
            each.replace(each.with_suffix(""))
        assert server.get("/ready")["status"] == "ready"
        assert found(server, "alpha") == {("r", "a.py")}


def test_sixteen_clients_at_once_get_what_each_gets_alone(shop: Served) -> None:
    queries = ["retry", "charge a card", "validate an email", "order total"]
    alone = {q: [hit["chunk_id"] for hit in shop.post(HYBRID, {"query": q})["results"]] for q in queries}
    wrong = []

    def ask(query: str) -> None:
        with httpx.Client(base_url=shop.url, trust_env=False, timeout=60) as client:
            for _ in range(5):
                answer = client.post(HYBRID, json={"query": query}).json()
                if [hit["chunk_id"] for hit in answer["results"]] != alone[query]:
                    wrong.append(query)

    threads = [threading.Thread(target=ask, args=(queries[i % 4],)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
