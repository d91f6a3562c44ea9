"""Notes under kills and many writers."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import apsw
import pytest

from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.errors import Conflict, StoreUnavailable
from mnemolite.notebook import Notebook
from mnemolite.records import Note, NoteFilter
from mnemolite.settings import Settings
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.stores.sqlite_notes import SqliteNotes
from mnemolite.wiring import open_notes
from mnemolite.wiring_records import NOTES

KILLS = 30
IMPORTED = 20  # notes a transaction
STAGES = ("add", "edit", "rm")
WEIGHTS = {"lexical": 1.0, "name": 1.0, "vector": 1.0}
WRITE_ENDLESSLY = f"""
import sys
from datetime import datetime, timezone
from pathlib import Path
from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.notebook import Notebook
from mnemolite.records import Note
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.stores.sqlite_notes import SqliteNotes
from mnemolite.types import Kind

store = SqliteStore(Path(sys.argv[1]), lock_wait_seconds=30, durable=True)
notes = Notebook(store, SqliteNotes(store.database), [HashingEmbedder()], {WEIGHTS}, projects=["p"])
now = datetime.now(timezone.utc)
for n in range(int(sys.argv[2]), 10**6):
    note = notes.add(f"note {{n}}", f"added {{n}} " + "word " * 400)
    print("add", note.id, flush=True)
    notes.edit(note.id, body=f"edited {{n}}", tags=("t",))
    print("edit", note.id, flush=True)
    if n % 3 == 0:
        notes.forget(note.id)
        print("rm", note.id, flush=True)
    if n % 4 == 0:
        batch = [
            Note(id=f"import-{{n}}-{{i}}", kind=Kind.BUG, title="x", created_at=now, updated_at=now, project="p")
            for i in range({IMPORTED})
        ]
        for each, _ in notes.put(batch):
            print("import", each.id, flush=True)
"""
WRITE_AMONG_OTHERS = """
import sys
from mnemolite.records import Relation
from mnemolite.wiring import open_notes

with open_notes(sys.argv[1]) as memory:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(25):
        note = memory.notes.add(f"note {n} of {sys.argv[2]}", "some body")
        memory.notes.edit(note.id, confidence=5)
    memory.notes.link(sys.argv[3], Relation.RELATED, note.id)
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stage(note: Note) -> str:
    if note.id.startswith("import"):
        return "import"
    return "rm" if note.deleted_at else "edit" if note.body.startswith("edited") and note.tags else "add"


def read_notes(path: Path) -> dict[str, Note]:
    """Everything stored, once it has been checked."""
    store = SqliteStore(path, lock_wait_seconds=0)
    notes = Notebook(store, SqliteNotes(store.database), [HashingEmbedder()], WEIGHTS, projects=["p"])
    stored = {note.id: note for deleted in (False, True) for note in notes.each(NoteFilter(deleted=deleted))}
    with store.writer():
        indexed = set(store.files("note:p"))
    assert store.check() == []
    assert SqliteNotes(store.database).unindexed([HashingEmbedder().space]) == []
    assert indexed == {id for id, note in stored.items() if not note.deleted_at}
    store.close()
    return stored


def test_kills_while_adding_editing_and_importing_lose_nothing_and_leave_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    dice = random.Random(0)
    acknowledged: dict[str, str] = {}
    for kill in range(KILLS):
        writer = start(WRITE_ENDLESSLY, path, 1000 * kill)
        assert writer.stdout is not None and writer.stderr is not None
        first = writer.stdout.readline() if kill % 6 else ""  # now and then while it starts
        time.sleep(dice.uniform(0.0, 0.2))
        writer.send_signal(signal.SIGKILL)
        with writer:
            rest = writer.stdout.read()  # not communicate(), which passes over what readline() has buffered
            assert writer.stderr.read() == ""
        told = [line.split() for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
        acknowledged |= {id: done for done, id in told}
        last = told[-1][1] if told else ""
        stored = read_notes(path)
        for id, done in acknowledged.items():
            later = STAGES[STAGES.index(done) :] if id == last and done in STAGES else (done,)
            assert stage(stored[id]) in later, (id, done, stored[id])
        # what was being done when the kill came is there whole or not at all
        under_way = stored.keys() - acknowledged.keys()
        assert len([id for id in under_way if not id.startswith("import")]) <= 1
        batches = Counter(id.rsplit("-", 1)[0] for id in stored if id.startswith("import"))
        assert set(batches.values()) <= {IMPORTED}
        acknowledged = {id: stage(note) for id, note in stored.items()}
    assert len(acknowledged) > 3 * KILLS
    assert {"edit", "rm", "import"} <= set(acknowledged.values())


def test_eight_processes_that_write_at_once_all_succeed(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    with open_notes(folder) as memory:
        shared = memory.notes.add("Shared")
    writers = [start(WRITE_AMONG_OTHERS, folder, number, shared.id) for number in range(8)]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate()
        assert (writer.returncode, errors) == (0, "")
    with open_notes(folder) as memory:
        notes = memory.notes.select()
        assert len(notes) == 1 + 8 * 25
        assert all(note.confidence == 5 and note.revision == 2 for note in notes if note.id != shared.id)
        assert len(memory.notes.get(shared.id).links) == 8
        assert len(memory.notes.search("note of", NoteFilter()).hits) == 10
        assert memory.notes.index.check() == []


def test_processes_that_open_a_database_not_made_yet_all_succeed(tmp_path: Path) -> None:
    program = "import sys; from mnemolite.wiring import open_notes; open_notes(sys.argv[1]).notes.add('x')"
    writers = [start(program, tmp_path) for _ in range(4)]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [("", 0)] * 4
    with open_notes(tmp_path) as memory:
        assert len(memory.notes.select()) == 4


def test_a_writer_that_does_not_end_is_named_and_reading_goes_on(tmp_path: Path) -> None:
    with open_notes(tmp_path, settings=Settings(data_dir=str(tmp_path), lock_wait_seconds=0.1)) as memory:
        memory.notes.add("alpha")
        other = apsw.Connection(str(tmp_path / NOTES))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Conflict, match=r"notes\.db is being written by another writer; wait for it or stop it"):
            memory.notes.add("beta")
        assert [each.title for each in memory.notes.select()] == ["alpha"]
        assert len(memory.notes.search("alpha").hits) == 1
        other.execute("ROLLBACK")
        other.close()


def test_a_damaged_database_of_notes_says_what_to_do_and_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    with open_notes(tmp_path, settings=settings) as memory:
        for i in range(50):
            memory.notes.add(f"note {i}", "word " * 500)
    path = tmp_path / NOTES
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match=r"damaged: .*; move it away and import the last 'note export'"):
        open_notes(tmp_path, settings=settings).notes.select()
    assert path.read_bytes() == before
