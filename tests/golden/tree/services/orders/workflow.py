"""The life of an order as a table of allowed moves."""

from collections.abc import Callable

from services.orders.models import Order, OrderStatus

TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.DRAFT: frozenset({OrderStatus.PLACED, OrderStatus.CANCELLED}),
    OrderStatus.PLACED: frozenset({OrderStatus.PAID, OrderStatus.CANCELLED}),
    OrderStatus.PAID: frozenset({OrderStatus.PACKED, OrderStatus.CANCELLED}),
    OrderStatus.PACKED: frozenset({OrderStatus.SHIPPED}),
    OrderStatus.SHIPPED: frozenset({OrderStatus.DELIVERED, OrderStatus.RETURNED}),
    OrderStatus.DELIVERED: frozenset({OrderStatus.RETURNED}),
    OrderStatus.CANCELLED: frozenset(),
    OrderStatus.RETURNED: frozenset(),
}


class IllegalTransition(Exception):
    def __init__(self, order: Order, target: OrderStatus) -> None:
        super().__init__(f"order {order.id} cannot go from {order.status.value} to {target.value}")


class OrderWorkflow:
    def __init__(self) -> None:
        self._hooks: dict[OrderStatus, list[Callable[[Order], None]]] = {}

    def on_enter(self, status: OrderStatus, hook: Callable[[Order], None]) -> None:
        self._hooks.setdefault(status, []).append(hook)

    def advance(self, order: Order, target: OrderStatus) -> None:
        """Move an order to its next state, or refuse; then run what was registered for that state."""
        if target not in TRANSITIONS[order.status]:
            raise IllegalTransition(order, target)
        order.status = target
        order.version += 1
        for hook in self._hooks.get(target, []):
            hook(order)

    def is_final(self, order: Order) -> bool:
        return not TRANSITIONS[order.status]


def can_be_cancelled(order: Order) -> bool:
    return OrderStatus.CANCELLED in TRANSITIONS[order.status]
