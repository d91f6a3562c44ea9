"""Who may ask the server what, by what name, how often and how much."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mnemolite.errors import InvalidInput
from mnemolite.serve.security import Access, Caller, Keys, Rate
from mnemolite.types import Domain, Space

from .conftest import PROGRAM, Serve, Served, served, spawned

HYBRID = "/v1/code/search/hybrid"
FILES = [{"path": "a.py", "content": "def alpha(): ...\n"}]

# Every route: what it needs, and a request that it would answer. {event} and {note} are of the project "shop".
ROUTES: dict[tuple[str, str], tuple[Access | None, Any]] = {
    ("GET", "/health"): (None, None),
    ("GET", "/ready"): (None, None),
    ("GET", "/metrics"): (Access.READ, None),
    ("GET", "/v1/monitoring/embeddings"): (Access.READ, None),
    ("GET", "/v1/session"): (Access.READ, None),
    ("POST", "/v1/code/search/hybrid"): (Access.READ, {"query": "alpha", "repository": "shop"}),
    ("POST", "/v1/code/search/lexical"): (Access.READ, {"query": "alpha", "repository": "shop"}),
    ("POST", "/v1/code/search/vector"): (Access.READ, {"query": "alpha", "repository": "shop"}),
    ("POST", "/v1/code/map"): (Access.READ, {"query": "alpha", "repository": "shop"}),
    ("GET", "/v1/code/chunks/{chunk_id}"): (Access.READ, None),
    ("POST", "/v1/code/index"): (Access.WRITE, {"repository": "shop", "files": FILES}),
    ("GET", "/v1/code/index/repositories"): (Access.READ, None),
    ("DELETE", "/v1/code/index/repositories/{repository}"): (Access.ADMIN, None),
    ("POST", "/v1/code/index/async"): (Access.WRITE, {"repository": "shop", "files": FILES}),
    ("GET", "/v1/code/index/jobs"): (Access.READ, None),
    ("GET", "/v1/code/index/status/{task_id}"): (Access.READ, None),
    ("GET", "/v1/code/index/status/{task_id}/events"): (Access.READ, None),
    ("POST", "/v1/code/index/jobs/{task_id}/cancel"): (Access.WRITE, None),
    ("POST", "/v1/code/index/jobs/{task_id}/retry"): (Access.WRITE, None),
    ("POST", "/v1/embeddings/generate"): (Access.READ, {"query": "x"}),
    ("POST", "/v1/embeddings/generate/batch"): (Access.READ, {"queries": ["x"]}),
    ("POST", "/v1/embeddings/single"): (Access.READ, {"query": "x"}),
    ("POST", "/v1/embeddings"): (Access.READ, {"model": "mnemolite-static-1", "input": "x"}),
    ("GET", "/v1/models"): (Access.READ, None),
    ("GET", "/v1/models/{id}"): (Access.READ, None),
    ("POST", "/embed"): (Access.READ, {"inputs": "x"}),
    ("POST", "/rerank"): (Access.READ, {"query": "x", "texts": ["y"]}),
    ("GET", "/info"): (Access.READ, None),
    ("POST", "/v1/feedback"): (Access.WRITE, {"query": "alpha", "shown": ["{chunk}"], "chosen": "{chunk}"}),
    ("GET", "/v1/feedback"): (Access.ADMIN, None),
    ("DELETE", "/v1/feedback"): (Access.ADMIN, None),
    ("POST", "/v1/events"): (Access.WRITE, {"content": {}, "metadata": {"project": "shop"}}),
    ("GET", "/v1/events/{id}"): (Access.READ, None),
    ("DELETE", "/v1/events/{id}"): (Access.WRITE, None),
    ("PATCH", "/v1/events/{id}/metadata"): (Access.WRITE, {"project": "shop"}),
    ("POST", "/v1/events/filter/metadata"): (Access.READ, {"project": "shop"}),
    ("POST", "/v1/events/search"): (Access.READ, {"query": "x", "metadata": {"project": "shop"}}),
    ("POST", "/v1/events/search/embedding"): (Access.READ, {"embedding": [0.1] * 384, "metadata": {"project": "shop"}}),
    ("POST", "/v1/notes"): (Access.WRITE, {"title": "x", "project": "shop"}),
    ("GET", "/v1/notes"): (Access.READ, None),
    ("GET", "/v1/notes/{id}"): (Access.READ, None),
    ("PATCH", "/v1/notes/{id}"): (Access.WRITE, {"title": "y"}),
    ("DELETE", "/v1/notes/{id}"): (Access.WRITE, None),
    ("POST", "/v1/notes/{id}/restore"): (Access.WRITE, None),
    ("POST", "/v1/notes/{id}/links"): (Access.WRITE, {"relation": "related", "target": "{other}"}),
    ("POST", "/v1/notes/search"): (Access.READ, {"query": "x", "project": "shop"}),
    ("GET", "/v1/notes/{id}/similar"): (Access.READ, None),
    ("GET", "/v1/spaces"): (Access.ADMIN, None),
    ("POST", "/v1/spaces/build"): (Access.ADMIN, None),
    ("POST", "/v1/spaces/switch"): (Access.ADMIN, None),
    ("DELETE", "/v1/spaces/{space}"): (Access.ADMIN, None),
}
OLDER = Space(domain=Domain.HYBRID, model="older", dimension=4, fingerprint="1")
GIVEN = {**{str(access): access for access in Access}, "shop's": Access.WRITE, "another's": Access.ADMIN}
LISTS = {("GET", path) for path in ("/v1/notes", "/v1/code/index/repositories", "/v1/code/index/jobs")}
OF_NO_PROJECT = {path for _, path in ROUTES if path.startswith(("/v1/embeddings", "/v1/models"))} | {
    "/health",
    "/ready",
    "/metrics",
    "/v1/monitoring/embeddings",
    "/v1/session",
    "/embed",
    "/rerank",
    "/info",
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    """A server with keys of each kind, by role."""
    with served(tmp_path_factory.mktemp("guarded"), job_threads=0, feedback=True) as server:
        keys = server.keys
        tokens = {str(access): keys.create(str(access), access)[1] for access in Access}
        tokens["shop's"] = keys.create("shop's", Access.WRITE, ["shop"])[1]
        tokens["another's"] = keys.create("another's", Access.ADMIN, ["other"])[1]
        revoked, tokens["revoked"] = keys.create("revoked", Access.ADMIN)
        keys.revoke(revoked.id)
        tokens["expired"] = keys.create("expired", Access.ADMIN, (), datetime.now(UTC) - timedelta(seconds=1))[1]
        tokens["forged"] = tokens["admin"][:-1] + ("a" if tokens["admin"][-1] != "a" else "b")
        tokens["nobody's"] = "mnl_00000000_" + "x" * 43
        tokens["none"] = ""
        yield server, tokens


def as_role(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def ask(server: Served, token: str, method: str, path: str, body: Any) -> httpx.Response:
    """With records of the project "shop" made anew, so that each is there to be changed."""
    memory = server.memory
    if any(part in path for part in ("repositories", "spaces", "/code/", "feedback")):
        memory.repositories.add("shop", {"a.py": "def alpha(): ...\n"})
    if path.endswith("{space}"):
        store = memory.spaces.store
        store.fill(OLDER, {chunk.id: np.ones(4, np.float32) for chunk in store.lacking(OLDER, 0, 1)})
    chunk = memory.repositories.store.chunk_at("a.py", 1)
    event = memory.events.create({"text": "x"}, {"project": "shop"}).id
    note, other = (memory.notes.add("x", "x", project="shop").id for _ in range(2))
    task = ""
    if "{task_id}" in path:
        task = memory.indexing.submit("shop", files={"a.py": "def alpha(): ...\n"}).id
        if not path.endswith("cancel"):
            memory.indexing.cancel(task)  # an end, so that it can be retried and its events end
    named = {
        "task_id": task,
        "repository": "shop",
        "space": OLDER.model,
        "chunk_id": chunk.id if chunk else 0,
        "id": event if "events" in path else note if "notes" in path else "mnemolite-static-1",
    }
    if path.endswith("restore"):
        memory.notes.forget(note)
    if body is not None:
        sent = json.dumps(body).replace("{other}", other).replace("{chunk}", str(named["chunk_id"]))
        body = json.loads(sent)
    return server.client.request(method, path.format(**named), json=body, headers=as_role(token))


def test_every_route_has_a_row(shop: Served) -> None:
    described = shop.get("/openapi.json")["paths"]
    assert {(method.upper(), path) for path, methods in described.items() for method in methods} == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_route_answers_those_who_may_ask(guarded: tuple[Served, dict[str, str]], method: str, path: str) -> None:
    server, tokens = guarded
    needed, body = ROUTES[method, path]
    for role, token in tokens.items():
        if role in ("none", "revoked", "expired", "forged", "nobody's"):
            expected = {401} if needed else {200}
        elif needed and not GIVEN[role].includes(needed):
            expected = {403}
        elif role == "another's" and path not in OF_NO_PROJECT:
            expected = {403, 404}  # nor does it learn whether there is such a thing
        else:
            expected = {200, 201, 202, 204}
        if role == "another's" and (method, path) in LISTS:
            listed = server.client.get(path, headers=as_role(token)).json()
            assert listed in ([], {"repositories": []}, {"jobs": []}), listed
            continue
        answer = ask(server, token, method, path, body)
        assert answer.status_code in expected, (role, answer.text)
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_for_some_projects_sees_nothing_of_others(guarded: tuple[Served, dict[str, str]]) -> None:
    server, tokens = guarded
    repositories, notes, events = server.memory.repositories, server.memory.notes, server.memory.events
    repositories.add("shop", {"a.py": "def alpha(): ...\n"})
    repositories.add("other", {"a.py": "def alpha(): ...\n"})
    mine, theirs, everyones = (notes.add("alpha", project=project).id for project in ("shop", "other", ""))
    own, foreign = (events.create({"t": "alpha"}, {"project": project}).id for project in ("shop", "other"))
    key = as_role(tokens["shop's"])

    def post(path: str, body: Any, status: int = 200) -> Any:
        return server.post(path, body, status, headers=key)

    assert {hit["repository"] for hit in post(HYBRID, {"query": "alpha"})["results"]} == {"shop"}
    assert {
        hit["repository"] for hit in server.post(HYBRID, {"query": "alpha"}, headers=as_role(tokens["read"]))["results"]
    } == {"shop", "other"}
    assert "for shop only, not for 'other'" in post(HYBRID, {"query": "alpha", "repository": "other"}, 403)["detail"]
    listed = server.get("/v1/code/index/repositories", headers=key)["repositories"]
    assert [each["repository"] for each in listed] == ["shop"]
    post("/v1/code/index", {"repository": "other", "files": FILES}, 403)
    assert "may send files" in post("/v1/code/index", {"repository": "shop", "path": "/"}, 403)["detail"]

    found = {hit["note"]["id"] for hit in post("/v1/notes/search", {"query": "alpha", "limit": 100})["results"]}
    assert {mine, everyones} <= found and theirs not in found
    assert theirs not in {note["id"] for note in server.get("/v1/notes", headers=key)}
    for id in (theirs, everyones):  # what is everyone's may be read, not changed
        assert server.client.patch(f"/v1/notes/{id}", json={"title": "mine now"}, headers=key).status_code == 404
    assert server.client.patch(f"/v1/notes/{mine}", json={"project": "other"}, headers=key).status_code == 403
    assert post("/v1/notes", {"title": "new"}, 201)["project"] == "shop"
    post("/v1/notes", {"title": "new", "project": ""}, 403)

    ids = {event["id"] for event in post("/v1/events/filter/metadata?limit=100", {})}
    assert own in ids and foreign not in ids
    assert {event["metadata"]["project"] for event in post("/v1/events/search", {"query": "alpha"})} == {"shop"}
    assert server.client.get(f"/v1/events/{foreign}", headers=key).status_code == 404
    assert post("/v1/events", {"content": {}}, 201)["metadata"] == {"project": "shop"}
    post("/v1/events", {"content": {}, "metadata": {"project": "other"}}, 403)
    moved = server.client.patch(f"/v1/events/{own}/metadata", json={"project": "other"}, headers=key)
    assert moved.status_code == 403


def test_a_key_may_stand_in_either_header(guarded: tuple[Served, dict[str, str]]) -> None:
    server, tokens = guarded
    for headers in (
        {"X-API-Key": tokens["read"]},
        {"Authorization": f"bearer {tokens['read']}"},
        {"Authorization": f"Bearer  {tokens['read']}"},
    ):
        assert server.client.get("/v1/models", headers=headers).status_code == 200
    for headers in ({"Authorization": f"Basic {tokens['read']}"}, {"Authorization": tokens["read"]}, {"X-API-Key": ""}):
        assert server.client.get("/v1/models", headers=headers).status_code == 401


def test_a_refused_key_is_told_in_the_form_of_its_route(guarded: tuple[Served, dict[str, str]]) -> None:
    server, _ = guarded
    assert server.post("/v1/embeddings", {}, 401)["error"]["code"] == "invalid_api_key"
    assert server.post("/embed", {}, 401)["error_type"] == "Validation"
    assert server.post(HYBRID, {}, 401)["status"] == 401


def test_the_first_key_closes_a_running_server_and_the_last_revoked_one_does_not_open_it(serve: Serve) -> None:
    with serve() as server:
        server.get("/v1/models")
        key, token = server.keys.create("me", Access.READ)
        server.get("/v1/models", 401)
        server.get("/v1/models", headers=as_role(token))
        Keys(Path(server.memory.settings.data_dir) / "keys.json").revoke(key.id)  # as another process would
        server.get("/v1/models", 401, headers=as_role(token))
        (Path(server.memory.settings.data_dir) / "keys.json").unlink()
        server.get("/v1/models", 401)
        (Path(server.memory.settings.data_dir) / "keys.json").write_text("no keys")
        assert "cannot be read" in server.get("/v1/models", 503)["error"]["message"]
        assert server.get("/health")["status"] == "ok"


def test_keys_are_kept_hashed_and_only_for_their_owner(tmp_path: Path) -> None:
    file = tmp_path / "new" / "keys.json"
    keys = Keys(file)
    key, token = keys.create("ci", Access.WRITE, ["shop"])
    assert token.split("_")[:2] == ["mnl", key.id]
    assert token.split("_", 2)[2] not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert Keys(file).caller(token) == Caller(name=key.id, access=Access.WRITE, projects=("shop",))
    for wrong in ("", "_", "__", token + "x", token[:-1], token.upper(), "mnl_" + key.id, "é_é_é", "\ud800_x_y"):
        assert keys.caller(wrong) is None


def test_a_caller_that_asks_too_often_waits() -> None:
    now = [0.0]
    rate = Rate(60, clock=lambda: now[0])
    assert [rate.wait_seconds("a") for _ in range(60)] == [0.0] * 60
    assert rate.wait_seconds("a") == pytest.approx(1.0)
    assert rate.wait_seconds("b") == 0.0
    now[0] = 1.0
    assert rate.wait_seconds("a") == 0.0
    assert rate.wait_seconds("a") == pytest.approx(1.0)
    now[0] = 1000.0
    assert [rate.wait_seconds("a") for _ in range(60)] == [0.0] * 60
    assert rate.wait_seconds("a") > 0
    assert not any(Rate(0).wait_seconds("a") for _ in range(1000))


def test_many_requests_are_refused_by_key_with_the_time_to_wait(serve: Serve) -> None:
    with serve(rate_per_minute=3) as server:
        one, two = (as_role(server.keys.create(name, Access.READ)[1]) for name in ("one", "two"))
        assert [server.client.get("/v1/models", headers=one).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = server.client.get("/v1/models", headers={**one, "X-Forwarded-For": "10.0.0.9"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_exceeded")
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert server.client.get("/v1/models", headers=two).status_code == 200
        guesses = [server.client.get("/v1/models", headers=as_role(f"mnl_x_{i}")).status_code for i in range(4)]
        assert guesses == [401, 401, 401, 429]
        assert server.get("/health")["status"] == "ok"


@pytest.mark.parametrize(("trusted", "statuses"), [((), [200, 200, 429]), (("127.0.0.1",), [200, 200, 200])])
def test_only_a_trusted_proxy_says_who_asks(serve: Serve, trusted: tuple[str, ...], statuses: list[int]) -> None:
    with serve(rate_per_minute=2, trusted_proxies=trusted) as server:
        given = [server.client.get("/v1/models", headers={"X-Forwarded-For": f"10.0.0.{i}"}) for i in range(3)]
        assert [answer.status_code for answer in given] == statuses


def test_a_proxy_that_is_no_address_is_refused(serve: Serve) -> None:
    refused = pytest.raises(InvalidInput, match=r"trusted_proxies: 'proxy' .*write an address")
    with refused, serve(trusted_proxies=("proxy",)):
        pass


def test_a_body_that_is_too_large_is_refused_announced_or_not(serve: Serve) -> None:
    with serve(max_body_bytes=1000) as server:
        assert server.post(HYBRID, {"query": "x" * 900})["results"] == []
        announced = server.post(HYBRID, {"query": "x" * 1000}, 413)
        assert "more than 1,000 bytes" in announced["detail"]
        chunks = (b"x" * 100 for _ in range(100))
        unannounced = server.client.post(HYBRID, content=chunks, headers={"content-type": "application/json"})
        assert unannounced.status_code == 413
        assert server.post("/v1/embeddings", {"input": "x" * 1000}, 413)["error"]["type"] == "invalid_request_error"
        assert server.post(HYBRID, {"query": "x"})["results"] == []
        assert server.metric('http_requests_refused_total{reason="body"}') == 3


def test_a_request_that_takes_too_long_is_answered_and_its_work_is_done(serve: Serve) -> None:
    with serve(request_seconds=0.3) as server:
        events = server.memory.events
        id = events.create({}).id
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with server.memory.notes.index.writer():
                held.set()
                release.wait()

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        late = server.client.patch(f"/v1/events/{id}/metadata", json={"done": True})
        assert late.status_code == 504
        assert "not done within 0.3 s" in late.json()["detail"]
        release.set()
        holder.join()
        while events.get(id).metadata != {"done": True}:
            pass


def test_no_page_of_another_site_may_ask(serve: Serve) -> None:
    with serve(cors_origins=("https://app.example",)) as server:
        preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
        allowed = server.client.options(
            HYBRID, headers={**preflight, "Access-Control-Request-Headers": "authorization"}
        )
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"
        answer = server.client.get("/v1/models", headers={"Origin": "https://app.example"})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://app.example")
        for origin in ("https://evil.example", "null", "https://app.example.evil.example"):
            refused = server.client.get("/v1/models", headers={"Origin": origin})
            assert refused.status_code == 403
            assert "access-control-allow-origin" not in refused.headers


def test_closed_to_other_sites_and_unknown_names(shop: Served) -> None:
    for origin in ("https://evil.example", "http://localhost.evil.example", "null"):
        assert shop.client.get("/v1/models", headers={"Origin": origin}).status_code == 403
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert "access-control-allow-origin" not in shop.client.options(HYBRID, headers=preflight).headers
    assert shop.client.get("/v1/models", headers={"Origin": shop.url}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "", "evil.example:80", "[::2]", "[", "a b"):
        connection = HTTPConnection(shop.url.removeprefix("http://"))
        connection.putrequest("GET", "/v1/models", skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        assert connection.getresponse().status == 400, host
        connection.close()


def test_every_answer_has_the_security_headers_and_an_id(shop: Served) -> None:
    for path in ("/health", "/v1/models", "/nothing", "/metrics"):
        headers = shop.client.get(path, headers={"X-Request-ID": "trace-1"}).headers
        assert headers["x-request-id"] == "trace-1"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
    forged = shop.client.get("/health", headers={"X-Request-ID": "a b" * 100}).headers["x-request-id"]
    assert len(forged) == 32


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_without_a_key_only_this_machine_is_served() -> None:
    refused = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "make a key with 'mnemolite key create NAME', or say --insecure" in refused.stderr


def test_keys_are_made_listed_and_revoked_by_the_command_line() -> None:
    made = run("key", "create", "laptop", "--access", "write", "-p", "shop", "--days", "3")
    token = made.stdout.strip()
    assert made.returncode == 0
    assert token not in made.stderr
    listed = json.loads(run("key", "list", "--json").stdout)
    assert [(key["name"], key["access"], key["projects"]) for key in listed] == [("laptop", "write", ["shop"])]
    assert "digest" not in listed[0]
    assert token not in run("key", "list").stdout
    assert run("key", "revoke", f"mnl_{listed[0]['id']}_...").returncode == 0
    assert ", revoked " in run("key", "list").stdout
    assert run("key", "revoke", "nothing").returncode == 2
    refused = run("serve", "--host", "0.0.0.0", "--port", "99999")
    assert refused.returncode == 2


def test_a_server_process_logs_json_without_secrets_and_ends_cleanly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MNEMOLITE_KEYS_FILE", str(tmp_path / "own.json"))
    monkeypatch.setenv("MNEMOLITE_ALLOWED_HOSTS", "team.example, other.example")
    token = run("key", "create", "ci").stdout.strip()
    assert (tmp_path / "own.json").exists()
    with spawned("--host", "0.0.0.0", token=token) as server:
        for host, status in (("team.example", 200), ("other.example:80", 200), ("evil.example", 400)):
            assert server.client.get("/health", headers={"Host": host}).status_code == status
        server.client.post(HYBRID, json={"query": "a very private question"}, headers={"X-Request-ID": "trace-2"})
        server.client.get("/v1/models", headers={"Authorization": "Bearer mnl_wrong_secret"})
        server.process.terminate()
        assert server.process.stderr is not None
        rest = server.process.stderr.read()
    assert server.process.returncode == 0
    lines = [json.loads(line) for line in rest.splitlines()]
    [line] = [line for line in lines if line.get("request_id") == "trace-2"]
    assert (line["method"], line["route"], line["status"], line["level"]) == ("POST", HYBRID, 200, "info")
    assert line["caller"] == token.split("_")[1]
    assert line["ms"] > 0
    assert lines[-1]["message"] == "ended"
    for secret in (token.split("_", 2)[2], "wrong_secret", "private question"):
        assert secret not in rest


def test_queries_are_logged_only_when_asked_for(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    for asked_for in (False, True):
        caplog.clear()
        with caplog.at_level("INFO", "mnemolite.http"), serve(log_queries=asked_for) as server:
            server.post(HYBRID, {"query": "a private question"})
        logged = [record.fields.get("query") for record in caplog.records if record.name == "mnemolite.http"]  # type: ignore[attr-defined]
        assert ("a private question" in logged) is asked_for
