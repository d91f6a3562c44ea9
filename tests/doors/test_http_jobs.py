"""Repositories indexed by jobs over HTTP: submitted, watched, cancelled, retried; from files, folders and git."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from mnemolite.jobs import Claim

from .conftest import Serve, Served

ASYNC = "/v1/code/index/async"
STATUS = "/v1/code/index/status"
JOBS = "/v1/code/index/jobs"
HYBRID = "/v1/code/search/hybrid"
NOBODY = {"job_threads": 0}


def files(*names: str, text: str = "def {0}():\n    return 1\n") -> list[dict[str, str]]:
    return [{"path": f"{name}.py", "content": text.format(name)} for name in names]


def ended(server: Served, task: str) -> Any:
    """The job, once it has ended."""
    while (status := server.get(f"{STATUS}/{task}"))["status"] in ("PENDING", "STARTED"):
        time.sleep(0.02)
    return status


def found(server: Served, query: str) -> set[str]:
    return {hit["file_path"] for hit in server.post(HYBRID, {"query": query, "enable_vector": False})["results"]}


def claim(server: Served, worker: str = "test") -> Claim:
    claimed = server.memory.indexing.store.claim(worker, 60)
    assert claimed is not None
    return claimed


def test_files_are_taken_at_once_and_indexed_by_the_server_itself(serve: Serve) -> None:
    names = [f"f{i}" for i in range(70)]
    sent = [*files(*names), {"path": ".gitignore", "content": "*.tmp\nout/\n"}]
    sent += [{"path": "x.tmp", "content": "x"}, {"path": "out/y.py", "content": "y"}, {"path": "e.py", "content": " "}]
    with serve() as server:
        queued = server.post(ASYNC, {"repository": "r", "files": sent}, 202)
        assert queued.keys() == {"status", "task_id", "repository", "estimated_time_seconds"}
        assert (queued["status"], queued["repository"]) == ("queued", "r")
        assert queued["estimated_time_seconds"] == 37.0  # nothing measured yet: half a second each
        status = ended(server, queued["task_id"])
        assert (status["status"], status["progress"], status["total"]) == ("SUCCESS", 74, 74)
        assert {error["file"]: error["error"] for error in status["errors"]} == {
            "x.tmp": "ignored",
            "out/y.py": "ignored",
            "e.py": "empty",
        }
        assert status["files_failed"] == 3
        assert status["chunks_created"] == 71
        assert "f63.py" in found(server, "f63")
        assert server.memory.repositories.store.check() == []
        measured = server.post(ASYNC, {"repository": "r", "files": files("a")}, 202)["estimated_time_seconds"]
        assert 0 < measured != 0.5
        ended(server, server.get(JOBS)["jobs"][0]["task_id"])
        assert server.metric('index_jobs{state="SUCCESS"}') == 2
        assert server.metric('index_job_tasks{state="waiting"}') == 0


def test_a_folder_below_a_root_is_followed_as_by_the_synchronous_route(serve: Serve, tree: Path) -> None:
    with serve(index_roots=(str(tree.parent),)) as server:
        body = {"repository": "shop", "path": str(tree)}
        assert ended(server, server.post(ASYNC, body, 202)["task_id"])["total"] == 5
        assert found(server, "validate_email") == {"auth/email.py"}
        (tree / "auth/email.py").unlink()
        (tree / "new.py").write_text("def brand_new(): ...\n")
        status = ended(server, server.post(ASYNC, body, 202)["task_id"])
        assert (status["total"], status["files_removed"], status["status"]) == (1, 1, "SUCCESS")
        assert found(server, "validate_email") == set()
        assert found(server, "brand_new") == {"new.py"}
        report = server.post("/v1/code/index", body, 201)
        assert (report["indexed_chunks"], report["removed_files"]) == (0, 0)
        for path in ("/etc", str(tree / ".." / ".."), "relative"):
            answer = server.post(ASYNC, {"repository": "r", "path": path}, 403)
            assert "is not in a folder that may be indexed" in answer["detail"]


def test_a_folder_that_leads_elsewhere_when_its_turn_comes_fails_its_job(serve: Serve, tree: Path) -> None:
    with serve(index_roots=(str(tree.parent),), **NOBODY) as server:
        task = server.post(ASYNC, {"repository": "shop", "path": str(tree)}, 202)["task_id"]
    tree.rename(tree.parent / "moved")
    tree.symlink_to("/etc")
    with serve() as server:
        status = ended(server, task)
        assert (status["status"], status["total"]) == ("FAILURE", 0)
        assert "it now leads elsewhere" in status["error"]
        tree.unlink()
        (tree.parent / "moved").rename(tree)
        server.post(f"{JOBS}/{task}/retry", None)
        status = ended(server, task)
        assert (status["status"], status["total"], status["attempts"]) == ("SUCCESS", 5, 2)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "give one of"),
        ({"path": "/x", "files": []}, "give one of"),
        ({"files": files("a") * 2}, "given twice"),
        ({"files": [{"path": "./a", "content": ""}, {"path": "a", "content": ""}]}, "given twice"),
        ({"files": [{"path": "a", "content": ""}, {"path": "a/b", "content": ""}]}, "a file and a folder at once"),
        ({"files": [{"path": "../a", "content": ""}]}, "no path within a repository"),
        ({"files": [{"path": "a", "content": "\ud800"}]}, "not valid Unicode"),
        ({"files": [], "callback_url": "https://example.com/"}, "set webhook_secret"),
        ({"git_url": "file:///etc"}, "is no URL"),
        ({"git_url": "https://me:secret@example.com/a.git"}, "a name or password in it"),
    ],
)
def test_what_cannot_be_a_job_is_refused_and_none_is_made(empty: Served, body: dict[str, Any], said: str) -> None:
    sent = json.dumps({"repository": "r", **body})
    answer = empty.client.post(ASYNC, content=sent, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert empty.get(JOBS) == {"jobs": []}


def test_jobs_are_listed_cancelled_and_retried(serve: Serve) -> None:
    with serve(**NOBODY) as server:
        first, second = (
            server.post(ASYNC, {"repository": name, "files": files("a")}, 202)["task_id"] for name in ("r", "q")
        )
        assert [job["task_id"] for job in server.get(JOBS)["jobs"]] == [second, first]
        assert [job["task_id"] for job in server.get(f"{JOBS}?repository=r&status=PENDING")["jobs"]] == [first]
        assert server.get(f"{JOBS}?status=SUCCESS")["jobs"] == []
        assert server.get(f"{STATUS}/{first}")["estimated_time_seconds"] == 0.5
        running = claim(server)
        assert server.get(f"{STATUS}/{first}")["workers"] == 1
        assert "cancel it first" in server.client.delete("/v1/code/index/repositories/r").json()["detail"]
        assert server.post(f"{JOBS}/{first}/cancel", None)["status"] == "CANCELLED"
        assert not server.memory.indexing.store.complete(running)
        assert "has ended as CANCELLED" in server.post(f"{JOBS}/{first}/cancel", None, 409)["detail"]
        assert server.post(f"{JOBS}/{first}/retry", None)["status"] == "PENDING"
        assert "has not ended" in server.post(f"{JOBS}/{first}/retry", None, 409)["detail"]
        for path in (f"{STATUS}/no", f"{STATUS}/no/events"):
            assert "no job 'no'" in server.get(path, 404)["detail"]
        for verb in ("cancel", "retry"):
            server.post(f"{JOBS}/no/{verb}", None, 404)
    with serve() as server:  # jobs outlive the server
        assert ended(server, first)["status"] == ended(server, second)["status"] == "SUCCESS"


def test_a_watched_job_is_told_of_each_change_until_its_end(serve: Serve) -> None:
    with serve(**NOBODY) as server:
        task = server.post(ASYNC, {"repository": "r", "files": files(*map(str, range(40)))}, 202)["task_id"]
        seen: list[tuple[str, int, int]] = []
        running: list[Claim] = []
        with server.client.stream("GET", f"{STATUS}/{task}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if not line.startswith("data: "):
                    continue
                status = json.loads(line.removeprefix("data: "))
                seen.append((status["status"], status["progress"], status["workers"]))
                if status["workers"]:
                    assert server.memory.indexing.store.complete(running.pop(), chunks=1)
                elif status["status"] != "SUCCESS":
                    running.append(claim(server))
    assert seen == [
        ("PENDING", 0, 0),
        ("STARTED", 0, 1),
        ("STARTED", 32, 0),
        ("STARTED", 32, 1),
        ("STARTED", 40, 0),
        ("STARTED", 40, 1),
        ("SUCCESS", 40, 0),
    ]
