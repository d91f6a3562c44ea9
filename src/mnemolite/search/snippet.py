"""The lines of a chunk to show for a query."""

from __future__ import annotations

from collections.abc import Sequence

from mnemolite.search.tokens import terms


def window(lines: Sequence[str], query: str, context: int) -> range:
    """Of *lines*, the one that shares most terms with *query*, with *context* lines on each side."""
    wanted = set(terms(query))
    best = max(range(len(lines)), key=lambda i: (_shared(wanted, lines[i]), bool(lines[i].strip()), -i))
    return range(max(0, best - context), min(len(lines), best + context + 1))


def _shared(wanted: set[str], line: str) -> int:
    if line.isascii():  # then each of its terms stands in it as it is, but for underscores and case
        plain = line.lower().replace("_", "")
        if not any(term in plain for term in wanted):
            return 0
    return len(wanted.intersection(terms(line)))
