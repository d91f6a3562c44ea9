"""The log of a server: a JSON object a line, on stderr."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

FIELDS = "fields"  # of a record: what a line has besides the message
REPEAT_SECONDS = 60.0
REMEMBERED = 1000  # warnings

request_id: ContextVar[str] = ContextVar("request_id", default="")  # of the request that a line is about


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if id := request_id.get():
            line["request_id"] = id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class Seldom(logging.Filter):
    """
    Lets a warning pass once in REPEAT_SECONDS: what is away is asked again all the time, by many threads.

    What is said of a request is said each time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING or request_id.get():
            return True
        said, now = (record.name, record.getMessage()), self._clock()
        if now - self._said.get(said, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        if len(self._said) >= REMEMBERED:
            self._said.clear()
        self._said[said] = now
        return True


def log_json(level: int = logging.INFO) -> None:
    """All loggers of the process; uvicorn's access log is off, for ours says more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(Seldom())
    logging.basicConfig(level=level, handlers=[handler], force=True)
