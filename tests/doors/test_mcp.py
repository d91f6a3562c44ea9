"""The MCP server as an agent meets it: a real process, asked by the SDK's own client or in bare JSON-RPC."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import string
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import CallToolResult
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_MODERN_VERSION

from mnemolite.serve.mcp import Server
from mnemolite.serve.trees import KeptTree, Trees
from mnemolite.wiring import open_tree

PROGRAM = str(Path(sys.executable).parent / "mnemolite")


@dataclass
class Agent:
    """A connected client, called from a test's own thread."""

    client: Client
    portal: BlockingPortal

    def call(self, tool: str, **arguments: object) -> CallToolResult:
        result: CallToolResult = self.portal.call(self.client.call_tool, tool, arguments)
        return result

    def answer(self, tool: str, **arguments: object) -> dict[str, Any]:
        result = self.call(tool, **arguments)
        assert not result.is_error, text(result)
        answer: dict[str, Any] = result.structured_content
        return answer

    def error(self, tool: str, **arguments: object) -> str:
        result = self.call(tool, **arguments)
        assert result.is_error
        return text(result)


@contextmanager
def connected(server: StdioServerParameters | Server | str, mode: str = "auto") -> Iterator[Agent]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(server, mode=mode)) as client:
        yield Agent(client, portal)


def stdio(*arguments: object, cwd: Path | None = None, **environ: object) -> StdioServerParameters:
    env = {**os.environ, **{name: str(value) for name, value in environ.items()}}
    return StdioServerParameters(command=PROGRAM, args=["mcp", *map(str, arguments)], env=env, cwd=cwd)


@contextmanager
def at_hand(tree: Path) -> Iterator[Agent]:
    """A client of a server in this process: what it can do is the same, and it starts at once."""
    trees = Trees(tree)
    trees.start()
    with connected(Server(trees)) as agent:
        yield agent
    trees.close()


@contextmanager
def http_server(tree: Path) -> Iterator[int]:
    """The port of a server over HTTP."""
    command = [PROGRAM, "mcp", str(tree), "--http", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield next(int(line.split(":")[-1].split("/")[0]) for line in process.stderr if "serving" in line)
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()
    assert process.returncode in (0, 130)  # even while a client listens


def text(result: CallToolResult) -> str:
    [block] = result.content
    assert block.type == "text"
    return block.text


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = Path(__file__).parents[1] / "golden" / "tree"
    return Path(shutil.copytree(source, tmp_path_factory.mktemp("trees") / "shop"))


@pytest.fixture(scope="module")
def agent(shop: Path) -> Iterator[Agent]:
    """One session for the tests that change nothing."""
    with connected(stdio(shop, XDG_CONFIG_HOME=shop.parent / "config", XDG_DATA_HOME=shop.parent / "data")) as agent:
        yield agent


def test_a_question_is_answered_with_places_and_snippets(agent: Agent, shop: Path) -> None:
    result = agent.call("search", query="how do we stop a payment being charged twice?", limit=3)
    answer = result.structured_content
    assert (answer["tree"], answer["fresh"], answer["degraded"]) == (str(shop), True, [])
    assert {hit["place"].partition(":")[0] for hit in answer["hits"]} >= {"services/payments/charges.py"}
    for hit in answer["hits"]:
        assert hit["place"] in text(result)
        assert hit["snippet"] in text(result)
        path, lines = hit["place"].split(":")
        first, last = map(int, lines.split("-"))
        assert first <= hit["snippet_line"] <= last
        source = (shop / path).read_text().splitlines()
        assert hit["snippet"].splitlines()[0].strip() in source[hit["snippet_line"] - 1]


def test_an_agent_is_told_when_nothing_seems_relevant(agent: Agent) -> None:
    shown = agent.call("search", query="how to bake sourdough bread")
    assert shown.structured_content["hits"] and not shown.structured_content["relevant"]
    assert text(shown).startswith("nothing here seems relevant: the best score is 0.0")
    nothing = agent.call("search", query="how to bake sourdough bread", min_score=0.5)
    assert nothing.structured_content["hits"] == [] and 0 < nothing.structured_content["best"] < 0.5
    assert text(nothing).startswith("nothing relevant found: the best score is 0.0")
    assert agent.answer("search", query="how do we stop a payment being charged twice?")["relevant"]


def test_a_search_keeps_to_what_it_was_told(agent: Agent) -> None:
    for argument, value, key in (
        ("path", "services/orders", "place"),
        ("language", "rust", "language"),
        ("kind", "class", "kind"),
    ):
        hits = agent.answer("search", query="order", limit=5, **{argument: value})["hits"]
        assert hits
        assert all(hit[key].startswith(value) for hit in hits)


def test_an_answer_is_never_larger_than_was_asked_for(agent: Agent, shop: Path, tmp_path: Path) -> None:
    for max_tokens in (200, 700, 3000):
        for arguments in ({"limit": 100}, {"limit": 3}):
            result = agent.call("search", query="order payment", max_tokens=max_tokens, **arguments)
            answer = result.structured_content
            assert len(json.dumps(answer, ensure_ascii=False).encode()) <= 3 * max_tokens
            assert len(text(result).encode()) <= 3 * max_tokens
            assert answer["hits"]
        fetched = agent.call("fetch", place="services/orders/checkout.py:1-211", max_tokens=max_tokens)
        assert len(json.dumps(fetched.structured_content, ensure_ascii=False).encode()) <= 3 * max_tokens
    few, many = (len(agent.answer("search", query="order", limit=20, max_tokens=n)["hits"]) for n in (400, 5000))
    assert few < many == 20


def test_what_is_fetched_is_the_file(agent: Agent, shop: Path) -> None:
    path = "services/orders/checkout.py"
    lines = (shop / path).read_text().splitlines(keepends=True)
    assert agent.answer("fetch", place=f"{path}:100-160", max_tokens=9000)["text"] == "".join(lines[99:160])
    assert agent.answer("fetch", place=f"{shop / path}:100-101")["place"] == f"{path}:100-101"
    whole, place = "", f"{path}:1-{len(lines)}"
    while place:
        part = agent.answer("fetch", place=place, max_tokens=500)
        whole, place = whole + part["text"], part["next"]
    assert whole == "".join(lines)
    one = agent.answer("fetch", place=f"{path}:150")
    first, last = map(int, one["place"].rpartition(":")[2].split("-"))
    assert first <= 150 <= last
    assert one["text"] == "".join(lines[first - 1 : last])


def test_related_code_is_found_from_a_place(agent: Agent) -> None:
    hits = agent.answer("find_related", place="services/accounts/validation.py:25", limit=5)["hits"]
    assert any("test_validation.py" in hit["place"] for hit in hits)
    assert not any(hit["place"].startswith("services/accounts/validation.py:22-") for hit in hits)


def test_status_says_what_is_indexed(agent: Agent, shop: Path) -> None:
    answer = agent.answer("status")
    assert (answer["tree"], answer["fresh"], answer["documents"]) == (str(shop), True, 94)
    assert "python" in text(agent.call("status"))
    assert agent.answer("reindex") == answer


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("search", {"query": "x", "top_k": 3}, "top_k"),
        ("search", {"limit": 3}, "query"),
        ("search", {"query": "x", "limit": "many"}, "limit"),
        ("search", {"query": "x", "limit": 0}, "greater than or equal to 1"),
        ("search", {"query": "x", "max_tokens": 5}, "greater than or equal to 200"),
        ("search", {"query": "  "}, "the query is empty"),
        ("search", {"query": "x", "kind": "klass"}, "no kind 'klass'; there are function, method"),
        ("search", {"query": "x", "language": "pyhton"}, "no language pyhton; there are ada"),
        ("search", {"query": "x", "tree": "/nowhere/at/all"}, "/nowhere/at/all does not exist"),
        ("search", {"query": "x", "tree": "/"}, "run 'mnemolite index /' in a terminal"),
        ("find_related", {"place": "services/orders"}, "write path:line"),
        ("find_related", {"place": "nowhere.py:3"}, "nowhere.py:3 is not indexed"),
        ("fetch", {"place": "../../../etc/passwd:1"}, "is not indexed"),
        ("fetch", {"place": "/etc/passwd:1"}, "is not indexed"),
        ("fetch", {"place": "services/orders/checkout.py:9-3"}, "ends before it begins"),
        ("fetch", {"place": "services/orders/checkout.py:90000"}, "checkout.py has no line 90000: it ends at "),
        ("no_such_tool", {}, "Unknown tool"),
        ("fetch", {"place": "note:zzzz"}, "no note 'zzzz' in project 'shop'"),
        ("forget", {"id": "note:zzzz"}, "no note 'zzzz'"),
        ("remember", {"title": " "}, "the title is empty"),
        ("remember", {"title": "x", "kind": "idea"}, "'bug', 'pattern'"),
        ("remember", {"title": "a\0b"}, "NUL character at position 1"),
        ("remember", {"title": "x", "supersedes": "note:zzzz"}, "no note 'zzzz'"),
        ("update_note", {"id": "zzzz", "title": "x"}, "no note 'zzzz'"),
        ("update_note", {"id": "zzzz"}, "nothing to change; give one of title, body"),
        ("recall", {"limit": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_call_is_told_what_would_be_right(
    agent: Agent, tool: str, arguments: dict[str, object], said: str
) -> None:
    assert said in agent.error(tool, **arguments)


def test_what_is_remembered_is_recalled_changed_and_forgotten(tree: Path) -> None:
    (tree / ".git").mkdir()
    with connected(stdio(tree)) as agent:
        assert agent.answer("recall", query="retries")["notes"] == []
        [first] = agent.answer(
            "remember",
            title="Retried charges were taken twice",
            body="The gateway ignores a key it has not seen for a day.\n\nPass the order's id.",
            kind="bug",
            tags=["payments"],
            situation="a customer complains about a double charge",
        )["notes"]
        assert (first["project"], first["status"], first["tags"]) == ("shop", "active", ["payments"])
        for arguments in ({"query": "customer charged two times"}, {}, {"kind": "bug"}, {"tags": ["payments"]}):
            assert agent.answer("recall", **arguments)["notes"] == [first]
        assert agent.answer("recall", kind="decision")["notes"] == []
        beside = agent.answer("search", query="customer complains about a double charge")
        assert beside["notes"] == [first]
        assert beside["hits"]
        assert not agent.answer("search", query="customer complains about a double charge", what="code")["notes"]
        assert first["place"] in text(agent.call("search", query="double charge", what="notes"))

        whole = agent.answer("fetch", place=first["place"])["text"]
        for part in (
            "# Retried charges",
            "bug, active, confidence 2, of shop",
            "Tags: payments",
            "Pass the order's id.",
        ):
            assert part in whole
        changed = agent.answer("update_note", id=first["place"], tags=["payments", "gateway"], confidence=5)["notes"][0]
        assert changed == {**first, "tags": ["payments", "gateway"]}

        [second] = agent.answer("remember", title="Charges have keys of their own now", supersedes=first["place"])[
            "notes"
        ]
        [newer, older] = agent.answer("recall", query="charge key")["notes"]
        assert (newer["place"], older["superseded_by"]) == (second["place"], [second["place"]])
        agent.answer("update_note", id=second["place"], link_to=first["place"], relation="derived_from", reason="it")
        assert f"- derived_from {first['place']} it" in agent.answer("fetch", place=second["place"])["text"]
        assert agent.answer("find_related", place=second["place"])["notes"][0]["place"] == first["place"]
        agent.answer("update_note", id=first["place"], status="obsolete")
        kept = agent.answer("recall", include_obsolete=False)["notes"]
        assert [note["place"] for note in kept] == [second["place"]]

        agent.answer("forget", id=second["place"])
        assert "'forget' with undo, brings it back" in agent.error("fetch", place=second["place"])
        agent.answer("forget", id=second["place"], undo=True)
        assert agent.answer("status")["notes"] == {"bug": 1, "reference": 1}


def test_an_agent_is_told_how_the_code_of_a_note_stands(tree: Path) -> None:
    (tree / ".git").mkdir()
    with at_hand(tree) as agent:
        error = agent.error("remember", title="Addresses", at=["auth/email.py:validate"])
        assert "it has PATTERN, validate_email, Mailbox" in error
        [note] = agent.answer("remember", title="Addresses bounce", at=["auth/email.py:validate_email"])["notes"]
        assert note["anchors"] == ["auth/email.py:validate_email (fresh, auth/email.py:8-10)"]
        file = tree / "auth" / "email.py"
        file.write_text(file.read_text().replace("is not None", "is not True"))
        agent.answer("reindex")
        stands = "drifted, 33 % of its lines changed, auth/email.py:8-10"
        [hit, *_] = agent.answer("search", query="validate_email", limit=3)["hits"]
        assert hit["notes"] == [f"{note['place']} Addresses bounce (reference; {stands})"]
        at = f"auth/email.py:validate_email ({stands})"
        for tool, arguments in (
            ("search", {"query": "validate_email"}),
            ("find_related", {"place": "pay/charge.ts:2"}),
            ("recall", {"query": "addresses"}),
            ("fetch", {"place": note["place"]}),
            ("update_note", {"id": note["place"], "confidence": 3}),
        ):
            result = agent.call(tool, **arguments)
            assert stands in text(result)
            assert tool in ("search", "find_related") or at in str(result.structured_content)
        [note] = agent.answer("update_note", id=note["place"], at=["auth/email.py:validate_email"])["notes"]
        assert "(fresh," in note["anchors"][0]
        file.unlink()
        agent.answer("reindex")
        assert "(orphaned, nothing like it is there)" in text(agent.call("recall"))


def test_notes_stay_within_their_project_unless_they_are_for_all(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.py").write_text("x = 1\n")
    with open_tree(other, create=True) as memory:
        memory.index()
    with at_hand(tree) as agent:
        agent.answer("remember", title="own words")
        agent.answer("remember", title="words for all", all_projects=True)
        agent.answer("remember", title="other words", tree=str(other))
        titles = {
            place: {note["title"] for note in agent.answer("recall", query="words", tree=place)["notes"]}
            for place in ("", str(other))
        }
    assert titles == {"": {"own words", "words for all"}, str(other): {"other words", "words for all"}}


def test_an_agent_neither_keeps_nor_sees_a_secret(tree: Path, tmp_path: Path) -> None:
    secret = "ghp_" + "".join(random.Random(3).choices(string.ascii_letters + string.digits, k=36))
    with open_tree(tree, create=True) as memory:
        written = memory.notes.add("deploy by hand", f"use {secret} for it", tags=[secret])  # by a person, who may
        memory.notes.add(f"deploy {secret}")
    with at_hand(tree) as agent:
        answer = agent.answer("remember", title=f"token {secret}", body=f"export T={secret}", tags=[secret])
        assert answer["masked"] == ["GitHub token"] * 3
        agent.answer("update_note", id=answer["notes"][0]["place"], body=f"again {secret}")
        for tool, arguments in (
            ("recall", {}),
            ("recall", {"query": "token export deploy"}),
            ("search", {"query": "token export deploy by hand"}),
            ("fetch", {"place": f"note:{written.id}"}),
        ):
            result = agent.call(tool, **arguments)
            assert "ghp_****" in text(result)
            assert secret not in str(result)
        assert secret not in str(agent.portal.call(agent.client.list_resources))
        contents = agent.portal.call(agent.client.read_resource, f"note://{written.id}").contents
        assert "ghp_****" in str(contents)
        assert secret not in str(contents)
    with open_tree(tree) as memory:
        assert memory.notes.get(written.id).body == f"use {secret} for it"
        assert not any(secret in hit.chunk.text for hit in memory.notes.search(f"deploy {secret}").hits)


def test_notes_are_resources(tree: Path) -> None:
    with at_hand(tree) as agent:
        assert agent.portal.call(agent.client.list_resources).resources == []
        [note] = agent.answer("remember", title="Nightly job", body="It *runs* at two.\r\n")["notes"]
        [resource] = agent.portal.call(partial(agent.client.list_resources, cache_mode="refresh")).resources
        assert (resource.name, resource.mime_type) == ("Nightly job", "text/markdown")
        assert resource.uri == f"note://{note['place'].removeprefix('note:')}"
        [content] = agent.portal.call(agent.client.read_resource, resource.uri).contents
        assert "It *runs* at two.\r\n" in getattr(content, "text", "")
        with pytest.raises(MCPError, match="no note 'zzzz'"):
            agent.portal.call(agent.client.read_resource, "note://zzzz")


def test_long_notes_keep_to_the_size_that_was_asked_for(tree: Path) -> None:
    with at_hand(tree) as agent:
        lines = "".join(f"{i}: the cache of the catalogue is rebuilt \u00e9\u20ac\n" for i in range(800))
        for i in range(8):
            agent.answer("remember", title=f"Cache {i}", body=lines)
        for max_tokens in (200, 1500):
            for tool, arguments in (
                ("recall", {"query": "catalogue cache"}),
                ("recall", {}),
                ("search", {"query": "the cache of the catalogue is rebuilt"}),
            ):
                result = agent.call(tool, max_tokens=max_tokens, **arguments)
                assert len(json.dumps(result.structured_content, ensure_ascii=False).encode()) <= 3 * max_tokens
                assert len(text(result).encode()) <= 3 * max_tokens
                assert result.structured_content["notes"] or tool == "search"
        place = agent.answer("recall", limit=1)["notes"][0]["place"]
        whole, parts = "", 0
        while place:
            part = agent.answer("fetch", place=place, max_tokens=5000)
            whole, place, parts = whole + part["text"], part["next"], parts + 1
        assert lines in whole
        assert parts > 2


def test_every_tool_says_what_it_takes_gives_and_does(agent: Agent) -> None:
    tools = agent.portal.call(agent.client.list_tools).tools
    reading = {"search", "find_related", "fetch", "status", "recall"}
    assert {tool.name for tool in tools} == reading | {"reindex", "remember", "update_note", "forget"}
    assert {tool.name for tool in tools if tool.annotations and tool.annotations.read_only_hint} == reading
    assert [tool.name for tool in tools if tool.annotations and tool.annotations.destructive_hint] == ["forget"]
    for tool in tools:
        assert tool.description
        assert tool.input_schema["additionalProperties"] is False
        assert all(value.get("description") for value in tool.input_schema["properties"].values())
        assert tool.output_schema is not None
        assert tool.annotations is not None
        for hint in ("read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint"):
            assert getattr(tool.annotations, hint) is not None
    size = sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in tools)
    assert size < 20_000  # an agent reads it in every session


def test_many_calls_at_once_are_all_answered_and_a_cancelled_one_stops_nothing(agent: Agent) -> None:
    async def ask(query: str, found: list[str]) -> None:
        result = await agent.client.call_tool("search", {"query": query, "limit": 1})
        found.append(result.structured_content["hits"][0]["place"])

    async def ask_all() -> list[str]:
        found: list[str] = []
        async with anyio.create_task_group() as group:
            for name in ("charge_once", "validate_email") * 10:
                group.start_soon(ask, name, found)
            with anyio.move_on_after(0.001) as impatient:
                await agent.client.call_tool("reindex", {})
            assert impatient.cancelled_caught
        return found

    assert len(agent.portal.call(ask_all)) == 20
    assert agent.answer("search", query="charge_once")["hits"]


def test_answers_follow_the_tree_as_it_changes_and_goes_and_comes(tree: Path) -> None:
    with connected(stdio(cwd=tree)) as agent:
        assert agent.answer("search", query="validate_email")["hits"][0]["place"].startswith("auth/email.py:")
        (tree / "auth" / "phone.py").write_text("def validate_phone(number):\n    return number.isdigit()\n")
        (tree / "auth" / "email.py").unlink()
        agent.answer("reindex")  # a second has not passed, in which a search trusts the index
        assert agent.answer("search", query="validate_phone")["hits"][0]["place"] == "auth/phone.py:1-2"
        assert agent.answer("status")["fresh"]
        assert "is not indexed" in agent.error("fetch", place="auth/email.py:8")

        away = tree.rename(tree.with_name("away"))
        assert f"{tree} is gone" in agent.error("search", query="validate_phone")
        assert not tree.exists()
        away.rename(tree)
        assert agent.answer("search", query="validate_phone")["hits"][0]["place"] == "auth/phone.py:1-2"
        shutil.rmtree(tree)
        assert f"{tree} is gone" in agent.error("status")
        assert not tree.exists()


def test_another_tree_answers_once_it_has_an_index(agent: Agent, tree: Path) -> None:
    assert f"mnemolite index {tree}" in agent.error("search", query="validate_email", tree=str(tree))
    assert not (tree / ".mnemolite").exists()
    with open_tree(tree, create=True) as memory:
        memory.index()
    answer = agent.answer("search", query="validate_email", tree=str(tree / "auth"))
    assert answer["tree"] == str(tree)
    assert answer["hits"][0]["place"].startswith("auth/email.py:")


def test_a_server_started_at_home_asks_for_a_tree(tmp_path: Path) -> None:
    with connected(stdio(cwd=tmp_path, HOME=tmp_path)) as agent:
        assert "argument 'tree'" in agent.error("search", query="x")
        assert agent.answer("recall")["notes"] == []
        [note] = agent.answer("remember", title="tabs, never spaces")["notes"]
        assert note["project"] == ""
        assert agent.answer("search", query="tabs or spaces", what="notes")["notes"][0]["place"] == note["place"]
    assert list(tmp_path.iterdir()) == []


def test_a_tree_that_does_not_exist_ends_the_program_with_a_reason(tmp_path: Path) -> None:
    done = subprocess.run([PROGRAM, "mcp", tmp_path / "no"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "does not exist; give the folder of a source tree" in done.stderr
    assert done.stdout == ""


def message(id: int, method: str, **params: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def hello(version: str) -> str:
    return message(1, "initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "t", "version": "0"})


READY = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})


def test_nothing_but_protocol_is_on_stdout_and_the_end_of_input_ends_it(tree: Path) -> None:
    noisy = (
        "import os, sys, threading; from mnemolite.serve import trees; find = trees.KeptTree.settle\n"
        "def settle(*given, **named):\n"
        "    print('a library talks'); os.write(1, b'and a C one'); os.system('echo and a child')\n"
        "    return find(*given, **named)\n"
        "trees.KeptTree.settle = settle; sys.argv = ['mnemolite', 'mcp', sys.argv[1]]\n"
        "from mnemolite.cli import main; main()"
    )
    calls = [
        hello(HANDSHAKE_PROTOCOL_VERSIONS[0]),
        READY,
        message(2, "tools/call", name="search", arguments={"query": "refund"}),
        "this is no JSON",
        message(3, "no/such/method"),
    ]
    with subprocess.Popen(
        [sys.executable, "-c", noisy, tree], stdin=-1, stdout=-1, stderr=-1, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for call in calls:
            process.stdin.write(call + "\n")
        answers: dict[int, Any] = {}
        while not {1, 2, 3} <= answers.keys():
            answer = json.loads(process.stdout.readline())
            answers[answer.get("id")] = answer
        process.stdin.close()
        assert process.stdout.read() == ""
        assert "a library talks" in process.stderr.read()
    assert process.returncode == 0
    assert answers[1]["result"]["protocolVersion"] == HANDSHAKE_PROTOCOL_VERSIONS[0]
    assert "refunds.md" in answers[2]["result"]["content"][0]["text"]
    assert answers[3]["error"]["code"] == -32601


def test_http_speaks_every_version_and_refuses_other_sites(shop: Path) -> None:
    with http_server(shop) as port:
        with connected(f"http://127.0.0.1:{port}/mcp") as agent:
            assert agent.client.protocol_version == LATEST_MODERN_VERSION
            assert agent.answer("search", query="charge_once")["hits"]
            assert "top_k" in agent.error("search", query="x", top_k=1)
        with connected(f"http://127.0.0.1:{port}/mcp", mode="legacy") as agent:
            assert agent.client.protocol_version == HANDSHAKE_PROTOCOL_VERSIONS[-1]
            assert agent.answer("search", query="charge_once")["hits"]
        for version in HANDSHAKE_PROTOCOL_VERSIONS:
            reply = post(port, hello(version))
            assert reply.answer["result"]["protocolVersion"] == version
            session = {"Mcp-Session-Id": reply.session, "MCP-Protocol-Version": version}
            assert post(port, READY, session).status == 202
            found = post(port, message(2, "tools/call", name="search", arguments={"query": "charge_once"}), session)
            assert "charges.py" in found.answer["result"]["content"][0]["text"]
        for header, value in (
            ("Host", "rebound.example"),
            ("Host", f"rebound.example:{port}"),
            ("Host", "127.0.0.1:1"),
            ("Origin", "https://other.example"),
            ("Origin", "null"),
        ):
            for body in (hello(HANDSHAKE_PROTOCOL_VERSIONS[-1]), message(1, "server/discover")):
                refused = post(port, body, {header: value, "MCP-Protocol-Version": LATEST_MODERN_VERSION})
                assert refused.status in (403, 421)


def test_http_is_not_offered_to_other_machines(tree: Path) -> None:
    done = subprocess.run(
        [PROGRAM, "mcp", tree, "--http", "--host", "0.0.0.0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "'0.0.0.0' is not one of '127.0.0.1', '::1', 'localhost'" in done.stderr


@dataclass
class Reply:
    status: int
    session: str
    body: str

    @property
    def answer(self) -> dict[str, Any]:
        data = [line.removeprefix("data:") for line in self.body.splitlines() if line.startswith("data: {")]
        answer: dict[str, Any] = json.loads(data[-1] if data else self.body)
        return answer


def post(port: int, body: str, headers: dict[str, str] | None = None) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    accepts = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    connection.request("POST", "/mcp", body, {**accepts, **(headers or {})})
    response = connection.getresponse()
    reply = Reply(response.status, response.getheader("Mcp-Session-Id", ""), response.read().decode())
    connection.close()
    return reply


def never_wait(_: object) -> None:
    pass


def test_an_index_that_is_being_made_answers_and_says_how_far_it_is(tree: Path) -> None:
    trees = Trees(tree)
    kept = trees.get()
    with kept.memory.trees[0].store.writer():  # as another process that is indexing would
        trees.start()
        [note] = kept.settle(0, on_wait=never_wait)
        assert "is being refreshed" in note
        assert kept.memory.search("validate_email", freshness="skip").hits == ()
    assert kept.settle(60, on_wait=never_wait) == []
    assert kept.memory.search("validate_email", freshness="skip").hits
    trees.close()


def test_a_refresh_that_cannot_be_is_said_in_each_answer(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNEMOLITE_LOCK_WAIT_SECONDS", "0")
    with open_tree(tree, create=True) as memory:
        memory.index()
        (tree / "new.py").write_text("x = 1\n")
        other = KeptTree(tree, open_tree(tree))
        with memory.trees[0].store.writer():
            for _ in range(2):
                [note] = other.settle(60, now=True, on_wait=never_wait)
                assert "may be stale" in note
                assert "is being written by" in note
        assert other.settle(60, now=True, on_wait=never_wait) == []
        other.close()
