"""
Training pairs from git repositories: from their files, by the outline of each, and from their history.

``python -m mnemolite.lab.mine MIRROR --out DIR`` writes DIR/owner+name.jsonl.gz for each repository and a line about it
in DIR/repositories.jsonl; what is there already is not mined again. Files are read in a child process: one that crashes
its grammar is left out and the next child goes on after it.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import structs

from mnemolite.errors import MnemoError
from mnemolite.ingest import walk
from mnemolite.ingest.chunk import PROSE
from mnemolite.ingest.git import git_of
from mnemolite.ingest.languages import language_of
from mnemolite.ingest.lines import Lines
from mnemolite.lab.licences import Reserved, reserved_names
from mnemolite.lab.mine_text import GENERATED, is_wanted, of_code, of_commits, of_prose
from mnemolite.lab.pairs import SUFFIX, Pair, write_pairs
from mnemolite.lab.repository import MAX_FILE_BYTES, Blob, Git, digests, digests_of, git_folder, licence_in
from mnemolite.lab.selection import capped, dedupe_across, distinct, kept, with_tested

MAX_PAIRS = 20_000  # of one repository
MAX_TREE_PAIRS = 100_000  # of one's own
MAX_COMMITS = 300
MAX_FILES = 3_000  # of one repository, the first by the hash of their paths; more give few pairs that are kept
FILE_CPU_SECONDS = 10.0
REPOSITORY_SECONDS = 900.0
RECORDS = "repositories.jsonl"


class Mined(msgspec.Struct, kw_only=True):
    """What a repository gave; *refused* says why it was not looked at."""

    name: str = ""
    revision: str = ""
    licence: str = ""
    refused: str = ""
    counts: dict[str, int] = msgspec.field(default_factory=dict)  # by Relation
    dropped: dict[str, int] = msgspec.field(default_factory=dict)  # by reason
    pairs: list[Pair] = msgspec.field(default_factory=list)


def mine(
    repository: Path,
    name: str = "",
    *,
    reserved: Reserved | None = None,
    max_pairs: int = MAX_PAIRS,
    commits: int = MAX_COMMITS,
) -> Mined:
    """
    At most *max_pairs* of a bare git folder or a work tree, the same ones each time.

    Raises:
        MnemoError: git cannot read the repository.
    """
    git = Git(git_folder(repository))
    mined = Mined(name=name, revision=git.revision())
    blobs = git.blobs()
    licence = licence_in(git, blobs)
    mined.licence = licence.name
    mined.refused = licence.objection or (reserved.objection(name, digests_of(blobs)) if reserved else "")
    if mined.refused:
        return mined
    dropped: Counter[str] = Counter()
    found = [*_of_files(git, blobs, dropped), *kept(of_commits(git, commits), dropped)]
    return _chosen(mined, found, max_pairs, dropped)


def mine_tree(root: Path, *, max_pairs: int = MAX_TREE_PAIRS, commits: int = MAX_COMMITS) -> Mined:
    """
    Of one's own tree: of its files as they lie there, whatever their licence, and of its history where it has one.

    Paths of pairs are relative to *root*.
    """
    dropped: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        found = list(_of_tree(root, Path(scratch, "paths"), dropped))
    if (history := git_of(root)) is not None:
        folder, below = history
        pairs = kept(of_commits(Git(folder), commits), dropped)
        found += [structs.replace(p, path=p.path[len(below) :]) for p in pairs if p.path.startswith(below)]
    return _chosen(Mined(), found, max_pairs, dropped)


def _chosen(mined: Mined, found: Sequence[Pair], max_pairs: int, dropped: Counter[str]) -> Mined:
    """*mined* with at most *max_pairs* of *found*, and what became of the others."""
    worthy = distinct(with_tested(found), dropped)
    mined.pairs = capped(worthy, max_pairs)
    dropped["over the cap"] = len(worthy) - len(mined.pairs)
    mined.counts = dict(sorted(Counter(pair.relation.value for pair in mined.pairs).items()))
    mined.dropped = dict(sorted((+dropped).items()))
    return mined


# Files


class _File(msgspec.Struct):
    """What a child says about one file."""

    pairs: list[Pair] = msgspec.field(default_factory=list)
    dropped: dict[str, int] = msgspec.field(default_factory=dict)


def _of_files(git: Git, blobs: Iterable[Blob], dropped: Counter[str]) -> Iterator[Pair]:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "tree")
        root.mkdir()
        _extract(git, blobs, root, dropped)
        yield from _of_tree(root, Path(scratch, "paths"), dropped)


def _of_tree(root: Path, listed: Path, dropped: Counter[str]) -> Iterator[Pair]:
    """*listed* is a file for the names of those that are read."""
    found = walk.Walk(root, max_bytes=MAX_FILE_BYTES)
    paths = [file.path for file in found if "\n" not in file.path and is_wanted(file.path)]
    chosen = sorted(paths, key=lambda path: crc32(path.encode("utf-8", "surrogateescape")))[:MAX_FILES]
    dropped["file over the cap"] += len(paths) - len(chosen)
    for file in _read_by_children(root, sorted(chosen), listed):
        dropped.update(file.dropped)
        yield from file.pairs


def _extract(git: Git, blobs: Iterable[Blob], root: Path, dropped: Counter[str]) -> None:
    wanted = [b for b in blobs if is_wanted(b.path) or b.path.rpartition("/")[2] == ".gitignore"]
    small = [b for b in wanted if b.size <= MAX_FILE_BYTES]
    dropped["file too large"] += len(wanted) - len(small)
    chosen = sorted(small, key=lambda b: crc32(b.path.encode()))[:MAX_FILES]
    dropped["file over the cap"] += len(small) - len(chosen)
    for blob, data in git.contents(chosen, root.parent / "wishes"):
        file = root / blob.path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        except OSError:  # a name this system does not allow
            dropped["file cannot be written"] += 1


def _read_by_children(root: Path, paths: Sequence[str], listed: Path) -> Iterator[_File]:
    decode = msgspec.json.Decoder(_File).decode
    start = 0
    while start < len(paths):
        listed.write_text("\n".join(paths[start:]), encoding="utf-8")
        command = [sys.executable, "-m", "mnemolite.lab.mine", "--files", str(root), str(listed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            assert child.stdout is not None
            for row in child.stdout:
                if row.endswith(b"\n"):
                    start += 1
                    yield decode(row)
        if start < len(paths):
            start += 1
            yield _File(dropped={"file crashed its parser": 1})


def _child(root: Path, listed: Path) -> None:
    """Answers each path in *listed* with a line of JSON on standard output."""
    encode = msgspec.json.Encoder().encode
    for path in listed.read_text(encoding="utf-8").split("\n"):
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, FILE_CPU_SECONDS)  # ends this process, even within a grammar
        try:
            file = _of_file(root, path)
        except Exception as error:  # noqa: BLE001  whatever it is, it costs this file only
            file = _File(dropped={f"file failed: {type(error).__name__}: {error}"[:100]: 1})
        sys.stdout.buffer.write(encode(file) + b"\n")
        sys.stdout.buffer.flush()


def _of_file(root: Path, path: str) -> _File:
    try:
        text = walk.read_text(root / path, MAX_FILE_BYTES).text
    except walk.Skip as skip:
        return _File(dropped={f"file {skip}": 1})
    if GENERATED.search(text[:1000]):
        return _File(dropped={"file generated": 1})
    language = language_of(path, text[:2048].encode("utf-8", "replace"))
    dropped: Counter[str] = Counter()
    lines = Lines(text.replace("\r\n", "\n"))
    if language in PROSE:
        found: Iterable[Pair] = of_prose(lines, language, path)
    else:
        found = of_code(lines, language, path, dropped)
    return _File(list(kept(found, dropped)), dropped)


# Many repositories


@dataclass(frozen=True)
class _Order:
    """What is asked of a run over many."""

    mirror: Path
    out: Path
    workers: int
    max_pairs: int
    commits: int


def mine_all(order: _Order, names: Sequence[str], reserved: Reserved) -> int:
    """How many were mined now; each in a process of its own, with a time limit."""
    order.out.mkdir(parents=True, exist_ok=True)
    done = _done(order.out)
    wanted = [name for name in names if name not in done]
    count = 0
    with ThreadPoolExecutor(order.workers) as pool, (order.out / RECORDS).open("ab") as records:
        for future in as_completed([pool.submit(_mine_apart, order, name, reserved) for name in wanted]):
            mined = future.result()
            _say(_told(mined))
            if mined.revision:
                mined.pairs = []
                records.write(msgspec.json.encode(mined) + b"\n")
                records.flush()
                count += not mined.refused
    return count


def _mine_apart(order: _Order, name: str, reserved: Reserved) -> Mined:
    """Without a revision when it failed and is worth another try."""
    repository, file = order.mirror / _flat(name), order.out / (_flat(name) + SUFFIX)
    try:
        folder = git_folder(repository)
        if refused := reserved.objection(name, digests(repository)):
            return Mined(name=name, revision=Git(folder).revision(), refused=refused)
        command = [sys.executable, "-m", "mnemolite.lab.mine", "--one", name, str(folder), str(file)]
        command += [str(order.max_pairs), str(order.commits)]
        answer = subprocess.run(command, capture_output=True, check=True, timeout=REPOSITORY_SECONDS).stdout
        return msgspec.json.decode(answer, type=Mined)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        return Mined(name=name, refused=f"failed: exit status {error.returncode}: {said}")
    except (MnemoError, OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        return Mined(name=name, refused=f"failed: {error}")


def _one(name: str, folder: Path, file: Path, max_pairs: int, commits: int) -> None:
    mined = mine(folder, name, max_pairs=max_pairs, commits=commits)
    if not mined.refused:
        write_pairs(file, mined.pairs)
    mined.pairs = []
    sys.stdout.buffer.write(msgspec.json.encode(mined))


def _flat(name: str) -> str:
    return name.replace("/", "+")


def _told(mined: Mined) -> str:
    if mined.refused:
        return f"{mined.name}: {mined.refused}"
    return f"{mined.name}: {sum(mined.counts.values())} pairs, {mined.licence}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _done(out: Path) -> set[str]:
    """Names of which nothing more is to be had: refused, or their pairs are there."""
    done = set()
    if (out / RECORDS).exists():
        for row in (out / RECORDS).read_bytes().splitlines():
            try:
                mined = msgspec.json.decode(row, type=Mined)
            except msgspec.MsgspecError:  # the last line of a run that was killed
                continue
            if mined.refused or (out / (_flat(mined.name) + SUFFIX)).exists():
                done.add(mined.name)
    return done


def _listed(source: Path) -> list[str]:
    """ "owner/name"s: of a mirror's folders, or the first words of a list's lines."""
    if source.is_dir():
        return sorted(folder.name.replace("+", "/", 1) for folder in source.iterdir() if _is_whole(folder))
    rows = (row.split("#")[0].split() for row in source.read_text(encoding="utf-8").splitlines())
    return list(dict.fromkeys(row[0] for row in rows if row))


def _is_whole(folder: Path) -> bool:
    return folder.is_dir() and "+" in folder.name and folder.suffix != ".part"  # one that is being fetched


def _reserved(file: Path | None, mirror: Path) -> Reserved:
    """With the digests of those reserved that *mirror* has."""
    if file is None:
        return Reserved()
    names = reserved_names(file)
    at_hand = {name: mirror / _flat(name) for name in _listed(mirror) if name.lower() in names}
    return Reserved(names, {name: digests(folder) for name, folder in at_hand.items()})


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--files"]:
        _child(Path(arguments[1]), Path(arguments[2]))
        return 0
    if arguments[:1] == ["--one"]:
        _one(arguments[1], Path(arguments[2]), Path(arguments[3]), int(arguments[4]), int(arguments[5]))
        return 0
    parser = argparse.ArgumentParser(prog="mnemolite.lab.mine", description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path, help="a folder of owner+name folders, or a list of owner/name")
    parser.add_argument("--mirror", type=Path, help="where the repositories of a list are (default: beside the list)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reserved", type=Path, help="a list of repositories that are never mined")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--max-pairs-per-repo", type=int, default=MAX_PAIRS)
    parser.add_argument("--commits", type=int, default=MAX_COMMITS)
    given = parser.parse_args(arguments)
    mirror = given.mirror or (given.source if given.source.is_dir() else given.source.parent)
    order = _Order(mirror, given.out, given.workers, given.max_pairs_per_repo, given.commits)
    try:
        if mine_all(order, _listed(given.source), _reserved(given.reserved, mirror)):
            removed = dedupe_across(sorted(given.out.glob(f"*{SUFFIX}")))
            _say(f"{removed} pairs removed that an earlier repository has")
    except (MnemoError, OSError) as error:
        _say(f"mnemolite.lab.mine: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
