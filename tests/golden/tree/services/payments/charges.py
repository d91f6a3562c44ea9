from __future__ import annotations

import sqlite3
from decimal import Decimal

from services.common.retry import CircuitBreaker, ExponentialRetry, call_with_retry
from services.payments.gateway import PaymentGateway


class PaymentDeclined(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefundTooLarge(ValueError):
    pass


class ChargeService:
    def __init__(self, gateway: PaymentGateway, connection: sqlite3.Connection) -> None:
        self._gateway = gateway
        self._connection = connection
        self._breaker = CircuitBreaker()

    def charge_once(self, key: str, amount: Decimal, currency: str, method: str) -> str:
        """Take the money at most once per idempotency key, however often the request is repeated."""
        row = self._connection.execute("SELECT reference FROM charges WHERE key = ?", (key,)).fetchone()
        if row is not None and row[0]:
            return row[0]
        self._connection.execute(
            "INSERT OR IGNORE INTO charges (key, amount, currency) VALUES (?, ?, ?)", (key, str(amount), currency)
        )
        self._connection.commit()
        answer = call_with_retry(
            lambda: self._breaker.call(lambda: self._gateway.authorize(amount, currency, method, key)),
            ExponentialRetry(attempts=3),
        )
        if not answer.approved:
            raise PaymentDeclined(answer.reason)
        self._connection.execute("UPDATE charges SET reference = ? WHERE key = ?", (answer.reference, key))
        self._connection.commit()
        return answer.reference

    def refund(self, reference: str, amount: Decimal, reason: str) -> Decimal:
        """Pay back all or part of a charge; never more than is left of it."""
        charged, returned = self._connection.execute(
            "SELECT amount, refunded FROM charges WHERE reference = ?", (reference,)
        ).fetchone()
        left = Decimal(charged) - Decimal(returned or 0)
        if amount > left:
            raise RefundTooLarge(f"{amount} asked, {left} left")
        self._gateway.refund(reference, amount)
        self._connection.execute(
            "UPDATE charges SET refunded = ?, refund_reason = ? WHERE reference = ?",
            (str(Decimal(returned or 0) + amount), reason, reference),
        )
        self._connection.commit()
        return left - amount
