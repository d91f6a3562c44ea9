"""
Training pairs from git repositories: from their files, by the outline of each, and from their history.

``python -m mnemolite.lab.mine MIRROR --out DIR`` writes DIR/owner+name.jsonl.gz for each repository and a line about it
in DIR/repositories.jsonl; what is there already is not mined again. Files are read in a child process: one that crashes
its grammar is left out and the next child goes on after it.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from textwrap import dedent
from typing import IO, TYPE_CHECKING
from zlib import crc32

import msgspec

from mnemolite.errors import InvalidInput, MnemoError
from mnemolite.ingest import walk
from mnemolite.ingest.chunk import PROSE
from mnemolite.ingest.languages import LANGUAGES, language_of
from mnemolite.ingest.lines import Lines
from mnemolite.ingest.names import nth
from mnemolite.ingest.outline import CLASS_LIKE, Definition, Unparsable, docstring_of, outline, signature_of
from mnemolite.ingest.prose import sections
from mnemolite.lab.licences import LICENCE_FILE, Licence, Reserved, licence_of, reserved_names
from mnemolite.lab.pairs import SUFFIX, Pair, Relation, read_pairs, write_pairs
from mnemolite.types import Kind

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_PAIRS = 20_000  # of one repository
MAX_COMMITS = 300
MAX_FILE_BYTES = 1_000_000
MAX_FILES = 20_000  # of one repository, the first by the hash of their paths
MAX_PASSAGE, MIN_PASSAGE = 1200, 40  # characters
MAX_QUERY, MIN_QUERY = 300, 3
MAX_SAME_QUERY = 2  # pairs of one relation: batches come from one repository, and there equal queries contradict
MAX_LOG_BYTES = 60_000_000
MAX_HUNK_ROWS = 60
GIT_SECONDS = 120.0
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
    licence = _licence(git, blobs)
    mined.licence = licence.name
    mined.refused = licence.objection or (reserved.objection(name, _digests(blobs)) if reserved else "")
    if mined.refused:
        return mined
    dropped: Counter[str] = Counter()
    found = list(_of_files(git, blobs, dropped))
    found += _kept(_of_commits(git, commits), dropped)
    found = _distinct(_with_tested(found), dropped)
    mined.pairs = _capped(found, max_pairs)
    dropped["over the cap"] = len(found) - len(mined.pairs)
    mined.counts = dict(sorted(Counter(pair.relation.value for pair in mined.pairs).items()))
    mined.dropped = dict(sorted((+dropped).items()))
    return mined


# Git


@dataclass(frozen=True)
class Blob:
    path: str
    digest: str  # git's
    size: int


@dataclass(frozen=True)
class Git:
    folder: Path

    def revision(self) -> str:
        return self._output("rev-parse", "HEAD").decode().strip()

    def blobs(self) -> list[Blob]:
        """The regular files of HEAD. Unlike an archive it has those marked export-ignore: tests, often."""
        found = []
        for entry in self._output("ls-tree", "-r", "-z", "-l", "HEAD").split(b"\0"):
            head, _, raw = entry.partition(b"\t")
            fields = head.split()
            if len(fields) == 4 and fields[0].startswith(b"100") and fields[3].isdigit() and (path := _safe(raw)):
                found.append(Blob(path, fields[2].decode(), int(fields[3])))
        return found

    def contents(self, blobs: Sequence[Blob], scratch: Path) -> Iterator[tuple[Blob, bytes]]:
        """Those that are there: a partial clone lacks some. *scratch* is a file to write the wish list to."""
        scratch.write_text("".join(f"{blob.digest}\n" for blob in blobs))
        with scratch.open("rb") as wishes, self._start("cat-file", "--batch", stdin=wishes) as process:
            assert process.stdout is not None
            for blob in blobs:
                head = process.stdout.readline().split()
                if len(head) != 3:
                    if not head:
                        return
                    continue
                data = process.stdout.read(int(head[2]))
                process.stdout.read(1)
                yield blob, data

    def log(self, commits: int) -> Generator[bytes]:
        """Rows of the history with patches, at most MAX_LOG_BYTES; a first commit is shown without its patch."""
        command = ["-c", "log.showRoot=false", "-c", "diff.renameLimit=200", "log", "-p", "--no-merges", "--no-color"]
        command += ["--no-ext-diff", "--no-textconv", f"-n{commits}", "--diff-filter=AM", f"--format={_LOG_FORMAT}"]
        with self._start(*command) as process:
            assert process.stdout is not None
            size = 0
            for row in process.stdout:
                size += len(row)
                if size > MAX_LOG_BYTES:
                    break
                yield row
            process.kill()

    def _output(self, *arguments: str) -> bytes:
        try:
            return subprocess.run(
                self._command(arguments), env=_git_environment(), check=True, capture_output=True, timeout=GIT_SECONDS
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise MnemoError(f"git cannot read {self.folder}: {error}") from error

    def _start(self, *arguments: str, stdin: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command(arguments),
            env=_git_environment(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _command(self, arguments: Iterable[str]) -> list[str]:
        return ["git", f"--git-dir={self.folder}", "-c", "core.quotePath=false", *arguments]


_LOG_FORMAT = "%x00%an%x01%s%x01%b%x02"


def _git_environment() -> dict[str, str]:
    """Nobody's configuration but the repository's own, and no network."""
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C.UTF-8"}
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | own


def git_folder(repository: Path) -> Path:
    """
    *repository* itself when it is bare, else what is in it.

    Raises:
        InvalidInput: there is no git folder.
    """
    for folder in (repository / ".git", repository, repository / "repo" / ".git", repository / "repo"):
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            return folder
    raise InvalidInput(f"{repository} holds no git repository")


def _safe(raw: bytes) -> str:
    """The path of a file that can be written below another folder; "" when it cannot."""
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        return ""
    parts = path.split("/")
    return "" if path.startswith("/") or any(part in ("", ".", "..", ".git") for part in parts) else path


def digests(repository: Path) -> frozenset[str]:
    """What stands for the repository's content in Reserved: git's digests of the files that say something."""
    return _digests(Git(git_folder(repository)).blobs())


def _digests(blobs: Iterable[Blob]) -> frozenset[str]:
    return frozenset(
        b.digest for b in blobs if b.size >= 200 and not LICENCE_FILE.fullmatch(PurePosixPath(b.path).name)
    )


def _licence(git: Git, blobs: Iterable[Blob]) -> Licence:
    top = [b for b in blobs if LICENCE_FILE.fullmatch(b.path) and "/" not in b.path and b.size < MAX_FILE_BYTES]
    with tempfile.TemporaryDirectory() as scratch:
        contents = git.contents(top, Path(scratch, "wishes"))
        return licence_of({blob.path: data.decode("utf-8", "replace") for blob, data in contents})


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
        found = walk.Walk(root, max_bytes=MAX_FILE_BYTES)
        paths = [file.path for file in found if "\n" not in file.path and _is_wanted(file.path)]
        for file in _read_by_children(root, paths):
            dropped.update(file.dropped)
            yield from file.pairs


def _extract(git: Git, blobs: Iterable[Blob], root: Path, dropped: Counter[str]) -> None:
    wanted = [b for b in blobs if _is_wanted(b.path) or b.path.rpartition("/")[2] == ".gitignore"]
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


def _read_by_children(root: Path, paths: Sequence[str]) -> Iterator[_File]:
    listed = root.parent / "paths"
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
    if _GENERATED.search(text[:1000]):
        return _File(dropped={"file generated": 1})
    language = language_of(path, text[:2048].encode("utf-8", "replace"))
    dropped: Counter[str] = Counter()
    lines = Lines(text.replace("\r\n", "\n"))
    if language in PROSE:
        found: Iterable[Pair] = of_prose(lines, language, path)
    else:
        found = of_code(lines, language, path, dropped)
    return _File(list(_kept(found, dropped)), dropped)


_NOT_CODE = frozenset("json toml yaml css ini xml html csv diff gomod".split())
_OTHER_CODE = frozenset(
    "r clojure erlang fsharp fish vim nim crystal elm solidity matlab tcl emacs-lisp scheme".split()
)
_UNWANTED = re.compile(
    r"(?:^|/)(?:vendor(?:ed)?|_vendor|third[_-]?party|node_modules|dist|bower_components|pods|__snapshots__|locales?"
    r"|translations|generated)/|(?:^|/)(?:change(?:s|log)|history|news|authors|contributors|code_of_conduct|licen[cs]e"
    r"|copying|notice)\b[^/]*$|\.pb\.(?:go|cc|h)$|_pb2(?:_grpc)?\.pyi?$|\.min\.\w+$|\.(?:g|freezed)\.dart$"
    r"|\.designer\.cs$|[._]generated\.\w+$|\.d\.ts$",
    re.IGNORECASE,
)
_GENERATED = re.compile(r"@generated|auto-?generated|do not edit|generated (?:by|from|automatic)", re.IGNORECASE)


def _is_wanted(path: str) -> bool:
    if _UNWANTED.search(path):
        return False
    language = language_of(path, b"")
    return language in PROSE or language in _OTHER_CODE or (_has_grammar(language) and language not in _NOT_CODE)


def _has_grammar(language: str) -> bool:
    return language in LANGUAGES and bool(LANGUAGES[language].grammar)


# Code

_NAMED = CLASS_LIKE | {Kind.FUNCTION, Kind.METHOD, Kind.MACRO, Kind.TYPE}
_CALLED = frozenset({Kind.FUNCTION, Kind.METHOD})
_PART = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")


@dataclass
class _Source:
    """A file of code on its way to pairs."""

    lines: Lines
    language: str
    path: str
    about: set[int] = field(default_factory=set)  # rows of comments that document a definition

    def pair(self, relation: Relation, query: str, passage: str) -> Pair:
        return Pair(relation, _cut(query, MAX_QUERY), _cut(passage, MAX_PASSAGE), self.language, self.path)


def of_code(lines: Lines, language: str, path: str, dropped: Counter[str]) -> Iterator[Pair]:
    source = _Source(lines, language, path)
    try:
        definitions = outline(lines, language)
    except Unparsable as reason:
        definitions = []
        if _has_grammar(language):
            dropped[f"file {reason}"] += 1
    for definition, following in zip(definitions, [*definitions, None][1:], strict=True):
        has_inner = following is not None and following.node.start_byte < definition.node.end_byte
        yield from _of_definition(definition, source, has_inner)
    yield from _of_comments(source)


def _of_definition(definition: Definition, source: _Source, has_inner: bool) -> Iterator[Pair]:
    source.about.update(definition.comments)
    if definition.kind not in _NAMED and definition.kind is not Kind.CONSTANT:
        return
    body = _body(definition, source.lines)
    documented = docstring_of(definition, source.lines)
    if summary := _summary(documented):
        yield source.pair(Relation.DOCSTRING, summary, body)
    for first, rest in _first_sentences(_unmarked(documented)):
        yield source.pair(Relation.SENTENCE, first, rest)
    if definition.kind not in _NAMED:
        return
    if _is_test(definition, source):
        if not has_inner:
            yield source.pair(Relation.TEST, _tested(definition), _masked(body, definition.name))
        return
    is_suite = bool(_TEST_PATH.search(source.path) and _TEST_NAME.fullmatch(definition.name))
    if not is_suite and (query := _name_query(definition)):
        hidden = crc32(f"{source.path}:{definition.name}".encode()) & 1
        yield source.pair(Relation.NAME, query, _masked(body, definition.name) if hidden else body)
    if definition.kind in _CALLED and (inner := _after_signature(definition)):
        yield source.pair(Relation.SIGNATURE, signature_of(definition), inner)


def _body(definition: Definition, lines: Lines) -> str:
    """The definition with its decorators, without what is written about it."""
    start, stop = definition.first, definition.stop
    if (inner := _docstring_node(definition)) is not None:
        first, last = inner.start_point[0], inner.end_point[0] + 1
        if first > definition.node.start_point[0] or inner.start_byte == definition.node.start_byte:
            return dedent(lines.between(start, max(start, first)) + lines.between(last, max(last, stop)))
    return dedent(lines.between(start, stop))


def _docstring_node(definition: Definition) -> Node | None:
    """Python's string at the start of a body, GraphQL's description."""
    node = definition.node
    body = node.child_by_field_name("body")
    if body is not None and body.type == "block":
        statement = nth(body, 0)
        inner = nth(statement, 0) if statement is not None and statement.type == "expression_statement" else None
        return inner if inner is not None and inner.type == "string" else None
    first = nth(node, 0)
    return first if first is not None and first.type == "description" else None


def _after_signature(definition: Definition) -> str:
    body = definition.node.child_by_field_name("body")
    if body is None or body.start_byte <= definition.node.start_byte:
        return ""
    inner = _docstring_node(definition)
    start = inner.end_byte if inner is not None else body.start_byte
    text = definition.source[start : body.end_byte].decode("utf-8", "ignore")
    first, _, rest = text.partition("\n")
    return f"{first.strip()}\n{dedent(rest)}".strip()


def words_of(name: str) -> list[str]:
    """The lower-case words of an identifier or title."""
    return [word.lower() for word in _PART.findall(name)]


def _name_query(definition: Definition) -> str:
    """A name of one word says too little without what it is part of."""
    words = words_of(definition.name)
    if len(words) == 1 and definition.parents:
        words = words_of(definition.parents[-1]) + words
    return " ".join(words)


def _masked(body: str, name: str) -> str:
    """*body* without the name in the first row that has it, one of the first ten."""
    head = body.split("\n", 10)
    pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    for i, row in enumerate(head):
        if pattern.search(row):
            head[i] = pattern.sub("_", row)
            return "\n".join(head)
    return body


_TEST_PATH = re.compile(
    r"(?:^|/)(?:tests?|specs?|__tests__|testing)/|[._/-](?:test|spec)s?\.\w+$|(?:^|/)test_[^/]*$|Tests?\.\w+$|Spec\.\w+$"
)
_TEST_NAME = re.compile(r"test(?:[_A-Z0-9]|\b).*|Test[_A-Z]\w*|\w+(?:_test|Tests?)|.*\s.*", re.DOTALL)
_TEST_MARK = re.compile(r"@Test\b|@ParameterizedTest|\[(?:Fact|Theory|Test)\b|#\[(?:\w+::)?test\b")


def _is_test(definition: Definition, source: _Source) -> bool:
    if definition.kind not in _CALLED:
        return False
    if _TEST_PATH.search(source.path) and _TEST_NAME.fullmatch(definition.name):
        return True
    head = source.lines.between(definition.start, min(definition.start + 6, definition.node.start_point[0] + 1))
    return bool(_TEST_MARK.search(head)) or (source.language == "zig" and definition.node.type == "test_declaration")


def _tested(definition: Definition) -> str:
    """A title with those around it; a name in words, without the word test."""
    if " " in definition.name:
        return " ".join((*(parent for parent in definition.parents[-2:] if parent), definition.name))
    words = words_of(definition.name)
    return " ".join(word for i, word in enumerate(words) if word not in ("test", "tests") or 0 < i < len(words) - 1)


_HASH = (
    "python ruby bash perl elixir r julia nix cmake make powershell fish crystal nim tcl graphql starlark gdscript hcl"
)
_SLASH = (
    "c cpp csharp dart go groovy java javascript kotlin objc php rust scala swift typescript tsx svelte vue astro zig"
    " fsharp solidity"
)
_MARKS = (
    dict.fromkeys(_HASH.split(), "#+:?")
    | dict.fromkeys(_SLASH.split(), "//+")
    | dict.fromkeys("haskell lua sql elm".split(), "--+")
    | dict.fromkeys("clojure emacs-lisp scheme".split(), ";+")
    | dict.fromkeys("erlang matlab".split(), "%+")
    | {"vim": '"'}
)


@lru_cache
def _comment_row(language: str) -> re.Pattern[str] | None:
    mark = _MARKS.get(language)
    return re.compile(rf"[ \t]*{mark}[ \t]?(.*)") if mark else None


def _of_comments(source: _Source) -> Iterator[Pair]:
    """A comment in rows of its own, and the code under it up to the next blank row or comment."""
    pattern = _comment_row(source.language)
    if pattern is None:
        return
    rows = source.lines.rows
    row = 0
    while row < len(rows):
        comment: list[str] = []
        while row < len(rows) and (match := pattern.match(rows[row])):
            if row not in source.about:
                comment.append(match[1])
            row += 1
        start = row
        while row < len(rows) and rows[row].strip() and not pattern.match(rows[row]):
            row += 1
        if comment and row - start >= 2 and is_prose(text := " ".join(" ".join(comment).split())):
            yield source.pair(Relation.COMMENT, text, dedent("".join(rows[start : min(row, start + 12)])))
        row = max(row, start + 1) if row == start else row


_CODE_MARKS = re.compile(
    r"[;{}]\s*$|==|:=|=>|->|\w\(.*\)\s*[;:]?$|^\s*(?:if|for|return|import|from|let|const|var|def)\b.*[=(:]"
)
_ORDERS = re.compile(
    r"(?:todo|fixme|xxx|hack|noqa|type:|pylint|eslint|tslint|prettier|nolint|@ts-|istanbul|pragma|region|endregion|fmt:"
    r"|mypy|coverage|rubocop|clang-format|shellcheck|swiftlint|https?:|copyright|licen[cs]e|spdx|vim?:|go:)",
    re.IGNORECASE,
)
_LEGAL = re.compile(
    r"copyright (?:\(c\)|©|\d)|all rights reserved|licensed (?:under|to)|spdx-license|permission is hereby"
    r"|redistribution and use",
    re.IGNORECASE,
)


def is_prose(text: str) -> bool:
    """Whether a comment is a remark of three words or more, and not code, an order to a tool or a licence."""
    words = text.split()
    if len(words) < 3 or _ORDERS.match(text) or _LEGAL.search(text) or _CODE_MARKS.search(text):
        return False
    plain = sum(word.strip(".,:;!?()'\"`-").isalpha() for word in words)
    return plain >= max(2, 0.6 * len(words))


_DETAILS = re.compile(
    r"^\s*(?:[:@\\][a-z]+\b(?!`)"
    r"|(?:args|arguments|parameters|params|returns?|raises|yields|examples?|usage|notes?|attributes|see also)\s*:?\s*$"
    r"|>>>|```|\.\. |#+ |-{3,}|={3,})",
    re.IGNORECASE | re.MULTILINE,
)
_NAMED_SUMMARY = re.compile(r"^\s*[@\\](?:summary|brief|description)\s", re.MULTILINE)
_LINK = re.compile(r"\{@\w+\s+([^}]*)\}|<see(?:also)? \w+=\"(?:\w:)?([^\"]*)\"\s*/>|:\w+:`~?([^`]*)`")


def _unmarked(documentation: str) -> str:
    """What is said, up to the lists of arguments, without markup."""
    if named := _NAMED_SUMMARY.search(documentation):
        documentation = documentation[named.end() :]
    if details := _DETAILS.search(documentation):
        documentation = documentation[: details.start()]
    text = _LINK.sub(lambda match: next(filter(None, match.groups()), ""), documentation)
    return re.sub(r"</?[A-Za-z][^<>]*>", " ", text).strip()


def _summary(documentation: str) -> str:
    """The first paragraph of a docstring or of a comment above, when it says something."""
    text = " ".join(re.split(r"\n\s*\n", _unmarked(documentation))[0].split())
    if len(text.split()) < 2 or _ORDERS.match(text) or _LEGAL.search(text):
        return ""
    return text


# Prose

_BLOCK_MARK = re.compile(r"\s{4,}|\t|\s*(?:[-*+|>=~#<:]|\d+[.)]\s|\.\. |!?\[[^\]]*\]:|!\[|\[!\[)")
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)\]`\"'а-яё][.!?])\s+(?=[\"'(`\[]?[^\W\d_a-z])|(?<=[。！？])")
_NO_TOPIC = re.compile(r"\W*v?\d+(?:\.\d+)+\b.*|(?:table of )?contents|licen[cs]e|badges|index", re.IGNORECASE)


def of_prose(lines: Lines, language: str, path: str) -> Iterator[Pair]:
    source = _Source(lines, language, path)
    for section in sections(lines, language):
        text = _without_heading(lines.between(section.start, section.stop), section.title)
        if section.title and not _NO_TOPIC.fullmatch(section.title) and _is_mostly_letters(text):
            query = " > ".join((*(parent for parent in section.parents if parent), section.title))
            yield source.pair(Relation.HEADING, query, text)
        for first, rest in _first_sentences(_without_fences(text)):
            yield source.pair(Relation.SENTENCE, first, rest)


def _without_heading(text: str, title: str) -> str:
    rows = text.split("\n")
    if not title:
        return text
    while rows and (not rows[0].strip() or not re.search(r"\w", rows[0])):
        rows.pop(0)
    rows = rows[1:]
    if rows and rows[0].strip() and not re.search(r"[^-=~^\"'*+#`:._ \t]", rows[0]):  # what underlines it
        rows.pop(0)
    return "\n".join(rows).strip("\n")


def _without_fences(text: str) -> str:
    return re.sub(r"^[ \t]*(```+|~~~+).*?^[ \t]*\1", "", text, flags=re.DOTALL | re.MULTILINE)


def _is_mostly_letters(text: str) -> bool:
    head = re.sub(r"https?://\S+", "", text[:MAX_PASSAGE])
    return sum(map(str.isalpha, head)) > 0.5 * len(text[:MAX_PASSAGE].replace(" ", ""))


def _first_sentences(text: str) -> Iterator[tuple[str, str]]:
    """Of each paragraph with three sentences or more, the first and the rest."""
    for block in re.split(r"\n\s*\n", text):
        if block.count(".") + block.count("。") + block.count("!") + block.count("?") < 3:
            continue
        if any(_BLOCK_MARK.match(row) for row in block.split("\n")):
            continue
        sentences = [sentence for sentence in _SENTENCE_END.split(" ".join(block.split())) if sentence]
        if len(sentences) >= 3 and len(sentences[0].split()) >= 3 and not _LEGAL.search(block):
            yield sentences[0], " ".join(sentences[1:])


# History


@dataclass
class _Commit:
    subject: str
    body: str
    hunks: list[tuple[str, list[str]]] = field(default_factory=list)  # path, added rows


_BOT = re.compile(r"\[bot\]|dependabot|renovate|greenkeeper|pre-commit|semantic-release|\bbot\b", re.IGNORECASE)
_CHORE = re.compile(
    r"merge\b|revert\b|bump\b|release\b|prepare (?:for )?release|version\b|v?\d+\.\d|update (?:change ?log"
    r"|dependenc|deps|lock|version|readme)|upgrade dependenc|\[maven-release|publish\b|wip\b|fixup!|squash!",
    re.IGNORECASE,
)
_TYPE = re.compile(r"(?:feat|fix|docs?|chore|refactor|perf|tests?|style|build|ci)(?:\([^)]*\))?!?:\s*", re.IGNORECASE)
_NUMBER = re.compile(r"\s*\(?(?:gh-|#)\d+\)?", re.IGNORECASE)
_TRAILER = re.compile(
    r"(?:[A-Z][\w-]+-by|fix(?:es)?|closes?|refs?|see|bug|pr-url|reviewed-on|change-id|git-svn-id|cc|issue)\b:?\s.*",
    re.IGNORECASE,
)


def _of_commits(git: Git, commits: int) -> Iterator[Pair]:
    with closing(git.log(commits)) as rows:
        for commit in _commits(rows):
            if commit.body:
                yield Pair(Relation.COMMIT_BODY, commit.subject, _cut(commit.body, MAX_PASSAGE), "text")
            path, added = max(commit.hunks, key=lambda hunk: len(hunk[1]), default=("", []))
            if len(added) >= 2:
                language = language_of(path, b"")
                passage = _cut(dedent("\n".join(added)), MAX_PASSAGE)
                yield Pair(Relation.COMMIT, commit.subject, passage, language, path)


def _commits(rows: Iterator[bytes]) -> Iterator[_Commit]:
    """Those that say and do something, each with its hunks."""
    current: _Commit | None = None
    for row in rows:
        if row.startswith(b"\0"):
            if current is not None:
                yield current
            current = _commit(_message(row, rows))
            path = ""
        elif current is None:
            continue
        elif row.startswith(b"diff --git "):
            path = ""
        elif row.startswith(b"+++ ") and not path:
            path = _patched(row)
        elif row.startswith(b"@@"):
            current.hunks.append((path, []))
        elif row.startswith(b"+") and current.hunks and path and len(current.hunks[-1][1]) < MAX_HUNK_ROWS:
            current.hunks[-1][1].append(row[1:].decode("utf-8", "replace").rstrip("\r\n"))
    if current is not None:
        yield current


def _message(row: bytes, rows: Iterator[bytes]) -> str:
    message = row
    while b"\2" not in message and (row := next(rows, b"")):
        message += row
    return message.strip(b"\0\2\n").decode("utf-8", "replace")


def _commit(message: str) -> _Commit | None:
    author, subject, body = (*message.split("\1", 2), "", "")[:3]
    subject = _TYPE.sub("", _NUMBER.sub("", subject), count=1).strip()
    if _BOT.search(author) or _CHORE.match(subject) or len(subject.split()) < 3:
        return None
    said = [line.strip() for line in body.rstrip("\2\n").split("\n") if not _TRAILER.fullmatch(line.strip())]
    return _Commit(subject, "\n".join(said).strip())


def _patched(row: bytes) -> str:
    path = row[4:].decode("utf-8", "replace").strip().removeprefix("b/").strip('"')
    language = language_of(path, b"")
    return path if _is_wanted(path) and language not in PROSE else ""


# What is kept


_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*(?:PRIVATE KEY|CERTIFICATE)|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}|\bxox[abpr]-[\w-]{10,}"
    r"|\bsk-[A-Za-z0-9]{20,}|\beyJ[\w-]{20,}\.|\b[0-9a-fA-F]{32,}\b|[A-Za-z0-9+/]{64,}|\b[A-Za-z0-9+/]{40,}={1,2}"
    r"|(?i:api_?key|secret|passw(?:or)?d|token)[\"']?\s*[:=]\s*[\"'][A-Za-z0-9/+_\-]{16,}[\"']"
)
_TODO = re.compile(r"\W*(?:todo|fixme|xxx|hack)\b", re.IGNORECASE)


def _kept(pairs: Iterable[Pair], dropped: Counter[str]) -> Iterator[Pair]:
    for pair in pairs:
        if reason := objection(pair):
            dropped[reason] += 1
        else:
            yield pair


def objection(pair: Pair) -> str:
    """Why a pair teaches nothing, or something that must not be learnt; "" when there is no reason."""
    if not MIN_QUERY <= len(pair.query) <= MAX_QUERY or not re.search(r"[^\W\d_]{2}|[^\W\d_a-zA-Z]", pair.query):
        return "query says nothing"
    if len(pair.passage) < MIN_PASSAGE:
        return "passage too short"
    if _SECRET.search(pair.passage) or _SECRET.search(pair.query):
        return "secret"
    if _LEGAL.search(pair.query) or _LEGAL.search(pair.passage):
        return "licence text"
    if _TODO.match(pair.query):
        return "todo"
    return "query in passage" if _is_given_away(pair) else ""


def _is_given_away(pair: Pair) -> bool:
    if pair.relation not in (Relation.DOCSTRING, Relation.COMMENT):
        return False
    return pair.query.lower().rstrip(".") in pair.passage.split("\n", 1)[0].lower()


def _cut(text: str, most: int) -> str:
    """*text* up to *most* characters, to the end of a line or at least of a word if there is one in the second half."""
    text = text.strip("\n").rstrip()
    if len(text) <= most:
        return text
    for mark in ("\n", " "):
        if (end := text.rfind(mark, most // 2, most)) > 0:
            return text[:end].rstrip()
    return text[:most]


def _with_tested(pairs: Sequence[Pair]) -> list[Pair]:
    """Tests whose name begins with that of one definition of the repository lead to it instead of to themselves."""
    known: dict[str, Pair | None] = {}
    for pair in pairs:
        if pair.relation is Relation.NAME and not _TEST_PATH.search(pair.path):
            known[pair.query] = None if pair.query in known else pair
    return [_tested_by(pair, known) if pair.relation is Relation.TEST else pair for pair in pairs]


def _tested_by(test: Pair, known: Mapping[str, Pair | None]) -> Pair:
    words = test.query.split()
    for count in range(len(words), 0, -1):
        if count == 1 and len(words) > 2:  # one word of many: a name by chance
            break
        if found := known.get(" ".join(words[:count])):
            return Pair(Relation.TEST, test.query, found.passage, found.language, found.path)
    return test


def _distinct(pairs: Iterable[Pair], dropped: Counter[str]) -> list[Pair]:
    """Of pairs of one relation with nearly the same passage the first, and few of those with the same query."""
    seen: set[tuple[object, ...]] = set()
    queries: Counter[tuple[Relation, str]] = Counter()
    kept = []
    for pair in sorted(pairs, key=_order):
        exact = (pair.relation, digest(pair.passage))
        near = (pair.relation, *sketch(pair.passage))
        query = (pair.relation, pair.query.lower())
        if exact in seen or near in seen:
            dropped["duplicate" if exact in seen else "near-duplicate"] += 1
        elif queries[query] >= MAX_SAME_QUERY:
            dropped["query repeated"] += 1
        else:
            kept.append(pair)
            queries[query] += 1
            seen |= {exact, near}
    return kept


def _order(pair: Pair) -> bytes:
    text = f"{pair.relation}\0{pair.query}\0{pair.passage}\0{pair.path}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def digest(passage: str) -> int:
    """A number for the words of *passage*, whatever stands between them."""
    words = " ".join(_WORD.findall(passage)).lower()
    return int.from_bytes(blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


_WORD = re.compile(r"[^\W\d]+")
SHINGLE = 4  # words
PARTS = 3


@lru_cache(maxsize=4096)
def sketch(passage: str) -> tuple[int, ...]:
    """
    PARTS minima of hashed runs of SHINGLE words, numbers left out.

    Two passages that share a part *j* of their runs have equal sketches with a probability of about j ** PARTS: 0.86
    at 0.95, 0.12 at 0.5.
    """
    words = [word.lower().encode("utf-8", "surrogatepass") for word in _WORD.findall(passage)]
    runs = [crc32(b" ".join(words[i : i + SHINGLE])) for i in range(max(1, len(words) - SHINGLE + 1))]
    minima = [1 << 32] * PARTS
    for run in runs:
        part = run % PARTS
        minima[part] = min(minima[part], run)
    return tuple(minima)


def _capped(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """*most* of them, evenly over the relations: what one has too few of, the others may have more of."""
    groups: dict[Relation, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.relation, []).append(pair)
    chosen: list[Pair] = []
    left = sorted(groups, key=lambda relation: (len(groups[relation]), relation))
    for i, relation in enumerate(left):
        chosen += groups[relation][: (most - len(chosen)) // (len(left) - i)]
    return sorted(chosen, key=lambda pair: (pair.path, pair.relation, _order(pair)))


def dedupe_across(files: Iterable[Path]) -> int:
    """
    How many pairs were taken out: those whose passage an earlier file has for the same relation.

    Only the files that lose pairs are written anew.
    """
    seen: set[int] = set()
    removed = 0
    for file in files:
        pairs = list(read_pairs(file))
        keys = [digest(f"{pair.relation} {pair.passage}") for pair in pairs]
        kept = [pair for pair, key in zip(pairs, keys, strict=True) if key not in seen]
        seen.update(keys)
        if len(kept) < len(pairs):
            write_pairs(file, kept)
            removed += len(pairs) - len(kept)
    return removed


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
