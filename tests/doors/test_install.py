"""install and uninstall as a user runs them, with a home of their own."""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mnemolite.agents import jsonc
from mnemolite.agents.catalogue import AGENTS, Agent, Machine

PROGRAM = Path(sys.executable).with_name("mnemolite")
SECRET = '{\n  // kept\n  "token": "not ours",\n}\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


def run(home: Path, *arguments: str, cwd: Path | None = None, answer: str = "") -> subprocess.CompletedProcess[str]:
    moved = ("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR")
    environ = {name: value for name, value in os.environ.items() if name not in moved} | {"HOME": str(home)}
    return subprocess.run(
        [PROGRAM, *arguments], capture_output=True, text=True, check=False, input=answer, cwd=cwd or home, env=environ
    )


def place(agent: Agent, home: Path) -> Path:
    machine = Machine(platform="linux", home=home, environ={})
    agent.present(machine).mkdir(parents=True, exist_ok=True)
    return agent.user(machine)


def read(agent: Agent, text: str) -> Any:
    value = tomllib.loads(text) if agent.form.__name__.endswith("toml") else jsonc.parse(text)
    for key in agent.key:
        value = value[key]
    return value["mnemolite"]


def all_files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_is_connected_once_and_disconnected_without_trace(name: str, home: Path) -> None:
    agent = AGENTS[name]
    file = place(agent, home)
    before = SECRET if file.suffix == ".json" else 'token = "not ours" # kept\n'
    for text in (before, None):
        if text is not None:
            file.write_text(text)
            file.chmod(0o600)
        done = run(home, "install", "--yes")
        assert done.returncode == 0, done.stderr
        assert f"+++ {file}, new" in done.stdout
        entry = read(agent, file.read_text())
        command = entry["command"] if isinstance(entry["command"], list) else [entry["command"], *entry["args"]]
        assert command[:2] == [str(PROGRAM), "mcp"]
        if text is not None:
            assert file.stat().st_mode & 0o777 == 0o600
            assert all_files(file.parent)[f"{file.name}.before-mnemolite"] == text
            assert "kept" in file.read_text()
        connected = all_files(home)
        assert "needs no change" in run(home, "install", "--agent", name, "--yes").stdout
        assert all_files(home) == connected
        assert run(home, "uninstall", "--yes").returncode == 0
        assert all_files(home) == ({} if text is None else {str(file.relative_to(home)): text})
        assert "needs no change" in run(home, "uninstall", "--agent", name, "--yes").stdout
        file.unlink(missing_ok=True)


def test_what_is_written_starts_a_server_that_answers(home: Path, tree: Path) -> None:
    run(home, "install", "--agent", "claude-code", "--yes")
    entry = json.loads((home / ".claude.json").read_text())["mcpServers"]["mnemolite"]
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
    with subprocess.Popen([entry["command"], *entry["args"]], stdin=-1, stdout=-1, text=True, cwd=tree) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(message + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "mnemolite"
        process.stdin.close()


def test_only_agents_that_are_there_are_changed(home: Path) -> None:
    assert "no agent was found" in run(home, "install", "--yes").stderr
    (home / ".cursor").mkdir()
    (home / ".gemini").mkdir()
    assert run(home, "install", "--yes").returncode == 0
    assert set(all_files(home)) == {".cursor/mcp.json", ".gemini/settings.json"}


def test_nothing_is_written_before_the_answer_is_yes(home: Path) -> None:
    (home / ".cursor").mkdir()
    for answer, code in (("n\n", 1), ("", 2)):
        done = run(home, "install", answer=answer)
        assert '+    "mnemolite"' in done.stdout
        assert done.returncode == code
        assert all_files(home) == {}
    assert run(home, "install", answer="y\n").returncode == 0
    assert set(all_files(home)) == {".cursor/mcp.json"}


def test_a_file_that_cannot_be_read_stays_and_the_others_are_written(home: Path) -> None:
    broken = place(AGENTS["cursor"], home)
    other = place(AGENTS["gemini"], home)
    for text in (b'{"mcpServers": ', b'{"mcpServers": []}', b"[1]", b'{"a": "\xff"}'):
        broken.write_bytes(text)
        done = run(home, "install", "--yes")
        assert done.returncode == 2
        assert f"{broken} is left as it is" in done.stderr
        assert broken.read_bytes() == text
        assert "mnemolite" in other.read_text()
        assert run(home, "uninstall", "--yes", "--agent", "gemini").returncode == 0
    codex = place(AGENTS["codex"], home)
    codex.write_text("mcp_servers = { a = { command = 'x' } }\n")  # a table in one line takes no more entries
    done = run(home, "install", "--yes", "--agent", "codex")
    assert done.returncode == 2
    assert codex.read_text() == "mcp_servers = { a = { command = 'x' } }\n"


def test_what_changed_since_stays_when_we_go(home: Path) -> None:
    file = place(AGENTS["zed"], home)
    file.write_text(SECRET)
    run(home, "install", "--yes")
    text = file.read_text().replace('"token": "not ours"', '"token": "new"')
    file.write_text(jsonc.put(text, ("context_servers", "other"), {"command": "x"}))
    assert run(home, "uninstall", "--yes").returncode == 0
    assert jsonc.parse(file.read_text()) == {"token": "new", "context_servers": {"other": {"command": "x"}}}
    assert "// kept" in file.read_text()


def test_an_older_entry_is_brought_up_to_date_and_the_first_backup_kept(home: Path) -> None:
    file = place(AGENTS["cursor"], home)
    file.write_text(SECRET)
    run(home, "install", "--yes")
    file.write_text(file.read_text().replace(str(PROGRAM), "/old/place/mnemolite"))
    assert "/old/place" in run(home, "install", "--yes").stdout
    assert str(PROGRAM) in file.read_text()
    assert run(home, "uninstall", "--yes").returncode == 0
    assert all_files(home) == {".cursor/mcp.json": SECRET}


def test_a_link_is_written_through(home: Path, tmp_path: Path) -> None:
    file = place(AGENTS["gemini"], home)
    (tmp_path / "dotfiles.json").write_text("{}\n")
    file.symlink_to(tmp_path / "dotfiles.json")
    run(home, "install", "--yes")
    assert file.is_symlink()
    assert "mnemolite" in (tmp_path / "dotfiles.json").read_text()
    run(home, "uninstall", "--yes")
    assert file.is_symlink()
    assert (tmp_path / "dotfiles.json").read_text() == "{}\n"


def test_a_project_gets_a_configuration_all_can_use(home: Path, tree: Path) -> None:
    before = all_files(tree.joinpath("auth"))
    for name in ("claude-code", "vscode", "codex", "opencode"):
        done = run(home, "install", "--project", "--agent", name, "--yes", cwd=tree / "auth")
        assert done.returncode == 0, done.stderr
        file = tree / "auth" / AGENTS[name].project
        entry = read(AGENTS[name], file.read_text())
        words = entry["command"] if isinstance(entry["command"], list) else [entry["command"], *entry["args"]]
        assert words[:2] == ["mnemolite", "mcp"]
        assert run(home, "uninstall", "--project", "--agent", name, "--yes", cwd=tree / "auth").returncode == 0
    assert all_files(tree / "auth") == before
    assert all_files(home) == {}
    assert "leave --project out" in run(home, "install", "--project", "--agent", "windsurf", "--yes").stderr


def test_a_key_of_another_server_is_not_shown(home: Path) -> None:
    key = "sk-ant-" + "".join(random.Random(5).choices(string.ascii_letters + string.digits, k=90))
    file = place(AGENTS["cursor"], home)
    file.write_text(json.dumps({"mcpServers": {"other": {"command": "x", "env": {"KEY": key}}}}, indent=2))
    done = run(home, "install", "--yes")
    assert "sk-ant-****" in done.stdout
    assert key not in done.stdout
    assert key in file.read_text()


def test_opencode_is_written_the_way_its_file_is(home: Path) -> None:
    file = place(AGENTS["opencode"], home)
    newer = '{\n  "mcp": {\n    "servers": {\n      "a": {"type": "remote", "url": "https://x"}\n    }\n  }\n}\n'
    file.with_suffix(".jsonc").write_text(newer)
    assert run(home, "install", "--yes").returncode == 0
    assert not file.exists()
    servers = jsonc.parse(file.with_suffix(".jsonc").read_text())["mcp"]["servers"]
    assert servers["mnemolite"] == {"type": "local", "command": [str(PROGRAM), "mcp"]}
    assert run(home, "uninstall", "--yes").returncode == 0
    assert file.with_suffix(".jsonc").read_text() == newer


def test_a_file_that_changes_while_it_is_shown_is_not_overwritten(home: Path) -> None:
    file = place(AGENTS["cursor"], home)
    file.write_text("{}\n")
    with asked(home) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        while "Change this file?" not in (shown := process.stderr.read(17)):
            assert shown
        file.write_text('{"theme": "dark"}\n')
        process.stdin.write("y\n")
        process.stdin.close()
        assert "changed by another program" in process.stderr.read()
    assert all_files(home) == {".cursor/mcp.json": '{"theme": "dark"}\n'}


@contextmanager
def asked(home: Path) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "HOME": str(home)}
    command = [str(PROGRAM), "install", "--agent", "cursor"]
    with subprocess.Popen(command, stdin=-1, stdout=subprocess.DEVNULL, stderr=-1, text=True, env=environ) as process:
        yield process
    assert process.returncode == 2
