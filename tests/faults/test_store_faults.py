"""Crashes, full disks, damaged files and other processes."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest

from mnemolite.errors import Conflict, NotFound, StoreUnavailable
from mnemolite.stores import sqlite_schema
from mnemolite.stores.lock import WriterLock, lock_path
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import Scope

KILLS = 30
WRITER = """
import sys
from pathlib import Path
import numpy as np
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import Chunk, Document, Domain, Indexed, Kind, Space

SPACE = Space(domain=Domain.HYBRID, model="m", dimension=32, fingerprint="1")
rng = np.random.default_rng(0)

def batch(number, size=5, chunks=4, padding=""):
    for i in range(size):
        path = f"{number}/{i}.py"
        yield Indexed(
            document=Document(source="s", path=path, digest="", language="python", size=0, mtime_ns=0),
            chunks=tuple(
                Chunk(source="s", path=path, language="python", kind=Kind.LINES, name=f"batch_{number}",
                      text=f"batch {number} word{i} {padding}", first_line=1, last_line=1) for _ in range(chunks)
            ),
            digests=(b"",) * chunks,
            vectors={SPACE: rng.standard_normal((chunks, 32)).astype(np.float32)},
        )

store = SqliteStore(Path(sys.argv[1]), lock_wait_seconds=30)
"""
PUT_ENDLESSLY = (
    WRITER
    + """
start = int(sys.argv[2])
with store.writer():
    for number in range(start, start + 10**6):
        store.put(batch(number))
        if number % 3 == 2:
            store.put(batch(number - 1))
        if number % 5 == 4:
            store.drop("s", [f"{number - 2}/0.py"])
        print(number, flush=True)
"""
)
SPACE_QUERY = (
    WRITER
    + """
for _ in range(40):
    assert len(store.lexical(["batch"], Scope(), 10)) == 10
    assert len(store.nearest(SPACE, np.ones(32, np.float32), Scope(), 10)) == 10
print("read")
"""
).replace("import Chunk", "import Scope, Chunk")
HOLD = WRITER + "\nwith store.writer():\n    print('held', flush=True)\n    sys.stdin.read()\n"


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def put_batches(path: Path, count: int) -> None:
    program = f"{WRITER}\nfor number in range({count}):\n    store.put(batch(number))\nstore.close()\n"
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)


def test_a_killed_writer_loses_no_acknowledged_batch_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    dice = random.Random(0)
    acknowledged: list[int] = []
    for kill in range(KILLS):
        writer = start(PUT_ENDLESSLY, path, acknowledged[-1] + 1 if acknowledged else 0)
        assert writer.stdout is not None
        if kill % 3:
            first = writer.stdout.readline()
            time.sleep(dice.uniform(0.0, 0.15))
        else:  # while it starts, opens or makes the file
            first = ""
            time.sleep(dice.uniform(0.05, 0.4))
        writer.send_signal(signal.SIGKILL)
        rest, errors = writer.communicate()
        assert errors == ""
        acknowledged += [int(line) for line in (first + rest).split()]
        store = SqliteStore(path, lock_wait_seconds=0)
        assert store.check() == []
        with store.writer():
            stored = store.files("s")
        assert {f"{number}/1.py" for number in acknowledged} <= stored.keys()
        store.close()
    assert len(acknowledged) > KILLS


def test_processes_read_while_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    put_batches(path, 3)
    writer = start(PUT_ENDLESSLY, path, 3)
    readers = [start(SPACE_QUERY, path) for _ in range(2)]
    outcomes = [reader.communicate() for reader in readers]
    alive = writer.poll() is None
    writer.kill()
    _, errors = writer.communicate()
    assert alive, errors
    assert [said for said, _ in outcomes] == ["read\n", "read\n"], outcomes


def test_a_second_writer_waits_and_then_names_the_first(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    holder = start(HOLD, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    store = SqliteStore(path, lock_wait_seconds=0.1)
    expected = rf"being written by process {holder.pid} \(.*, since \d\d:\d\d:\d\d\); wait for it or stop it"
    with pytest.raises(Conflict, match=expected), store.writer():
        pass
    holder.kill()
    holder.communicate()
    assert "process" in lock_path(path).read_text()
    with store.writer(), store.writer():
        pass
    assert lock_path(path).read_text() == ""
    store.close()


def test_a_write_outside_the_lock_that_cannot_wait_longer_is_a_conflict(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "m.db", lock_wait_seconds=0.1)
    other = apsw.Connection(str(tmp_path / "m.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Conflict, match=re.escape(str(tmp_path / "m.db"))):
        store.add_poison("x", "y")
    other.execute("ROLLBACK")
    other.close()
    store.add_poison("x", "y")
    store.close()


def test_the_writers_lock_is_held_where_its_file_has_no_room_for_a_name(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    program = "import resource, sys; from pathlib import Path; from mnemolite.stores.lock import WriterLock\n"
    program += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    program += "with WriterLock(Path(sys.argv[1]), 0).held():\n    print('held', flush=True)\n    sys.stdin.read()"
    called = [sys.executable, "-c", program, str(path)]
    holder = subprocess.Popen(called, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    with pytest.raises(Conflict, match="another writer"), WriterLock(path, 0).held():
        pass
    holder.communicate()
    assert holder.returncode == 0


def test_a_disk_without_a_free_byte_is_named(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        put_batches(disk / "m.db", 1)
        with pytest.raises(OSError), (disk / "fill").open("wb") as file:
            file.write(bytes(2**20))
        with pytest.raises(StoreUnavailable, match="no space left"):
            SqliteStore(disk / "m.db")
        (disk / "fill").unlink()
        store = SqliteStore(disk / "m.db")
        assert store.check() == []
        assert store.files("s") != {}
        store.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_full_disk_loses_only_the_batch_that_met_it(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    put_batches(path, 2)
    limit = path.stat().st_size + 200_000
    program = f"{WRITER}\nfor number in range(2, 40):\n    store.put(batch(number, padding='x ' * 5000))\n"
    writer = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert "StoreUnavailable" in writer.stderr
    assert str(path) in writer.stderr
    assert "the last batch was not stored" in writer.stderr
    store = SqliteStore(path)
    assert store.check() == []
    assert {"0/0.py", "1/4.py"} <= store.files("s").keys()
    assert store.lexical(["word1"], Scope(), 5) != []
    store.close()


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 500, b"\0" * 5000, b"x", b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"damaged: .*mnemolite index rebuild"):
        SqliteStore(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE t (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="another program"):
        SqliteStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_index_says_that_it_is_damaged(tmp_path: Path, share: float) -> None:
    path = tmp_path / "m.db"
    put_batches(path, 20)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(StoreUnavailable, match=r"damaged: .*mnemolite index rebuild"):
        store = SqliteStore(path)
        try:
            store.clear()
        finally:
            store.close()


def test_a_newer_schema_is_refused_naming_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    SqliteStore(path).close()
    newer = apsw.Connection(str(path))
    newer.pragma("user_version", 99)
    newer.close()
    with pytest.raises(StoreUnavailable, match=rf"version 99.* up to {len(sqlite_schema.STEPS)}"):
        SqliteStore(path)


def test_an_older_schema_is_brought_up_in_one_transaction(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    put_batches(path, 1)
    steps = (*sqlite_schema.STEPS, "CREATE TABLE extra (x); INSERT INTO extra VALUES (1)", "CREATE TABLE broken (")
    connection = apsw.Connection(str(path))
    with pytest.raises(apsw.SQLError):
        sqlite_schema.migrate(connection, path, steps)
    assert connection.pragma("user_version") == len(sqlite_schema.STEPS)
    sqlite_schema.migrate(connection, path, steps[:-1])
    assert connection.execute("SELECT x FROM extra").fetchall() == [(1,)]
    assert connection.pragma("user_version") == len(steps) - 1
    assert connection.execute("SELECT count(*) FROM documents").get == 5
    connection.close()


def test_reading_only_needs_an_index_and_refuses_to_write(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with pytest.raises(NotFound, match="run 'mnemolite index'"):
        SqliteStore(path, readonly=True)
    put_batches(path, 1)
    store = SqliteStore(path, readonly=True)
    assert len(store.lexical(["word1"], Scope(), 5)) == 4
    with pytest.raises(StoreUnavailable, match="reading only"):
        store.drop("s", ["0/0.py"])
    store.close()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_an_index_in_a_folder_without_write_permission_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    put_batches(path, 1)
    tmp_path.chmod(0o555)
    store = SqliteStore(path, readonly=True)
    assert len(store.files("s")) == 5
    store.close()
    with pytest.raises(StoreUnavailable, match="read-only"):
        SqliteStore(path)
    tmp_path.chmod(0o755)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=re.escape(str(tmp_path / "file"))):
        SqliteStore(tmp_path / "file" / "m.db")
    (tmp_path / "m.db").mkdir()
    with pytest.raises(StoreUnavailable, match=r"cannot open .*m\.db"):
        SqliteStore(tmp_path / "m.db")


def test_an_index_deleted_and_made_anew_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    put_batches(path, 1)
    store = SqliteStore(path)
    version = store.version()
    assert len(store.files("s")) == 5
    for file in tmp_path.glob("m.db*"):
        file.unlink()
    put_batches(path, 2)
    assert len(store.files("s")) == 10
    assert store.version() != version
    store.drop("s", ["0/0.py"])
    store.close()
    again = SqliteStore(path)
    assert len(again.files("s")) == 9
    again.close()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    for store in (SqliteStore(None), SqliteStore(tmp_path / "m.db")):
        store.close()
        store.close()
        with pytest.raises(StoreUnavailable, match="has been closed"):
            store.files("s")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.db", "m.db.lock"]
