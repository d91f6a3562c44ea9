"""The command line and the Python API with DATABASE_URL set: the same calls, kept in the database."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnemolite import open_memory
from mnemolite.errors import Conflict, NotFound
from mnemolite.types import Query
from mnemolite.wiring import find_root, open_notes, open_places, remove_index

PROGRAM = Path(sys.executable).parent / "mnemolite"


@pytest.fixture
def database(empty_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> str:
    url = empty_database()
    monkeypatch.setenv("DATABASE_URL", url)
    return url


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)], capture_output=True, text=True, env=os.environ, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def paths(text: str, *trees: Path) -> list[str]:
    with open_places(trees) as memory:
        return [f"{hit.chunk.source}:{hit.chunk.path}" for hit in memory.search(Query(text=text, limit=3)).hits]


def test_commands_work_unchanged(database: str, tree: Path) -> None:
    assert "5 files" in run("index", tree).stdout
    assert not (tree / ".mnemolite").exists()
    assert run("search", "chargeOnce", tree).stdout.startswith("pay/charge.ts")
    assert "consistent, fresh" in run("doctor", tree).stdout


def test_a_tree_is_found_from_within_follows_its_files_and_is_cleared(database: str, tree: Path) -> None:
    with pytest.raises(NotFound, match=r"has no index of .*; run 'mnemolite index"):
        open_memory(tree, create=False)
    with open_memory(tree) as memory:
        memory.index()
        assert (memory.stats()[0].vector_backend, memory.changes()[0].changed) == ("pgvector", ())
        assert memory.similar("auth/email.py", 8).hits[0].chunk.source == "."
    assert find_root(tree / "auth") == tree
    assert paths("validate mail address", tree / "auth")[0] == ".:email.py"
    (tree / "auth" / "email.py").unlink()
    assert ".:auth/email.py" not in paths("validate_email", tree)
    assert remove_index(tree)
    assert not remove_index(tree)
    assert find_root(tree / "auth") is None


def test_two_trees_of_one_name_do_not_overwrite_each_other(database: str, tree: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tree, tmp_path / "elsewhere" / tree.name))
    with open_memory(tree) as memory:
        memory.index()
    with pytest.raises(Conflict, match=rf"the repository 'shop' in .* is the tree at {tree}; .*'repository'"):
        open_memory(other)
    (other / "mnemolite.toml").write_text("repository = 'shop-two'\n")
    (other / "pay" / "charge.ts").unlink()
    with open_memory(other) as memory:
        memory.index()
    assert paths("chargeOnce", tree)[0] == ".:pay/charge.ts"
    assert ".:pay/charge.ts" not in paths("chargeOnce", other)
    assert f"{tree}:pay/charge.ts" in paths("chargeOnce", tree, other)


def test_notes_and_events_are_kept_in_the_database(database: str, tree: Path) -> None:
    with open_memory(tree) as memory:
        memory.index()
        memory.notes.add("Mail addresses", "We accept plus signs.")
        memory.events.create({"text": "deployed the mail service"})
    with open_memory(tree) as memory:
        [note] = memory.search("accept plus signs in mail addresses").notes
        assert note.chunk.name == "Mail addresses"
        assert "event" not in {hit.chunk.language for hit in memory.search("deployed the mail service").hits}
        assert memory.events.search("deployed").hits
    with open_notes(tree, project="another") as memory:
        assert memory.notes.search("plus signs").hits == ()
    assert not list(Path(os.environ["XDG_DATA_HOME"]).rglob("notes.db"))


def test_a_database_that_cannot_be_reached_is_an_error_to_act_on(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:geheim@127.0.0.1:1/db")
    done = run("search", "mail", tree, code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("mnemolite: the database 127.0.0.1:1/db cannot be reached")
    assert "geheim" not in done.stderr and "Traceback" not in done.stderr


def test_what_is_not_installed_is_named_by_every_command(tree: Path) -> None:
    commands = (
        "search x",
        "index .",
        "note list",
        "jobs list",
        "worker",
        "backup b.zip",
        "db upgrade",
        "doctor",
        "mcp",
    )
    code = "import sys; sys.modules['psycopg'] = None; from mnemolite.cli import run\n"
    code += f"for command in {commands}:\n    sys.argv[1:] = command.split(); print(run())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tree,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"},
        check=False,
    )
    assert done.stdout.split() == ["2"] * len(commands)
    said = done.stderr.splitlines()
    assert len(said) == len(commands)
    assert all(
        line.endswith("'mnemolite[postgres]', or unset DATABASE_URL to keep everything in files") for line in said
    )
