"""The monthly figures for the management."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from decimal import Decimal

from services.common.dates import month_bounds, parse_iso_date
from services.orders.models import Order, OrderStatus

SOLD = {OrderStatus.PAID, OrderStatus.PACKED, OrderStatus.SHIPPED, OrderStatus.DELIVERED}


def monthly_report(orders: list[Order], year: int, month: int, cost_of: dict[str, Decimal]) -> str:
    first, last = month_bounds(year, month)
    in_month = [o for o in orders if o.placed_at is not None and first <= o.placed_at.date() <= last]

    revenue_by_country: dict[str, Decimal] = defaultdict(Decimal)
    units_by_sku: dict[str, int] = defaultdict(int)
    revenue_by_sku: dict[str, Decimal] = defaultdict(Decimal)
    buyers: dict[str, int] = defaultdict(int)
    cancelled = 0
    returned = 0
    revenue_by_day: dict[int, Decimal] = defaultdict(Decimal)

    for order in in_month:
        if order.status is OrderStatus.CANCELLED:
            cancelled += 1
            continue
        if order.status is OrderStatus.RETURNED:
            returned += 1
            continue
        if order.status not in SOLD:
            continue
        buyers[order.account_id] += 1
        revenue_by_country[order.country] += order.total()
        revenue_by_day[order.placed_at.day] += order.total()
        for line in order.lines:
            units_by_sku[line.sku] += line.quantity
            revenue_by_sku[line.sku] += line.subtotal

    revenue = sum(revenue_by_country.values(), Decimal(0))
    sold = sum(buyers.values())
    average = revenue / sold if sold else Decimal(0)
    repeat = sum(1 for count in buyers.values() if count > 1)
    repeat_share = Decimal(repeat) / len(buyers) if buyers else Decimal(0)

    margin = Decimal(0)
    unknown_cost = []
    for sku, amount in revenue_by_sku.items():
        cost = cost_of.get(sku)
        if cost is None:
            unknown_cost.append(sku)
            continue
        margin += amount - cost * units_by_sku[sku]

    out: list[str] = []
    out.append(f"Hazelmart sales, {year}-{month:02d}")
    out.append("=" * 40)
    out.append(f"Orders            {sold}")
    out.append(f"Cancelled         {cancelled}")
    out.append(f"Returned          {returned}")
    out.append(f"Revenue           {revenue:.2f}")
    out.append(f"Average basket    {average:.2f}")
    out.append(f"Returning buyers  {repeat_share:.0%}")
    out.append(f"Gross margin      {margin:.2f}")
    out.append("")

    out.append("By country")
    for country, amount in sorted(revenue_by_country.items(), key=lambda item: -item[1]):
        share = amount / revenue if revenue else Decimal(0)
        bar = "#" * int(share * 30)
        out.append(f"  {country}  {amount:>12.2f}  {share:>4.0%}  {bar}")
    out.append("")

    out.append("Bestsellers")
    ranked = sorted(units_by_sku.items(), key=lambda item: (-item[1], item[0]))
    for place, (sku, units) in enumerate(ranked[:20], 1):
        out.append(f"  {place:>2}. {sku:<20} {units:>6}  {revenue_by_sku[sku]:>12.2f}")
    out.append("")

    slow = [sku for sku in cost_of if units_by_sku.get(sku, 0) == 0]
    if slow:
        out.append("Not sold at all")
        for sku in sorted(slow):
            out.append(f"  {sku}")
        out.append("")

    if revenue_by_day:
        best_day = max(revenue_by_day, key=lambda day: revenue_by_day[day])
        worst_day = min(revenue_by_day, key=lambda day: revenue_by_day[day])
        out.append(f"Best day   {year}-{month:02d}-{best_day:02d}  {revenue_by_day[best_day]:.2f}")
        out.append(f"Worst day  {year}-{month:02d}-{worst_day:02d}  {revenue_by_day[worst_day]:.2f}")
        out.append("")

    if unknown_cost:
        out.append("No purchase price known for: " + ", ".join(sorted(unknown_cost)))
    return "\n".join(out) + "\n"


def to_csv(rows: list[dict[str, str]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def cohort_retention(first_orders: dict[str, str], later_orders: list[tuple[str, str]]) -> dict[str, list[float]]:
    """Of the customers won in each month, which share bought again 1, 2, 3... months later."""
    cohorts: dict[str, set[str]] = defaultdict(set)
    for account_id, text in first_orders.items():
        cohorts[parse_iso_date(text).strftime("%Y-%m")].add(account_id)
    back: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for account_id, text in later_orders:
        start = parse_iso_date(first_orders[account_id])
        moment = parse_iso_date(text)
        distance = (moment.year - start.year) * 12 + moment.month - start.month
        if distance > 0:
            back[start.strftime("%Y-%m")][distance].add(account_id)
    return {
        month: [len(back[month][n]) / len(members) for n in range(1, max(back[month], default=0) + 1)]
        for month, members in cohorts.items()
    }
