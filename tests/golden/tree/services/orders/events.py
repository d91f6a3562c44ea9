"""Order events leave through an outbox: written in the order's own transaction, sent afterwards."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from services.common.retry import JitteredRetry, call_with_retry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OrderEvent:
    id: str
    kind: str
    order_id: str
    payload: dict

    def to_message(self) -> bytes:
        return json.dumps({"id": self.id, "kind": self.kind, "order": self.order_id, "data": self.payload}).encode()


class Outbox:
    def __init__(self, connection) -> None:
        self._connection = connection

    def append(self, event: OrderEvent) -> None:
        """Store the event next to the order it is about; the caller commits both or neither."""
        self._connection.execute(
            "INSERT INTO outbox (id, kind, order_id, payload) VALUES (?, ?, ?, ?)",
            (event.id, event.kind, event.order_id, json.dumps(event.payload)),
        )

    def pending(self, limit: int = 100) -> list[OrderEvent]:
        rows = self._connection.execute(
            "SELECT id, kind, order_id, payload FROM outbox WHERE sent_at IS NULL ORDER BY seq LIMIT ?", (limit,)
        )
        return [OrderEvent(row[0], row[1], row[2], json.loads(row[3])) for row in rows]

    def mark_sent(self, event_id: str) -> None:
        self._connection.execute("UPDATE outbox SET sent_at = CURRENT_TIMESTAMP WHERE id = ?", (event_id,))


def relay_outbox(outbox: Outbox, broker) -> int:
    """Hand every unsent event to the message broker, oldest first; stop at the first that will not go."""
    sent = 0
    for event in outbox.pending():
        try:
            call_with_retry(lambda event=event: broker.publish("orders", event.to_message()), JitteredRetry())
        except (ConnectionError, TimeoutError):
            log.warning("broker is unreachable, %s events stay queued", event.kind)
            break
        outbox.mark_sent(event.id)
        sent += 1
    return sent


class ProcessedEvents:
    """Remembers which messages a consumer has handled, since the broker may deliver one twice."""

    def __init__(self, connection, consumer: str) -> None:
        self._connection = connection
        self._consumer = consumer

    def first_time(self, event_id: str) -> bool:
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO processed_events (consumer, event_id) VALUES (?, ?)", (self._consumer, event_id)
        )
        return cursor.rowcount == 1
