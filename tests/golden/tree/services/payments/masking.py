"""Card numbers, as far as we may see them."""

import re

BRANDS = (("visa", r"^4"), ("mastercard", r"^(5[1-5]|2[2-7])"), ("amex", r"^3[47]"))


def mask_card_number(number: str) -> str:
    """Keep the last four digits and hide the rest, keeping the grouping: **** **** **** 4242."""
    digits = re.sub(r"\D", "", number)
    hidden = "*" * (len(digits) - 4) + digits[-4:]
    return " ".join(hidden[i : i + 4] for i in range(0, len(hidden), 4))


def luhn_valid(number: str) -> bool:
    total = 0
    for index, char in enumerate(reversed(re.sub(r"\D", "", number))):
        digit = int(char)
        if index % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return total > 0 and total % 10 == 0


def detect_brand(number: str) -> str | None:
    for brand, pattern in BRANDS:
        if re.match(pattern, number):
            return brand
    return None


def mask_iban(iban: str) -> str:
    compact = iban.replace(" ", "")
    return f"{compact[:4]}{'•' * (len(compact) - 8)}{compact[-4:]}"
