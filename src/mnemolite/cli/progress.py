"""How far a run is: a line that is redrawn on a terminal, now and then a new one elsewhere."""

from __future__ import annotations

import sys
import time

from mnemolite.ingest.pipeline import Progress

REDRAW_SECONDS = 0.1
LINE_SECONDS = 5.0
FIRST_SECONDS = 0.5  # a run that is over by then says nothing


class ProgressLine:
    """Give it each Progress; close it before anything else is written."""

    def __init__(self, verb: str = "indexing", unit: str = "files") -> None:
        self._verb = verb
        self._unit = unit
        self._start = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._next = self._start + FIRST_SECONDS
        self._drawn = False

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (REDRAW_SECONDS if self._terminal else LINE_SECONDS)
        line = self._line(progress, now - self._start)
        sys.stderr.write(f"\r{line}\x1b[K" if self._terminal else f"{line}\n")
        sys.stderr.flush()
        self._drawn = True

    def close(self) -> None:
        if self._drawn and self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _line(self, progress: Progress, seconds: float) -> str:
        left = seconds * (progress.total - progress.files) / max(progress.files, 1)
        rate = progress.chunks / max(seconds, 1e-9)
        chunks = "" if self._unit == "chunks" else f"{progress.chunks:,} chunks, "
        return (
            f"{self._verb} {progress.files:,}/{progress.total:,} {self._unit}, {chunks}"
            f"{rate:,.0f} chunks/s, {left:.0f} s left"
        )
