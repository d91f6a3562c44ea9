"""What an answer does not rest on, from where it is noticed to where it is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_noticed: ContextVar[dict[str, None] | None] = ContextVar("noticed", default=None)


def degrade(reason: str) -> None:
    """Tells whoever collects in this thread that its answer lacks something."""
    noticed = _noticed.get()
    if noticed is not None:
        noticed[reason] = None


@contextmanager
def degradations() -> Iterator[dict[str, None]]:
    """What is noticed within, each reason once, in order."""
    noticed: dict[str, None] = {}
    before = _noticed.set(noticed)
    try:
        yield noticed
    finally:
        _noticed.reset(before)
