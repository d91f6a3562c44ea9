"""Code and notes in one Memory, as wiring opens it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mnemolite.errors import NotFound
from mnemolite.records import GLOBAL, NoteHit
from mnemolite.settings import Settings
from mnemolite.types import Kind, Query, Results, Scope
from mnemolite.wiring import open_memory, open_notes, open_places, project_of
from mnemolite.wiring_records import NOTES


def titles(results: Results) -> list[str]:
    return [hit.note.title for hit in results.notes if isinstance(hit, NoteHit)]


def test_notes_stand_beside_code_and_take_no_place_of_it(tree: Path) -> None:
    with open_memory(tree) as memory:
        before = memory.search("validate an email address", freshness="refresh").hits
        memory.notes.add("Validate addresses by sending mail", "An email address that looks valid may bounce.")
        memory.notes.add("The colour of the logo", "It is a dark green.")
        found = memory.search("validate an email address")
        assert found.hits == before
        assert titles(found) == ["Validate addresses by sending mail"]
        assert titles(memory.search("validate an email address", notes=0)) == []
        assert titles(memory.search(Query(text="email", scope=Scope(languages=("python",))))) == []


def test_a_note_with_the_words_that_tell_is_shown_however_far_its_vector(tree: Path) -> None:
    with open_memory(tree) as memory:
        memory.notes.add("Ledger", "xq77 " + " ".join(f"word{i}" for i in range(200)))
        assert titles(memory.search("xq77")) == ["Ledger"]


def test_a_search_makes_no_database_of_notes(tree: Path) -> None:
    with open_memory(tree) as memory:
        memory.search("email")
        assert not memory.has_notes
    assert not (Path(Settings.load().data_dir) / NOTES).exists()


def test_notes_are_of_the_project_they_were_written_in(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "bank"
    other.mkdir()
    with open_notes(tree) as shop, open_notes(other) as bank, open_notes(other, everywhere=True) as everywhere:
        own = shop.notes.add("Own email", "email")
        bank.notes.add("Bank email", "email")
        bank.notes.add("Global email", "email", project=GLOBAL)
        assert {note.title for note in shop.notes.select()} == {"Own email", "Global email"}
        assert {note.title for note in everywhere.notes.select()} == {"Own email", "Bank email", "Global email"}
        with pytest.raises(NotFound):
            bank.notes.get(own.id)
    for folder in (tree, other):
        with open_memory(folder) as memory:
            memory.index()
    with open_places([tree, other]) as both:
        assert set(titles(both.search("email"))) == {"Own email", "Bank email", "Global email"}
    with open_memory(tree) as memory:
        assert set(titles(memory.search("email"))) == {"Own email", "Global email"}
        assert titles(memory.search(Query(text="email", scope=Scope(kinds=(Kind.BUG,))))) == []


def test_the_project_is_the_repository_whatever_folder_or_worktree_one_is_in(tmp_path: Path) -> None:
    main, deep = tmp_path / "shop", tmp_path / "shop" / "src" / "deep"
    deep.mkdir(parents=True)
    assert project_of(deep, Settings()) == "deep"
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
        ["worktree", "add", "-q", str(tmp_path / "fix-1")],
    ):
        subprocess.run(["git", "-C", str(main), *command], check=True, capture_output=True)
    assert project_of(deep, Settings()) == project_of(main, Settings()) == "shop"
    assert project_of(tmp_path / "fix-1", Settings()) == "shop"
    assert project_of(deep, Settings(project="mine")) == "mine"


def test_events_are_kept_beside_notes(tree: Path) -> None:
    with open_memory(tree) as memory:
        event = memory.events.create({"text": "deployed the shop"}, {"env": "live"})
    with open_notes(tree) as memory:
        assert memory.events.get(event.id) == event
        assert memory.notes.select() == [] and memory.notes.search("deployed shop").hits == ()


def test_a_query_asked_again_is_not_embedded_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size, hits in (("1000", 1), ("0", 0)):
        monkeypatch.setenv("MNEMOLITE_PERF_CACHE_MAX_SIZE", size)
        with open_memory(tree) as memory:
            first, second = memory.search("email"), memory.search("email")
            assert first.hits == second.hits
            assert getattr(getattr(memory.embedders[0], "cache", None), "hits", 0) == hits
