"""A text as lines, and where to cut a run of them."""

from __future__ import annotations

import io
from bisect import bisect_right
from itertools import accumulate

LEAST_PART = 0.4  # of the room: no part is smaller for the sake of a better place to cut
BLANK_BEFORE = 6  # columns of indentation that a blank line before a cut is worth
CLOSING = 8  # columns that a bracket or keyword which closes something costs
_CLOSERS = (")", "]", "}", "end", "else", "elif", "except", "catch", "finally")


class Lines:
    """Rows are counted from 0; a run of rows is [start, stop)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rows: list[str] = list(io.StringIO(text, newline=""))  # unlike str.splitlines, what an editor calls lines
        self.starts = [0, *accumulate(map(len, self.rows))]  # offset of each row, and of the end

    def __len__(self) -> int:
        return len(self.rows)

    def size(self, start: int, stop: int) -> int:
        """Characters in rows [start, stop)."""
        return self.starts[stop] - self.starts[start]

    def between(self, start: int, stop: int) -> str:
        return self.text[self.starts[start] : self.starts[stop]]

    def split(self, start: int, stop: int, room: int) -> list[tuple[int, int]]:
        """Rows [start, stop) in runs of at most *room* characters, or of one longer row, cut where it hurts least."""
        runs = []
        while (left := self.size(start, stop)) > room and stop - start > 1:
            parts = -(-left // room)
            wanted = min(room, int(1.2 * left / parts))  # parts of like size, not one full and a rest
            last = bisect_right(self.starts, self.starts[start] + wanted, start + 1, stop) - 1
            first = bisect_right(self.starts, self.starts[start] + int(LEAST_PART * wanted), start + 1, stop)
            cut = self._best(min(first, last), last) if last > start else start + 1
            runs.append((start, cut))
            start = cut
        runs.append((start, stop))
        return runs

    def _best(self, first: int, last: int) -> int:
        return min(range(last, first - 1, -1), key=self._cost)

    def _cost(self, row: int) -> int:
        """How bad it is to cut before *row*: deep inside, in the middle of a paragraph, before a closing bracket."""
        line = self.rows[row]
        code = line.lstrip()
        if not code:
            return 100
        indent = len(line.expandtabs(4)) - len(code.expandtabs(4))
        blank = not self.rows[row - 1].strip()
        return indent + (0 if blank else BLANK_BEFORE) + (CLOSING if code.startswith(_CLOSERS) else 0)


def pieces_of(text: str, room: int) -> list[str]:
    """A text of one overlong line, cut after *room* characters at most, between words where there are any."""
    pieces, start = [], 0
    while len(text) - start > room:
        space = text.rfind(" ", start + room // 2, start + room)
        stop = space + 1 if space > 0 else start + room
        if text[stop - 1 : stop + 1] == "\r\n":
            stop += -1 if stop - start > 1 else 1  # no part is empty, whatever the room
        pieces.append(text[start:stop])
        start = stop
    pieces.append(text[start:])
    return pieces
