"""What others have written, as a terminal can be given it."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # would act on the terminal


def visible(text: str) -> str:
    """*text* without what would act on the terminal; its lines and tabs stay."""
    return _CONTROL.sub("�", text)


def in_line(text: str) -> str:
    """The same on one line: a path has its spaces as they are."""
    return visible(text).replace("\n", "�")


def plain(text: str) -> str:
    """The same on one line, with a single space for any."""
    return " ".join(visible(text).split())
