"""Pairs out of texts: code by its outline, documents by their headings, history by its messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from textwrap import dedent
from typing import TYPE_CHECKING
from zlib import crc32

from mnemolite.ingest.chunk import PROSE
from mnemolite.ingest.languages import LANGUAGES, language_of
from mnemolite.ingest.lines import Lines
from mnemolite.ingest.names import nth
from mnemolite.ingest.outline import CLASS_LIKE, Definition, Unparsable, docstring_of, outline, signature_of
from mnemolite.ingest.prose import sections
from mnemolite.lab.pairs import Pair, Relation
from mnemolite.lab.repository import Git
from mnemolite.types import Kind

if TYPE_CHECKING:
    from tree_sitter import Node


MAX_PASSAGE, MIN_PASSAGE = 1200, 40  # characters
MAX_QUERY, MIN_QUERY = 300, 3
MAX_HUNK_ROWS = 60


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
GENERATED = re.compile(r"@generated|auto-?generated|do not edit|generated (?:by|from|automatic)", re.IGNORECASE)


def is_wanted(path: str) -> bool:
    if _UNWANTED.search(path):
        return False
    language = language_of(path, b"")
    return language in PROSE or language in _OTHER_CODE or (has_grammar(language) and language not in _NOT_CODE)


def has_grammar(language: str) -> bool:
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
        return Pair(relation, cut(query, MAX_QUERY), cut(passage, MAX_PASSAGE), self.language, self.path)


def of_code(lines: Lines, language: str, path: str, dropped: Counter[str]) -> Iterator[Pair]:
    source = _Source(lines, language, path)
    try:
        definitions = outline(lines, language)
    except Unparsable as reason:
        definitions = []
        if has_grammar(language):
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
    is_suite = bool(TEST_PATH.search(source.path) and _TEST_NAME.fullmatch(definition.name))
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


TEST_PATH = re.compile(
    r"(?:^|/)(?:tests?|specs?|__tests__|testing)/|[._/-](?:test|spec)s?\.\w+$|(?:^|/)test_[^/]*$|Tests?\.\w+$|Spec\.\w+$"
)
_TEST_NAME = re.compile(r"test(?:[_A-Z0-9]|\b).*|Test[_A-Z]\w*|\w+(?:_test|Tests?)|.*\s.*", re.DOTALL)
_TEST_MARK = re.compile(r"@Test\b|@ParameterizedTest|\[(?:Fact|Theory|Test)\b|#\[(?:\w+::)?test\b")


def _is_test(definition: Definition, source: _Source) -> bool:
    if definition.kind not in _CALLED:
        return False
    if TEST_PATH.search(source.path) and _TEST_NAME.fullmatch(definition.name):
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
LEGAL = re.compile(
    r"copyright (?:\(c\)|©|\d)|all rights reserved|licensed (?:under|to)|spdx-license|permission is hereby"
    r"|redistribution and use",
    re.IGNORECASE,
)


def is_prose(text: str) -> bool:
    """Whether a comment is a remark of three words or more, and not code, an order to a tool or a licence."""
    words = text.split()
    if len(words) < 3 or _ORDERS.match(text) or LEGAL.search(text) or _CODE_MARKS.search(text):
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
    if len(text.split()) < 2 or _ORDERS.match(text) or LEGAL.search(text):
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
        if len(sentences) >= 3 and len(sentences[0].split()) >= 3 and not LEGAL.search(block):
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


def of_commits(git: Git, commits: int) -> Iterator[Pair]:
    with closing(git.log(commits)) as rows:
        for commit in _commits(rows):
            if commit.body:
                yield Pair(Relation.COMMIT_BODY, commit.subject, cut(commit.body, MAX_PASSAGE), "text")
            path, added = max(commit.hunks, key=lambda hunk: len(hunk[1]), default=("", []))
            if len(added) >= 2:
                language = language_of(path, b"")
                passage = cut(dedent("\n".join(added)), MAX_PASSAGE)
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
    return path if is_wanted(path) and language not in PROSE else ""


def cut(text: str, most: int) -> str:
    """*text* up to *most* characters, to the end of a line or at least of a word if there is one in the second half."""
    text = text.strip("\n").rstrip()
    if len(text) <= most:
        return text
    for mark in ("\n", " "):
        if (end := text.rfind(mark, most // 2, most)) > 0:
            return text[:end].rstrip()
    return text[:most]
