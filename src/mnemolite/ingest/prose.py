"""Documents by their headings: Markdown, reStructuredText, AsciiDoc and Org, by looking at lines alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mnemolite.ingest.lines import Lines

MAX_TITLE = 200  # characters

_FENCE = re.compile(r" {0,3}(?:>[ ]?)*(`{3,}|~{3,})")
_LISTING = re.compile(r"(-{4,}|={4,}|\.{4,}|`{3,})\s*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r"([!-/:-@\[-`{-~])\1+\s*$")
_MARKED = {
    "asciidoc": re.compile(r"(={1,6})[ \t]+(\S.*?)[ \t]*$"),
    "org": re.compile(r"(\*{1,8})[ \t]+(\S.*?)[ \t]*$"),
}


@dataclass(frozen=True, slots=True)
class Section:
    start: int  # rows, the heading's included
    stop: int
    title: str
    parents: tuple[str, ...]


def sections(lines: Lines, language: str) -> list[Section]:
    """A partition of all rows; what precedes the first heading has no title."""
    found: list[Section] = []
    start, title = 0, ""
    above: list[tuple[int, str]] = []  # headings in force, with their levels
    for row, level, heading in _headings(lines, language):
        if row > start:
            found.append(Section(start, row, title, tuple(name for _, name in above[:-1])))
        while above and above[-1][0] >= level:
            above.pop()
        above.append((level, heading))
        start, title = row, heading
    found.append(Section(start, len(lines), title, tuple(name for _, name in above[:-1])))
    return found


def _headings(lines: Lines, language: str) -> Iterator[tuple[int, int, str]]:
    if language == "markdown":
        return _markdown(lines)
    if language == "rst":
        return _rst(lines)
    return _marked(lines, _MARKED[language])


def _markdown(lines: Lines) -> Iterator[tuple[int, int, str]]:
    fence, previous = "", ""
    for row in range(_front_matter(lines), len(lines)):
        line = lines.rows[row].rstrip("\r\n")
        if match := _FENCE.match(line):
            if not fence:
                fence = match[1]
            elif match[1].startswith(fence) and not line[match.end() :].strip():
                fence = ""
            previous = ""
            continue
        if fence:
            continue
        if atx := _ATX.match(line):
            yield row, len(atx[1]), _title(atx[2] or "")
            previous = ""
        elif previous and (setext := _SETEXT.match(line)):
            yield row - 1, 1 if setext[1][0] == "=" else 2, _title(previous)
            previous = ""
        else:
            previous = "" if line.startswith(("    ", "\t", ">", "-", "*", "+", "|", "<")) else line.strip()


def _front_matter(lines: Lines) -> int:
    """The row after a block of YAML or TOML that opens the file."""
    if len(lines) and (mark := lines.rows[0].strip("\ufeff \r\n")) in ("---", "+++"):
        for row in range(1, len(lines)):
            if lines.rows[row].strip() == mark:
                return row + 1
    return 0


def _rst(lines: Lines) -> Iterator[tuple[int, int, str]]:
    levels: list[str] = []  # underlines, in the order they first appear
    for row in range(1, len(lines)):
        line = lines.rows[row]
        title = lines.rows[row - 1].rstrip()
        if not _UNDERLINE.match(line) or not title or title[0].isspace() or _UNDERLINE.match(title):
            continue
        if len(line.rstrip()) < min(len(title), 4):
            continue
        over = row >= 2 and lines.rows[row - 2].rstrip() == line.rstrip()
        style = line[0] + ("^" if over else "")
        if style not in levels:
            levels.append(style)
        yield row - 2 if over else row - 1, levels.index(style), _title(title)


def _marked(lines: Lines, heading: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    listing = ""
    for row, line in enumerate(lines.rows):
        if (mark := _LISTING.match(line)) and (not listing or mark[1] == listing):
            listing = "" if listing else mark[1]
        elif not listing and (match := heading.match(line)):
            yield row, len(match[1]), _title(match[2])


def _title(text: str) -> str:
    """Without the markup of links and emphasis, and without attributes such as {#anchor}."""
    text = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"\s*\{[#.:][^}]*\}\s*$", "", text)
    return " ".join(re.sub(r"[*`]+|<[^>]+>", "", text).split())[:MAX_TITLE]
