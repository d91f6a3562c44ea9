"""The definitions of a source file, by its grammar: what is defined in which rows, inside what, and how documented."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from mnemolite.ingest.languages import LANGUAGES, Language, name_of, query_of
from mnemolite.ingest.lines import Lines
from mnemolite.ingest.names import nth
from mnemolite.types import Kind

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_SOURCE = 4_000_000  # bytes; larger files are generated or data
MAX_LINE = 20_000  # characters in one line: minified
MINIFIED_LINE = 500  # characters a line on average, in a file larger than MAX_LINE
MAX_DEPTH = 200  # levels at the start of a line: YAML's scanner crashes at 254, Python's at 520
MAX_BRACKETS = 1000  # open brackets: a query over 100,000 took more than 100 s
MAX_NODE_DEPTH = 400  # of the syntax tree, in which definitions are looked for
MAX_NESTING = 40  # definitions around a definition that are named in its parent
MAX_SIGNATURE = 300
MAX_DOCSTRING = 600
MAX_COMMENT_ROWS = 40  # that a docstring is made of

CLASS_LIKE = frozenset({Kind.CLASS, Kind.INTERFACE, Kind.STRUCT, Kind.ENUM})
CONTAINERS = CLASS_LIKE | {Kind.MODULE, Kind.SECTION, Kind.TYPE}
_RANKS = {kind: i for i, kind in enumerate(Kind)} | {
    Kind.CLASS: 50,
    Kind.FUNCTION: 55,
    Kind.TYPE: 60,
    Kind.CONSTANT: 70,
}

_DEEP_START = re.compile(rf"(?:[-?:>|*]?[ \t]){{{MAX_DEPTH}}}|[ \t]*>{{{MAX_DEPTH}}}")
_BRACKETS = bytes(set(range(256)) - set(b"()[]{}"))
_STEPS = dict.fromkeys(b"([{", 1) | dict.fromkeys(b")]}", -1)


class Unparsable(Exception):
    """A file that its grammar should not or cannot parse; the message says why."""


@dataclass(slots=True)
class Definition:
    kind: Kind
    name: str
    parents: tuple[str, ...]
    start: int  # row, with the comments and decorators above
    first: int  # row of the definition proper
    stop: int  # row after the last
    node: Node
    source: bytes  # what was parsed, for the node's offsets
    comments: list[int] = field(default_factory=list)  # rows of documentation above


def outline(lines: Lines, name: str) -> list[Definition]:
    """
    In order of their starts; one inside another comes after it.

    A grammar may still crash or never end on a file that nobody has thought of: see ingest.parser.

    Raises:
        Unparsable: there is no grammar, or the text is dangerous for it.
    """
    language = LANGUAGES.get(name)
    if language is None or not language.grammar:
        raise Unparsable("no grammar")
    _guard(lines)
    source = _source(lines.text, language)
    if max(accumulate(map(_STEPS.__getitem__, source.translate(None, _BRACKETS))), default=0) > MAX_BRACKETS:
        raise Unparsable("nested too deeply")
    return _definitions(_captures(source, name), lines, language, source)


def _guard(lines: Lines) -> None:
    if len(lines.text) > MAX_SOURCE:
        raise Unparsable("too large")
    longest = max(map(len, lines.rows), default=0)
    if longest > MAX_LINE or (len(lines.text) > MAX_LINE and len(lines.text) > MINIFIED_LINE * len(lines)):
        raise Unparsable("minified")
    if longest > MAX_DEPTH and any(_DEEP_START.match(row) for row in lines.rows if len(row) > MAX_DEPTH):
        raise Unparsable("nested too deeply")


def _source(text: str, language: Language) -> bytes:
    """What the grammar reads: row for row the text, with nothing in it but code."""
    if "\r" in text:
        text = re.sub(r"\r(?!\n)", "\n", text)
    if language.embedded:
        code, end = "", 0
        for match in re.finditer(language.embedded, text, re.DOTALL | re.IGNORECASE):
            code += _blank(text[end : match.start(1)]) + match[1]
            end = match.end(1)
        text = code + _blank(text[end:])
    return text.encode("utf-8", "replace")


def _blank(text: str) -> str:
    return re.sub(r"[^\n]+", "", text)


def _captures(source: bytes, name: str) -> Mapping[str, list[Node]]:
    from tree_sitter import Parser, QueryCursor

    try:
        known = query_of(name)
    except ImportError as error:
        raise Unparsable(f"no grammar: {error}") from None
    if known is None:
        raise Unparsable("no grammar")
    grammar, query = known
    tree = Parser(grammar).parse(source)  # with a read callback it could be cancelled, but 0.26.1 leaks each slice
    cursor = QueryCursor(query, match_limit=10_000)
    cursor.set_max_start_depth(MAX_NODE_DEPTH)
    captures: dict[str, list[Node]] = {}
    for _, match in cursor.matches(tree.root_node):  # captures() also returns those of matches that failed later
        for capture, nodes in match.items():
            captures.setdefault(capture, []).extend(nodes)
    return captures


@dataclass(slots=True)
class _Above:
    """What stands alone in its rows and may belong to the definition below: by its last row."""

    starts: dict[int, int] = field(default_factory=dict)
    comments: set[int] = field(default_factory=set)  # last rows


def _definitions(
    captures: Mapping[str, list[Node]], lines: Lines, language: Language, source: bytes
) -> list[Definition]:
    above = _above(captures, lines)
    wraps: dict[int, list[Node]] = {}  # by end, the innermost last
    for node in captures.get("wrap", ()):
        wraps.setdefault(node.end_byte, []).append(node)
    found: list[Definition] = []
    around: list[tuple[Definition, int]] = []  # with the byte where each ends
    last_start = last_end = -1
    for node, kind in _ordered(captures):
        start, end = node.byte_range
        while around and start >= around[-1][1]:
            around.pop()
        if kind is None:  # a body beside its signature
            if found and (not around or around[-1][0] is not found[-1]):
                found[-1].stop = max(found[-1].stop, _last_row(node) + 1)
                around.append((found[-1], end))
            continue
        if (start, end) == (last_start, last_end) or not (name := name_of(node, language)):
            continue
        last_start, last_end = start, end
        parent = around[-1][0] if around else None
        definition = _definition(node, kind, name, parent, language, source)
        _attach(definition, above, _wrapper_row(node, parent, wraps), parent)
        found.append(definition)
        around.append((definition, end))
    found.sort(key=lambda definition: definition.start)
    return found


def _ordered(captures: Mapping[str, list[Node]]) -> Iterator[tuple[Node, Kind | None]]:
    """Definitions and, as None, bodies: outer before inner, and of two captures of one node the more telling first."""
    nodes = []
    for capture, found in captures.items():
        kind = _kinds().get(capture)
        if kind is not None or capture == "tail":
            rank = _RANKS[kind] if kind is not None else 0
            nodes += [(node.start_byte, -node.end_byte, rank, i, node, kind) for i, node in enumerate(found)]
    nodes.sort(key=lambda item: item[:3])
    return ((item[4], item[5]) for item in nodes)


@cache
def _kinds() -> dict[str, Kind]:
    return {kind.value: kind for kind in Kind}


def _definition(
    node: Node, kind: Kind, name: str, parent: Definition | None, language: Language, source: bytes
) -> Definition:
    parents = (*parent.parents, parent.name)[-MAX_NESTING:] if parent is not None else ()
    if language.qualifier and kind is not Kind.MODULE and _QUALIFIED.fullmatch(name):
        full = name
        *qualifiers, name = _unqualified(name, language.qualifier)
        parents += tuple(qualifiers)
        if qualifiers and kind is Kind.FUNCTION and ("::" in language.qualifier or "prototype" in full):
            kind = Kind.METHOD
    if kind is Kind.FUNCTION and parent is not None and parent.kind in CLASS_LIKE:
        kind = Kind.METHOD
    row = node.start_point[0]
    return Definition(kind, name, parents, row, row, _last_row(node) + 1, node, source)


_QUALIFIED = re.compile(r"[\w$~]+(?:<[^()]*>)?(?:[.:]+[^\s]+)+")  # a test's title is none


def _unqualified(name: str, qualifier: str) -> list[str]:
    parts = [re.sub(r"(?<=\w)<.*>$", "", part) or part for part in re.split(qualifier, name)]
    if not all(parts):
        return [name]
    return [*(part for part in parts[:-1] if part != "prototype"), parts[-1]]


def _last_row(node: Node) -> int:
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point[0] else row  # some nodes take the line break with them


def _above(captures: Mapping[str, list[Node]], lines: Lines) -> _Above:
    above = _Above()
    for capture in ("comment", "attach"):
        for node in captures.get(capture, ()):
            row, column = node.start_point
            last = _last_row(node)
            if _alone(lines, row, column, last, node):
                above.starts[last] = min(row, above.starts.get(last, row))
                if capture == "comment":
                    above.comments.add(last)
    return above


def _alone(lines: Lines, row: int, column: int, last: int, node: Node) -> bool:
    """Whether nothing else stands in the rows of *node*."""
    if lines.rows[row][:column].strip(" \t\ufeff") or last >= len(lines):
        return False
    end_row, end_column = node.end_point
    return end_row > last or len(lines.rows[last].rstrip().encode("utf-8", "replace")) <= end_column + 1


def _wrapper_row(node: Node, parent: Definition | None, wraps: Mapping[int, list[Node]]) -> int:
    """The row where the outermost node around *node* and nothing else starts, else the node's own."""
    inside = parent.node.start_byte if parent is not None else -1
    for wrap in wraps.get(node.end_byte, ()):
        if inside < wrap.start_byte <= node.start_byte:
            return wrap.start_point[0]
    return node.start_point[0]


def _attach(definition: Definition, above: _Above, row: int, parent: Definition | None) -> None:
    definition.first = definition.start = row
    bound = parent.first if parent is not None else -1
    while (upper := above.starts.get(definition.start - 1)) is not None and upper > bound:
        if definition.start - 1 in above.comments:
            definition.comments[:0] = range(upper, definition.start)
        definition.start = upper


def signature_of(definition: Definition) -> str:
    """The definition up to its body, on one line."""
    node, source = definition.node, definition.source
    start = node.start_byte
    body = node.child_by_field_name("body")
    if body is not None and body.start_byte > start:
        head = source[start : min(body.start_byte, start + 4 * MAX_SIGNATURE)].decode("utf-8", "ignore")
    else:
        head = _head(source[start : min(node.end_byte, start + 4 * MAX_SIGNATURE)].decode("utf-8", "ignore"))
    return " ".join(head.split())[:MAX_SIGNATURE].rstrip("{:= ").removesuffix(" do")


_ANNOTATION = re.compile(r'\A(?:\s*(?:@[^\n]*|""".*?"""|\[[^\n]*\])[ \t]*\n)+', re.DOTALL)


def _head(source: str) -> str:
    """The first lines up to an opening brace, or to the end of the line where all brackets are closed."""
    source = _ANNOTATION.sub("", source)
    depth = 0
    for i, character in enumerate(source):
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif depth <= 0 and character in "{\n":
            return source[:i]
    return source


_MARKER = re.compile(
    r"\s*(?:/\*+!?|\*+/|\*(?!\w)|//[/!]?|-- ?[-|^]?|\#+!?|;+|%+|\(\*+|\{-+ ?\|?|@(?:module)?doc\b|<!--)?"
    r"[ \t]*(?:<summary>|\"\"\")?"
)
_MARKER_END = re.compile(r"\s*(?:\*+/|\*+\)|-\}|-->|</summary>|\"\"\")?\s*$")
_QUOTES = re.compile(r'^[rRbBuUfF]{0,2}("""|\'\'\'|"|\')|("""|\'\'\'|"|\')$')


def docstring_of(definition: Definition, lines: Lines) -> str:
    """What is written about the definition, without comment markers."""
    inside = _inner_docstring(definition.node)
    if inside:
        return inside
    if not definition.comments:
        return ""
    rows = (lines.rows[row].rstrip() for row in definition.comments[:MAX_COMMENT_ROWS])
    return "\n".join(map(_without_markers, rows)).strip().strip('"')[:MAX_DOCSTRING]


def _without_markers(row: str) -> str:
    marker = _MARKER.match(row)
    start = marker.end() if marker is not None else 0
    if row.endswith((">", "/", ")", "}", '"')) and (end := _MARKER_END.search(row, start)):
        return row[start : end.start()]
    return row[start:]


def _inner_docstring(node: Node) -> str:
    """Python's: the string that is the first statement of the body. GraphQL's: a description."""
    body = node.child_by_field_name("body")
    if body is not None and body.type == "block":
        statement = nth(body, 0)
        first = nth(statement, 0) if statement is not None and statement.type == "expression_statement" else None
        wanted = "string"
    else:
        first, wanted = nth(node, 0), "description"
    if first is None or first.type != wanted:
        return ""
    text = (first.text or b"")[: 8 * MAX_DOCSTRING].decode("utf-8", "ignore")
    return "\n".join(row.strip() for row in _QUOTES.sub("", text).splitlines()).strip()[:MAX_DOCSTRING]
