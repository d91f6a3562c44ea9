"""Wann und wie viel nachbestellt wird."""

import math
import statistics

SERVICE_LEVEL_Z = {0.90: 1.28, 0.95: 1.65, 0.98: 2.05, 0.99: 2.33}


def forecast_demand(history: list[float], alpha: float = 0.3) -> float:
    # Exponentielle Glättung: jüngere Wochen zählen mehr als ältere.
    level = history[0]
    for observed in history[1:]:
        level = alpha * observed + (1 - alpha) * level
    return level


def safety_stock(history: list[float], lead_weeks: float, service_level: float = 0.95) -> int:
    # Sicherheitsbestand: fängt Schwankungen der Nachfrage während der Lieferzeit ab.
    deviation = statistics.pstdev(history)
    return math.ceil(SERVICE_LEVEL_Z[service_level] * deviation * math.sqrt(lead_weeks))


def reorder_point(history: list[float], lead_weeks: float) -> int:
    # Meldebestand: fällt der Bestand darunter, wird beim Lieferanten bestellt.
    return math.ceil(forecast_demand(history) * lead_weeks) + safety_stock(history, lead_weeks)


def order_quantity(yearly_demand: float, order_cost: float, holding_cost: float, pack_size: int = 1) -> int:
    # Losgröße nach Andler, auf ganze Gebinde aufgerundet.
    ideal = math.sqrt(2 * yearly_demand * order_cost / holding_cost)
    return math.ceil(ideal / pack_size) * pack_size


def classify_abc(revenue_by_sku: dict[str, float]) -> dict[str, str]:
    """Sort articles into A, B and C by their share of the revenue."""
    total = sum(revenue_by_sku.values()) or 1.0
    classes = {}
    running = 0.0
    for sku, revenue in sorted(revenue_by_sku.items(), key=lambda item: -item[1]):
        running += revenue / total
        classes[sku] = "A" if running <= 0.8 else "B" if running <= 0.95 else "C"
    return classes
