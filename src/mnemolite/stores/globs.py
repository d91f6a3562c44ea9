"""
Path patterns of a scope, as regular expressions.

The rule, that of .gitignore: ``*`` and ``?`` stay within a folder, ``**`` crosses folders. A pattern with a slash
inside or in front starts at the root of the source, one without matches a file or folder name anywhere. What matches a
folder matches everything below it. Brackets are ordinary characters: web frameworks name folders ``[id]``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def regex(patterns: Sequence[str]) -> str:
    """One expression that matches a whole POSIX path when any of *patterns* does."""
    return "|".join(f"(?:{_translate(pattern)})" for pattern in patterns)


def _translate(pattern: str) -> str:
    pattern = pattern.removeprefix("./")
    segments = [segment for segment in pattern.split("/") if segment not in ("", ".")]
    if not segments:
        return ".*"
    anchored = "/" in pattern.rstrip("/")
    body = ""
    for segment in segments[:-1]:
        body += _FOLDERS if segment == "**" else _segment(segment) + "/"
    last = segments[-1]
    body += ".*" if last == "**" else _segment(last) + "(?:/.*)?"
    # ``**/**/`` says no more than ``**/`` and would be slow to refuse
    while _FOLDERS * 2 in body:
        body = body.replace(_FOLDERS * 2, _FOLDERS)
    return body if anchored else _FOLDERS + body


_FOLDERS = "(?:.*/)?"


def _segment(segment: str) -> str:
    """Stars in atomic groups: the first place where the text between two stars fits is as good as any later one."""
    first, *rest = (re.escape(part).replace(r"\?", "[^/]") for part in re.split(r"\*+", segment))
    if not rest:
        return first
    middle = "".join(f"(?>[^/]*?{part})" for part in rest[:-1])
    return f"{first}{middle}[^/]*{rest[-1]}"
