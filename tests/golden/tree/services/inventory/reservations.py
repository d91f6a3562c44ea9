"""How many of each article are on the shelf, and how many of those are spoken for."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

HOLD_TIME = timedelta(minutes=20)


class OutOfStock(Exception):
    def __init__(self, sku: str, wanted: int, available: int) -> None:
        super().__init__(f"{sku}: wanted {wanted}, have {available}")
        self.sku = sku
        self.available = available


@dataclass
class Reservation:
    id: str
    sku: str
    quantity: int
    order_id: str
    expires_at: datetime
    committed: bool = False


class StockLedger:
    def __init__(self) -> None:
        self._on_hand: dict[str, int] = {}
        self._reservations: dict[str, Reservation] = {}
        self._lock = threading.RLock()

    def receive(self, sku: str, quantity: int) -> None:
        with self._lock:
            self._on_hand[sku] = self._on_hand.get(sku, 0) + quantity

    def available(self, sku: str) -> int:
        with self._lock:
            held = sum(r.quantity for r in self._reservations.values() if r.sku == sku)
            return self._on_hand.get(sku, 0) - held

    def reserve(self, sku: str, quantity: int, order_id: str) -> str:
        """Set items aside for an order for a while, so that nobody else can buy the last one meanwhile."""
        with self._lock:
            free = self.available(sku)
            if free < quantity:
                raise OutOfStock(sku, quantity, free)
            reservation = Reservation(
                uuid.uuid4().hex, sku, quantity, order_id, datetime.now(timezone.utc) + HOLD_TIME
            )
            self._reservations[reservation.id] = reservation
            return reservation.id

    def commit(self, reservation_id: str) -> None:
        with self._lock:
            reservation = self._reservations.pop(reservation_id)
            self._on_hand[reservation.sku] -= reservation.quantity

    def release(self, reservation_id: str) -> None:
        with self._lock:
            self._reservations.pop(reservation_id, None)

    def release_order(self, order_id: str) -> int:
        with self._lock:
            mine = [r.id for r in self._reservations.values() if r.order_id == order_id]
            for reservation_id in mine:
                self.release(reservation_id)
            return len(mine)

    def expire_stale(self, now: datetime) -> int:
        """Give items back that were set aside for checkouts nobody finished."""
        with self._lock:
            stale = [r.id for r in self._reservations.values() if not r.committed and r.expires_at < now]
            for reservation_id in stale:
                self.release(reservation_id)
            return len(stale)
