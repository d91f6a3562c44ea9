"""Messages the payment provider pushes to us."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable

TOLERANCE_SECONDS = 300


class BadSignature(Exception):
    pass


def verify_webhook_signature(body: bytes, header: str, secret: bytes, now: float | None = None) -> None:
    """Make sure a callback is genuine and recent.

    The header reads t=<seconds>,v1=<hex>; the digest covers time and body, so an old message
    cannot be replayed with a new time.
    """
    parts = dict(item.split("=", 1) for item in header.split(",") if "=" in item)
    try:
        sent_at = int(parts["t"])
        given = parts["v1"]
    except (KeyError, ValueError) as error:
        raise BadSignature("malformed header") from error
    if abs((now if now is not None else time.time()) - sent_at) > TOLERANCE_SECONDS:
        raise BadSignature("too old")
    expected = hmac.new(secret, f"{sent_at}.".encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, given):
        raise BadSignature("digest differs")


class WebhookDispatcher:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._handlers: dict[str, Callable[[dict], None]] = {}

    def on(self, kind: str, handler: Callable[[dict], None]) -> None:
        self._handlers[kind] = handler

    def receive(self, body: bytes, header: str) -> int:
        try:
            verify_webhook_signature(body, header, self._secret)
        except BadSignature:
            return 401
        event = json.loads(body)
        handler = self._handlers.get(event["type"])
        if handler is None:
            return 204
        handler(event["data"])
        return 200


def handle_chargeback(data: dict, orders, mailer) -> None:
    """The cardholder's bank took the money back: freeze the order and tell the back office."""
    order = orders.by_charge(data["reference"])
    orders.freeze(order.id, f"disputed: {data.get('reason', 'unknown')}")
    mailer.send("finance@hazelmart.example", "chargeback", {"order": order.id, "amount": data["amount"]})
