"""One-off importer of the orders of the shop we ran before 2021 (semicolon-separated files)."""

import csv
import sys

from legacy.helpers import parse_iso_date, validate_email

COLUMNS = ("number", "date", "email", "sku", "amount", "gross")


def read_rows(path):
    with open(path, encoding="latin-1", newline="") as handle:
        for row in csv.DictReader(handle, fieldnames=COLUMNS, delimiter=";"):
            if row["number"] == "number":
                continue
            yield row


def convert_row(row):
    if not validate_email(row["email"]):
        row["email"] = "unknown@invalid"
    when = parse_iso_date(row["date"])
    return {
        "id": "L" + row["number"].zfill(8),
        "placed_at": f"{when.tm_year:04}-{when.tm_mon:02}-{when.tm_mday:02}",
        "email": row["email"].lower(),
        "lines": [{"sku": row["sku"], "quantity": int(row["amount"])}],
        "gross_cents": round(float(row["gross"].replace(",", ".")) * 100),
    }


def main(paths):
    seen = set()
    for path in paths:
        for row in read_rows(path):
            order = convert_row(row)
            if order["id"] in seen:
                print("duplicate", order["id"], file=sys.stderr)
                continue
            seen.add(order["id"])
            print(order)


if __name__ == "__main__":
    main(sys.argv[1:])
