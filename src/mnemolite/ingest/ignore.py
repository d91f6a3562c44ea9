"""
The rules of a .gitignore file, as git reads them.

rignore 0.8.1 and pathspec 1.1.1 were tried: a lone ``!`` makes the one include everything, the other raises on it, and
neither can say whether a rule reaches into an ignored folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple  # a dataclass takes ten times as long to define, and every search imports this


class Run(NamedTuple):
    """Neighbouring lines of one sign: their order does not matter. Most are plain names, which a set answers."""

    ignores: bool
    names: frozenset[str]
    folders: frozenset[str]  # names that count for a folder only
    endings: tuple[str, ...]
    name: re.Pattern[str] | None
    path: re.Pattern[str] | None

    def matches(self, path: str, name: str) -> bool:
        bare = name.removesuffix("/")
        return (
            bare in self.names
            or bare.endswith(self.endings)
            or (len(bare) < len(name) and bare in self.folders)
            or (self.name is not None and self.name.fullmatch(name) is not None)
            or (self.path is not None and self.path.fullmatch(path) is not None)
        )


class Rules(NamedTuple):
    """One file's rules, the last line first."""

    runs: tuple[Run, ...]
    ways: re.Pattern[str] | None

    def ignores(self, path: str, name: str) -> bool | None:
        """
        Whether the last rule that matches excludes, or None when none does.

        Args:
            path: POSIX, relative to the folder of the rules, `bytewise`; a folder ends in a slash.
            name: the last part of *path*, with its slash.
        """
        for run in self.runs:
            if run.matches(path, name):
                return run.ignores
        return None

    def opens(self, path: str) -> bool:
        """Whether a ``!`` rule that names its way, such as ``!build/keep.py``, leads into the folder *path*."""
        return self.ways is not None and self.ways.fullmatch(path) is not None


def bytewise(path: str) -> str:
    """*path* with one character for each of its bytes: git's ``?`` is a byte."""
    return path if path.isascii() else os.fsencode(path).decode("latin-1")


@lru_cache(maxsize=256)  # many folders of a tree hold the same one
def parse(data: bytes) -> Rules:
    """A file's rules. A line that cannot match anything, such as an open bracket, is passed over as git does."""
    lines = data.removeprefix(b"\xef\xbb\xbf").decode("latin-1").split("\n")
    patterns = [pattern for line in lines if (pattern := _pattern(line))]
    runs = [_run(ignores, group) for ignores, group in groupby(patterns, key=lambda pattern: not pattern.negated)]
    ways = [way for pattern in patterns if pattern.negated and (way := _way(pattern.segments))]
    return Rules(runs=tuple(reversed(runs)), ways=re.compile(_any(ways), re.DOTALL) if ways else None)


STAR = "*"
SPECIAL = re.compile(r"[*?\[\\]")
Segment = list[str]  # expressions of one character each, and STAR


class _Pattern(NamedTuple):
    text: str  # without sign and final slash
    negated: bool
    folder: bool  # matches folders only
    anchored: bool  # matches a path, not a name
    segments: list[Segment]


def _pattern(line: str) -> _Pattern | None:
    text = _trimmed(line.removesuffix("\r"))
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = text[negated:]
    folder = text.endswith("/")
    text = text.removesuffix("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    segments = _segments(text)
    if not text or segments is None:
        return None
    return _Pattern(text=text, negated=negated, folder=folder, anchored=anchored, segments=segments)


def _trimmed(line: str) -> str:
    """*line* without the blanks at its end, but for an escaped one."""
    bare = line.rstrip(" ")
    escapes = len(bare) - len(bare.rstrip("\\"))
    return bare + " " if escapes % 2 and len(bare) < len(line) else bare


def _run(ignores: bool, patterns: Iterable[_Pattern]) -> Run:
    names: set[str] = set()
    folders: set[str] = set()
    endings: set[str] = set()
    name: list[str] = []
    path: list[str] = []
    for pattern in patterns:
        text = pattern.text
        if pattern.anchored:
            path.append(_path(pattern.segments) + ("/" if pattern.folder else "/?"))
        elif not SPECIAL.search(text):
            (folders if pattern.folder else names).add(text)
        elif text[0] == "*" and not pattern.folder and not SPECIAL.search(text, 1):
            endings.add(text[1:])
        else:
            name.append(_segment(pattern.segments[0]) + ("/" if pattern.folder else "/?"))
    return Run(
        ignores=ignores,
        names=frozenset(names),
        folders=frozenset(folders),
        endings=tuple(endings),
        name=re.compile(_any(name), re.DOTALL) if name else None,
        path=re.compile(_any(path), re.DOTALL) if path else None,
    )


def _any(expressions: Sequence[str]) -> str:
    return "|".join(f"(?:{expression})" for expression in expressions)


def _segments(pattern: str) -> list[Segment] | None:
    """The pattern cut at its slashes; None when it cannot match."""
    segments: list[Segment] = [[]]
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "\\":
            if at == len(pattern):
                return None
            char = pattern[at]
            at += 1
            segments[-1].append(re.escape(char))
        elif char == "/":
            segments.append([])
        elif char == "[":
            bracket = _bracket(pattern, at)
            if bracket is None:
                return None
            expression, at = bracket
            segments[-1].append(expression)
        else:
            segments[-1].append(STAR if char == "*" else "[^/]" if char == "?" else re.escape(char))
    return segments


CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t-\r",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}
MEMBER = re.compile(r"\[:(?P<name>[^\]]*):\]|(?P<first>\\.|[^\\])(?:-(?P<last>\\.|[^\]\\]))?", re.DOTALL)


def _bracket(pattern: str, at: int) -> tuple[str, int] | None:
    """The expression of the bracket whose inside starts at *at*, and where it ends; None when it cannot match."""
    negated = pattern.startswith(("!", "^"), at)
    at += negated
    start, inside = at, ""
    while at == start or not pattern.startswith("]", at):  # a bracket that comes first is an ordinary character
        member = MEMBER.match(pattern, at)
        if member is None:
            return None
        name, first, last = member["name"], member["first"], member["last"]
        if name is not None:
            if name not in CLASSES:
                return None
            inside += CLASSES[name]
        else:
            inside += _range(first[-1], last[-1] if last else first[-1])
        at = member.end()
    return (f"[^/{inside}]" if negated else f"(?!/)[{inside}]"), at + 1


def _range(first: str, last: str) -> str:
    """In git ``[z-a]`` is ``z``."""
    return f"{re.escape(first)}-{re.escape(last)}" if first <= last else re.escape(first)


def _segment(segment: Segment) -> str:
    """Stars in atomic groups: the first place where the text between two stars fits is as good as any later one."""
    parts: list[str] = [""]
    for one in segment:
        if one == STAR:
            parts.append("")
        else:
            parts[-1] += one
    if len(parts) == 1:
        return parts[0]
    middle = "".join(f"(?>[^/]*?{part})" for part in parts[1:-1] if part)
    return f"{parts[0]}{middle}[^/]*{parts[-1]}"


def _path(segments: Sequence[Segment]) -> str:
    """As with the stars of a name: between two ``**`` the first folders that fit do."""
    blocks = [list(block) for crosses, block in groupby(segments, key=_crosses) if not crosses]
    texts = ["/".join(map(_segment, block)) for block in blocks]
    if not texts:
        return ".+"
    first = "(?:.*/)?" * _crosses(segments[0]) + texts[0]
    if len(texts) == 1:
        body = first
    elif _crosses(segments[0]):
        body = "".join(f"(?>(?:[^/]+/)*?{text}/)" for text in texts[:-1]) + "(?:.*/)?" + texts[-1]
    else:
        middle = "".join(f"(?>(?:[^/]+/)*?{text}/)" for text in texts[1:-1])
        body = f"{first}/{middle}(?:.*/)?{texts[-1]}"
    return body + "/.+" * _crosses(segments[-1])


def _crosses(segment: Segment) -> bool:
    return len(segment) > 1 and all(one == STAR for one in segment)


def _way(segments: Sequence[Segment]) -> str:
    """The folders above what *segments* match; none for a pattern that may match anywhere."""
    way = ""
    for segment in reversed(segments[:-1]):
        way = "(?:/.+)?" if _crosses(segment) else f"(?:/{_segment(segment)}{way})?"
    return "" if _crosses(segments[0]) else way.removeprefix("(?:/").removesuffix(")?")
