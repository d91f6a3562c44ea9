"""Checks applied to what a visitor types into the sign-up and profile forms."""

import re
import unicodedata

MAX_LOCAL_LENGTH = 64
MAX_DOMAIN_LENGTH = 253

_LOCAL_PART = re.compile(r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+$")
_DOMAIN_LABEL = re.compile(r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$")


class ValidationError(ValueError):
    """A field whose value cannot be accepted; `field` names it for the form."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def validate_email(value: str) -> str:
    """Return the mailbox in canonical form, or raise ValidationError if it is malformed.

    Only the syntax is looked at: one @, a local part without stray dots, a domain of legal labels.
    Whether mail would arrive is another question.
    """
    candidate = value.strip()
    local, at, domain = candidate.rpartition("@")
    if not at or not local or not domain:
        raise ValidationError("email", "needs exactly one part on each side of the @")
    if len(local) > MAX_LOCAL_LENGTH or len(domain) > MAX_DOMAIN_LENGTH:
        raise ValidationError("email", "is too long")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise ValidationError("email", "has a misplaced dot")
    if not _LOCAL_PART.match(local):
        raise ValidationError("email", "has a character that is not allowed")
    labels = domain.split(".")
    if len(labels) < 2 or not all(_DOMAIN_LABEL.match(label) for label in labels):
        raise ValidationError("email", "has a domain that cannot exist")
    return f"{local}@{domain.lower()}"


def validate_username(value: str) -> str:
    folded = unicodedata.normalize("NFKC", value).casefold().strip()
    if not 3 <= len(folded) <= 30:
        raise ValidationError("username", "must have 3 to 30 characters")
    if not folded.replace("_", "").replace("-", "").isalnum():
        raise ValidationError("username", "may hold letters, digits, - and _ only")
    return folded


def normalize_phone(value: str, default_prefix: str = "+49") -> str:
    """Bring a telephone number into E.164: a plus, the country prefix, digits and nothing else."""
    digits = re.sub(r"[^\d+]", "", value)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    elif digits.startswith("0"):
        digits = default_prefix + digits[1:]
    if not re.fullmatch(r"\+[1-9]\d{6,14}", digits):
        raise ValidationError("phone", "is not a dialable number")
    return digits


def is_of_age(birth_year: int, birth_month: int, birth_day: int, today: tuple[int, int, int], minimum: int = 18) -> bool:
    years = today[0] - birth_year
    if (today[1], today[2]) < (birth_month, birth_day):
        years -= 1
    return years >= minimum
