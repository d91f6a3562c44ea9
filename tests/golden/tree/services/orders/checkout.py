"""From a full cart to a paid order."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal

from services.accounts.addresses import PostalAddress, check_address_format
from services.inventory.reservations import OutOfStock, StockLedger
from services.orders.cart import Cart
from services.orders.events import OrderEvent, Outbox
from services.orders.models import Order, OrderLine, OrderStatus
from services.orders.workflow import OrderWorkflow
from services.payments.charges import ChargeService, PaymentDeclined

log = logging.getLogger(__name__)

FREE_SHIPPING_FROM = Decimal("59.00")
SHIPPING_FLAT = Decimal("4.90")
FREIGHT_SURCHARGE = Decimal("39.00")
FRAUD_REVIEW_FROM = Decimal("1500.00")
MAX_LINES = 60


class CheckoutError(Exception):
    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


@dataclass
class CheckoutRequest:
    cart: Cart
    address: PostalAddress
    payment_method: str
    idempotency_key: str
    coupon: str | None = None
    accepted_terms: bool = False


@dataclass
class CheckoutResult:
    order: Order
    charge_id: str | None
    needs_review: bool
    messages: list[str]


class Checkout:
    def __init__(self, catalog, pricing, ledger: StockLedger, charges: ChargeService, outbox: Outbox, orders) -> None:
        self._catalog = catalog
        self._pricing = pricing
        self._ledger = ledger
        self._charges = charges
        self._outbox = outbox
        self._orders = orders
        self._workflow = OrderWorkflow()

    def place_order(self, request: CheckoutRequest, new_id) -> CheckoutResult:
        """Turn a cart into a placed and paid order.

        The steps, each undone when a later one fails: check the request, price the lines, reserve the
        stock, charge the customer, store the order with its event. A second request with the same
        idempotency key gets the first one's result.
        """
        messages: list[str] = []

        earlier = self._orders.find_by_idempotency_key(request.idempotency_key)
        if earlier is not None:
            log.info("checkout %s repeated, returning order %s", request.idempotency_key, earlier.id)
            return CheckoutResult(earlier, earlier.charge_id, False, ["already placed"])

        # 1. the request itself
        if not request.accepted_terms:
            raise CheckoutError("terms_not_accepted")
        if not request.cart.quantities:
            raise CheckoutError("cart_empty")
        if len(request.cart.quantities) > MAX_LINES:
            raise CheckoutError("too_many_lines", str(len(request.cart.quantities)))
        problems = check_address_format(request.address)
        if problems:
            raise CheckoutError("bad_address", "; ".join(problems))

        # 2. articles and their prices
        lines: list[OrderLine] = []
        for sku, quantity in sorted(request.cart.quantities.items()):
            article = self._catalog.find(sku)
            if article is None or article.withdrawn:
                messages.append(f"{sku} is no longer sold and was left out")
                continue
            if article.limit_per_customer and quantity > article.limit_per_customer:
                messages.append(f"{sku} is limited to {article.limit_per_customer} per customer")
                quantity = article.limit_per_customer
            price = self._pricing.unit_price(sku, quantity, request.address.country)
            lines.append(OrderLine(sku, quantity, price))
        if not lines:
            raise CheckoutError("nothing_left_to_sell")

        order = Order(
            id=new_id(),
            account_id=request.cart.account_id or "guest",
            country=request.address.country,
            currency=self._pricing.currency_of(request.address.country),
            lines=lines,
        )

        # 3. the coupon, spread over the lines in proportion to what they cost
        if request.coupon:
            reduction = self._pricing.coupon_value(request.coupon, order.total())
            if reduction is None:
                messages.append(f"coupon {request.coupon} does not apply")
            else:
                spread_discount(order.lines, reduction)
                messages.append(f"coupon {request.coupon} saved {reduction:.2f}")

        # heavy goods go by freight and always cost extra, everything else is free above a sum
        shipping = Decimal(0) if order.total() >= FREE_SHIPPING_FROM else SHIPPING_FLAT
        bulky = [line for line in order.lines if self._catalog.find(line.sku).weight_gram > 20_000]
        if bulky:
            shipping += FREIGHT_SURCHARGE * len(bulky)
            messages.append(f"{len(bulky)} bulky articles come by freight")
        if order.country == "CH":
            messages.append("customs duties may be due on delivery")
        tax = self._pricing.tax_included(order.total() + shipping, order.country)
        due = order.total() + shipping

        # 4. stock
        reservation_ids: list[str] = []
        try:
            for line in order.lines:
                reservation_ids.append(self._ledger.reserve(line.sku, line.quantity, order.id))
        except OutOfStock as shortage:
            for reservation_id in reservation_ids:
                self._ledger.release(reservation_id)
            raise CheckoutError("out_of_stock", f"{shortage.sku}: {shortage.available} left") from shortage

        # 5. fraud: large first orders wait for a person
        needs_review = due >= FRAUD_REVIEW_FROM and self._orders.count_of(order.account_id) == 0
        self._workflow.advance(order, OrderStatus.PLACED)
        order.placed_at = datetime.now(timezone.utc)

        # 6. money
        charge_id: str | None = None
        if needs_review:
            messages.append("this order is being looked at and will be charged afterwards")
        else:
            try:
                charge_id = self._charges.charge_once(
                    key=request.idempotency_key,
                    amount=due,
                    currency=order.currency,
                    method=request.payment_method,
                )
            except PaymentDeclined as refusal:
                for reservation_id in reservation_ids:
                    self._ledger.release(reservation_id)
                self._workflow.advance(order, OrderStatus.CANCELLED)
                self._orders.save(order)
                raise CheckoutError("payment_declined", refusal.reason) from refusal
            self._workflow.advance(order, OrderStatus.PAID)

        # 7. the order and its event, in one transaction
        try:
            with self._orders.transaction():
                self._orders.save(order, idempotency_key=request.idempotency_key, charge_id=charge_id)
                self._outbox.append(
                    OrderEvent(
                        id=new_id(),
                        kind="order.paid" if charge_id else "order.held",
                        order_id=order.id,
                        payload={
                            "account": order.account_id,
                            "country": order.country,
                            "lines": [{"sku": line.sku, "quantity": line.quantity} for line in order.lines],
                            "due": str(due),
                            "tax": str(tax),
                            "label": request.address.postcode,
                        },
                    )
                )
        except Exception:
            log.exception("order %s could not be stored, undoing its charge", order.id)
            if charge_id is not None:
                self._charges.refund(charge_id, due, reason="order not stored")
            for reservation_id in reservation_ids:
                self._ledger.release(reservation_id)
            raise

        request.cart.quantities.clear()
        return CheckoutResult(order, charge_id, needs_review, messages)

    def cancel_order(self, order: Order, reason: str) -> None:
        self._workflow.advance(order, OrderStatus.CANCELLED)
        self._ledger.release_order(order.id)
        charge_id = self._orders.charge_of(order.id)
        if charge_id:
            self._charges.refund(charge_id, order.total(), reason=reason)
        self._orders.save(order)


def spread_discount(lines: list[OrderLine], reduction: Decimal) -> None:
    """Share a reduction among the lines by value, to the cent; the last line takes what rounding leaves."""
    total = sum((line.subtotal for line in lines), Decimal(0))
    left = reduction
    for line in lines[:-1]:
        share = (reduction * line.subtotal / total).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        line.discount += share
        left -= share
    lines[-1].discount += left
