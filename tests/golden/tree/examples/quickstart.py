"""Places one order against the sandbox, with everything in memory."""

import sqlite3
from decimal import Decimal

from services.inventory.reservations import StockLedger
from services.orders.cart import Cart
from services.payments.charges import ChargeService
from services.payments.gateway import SandboxGateway


def main() -> None:
    ledger = StockLedger()
    ledger.receive("HAZEL-250", 10)

    cart = Cart("demo", account_id="ana")
    cart.add("HAZEL-250", 2)
    hold = ledger.reserve("HAZEL-250", 2, "order-1")

    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE charges (key TEXT PRIMARY KEY, amount, currency, reference, refunded, refund_reason)"
    )
    charges = ChargeService(SandboxGateway(), connection)
    reference = charges.charge_once("demo-key", Decimal("13.80"), "EUR", "card")
    ledger.commit(hold)
    print(f"charged {reference}, {ledger.available('HAZEL-250')} left")


if __name__ == "__main__":
    main()
