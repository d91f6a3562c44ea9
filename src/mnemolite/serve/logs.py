"""The log of a server: a JSON object a line, on stderr."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

FIELDS = "fields"  # of a record: what a line has besides the message

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


def log_json(level: int = logging.INFO) -> None:
    """All loggers of the process; uvicorn's access log is off, for ours says more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
