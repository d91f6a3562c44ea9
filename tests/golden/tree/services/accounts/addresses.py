"""Postal addresses: their shape, country by country."""

import re
from dataclasses import dataclass

POSTCODE_SHAPES = {
    "DE": re.compile(r"^\d{5}$"),
    "FR": re.compile(r"^\d{5}$"),
    "NL": re.compile(r"^\d{4} ?[A-Z]{2}$"),
    "GB": re.compile(r"^[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}$"),
    "CH": re.compile(r"^\d{4}$"),
}


@dataclass(frozen=True)
class PostalAddress:
    recipient: str
    street: str
    postcode: str
    city: str
    country: str
    extra: str = ""


def check_address_format(address: PostalAddress) -> list[str]:
    """List what is wrong with a delivery address; an empty list means a parcel label can be printed."""
    problems = []
    if not address.recipient.strip():
        problems.append("recipient is missing")
    if not re.search(r"\d", address.street):
        problems.append("street has no house number")
    shape = POSTCODE_SHAPES.get(address.country)
    if shape is None:
        problems.append(f"we do not ship to {address.country}")
    elif not shape.match(address.postcode.upper()):
        problems.append(f"postcode does not look like one from {address.country}")
    if len(address.city.strip()) < 2:
        problems.append("city is missing")
    return problems


def normalize_postcode(postcode: str, country: str) -> str:
    compact = re.sub(r"\s+", "", postcode).upper()
    if country == "NL":
        return f"{compact[:4]} {compact[4:]}"
    if country == "GB":
        return f"{compact[:-3]} {compact[-3:]}"
    return compact


def format_label(address: PostalAddress) -> str:
    """Lay the address out on the lines of a parcel sticker, in the order its country expects."""
    lines = [address.recipient, address.extra, address.street]
    if address.country == "GB":
        lines += [address.city.upper(), address.postcode]
    else:
        lines.append(f"{address.postcode} {address.city}")
    lines.append(address.country)
    return "\n".join(line for line in lines if line)


def same_household(first: PostalAddress, second: PostalAddress) -> bool:
    def key(address: PostalAddress) -> tuple[str, str, str]:
        street = re.sub(r"[^a-z0-9]", "", address.street.lower().replace("straße", "str").replace("strasse", "str"))
        return street, normalize_postcode(address.postcode, address.country), address.country

    return key(first) == key(second)
