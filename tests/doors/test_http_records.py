"""Events and notes over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mnemolite.codec import pack
from mnemolite.types import Domain

from .conftest import Served, served

EVENTS = "/v1/events"
NOTES = "/v1/notes"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("records")) as server:
        yield server


def test_the_six_calls_of_an_existing_client(server: Served) -> None:
    """Create, get, update metadata, filter by metadata, search by embedding, delete, as they always were."""
    content = {"type": "deploy", "message": "payment service rolled out", "n": 10**30, "nested": [{"a": None}]}
    event = server.post(f"{EVENTS}/", {"content": content, "metadata": {"env": "prod", "run": 7}}, 201)
    assert (event["content"], event["metadata"], event["embedding"]) == (content, {"env": "prod", "run": 7}, None)
    place = f"{EVENTS}/{event['id']}"
    assert server.get(place) == event
    changed = server.client.patch(f"{place}/metadata", json={"run": 8, "by": "ci"}).json()
    assert changed == {**event, "metadata": {"env": "prod", "run": 8, "by": "ci"}}
    assert server.post(f"{EVENTS}/filter/metadata", {"by": "ci"}, params={"limit": 5, "offset": 0}) == [changed]
    assert server.post(f"{EVENTS}/filter/metadata", {"by": "ci"}, params={"offset": 1}) == []
    vector = server.memory.embed("payment service rolled out", Domain.TEXT)
    found = server.post(f"{EVENTS}/search/embedding", vector.tolist(), params={"limit": 1})
    assert [each["id"] for each in found] == [event["id"]]
    assert found[0]["similarity_score"] > 0.5
    assert server.client.delete(place).status_code == 204
    assert "no event" in server.get(place, 404)["detail"]
    assert server.client.delete(place).status_code == 404
    assert server.client.patch(f"{place}/metadata", json={}).status_code == 404


def test_an_event_is_found_by_text_by_its_own_vector_and_by_time(server: Served) -> None:
    own = np.eye(384, dtype=np.float32)[3]
    for name, day, embedding in (("one", 1, None), ("two", 2, own.tolist()), ("three", 3, pack(own))):
        body = {"content": {"text": f"the {name} backup of the ledger"}, "timestamp": f"2026-01-0{day}T00:00:00+02:00"}
        server.post(
            EVENTS, {**body, "id": f"backup-{name}", "embedding": embedding, "metadata": {"kind": "backup"}}, 201
        )
    assert server.get(f"{EVENTS}/backup-two")["embedding"] == own.tolist()
    assert server.get(f"{EVENTS}/backup-one")["timestamp"] == "2025-12-31T22:00:00Z"
    near = server.post(f"{EVENTS}/search/embedding", {"embedding": pack(own), "metadata": {"kind": "backup"}})
    assert {each["id"] for each in near[:2]} == {"backup-two", "backup-three"}
    asked = {"query": "ledger backup", "metadata": {"kind": "backup"}, "since": "2026-01-01T12:00:00Z"}
    by_text = server.post(f"{EVENTS}/search", asked)
    assert {each["id"] for each in by_text} == {"backup-two", "backup-three"}
    assert server.post(f"{EVENTS}/search", {**asked, "limit": 1})[0]["id"] in ("backup-two", "backup-three")
    again = {"content": {}, "id": "backup-one"}
    assert "is there already" in server.post(EVENTS, again, 409)["detail"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("", {"content": "text"}, "body.content"),
        ("", {"content": {}, "colour": 1}, "unknown key 'colour'"),
        ("", {"content": {"x": float("inf")}}, "content.x is inf"),
        ("", {"content": {"a\0": 1}}, "NUL"),
        ("", {"content": {}, "embedding": [1.0]}, "embedding has 1 components; mnemolite-static-1 makes 384"),
        ("", {"content": {}, "embedding": [float("nan")] * 384}, "NaN"),
        ("", {"content": {}, "timestamp": "2026-01-01T00:00:00"}, "no time zone"),
        ("", {"content": {}, "timestamp": "9999-12-31T23:59:59-12:00"}, "outside the years"),
        ("", {"content": {}, "id": "A!"}, "'A!' is no id"),
        ("/filter/metadata", [], "body"),
        ("/filter/metadata?limit=101", {}, "query.limit"),
        ("/search/embedding", [0.5], "has 1 components"),
        ("/search/embedding", {"embedding": "AA"}, "packed vector"),
        ("/search", {"query": ""}, "body.query"),
    ],
)
def test_what_is_no_event_is_refused(server: Served, path: str, body: Any, said: str) -> None:
    headers = {"content-type": "application/json"}
    answer = server.client.post(EVENTS + path, content=json.dumps(body), headers=headers)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_two_changes_of_metadata_at_once_do_not_undo_each_other(server: Served) -> None:
    id = server.post(EVENTS, {"content": {}}, 201)["id"]
    threads = [
        threading.Thread(target=server.client.patch, args=(f"{EVENTS}/{id}/metadata",), kwargs={"json": {f"k{i}": i}})
        for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.get(f"{EVENTS}/{id}")["metadata"] == {f"k{i}": i for i in range(12)}


def test_a_note_is_kept_changed_linked_removed_and_restored(server: Served) -> None:
    body = {
        "title": "Redis evicts the queue",
        "body": "Set noeviction.\n",
        "kind": "pitfall",
        "tags": ["redis", "jobs"],
        "project": "shop",
        "context": {"situation": "jobs vanish", "keywords": ["celery"]},
        "confidence": 4,
        "metadata": {"by": "ada"},
    }
    note = server.post(NOTES, body, 201)
    assert {key: note[key] for key in ("title", "body", "kind", "tags", "project", "confidence", "metadata")} == {
        key: body[key] for key in ("title", "body", "kind", "tags", "project", "confidence", "metadata")
    }
    assert note["context"]["keywords"] == ["celery"]
    place = f"{NOTES}/{note['id']}"
    assert server.get(place)["accesses"] == note["accesses"]  # as it was before this look
    edited = server.client.patch(place, json={"title": "Redis evicts queues", "status": "obsolete"}).json()
    assert (edited["title"], edited["status"], edited["body"]) == ("Redis evicts queues", "obsolete", body["body"])
    newer = server.post(NOTES, {"title": "Queues live in another Redis", "project": "shop"}, 201)
    linked = server.post(f"{NOTES}/{newer['id']}/links", {"relation": "supersedes", "target": note["id"]})
    assert [link["target"] for link in linked["links"]] == [note["id"]]
    assert server.get(place)["superseded_by"] == [newer["id"]]
    removed = server.client.delete(place)
    assert (removed.status_code, removed.json()["deleted_at"] is None) == (200, False)
    assert "has been removed" in server.get(place, 404)["detail"]
    assert [each["id"] for each in server.get(NOTES, params={"deleted": True})] == [note["id"]]
    assert server.post(f"{place}/restore", None)["deleted_at"] is None


def test_notes_are_found_by_meaning_and_filtered(server: Served) -> None:
    for title, project, kind in (
        ("Money is rounded to whole cents before it is booked", "ledger", "decision"),
        ("The bank's test system sleeps at night", "ledger", "pitfall"),
        ("Write dates as ISO 8601", "", "pattern"),
        ("Cents are shown with a comma in Germany", "web", "reference"),
    ):
        server.post(NOTES, {"title": title, "project": project, "kind": kind, "tags": ["t1"]}, 201)
    found = server.post(f"{NOTES}/search", {"query": "how do we round cents", "project": "ledger"})
    assert found["results"][0]["note"]["title"].startswith("Money is rounded")
    assert {each["note"]["project"] for each in found["results"]} <= {"ledger", ""}
    assert found["degraded"] == [] and found["relevant"]
    assert found["best_score"] == found["results"][0]["score"]
    none = server.post(f"{NOTES}/search", {"query": "photosynthesis of alpine mosses", "min_score": 0.5})
    assert (none["results"], none["relevant"]) == ([], False) and 0 < none["best_score"] < 0.1
    only = server.post(f"{NOTES}/search", {"query": "cents", "kinds": ["reference"], "tags": ["t1"], "limit": 1})
    assert [each["note"]["project"] for each in only["results"]] == ["web"]
    titles = [note["title"] for note in server.get(NOTES, params={"project": "ledger", "kind": "pitfall"})]
    assert titles == ["The bank's test system sleeps at night"]
    assert len(server.get(NOTES, params={"tag": ["t1"], "limit": 2})) == 2
    id = found["results"][0]["note"]["id"]
    similar = server.get(f"{NOTES}/{id}/similar")["results"]
    assert similar and all(each["note"]["id"] != id for each in similar)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "", {"title": " "}, 422, "title is empty"),
        ("POST", "", {"title": "x", "kind": "poem"}, 422, "no kind 'poem'"),
        ("POST", "", {"title": "x", "kind": "function"}, 422, "no kind of note 'function'"),
        ("POST", "", {"title": "x", "context": {"mood": "good"}}, 422, "unknown key 'mood' in the body.context"),
        ("PATCH", "/0000", {}, 422, "nothing to change"),
        ("PATCH", "/0000", {"title": "x"}, 404, "no note '0000'"),
        ("GET", "/0000", None, 404, "no note '0000'"),
        ("DELETE", "/0000", None, 404, "no note"),
        ("GET", "?kind=poem", None, 422, "no kind 'poem'"),
        ("GET", "?since=2026-01-01T00:00:00", None, 422, "no time zone"),
        ("POST", "/0000/links", {"relation": "hates", "target": "x"}, 422, "body.relation"),
    ],
)
def test_what_is_no_note_is_refused(server: Served, method: str, path: str, body: Any, status: int, said: str) -> None:
    answer = server.client.request(method, NOTES + path, json=body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
