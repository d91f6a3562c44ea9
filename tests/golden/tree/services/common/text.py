import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice


def strip_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def slugify(title: str, max_length: int = 80) -> str:
    """Make a URL-friendly name out of a product title: 'Café crème 250 g' -> 'cafe-creme-250-g'."""
    slug = re.sub(r"[^a-z0-9]+", "-", strip_accents(title).lower()).strip("-")
    return slug[:max_length].rstrip("-")


def truncate_words(text: str, limit: int, ellipsis: str = "…") -> str:
    if len(text) <= limit:
        return text
    cut = text[: limit - len(ellipsis)]
    space = cut.rfind(" ")
    return (cut[:space] if space > 0 else cut) + ellipsis


def chunked(items: Iterable, size: int) -> Iterator[list]:
    """Split a stream into lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def redact(text: str) -> str:
    """Blank out mail addresses and long digit runs before a line goes to the log."""
    text = re.sub(r"[\w.+-]+@[\w.-]+\.\w+", "<email>", text)
    return re.sub(r"\b\d[\d -]{9,}\d\b", "<number>", text)


def pluralize(count: int, singular: str, plural: str | None = None) -> str:
    return f"{count} {singular if count == 1 else plural or singular + 's'}"
