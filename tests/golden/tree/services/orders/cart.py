"""Shopping carts, before they become orders."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

MAX_PER_LINE = 99
ABANDONED_AFTER = timedelta(hours=6)


@dataclass
class Cart:
    id: str
    account_id: str | None = None
    quantities: dict[str, int] = field(default_factory=dict)
    touched_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def add(self, sku: str, quantity: int = 1) -> None:
        self.quantities[sku] = min(MAX_PER_LINE, self.quantities.get(sku, 0) + quantity)
        self._touch()

    def remove(self, sku: str) -> None:
        self.quantities.pop(sku, None)
        self._touch()

    def set_quantity(self, sku: str, quantity: int) -> None:
        if quantity <= 0:
            self.remove(sku)
            return
        self.quantities[sku] = min(MAX_PER_LINE, quantity)
        self._touch()

    def _touch(self) -> None:
        self.touched_at = datetime.now(timezone.utc)


def merge_guest_cart(guest: Cart, owned: Cart) -> Cart:
    """Carry over what a visitor had picked before signing in; the larger quantity of each article wins."""
    for sku, quantity in guest.quantities.items():
        owned.quantities[sku] = max(owned.quantities.get(sku, 0), quantity)
    guest.quantities.clear()
    return owned


def find_abandoned(carts: list[Cart], now: datetime) -> list[Cart]:
    return [cart for cart in carts if cart.account_id and cart.quantities and now - cart.touched_at > ABANDONED_AFTER]
