"""Price and stock lists that suppliers send every night, each in a shape of its own."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

log = logging.getLogger(__name__)

MAX_PRICE_JUMP = Decimal("0.5")
MAX_REJECTED_SHARE = 0.1
MAX_PLAUSIBLE_STOCK = 100_000

FIELD_NAMES = {
    "sku": ("sku", "article", "artikelnummer", "ref", "référence"),
    "title": ("title", "name", "bezeichnung", "libellé"),
    "price": ("price", "preis", "prix", "cost"),
    "stock": ("stock", "qty", "bestand", "quantité"),
    "ean": ("ean", "gtin", "barcode"),
}


@dataclass
class FeedOutcome:
    supplier: str
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: int = 0
    vanished: list[str] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    aborted: str = ""


def ean_checksum_ok(code: str) -> bool:
    """The last digit of a barcode: odd places count once, even places three times, from the left."""
    if len(code) != 13 or not code.isdigit():
        return False
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(code[:12]))
    return (10 - total % 10) % 10 == int(code[12])


def import_supplier_feed(supplier: str, raw: bytes, catalog, dry_run: bool = False) -> FeedOutcome:
    outcome = FeedOutcome(supplier)

    # unpack
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    text = None
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if text is None or not text.strip():
        outcome.aborted = "empty or unreadable file"
        return outcome

    # find out what kind of list it is
    records: list[dict[str, str]] = []
    head = text.lstrip()[:1]
    if head in "[{":
        try:
            parsed = json.loads(text)
        except json.JSONDecodeError as error:
            outcome.aborted = f"broken JSON at line {error.lineno}"
            return outcome
        if isinstance(parsed, dict):
            for key in ("articles", "items", "products", "data"):
                if isinstance(parsed.get(key), list):
                    parsed = parsed[key]
                    break
        if not isinstance(parsed, list):
            outcome.aborted = "no list of articles in the JSON"
            return outcome
        for entry in parsed:
            if isinstance(entry, dict):
                records.append({str(k).lower(): str(v) for k, v in entry.items() if v is not None})
    else:
        sample = text[:4096]
        delimiter = max(";,\t|", key=sample.count)
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
        for row in reader:
            records.append({(k or "").strip().lower(): (v or "").strip() for k, v in row.items() if k is not None})

    if not records:
        outcome.aborted = "no articles"
        return outcome

    # learn which column is which
    columns: dict[str, str] = {}
    present = set(records[0])
    for wanted, aliases in FIELD_NAMES.items():
        for alias in aliases:
            if alias in present:
                columns[wanted] = alias
                break
    for required in ("sku", "price", "stock"):
        if required not in columns:
            outcome.aborted = f"no column for {required}"
            return outcome

    # row by row
    seen: set[str] = set()
    changes: list[dict] = []
    for number, record in enumerate(records, 1):
        sku = record.get(columns["sku"], "").upper().replace(" ", "")
        if not sku:
            outcome.rejected.append((number, "no article number"))
            continue
        if sku in seen:
            outcome.rejected.append((number, f"{sku} is listed twice"))
            continue
        seen.add(sku)

        price_text = record.get(columns["price"], "").replace("€", "").strip()
        if "," in price_text and "." in price_text:
            if price_text.rfind(",") > price_text.rfind("."):
                price_text = price_text.replace(".", "").replace(",", ".")
            else:
                price_text = price_text.replace(",", "")
        else:
            price_text = price_text.replace(",", ".")
        try:
            price = Decimal(price_text)
        except InvalidOperation:
            outcome.rejected.append((number, f"{sku}: price {price_text!r}"))
            continue
        if price <= 0:
            outcome.rejected.append((number, f"{sku}: price is not positive"))
            continue

        stock_text = record.get(columns["stock"], "0")
        if stock_text.lower() in {"yes", "ja", "oui", "in stock"}:
            stock = 1
        elif stock_text.lower() in {"no", "nein", "non", "out of stock", ""}:
            stock = 0
        else:
            try:
                stock = max(int(float(stock_text)), 0)
            except ValueError:
                outcome.rejected.append((number, f"{sku}: stock {stock_text!r}"))
                continue

        if stock > MAX_PLAUSIBLE_STOCK:
            log.warning("%s: %d pieces of %s are more than any shelf holds", supplier, stock, sku)
            outcome.rejected.append((number, f"{sku}: stock {stock} is not plausible"))
            continue

        # a wrong barcode is no reason to lose the article
        ean = record.get(columns.get("ean", ""), "")
        if ean and not ean_checksum_ok(ean.zfill(13)):
            log.warning("%s: barcode %s of %s is wrong and was dropped", supplier, ean, sku)
            ean = ""

        known = catalog.find(sku)
        if known is None:
            title = record.get(columns.get("title", ""), "")
            if not title:
                outcome.rejected.append((number, f"{sku}: new but without a title"))
                continue
            changes.append({"sku": sku, "title": title, "cost": price, "supplier_stock": stock, "ean": ean})
            outcome.created.append(sku)
            continue

        jump = abs(price - known.cost) / known.cost if known.cost else Decimal(0)
        if jump > MAX_PRICE_JUMP:
            outcome.rejected.append((number, f"{sku}: price jumps by {jump:.0%}"))
            continue
        if price == known.cost and stock == known.supplier_stock:
            outcome.unchanged += 1
            continue
        changes.append({"sku": sku, "cost": price, "supplier_stock": stock})
        outcome.updated.append(sku)

    # a list that is mostly wrong is not taken at all
    if len(outcome.rejected) > MAX_REJECTED_SHARE * len(records):
        outcome.aborted = f"{len(outcome.rejected)} of {len(records)} rows rejected"
        return outcome

    for sku in catalog.skus_of(supplier):
        if sku not in seen:
            outcome.vanished.append(sku)
            changes.append({"sku": sku, "supplier_stock": 0})

    if not dry_run:
        with catalog.transaction():
            for change in changes:
                catalog.upsert(supplier, change)
    log.info("%s: %d new, %d changed, %d gone", supplier, len(outcome.created), len(outcome.updated), len(outcome.vanished))
    return outcome
