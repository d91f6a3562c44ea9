"""`mnemolite backup` and `mnemolite restore`: all of it comes back, or nothing is touched."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemolite.cli import run
from mnemolite.lab.local_postgres import LocalPostgres
from mnemolite.memory import Memory
from mnemolite.records import NoteFilter
from mnemolite.serve.security import Access, Keys, keys_file
from mnemolite.settings import Settings
from mnemolite.stores.lock import WriterLock
from mnemolite.types import Query
from mnemolite.wiring import open_server

FILES = {
    "mail.py": "def validate_email(address):\n    return '@' in address\n",
    "pay.py": "def charge_once(key, cents):\n    return ledger.find(key) or gateway.charge(cents)\n",
}


@pytest.fixture(params=["files", "database"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "database":
        empty: Callable[[], str] = request.getfixturevalue("empty_database")
        programs: LocalPostgres = request.getfixturevalue("postgres")
        monkeypatch.setenv("DATABASE_URL", empty())
        monkeypatch.setenv("PATH", f"{programs.programs}{os.pathsep}{os.environ['PATH']}")
    return str(request.param)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the command says; the error where it fails."""

    def called(*arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["mnemolite", *map(str, arguments)])
        assert run() == code
        out, err = capsys.readouterr()
        return err if code else out

    return called


def fill(memory: Memory) -> None:
    memory.repositories.add("shop", FILES)
    memory.notes.add("Mail", "Plus signs are allowed in addresses.")
    memory.events.create({"text": "deployed the shop"})
    memory.indexing.submit("later", files={"a.py": "a = 1\n"})
    Keys(keys_file(memory.settings)).create("me", Access.READ)


def add_more(memory: Memory) -> None:
    memory.repositories.add("shop", {"mail.py": "def is_mail(text):\n    ...\n"})
    memory.repositories.add("tools", {"x.py": "def validate_email_again():\n    ...\n"})
    memory.notes.add("Post", "Addresses of mail without plus signs.")
    memory.indexing.submit("more", files={"a.py": "a = 1\n"})
    Keys(keys_file(memory.settings)).create("you", Access.READ)


def state(memory: Memory) -> list[Any]:
    def hits(text: str) -> list[tuple[str, str, float]]:
        found = memory.search(Query(text=text, limit=10), notes=True)
        return [(hit.chunk.path, hit.chunk.text, round(hit.score, 4)) for hit in found.hits]

    return [
        hits("check a mail address"),
        hits("charge_once"),
        [note.title for note in memory.notes.select(NoteFilter(limit=None))],
        [event.content for event in memory.events.select()],
        [hit.chunk.text for hit in memory.events.search("deployed").hits],
        [job.repository for job in memory.indexing.jobs()],
        [key.name for key in Keys(keys_file(memory.settings)).all()],
        memory.repositories.store.check(),
    ]


def now() -> list[Any]:
    with open_server(Settings.load()) as memory:
        return state(memory)


def test_what_was_saved_is_found_as_before_also_by_whoever_has_it_open(
    kept: str, call: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "saved.zip"
    with open_server(Settings.load()) as memory:
        fill(memory)
        saved = state(memory)
        assert len(saved[0]) > 1
        assert saved[1][0][0] == "pay.py"
        with memory.repositories.store.writer("shop"):  # nobody is waited for
            said = call("backup", file)
        assert "1 notes, 1 events" in said
        assert "1 jobs" in said
        assert file.stat().st_mode & 0o077 == 0
        add_more(memory)
        changed = state(memory)
        assert "--force" in call("restore", file, code=2)
        assert state(memory) == changed != saved
        assert call("restore", file, "--force") == said
        if kept == "database":  # what it knows of the tables may be a second old
            memory.close()
        else:
            assert state(memory) == saved
    assert now() == saved
    with open_server(Settings.load()) as memory:  # and goes on from there
        add_more(memory)
        assert state(memory) == changed
    assert "there already" in call("backup", file, code=2)


def test_it_comes_back_where_nothing_is(
    kept: str, call: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with open_server(Settings.load()) as memory:
        fill(memory)
        saved = state(memory)
    call("backup", tmp_path / "saved.zip")
    monkeypatch.setenv("MNEMOLITE_DATA_DIR", str(tmp_path / "new" / "data"))
    if kept == "database":
        request.getfixturevalue("empty_database")()
    call("restore", tmp_path / "saved.zip")
    assert now() == saved
    other = (
        ("set DATABASE_URL", {"DATABASE_URL": ""})
        if kept == "database"
        else ("unset it", {"DATABASE_URL": "postgres://x/y"})
    )
    for name, value in other[1].items():
        monkeypatch.setenv(name, value)
    assert other[0] in call("restore", tmp_path / "saved.zip", "--force", code=2)


def test_of_a_damaged_archive_nothing_is_restored(call: Callable[..., str], tmp_path: Path) -> None:
    with open_server(Settings.load()) as memory:
        fill(memory)
    file = tmp_path / "saved.zip"
    call("backup", file)
    with open_server(Settings.load()) as memory:
        add_more(memory)
    before, whole = now(), file.read_bytes()
    for place in (0.01, 0.3, 0.6, 0.9):
        at = int(len(whole) * place)
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        assert "damaged" in call("restore", file, "--force", code=2)
    for broken in (whole[: len(whole) // 2], b"", b"not a zip"):
        file.write_bytes(broken)
        assert "damaged" in call("restore", file, "--force", code=2)
    assert now() == before
    file.write_bytes(whole)
    call("restore", file, "--force")
    assert now() != before


def test_a_restore_that_fails_half_way_leaves_all_as_it_was(
    call: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNEMOLITE_LOCK_WAIT_SECONDS", "0.1")
    with open_server(Settings.load()) as memory:
        fill(memory)
    call("backup", tmp_path / "saved.zip")
    with open_server(Settings.load()) as memory:
        add_more(memory)
    before = now()
    server = Path(Settings.load().data_dir) / "server.db"  # the last to be put back
    with WriterLock(server, 0).held():
        assert "being written" in call("restore", tmp_path / "saved.zip", "--force", code=2)
    assert now() == before
    (server.parent / "notes.db").unlink()
    with WriterLock(server, 0).held():
        call("restore", tmp_path / "saved.zip", "--force", code=2)
    assert not (server.parent / "notes.db").exists()
    (server.parent / "notes.db").write_bytes(b"damaged" * 100)
    assert "move it away" in call("restore", tmp_path / "saved.zip", "--force", code=2)


def test_without_anything_to_save_or_pg_dump_it_says_so(
    call: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Callable[[], str]
) -> None:
    assert "nothing to save" in call("backup", tmp_path / "saved.zip", code=2)
    assert "no folder" in call("backup", tmp_path / "none" / "saved.zip", code=2)
    assert "does not exist" in call("restore", tmp_path / "saved.zip", code=2)
    monkeypatch.setenv("DATABASE_URL", empty_database())
    with open_server(Settings.load()) as memory:
        memory.notes.add("Mail")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no pg_dump" in call("backup", tmp_path / "saved.zip", code=2)
    assert not (tmp_path / "saved.zip").exists()
