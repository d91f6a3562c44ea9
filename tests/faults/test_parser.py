"""Files that kill or hang the processes that parse them, and processes that are killed for other reasons."""

from __future__ import annotations

import os
import random
import signal
import string
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mnemolite
from mnemolite.child import module_folders
from mnemolite.errors import MnemoError
from mnemolite.ingest import outline, parser
from mnemolite.ingest.parser import Parsed, Parser
from mnemolite.types import Kind

MAX_BYTES = 1_000_000
SOURCE = "def first(a):\n    return a\n\n\nclass Second:\n    def third(self):\n        return 3\n"
KILLER = "".join(" " * i + "if x:\n" for i in range(520)) + " " * 520 + "'"  # tree-sitter-python#350


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for i in range(80):
        folder = tmp_path / f"part{i % 4}"
        folder.mkdir(exist_ok=True)
        (folder / f"file{i}.py").write_text(f"# {i}\n{SOURCE}")
    return tmp_path


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def parsed(root: Path, workers: int = 2, poisoned: dict[str, str] | None = None) -> dict[str, Parsed]:
    with Parser(workers, poisoned or {}, MAX_BYTES) as pool:
        found = list(pool.parse(root, "s", files(root)))
    assert sorted(each.path for each in found) == files(root)  # none lost, none twice
    return {each.path: each for each in found}


@pytest.fixture
def unguarded(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children of a copy of the package whose guard against deep nesting is off, so that a grammar really crashes."""
    import shutil

    copy = tmp_path_factory.mktemp("copy") / "mnemolite"
    shutil.copytree(Path(mnemolite.__file__).parent, copy, ignore=shutil.ignore_patterns("model", "__pycache__"))
    guard = copy / "ingest" / "outline.py"
    text = guard.read_text()
    assert f"MAX_DEPTH = {outline.MAX_DEPTH}" in text
    guard.write_text(text.replace(f"MAX_DEPTH = {outline.MAX_DEPTH}", "MAX_DEPTH = 100_000"))
    folders = module_folders(parser.PACKAGES)
    monkeypatch.setattr(parser, "module_folders", lambda _: [str(copy.parent), *folders[1:]])


def test_every_file_is_parsed_once(tree: Path) -> None:
    for path, each in parsed(tree).items():
        assert each.document is not None
        assert (each.document.path, each.document.source, each.document.language) == (path, "s", "python")
        assert {name for chunk in each.chunks for name in chunk.symbols} == {"first", "Second", "third"}
        assert "".join(chunk.text for chunk in each.chunks) == (tree / path).read_text()
        assert not each.poison


def test_a_file_without_text_says_why(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "large.txt").write_text("x" * (MAX_BYTES + 1))
    with Parser(1, {}, MAX_BYTES) as pool:
        found = {each.path: each for each in pool.parse(tmp_path, "s", ["image.png", "large.txt", "gone.py"])}
    assert {path: each.skipped for path, each in found.items()} == {
        "image.png": "binary",
        "large.txt": "too large",
        "gone.py": "unreadable",
    }
    assert all(each.document is None for each in found.values())


def test_other_encodings_are_read(tmp_path: Path) -> None:
    (tmp_path / "wide.py").write_bytes(SOURCE.encode("utf-16"))
    (tmp_path / "latin.py").write_bytes(("# é\n" + SOURCE).encode("latin-1"))
    for each in parsed(tmp_path).values():
        assert "first" in {name for chunk in each.chunks for name in chunk.symbols}


@pytest.mark.usefixtures("unguarded")
def test_a_file_that_crashes_its_grammar_costs_only_its_definitions(tree: Path) -> None:
    (tree / "part1" / "killer.py").write_text(KILLER)
    (tree / "part3" / "killer.py").write_text(KILLER)
    found = parsed(tree)
    killers = {path for path, each in found.items() if each.poison}
    assert killers == {"part1/killer.py", "part3/killer.py"}
    for path in killers:
        assert found[path].poison == "SIGSEGV"
        assert {chunk.kind for chunk in found[path].chunks} == {Kind.LINES}
        assert "".join(chunk.text for chunk in found[path].chunks) == KILLER
    assert sum(bool(each.chunks) for each in found.values()) == len(found)


@pytest.mark.usefixtures("unguarded")
def test_secrets_are_masked_in_a_child_and_where_a_child_died(tmp_path: Path) -> None:
    token = "ghp_" + "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=36))
    (tmp_path / "killer.py").write_text(f"# {token}\n{KILLER}")
    (tmp_path / "plain.py").write_text(f"{SOURCE}\nTOKEN = {token!r}\n")
    found = parsed(tmp_path)
    assert [found["killer.py"].poison, found["plain.py"].poison] == ["SIGSEGV", ""]
    for each in found.values():
        assert [place.kind for place in each.masked] == ["GitHub token"]
        assert not any(token in chunk.text for chunk in each.chunks)
    assert found["killer.py"].masked[0].line == 1
    with Parser(1, {}, MAX_BYTES, allow_secrets=True) as pool:
        [open_] = pool.parse(tmp_path, "s", ["plain.py"])
    assert any(token in chunk.text for chunk in open_.chunks)
    assert not open_.masked


@pytest.mark.usefixtures("unguarded")
def test_a_file_known_to_kill_is_cut_by_lines_at_once(tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    document = parsed(tmp_path)["killer.py"].document
    assert document is not None
    with Parser(1, {document.digest: "SIGSEGV"}, MAX_BYTES) as pool:
        [again] = pool.parse(tmp_path, "s", ["killer.py"])
        pids = pool.pids
    assert len(pids) == 1
    assert not again.poison
    assert {chunk.kind for chunk in again.chunks} == {Kind.LINES}


def test_the_guards_keep_the_crash_from_happening(tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    (tmp_path / "killer.yaml").write_text("- " * 300 + "a\n")
    (tmp_path / "killer.md").write_text(">" * 300 + " a\n")
    assert not any(each.poison for each in parsed(tmp_path).values())


def test_children_killed_again_and_again_lose_no_file(tree: Path) -> None:
    with Parser(2, {}, MAX_BYTES) as pool:
        found: list[Parsed] = []
        for each in pool.parse(tree, "s", files(tree)):
            if len(found) % 10 == 0 and pool.pids:
                os.kill(pool.pids[-1], signal.SIGSEGV)
            found.append(each)
    assert sorted(each.path for each in found) == files(tree)
    assert all(each.chunks for each in found)


def children_do(monkeypatch: pytest.MonkeyPatch, instead_of_parsing: str, settings: str = "") -> None:
    """Has every child run an expression where it would parse a file."""
    paths = parser._START.partition("from mnemolite")[0]
    program = f"{settings or 'pass'}; parser._parse = lambda *_: {instead_of_parsing}; parser.main()"
    monkeypatch.setattr(parser, "_START", f"{paths}from mnemolite.ingest import parser; {program}")


def test_a_file_that_takes_too_long_is_cut_by_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children_do(monkeypatch, "[0 for _ in iter(int, 1)]", "parser.CPU_SECONDS = 0.2")
    (tmp_path / "slow.py").write_text(SOURCE)
    [each] = parsed(tmp_path).values()
    assert each.poison == "SIGPROF"
    assert "".join(chunk.text for chunk in each.chunks) == SOURCE


def test_a_child_that_says_nothing_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "WALL_SECONDS", 0.1)
    children_do(monkeypatch, "__import__('time').sleep(60)")
    (tmp_path / "silent.py").write_text(SOURCE)
    [each] = parsed(tmp_path).values()
    assert each.poison.startswith("no answer within")
    assert each.chunks


def test_a_child_that_cannot_start_says_so_and_poisons_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "_START", "raise SystemExit(3)")
    with Parser(1, {}, MAX_BYTES) as pool, pytest.raises(MnemoError, match="exit status 3"):
        list(pool.parse(tmp_path, "s", ["a.py"]))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Parser(1, {}, MAX_BYTES) as pool, pytest.raises(MnemoError, match="/nowhere/python"):
        list(pool.parse(tmp_path, "s", ["a.py"]))


def test_closing_early_leaves_no_process(tree: Path) -> None:
    with Parser(2, {}, MAX_BYTES) as pool:
        results = pool.parse(tree, "s", files(tree))
        next(results)
        pids = pool.pids
        assert isinstance(results, Iterator)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not [thread for thread in threading.enumerate() if thread.name == "mnemolite-parser"]


def test_an_abandoned_run_does_not_disturb_the_next(tree: Path) -> None:
    with Parser(2, {}, MAX_BYTES) as pool:
        abandoned = pool.parse(tree, "s", files(tree))
        next(abandoned)
        abandoned.close()  # type: ignore[attr-defined]
        assert sorted(each.path for each in pool.parse(tree, "s", files(tree))) == files(tree)


def test_children_are_kept_for_the_next_run(tree: Path) -> None:
    with Parser(2, {}, MAX_BYTES) as pool:
        list(pool.parse(tree, "s", files(tree)))
        pids = pool.pids
        list(pool.parse(tree, "s", files(tree)[:5]))
        assert pool.pids == pids


def test_a_small_tree_starts_one_child(tree: Path) -> None:
    with Parser(8, {}, MAX_BYTES) as pool:
        list(pool.parse(tree, "s", files(tree)[:24]))
        assert len(pool.pids) == 1


def test_no_file_starts_no_child(tmp_path: Path) -> None:
    with Parser(2, {}, MAX_BYTES) as pool:
        assert list(pool.parse(tmp_path, "s", [])) == []
        assert pool.pids == ()


def test_code_of_the_tree_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = "raise SystemExit('the indexed tree was imported')\n"
    for name in ("msgspec.py", "tree_sitter.py", "subprocess.py", "mnemolite/__init__.py", "sitecustomize.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(trap)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f".{os.pathsep}{tmp_path}")
    assert len(parsed(tmp_path)) == 5


def test_it_works_in_a_thread(tree: Path) -> None:
    found: list[dict[str, Parsed]] = []
    thread = threading.Thread(target=lambda: found.append(parsed(tree)))
    thread.start()
    thread.join()
    assert len(found[0]) == 80


ORPHAN = """
import sys
from pathlib import Path
from mnemolite.ingest.parser import Parser
pool = Parser(1, {}, 1000)
list(pool.parse(Path(sys.argv[1]), "s", ["a.py"]))
print(*pool.pids, flush=True)
sys.stdin.read()
"""


def test_children_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    environment = {**os.environ, "PYTHONPATH": str(Path(mnemolite.__file__).parents[1])}
    command = [sys.executable, "-c", ORPHAN, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    for _ in range(500):
        if not running(pid):
            break
        time.sleep(0.02)
    assert not running(pid)


def running(pid: int) -> bool:
    """Whether *pid* is a process that has not ended; one that nobody has reaped yet has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state) and not state.startswith("Z")


def test_an_interrupt_does_not_reach_the_children(tree: Path) -> None:
    with Parser(1, {}, MAX_BYTES) as pool:
        results = pool.parse(tree, "s", files(tree))
        count = 0
        for _ in results:
            count += 1
            for pid in pool.pids:
                os.kill(pid, signal.SIGINT)
    assert count == 80


HEAVY = "numpy apsw click multiprocessing asyncio"


def test_a_child_loads_only_what_it_needs() -> None:
    program = f"import sys, mnemolite.ingest.parser; print([m for m in {HEAVY.split()} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(Path(mnemolite.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
