from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum


class OrderStatus(Enum):
    DRAFT = "draft"
    PLACED = "placed"
    PAID = "paid"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"


@dataclass
class OrderLine:
    sku: str
    quantity: int
    unit_price: Decimal
    discount: Decimal = Decimal(0)

    @property
    def subtotal(self) -> Decimal:
        return self.unit_price * self.quantity - self.discount


@dataclass
class Order:
    id: str
    account_id: str
    country: str
    currency: str
    lines: list[OrderLine] = field(default_factory=list)
    status: OrderStatus = OrderStatus.DRAFT
    placed_at: datetime | None = None
    version: int = 0

    def total(self) -> Decimal:
        return sum((line.subtotal for line in self.lines), Decimal(0))

    def summary(self) -> dict[str, str]:
        return {"id": self.id, "status": self.status.value, "total": f"{self.total():.2f} {self.currency}"}
