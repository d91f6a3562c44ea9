import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any


@dataclass
class Page:
    items: list[Any]
    next_cursor: str | None
    total: int | None = None


class BadCursor(ValueError):
    pass


def encode_cursor(position: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position, sort_keys=True).encode()).decode()


def decode_cursor(cursor: str) -> dict[str, Any]:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError) as error:
        raise BadCursor(cursor) from error


def paginate_by_cursor(rows: list[dict], cursor: str | None, limit: int = 50) -> Page:
    """Continue after the last row the caller saw, so that rows inserted meanwhile shift nothing."""
    ordered = sorted(rows, key=lambda row: (row["created_at"], row["id"]))
    if cursor:
        seen = decode_cursor(cursor)
        ordered = [row for row in ordered if (row["created_at"], row["id"]) > (seen["created_at"], seen["id"])]
    window = ordered[:limit]
    more = len(ordered) > limit
    tail = {"created_at": window[-1]["created_at"], "id": window[-1]["id"]} if window else {}
    return Page(window, encode_cursor(tail) if more else None)


def paginate_by_offset(rows: list[dict], page: int, size: int = 50) -> Page:
    """Numbered pages, for the back office, where somebody wants to jump to page 7."""
    start = max(page - 1, 0) * size
    return Page(rows[start : start + size], None, total=len(rows))
