"""`mnemolite db copy`: between files and a database, both ways, stopped and gone on with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from mnemolite import open_memory, transfer
from mnemolite.cli import run
from mnemolite.lab.local_postgres import LocalPostgres
from mnemolite.notes.forms import to_json_lines
from mnemolite.records import Anchor, Event, Feedback, NoteFilter, Relation, Shown
from mnemolite.settings import Settings
from mnemolite.stores.postgres_migrate import Schema
from mnemolite.types import Query
from mnemolite.wiring import database, open_notes
from mnemolite.wiring_records import record_stores


@pytest.fixture
def url(empty_database: Callable[[], str]) -> str:
    return empty_database()


@pytest.fixture
def copy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the command says; the error where it fails."""
    monkeypatch.setattr(transfer, "BATCH", 2)

    def copy(origin: object, target: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["mnemolite", "db", "copy", str(origin), str(target)])
        assert run() == code
        out, err = capsys.readouterr()
        return err if code else out

    return copy


def answers(tree: Path) -> list[tuple[str, str]]:
    with open_memory(tree, create=False) as memory:
        assert [found.store.check() for found in memory.trees] == [[]]
        hits = memory.search(Query(text="check a mail address", limit=5), freshness="skip").hits
        return [(hit.chunk.path, hit.chunk.text) for hit in hits]


def test_an_index_goes_to_a_database_and_back(
    url: str, tree: Path, copy: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_memory(tree) as memory:
        memory.index()
        [store] = [found.store for found in memory.trees]
        store.add_poison("abc", "it hung")
        expected = store.stats()
    found = answers(tree)
    said = copy(tree, url)
    assert said.startswith("5 documents copied; verified, digest ")
    assert copy(tree, url) == said.replace("copied", "there already")
    database(tree, Settings.load(tree)).unlink()
    assert copy(url, tree) == said
    assert answers(tree) == found
    monkeypatch.setenv("DATABASE_URL", url)
    assert sorted(answers(tree)) == sorted(found)
    with open_memory(tree) as memory:
        [there] = [tree.store for tree in memory.trees]
        assert (there.stats().chunks, there.stats().vectors) == (expected.chunks, expected.vectors)
        assert there.poisoned() == {"abc": "it hung"}
        [changes] = memory.changes()
        assert not changes  # what was copied is up to date: nothing is indexed anew


def test_a_copy_that_was_stopped_goes_on_and_what_was_changed_since_is_mended(
    url: str, tree: Path, copy: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_memory(tree) as memory:
        memory.index()
    stop = monkeypatch.context()
    with stop as patched, pytest.raises(KeyboardInterrupt):

        def stopped(done: int, total: int) -> None:
            raise KeyboardInterrupt

        patched.setattr("mnemolite.cli.db._progress", lambda: stopped)
        from mnemolite.cli.db import _copy_tree

        _copy_tree(str(tree), url, tree)
    assert "3 documents copied, 2 documents there already" in copy(tree, url)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE chunks SET text = text || 'x' WHERE id = (SELECT min(id) FROM chunks)")
        connection.execute("UPDATE documents SET path = 'of/nobody' WHERE path = 'pay/charge.ts'")
    assert "2 documents copied, 3 documents there already, 1 removed" in copy(tree, url)
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN NEW.text := upper(NEW.text); RETURN NEW; END';"
            " CREATE TRIGGER damage BEFORE INSERT ON chunks FOR EACH ROW EXECUTE FUNCTION damage()"
        )
        connection.execute("DELETE FROM documents WHERE path = 'pay/charge.ts'")
    try:
        assert "pay/charge.ts was written and is read back as something else" in copy(tree, url, code=2)
    finally:
        with psycopg.connect(url) as connection:
            connection.execute("DROP FUNCTION damage CASCADE")


def test_notes_and_events_go_to_a_database_and_back(
    url: str, tree: Path, tmp_path: Path, copy: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> tuple[list[str], list[Event], bytes]:
        with open_notes(tree, everywhere=True) as memory:
            notes = [
                note for gone in (False, True) for note in memory.notes.select(NoteFilter(deleted=gone, limit=None))
            ]
            return sorted(to_json_lines(iter(notes))), memory.events.select(), memory.feedback.export()

    with open_notes(tree) as memory:
        at = Anchor(path="a.py", text="x = 1\n", first_line=1, last_line=1, name="x")
        first = memory.notes.add("Mail", "Plus signs are allowed in addresses.", anchors=[at])
        second = memory.notes.add("Post", "They are not.", metadata={"z": 1, "a": 2.5})
        memory.notes.link(second.id, Relation.SUPERSEDES, first.id, "we know better")
        memory.notes.forget(memory.notes.add("Gone", "").id)
        memory.events.create({"text": "deployed", "n": 1.0})
        memory.events.create({"z": 1, "a": [None, True]}, {"topic": "b"}, id="an-id-of-its-own")
    chosen = Shown(source="shop", path="auth/email.py", first_line=1, last_line=9, name="validate_email")
    given = Feedback(given_at=datetime.now(UTC), query="where is “mail” checked?", shown=(chosen, chosen), chosen=1)
    tables = record_stores(Settings.load(), create=False)
    assert tables is not None
    tables.feedback().add_feedback(given)
    tables.documents.close()
    file = Path(Settings.load().data_dir) / "notes.db"
    expected = kept()
    assert copy(file, url).startswith("3 notes copied, 2 events copied, 1 feedback copied; verified, digest ")
    with monkeypatch.context() as patched:
        patched.setenv("DATABASE_URL", url)
        assert kept() == expected
        with open_notes(tree) as memory:
            assert [hit.chunk.name for hit in memory.notes.search("plus signs").hits] == ["Post", "Mail"]
            assert memory.events.search("deployed").hits
            memory.notes.edit(second.id, title="Post, again")
            later = kept()
    assert "1 notes left as they are there" in copy(file, url)
    assert "2 notes copied" not in copy(url, file)
    assert kept() == later
    assert "1 feedback there already" in copy(url, file)
    elsewhere = tmp_path / "else where" / "notes.db"
    elsewhere.parent.mkdir()
    assert copy(url, elsewhere).startswith("3 notes copied, 2 events copied")
    monkeypatch.setenv("MNEMOLITE_DATA_DIR", str(elsewhere.parent))
    assert kept() == later


def test_events_of_an_earlier_program_are_copied_though_nothing_has_indexed_them(
    postgres: LocalPostgres, tmp_path: Path, copy: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE of_an_earlier_program")
    url = postgres.url("of_an_earlier_program")
    Schema(url).upgrade()
    with psycopg.connect(url) as connection:
        connection.execute('INSERT INTO events (content) VALUES (\'{"text": "the mail service went down"}\')')
    assert copy(url, tmp_path / "notes.db").startswith("1 events copied")
    monkeypatch.setenv("MNEMOLITE_DATA_DIR", str(tmp_path))
    with open_notes(tmp_path) as memory:
        assert len(memory.events.search("mail service").hits) == 1


def test_places_that_cannot_be_copied_between_are_refused(url: str, tmp_path: Path, copy: Callable[..., str]) -> None:
    assert "one must be a database's URL" in copy(tmp_path, tmp_path, code=2)
    assert "one must be a database's URL" in copy(url, url, code=2)
    assert "no index at" in copy(tmp_path, url, code=2)
    assert "has no index of" in copy(url, tmp_path, code=2)
    assert "no notes and events at" in copy(tmp_path / "notes.db", url, code=2)
    assert "does not exist" in copy(url, tmp_path / "nowhere", code=2)
