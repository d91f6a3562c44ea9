"""
What speaks for a candidate, or against it, besides the lists it stands in.

A signal gives a strength of 0 to 1; at the strength s, a candidate's score is multiplied by exp(weight * s).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from mnemolite.search.purposes import Purpose, purposes
from mnemolite.search.tokens import words
from mnemolite.search.understand import Intent
from mnemolite.types import Card

# Names of files that stand for their folder.
_ENTRIES = frozenset(("mod", "index", "init", "lib", "main", "core", "base", "impl", "module", "package", "default"))
_MOST_NAMES = 400  # characters


@dataclass(frozen=True)
class File:
    """What a path says."""

    words: tuple[str, ...]  # of its name, or of its folder's where the name says nothing
    name: str  # without extension, separators and case
    purposes: frozenset[Purpose]


@lru_cache(maxsize=65536)
def file_of(path: str, language: str) -> File:
    *folders, name = path.split("/")
    stem = name.lstrip(".").partition(".")[0]
    own = tuple(words(stem))
    if len(own) == 1 and own[0] in _ENTRIES and folders:
        own = tuple(words(folders[-1]))
    return File(own, _plain(stem), purposes(path, language))


# Of the file


def file_name(intent: Intent, file: File) -> float:
    """The share of its name that the query has: validators.ts for "where is an email validated"."""
    return _share(file.words, intent)


def namesake(intent: Intent, file: File) -> float:
    """Named after a symbol that the query mentions: http_client.py for HttpClient."""
    return float(any(_plain(symbol) == file.name for symbol in intent.symbols))


# Of the chunk


def definition(intent: Intent, card: Card) -> float:
    """It defines a symbol that the query mentions."""
    if card.name in intent.symbols:
        return 1.0
    return 0.5 * (not intent.symbols.isdisjoint(card.symbols.split("\n"))) if intent.symbols else 0.0


def names(intent: Intent, card: Card) -> float:
    """The share of the words of what it defines that the query has."""
    return _share(_words_of(card.symbols), intent)


def member(intent: Intent, card: Card) -> float:
    """It is part of what the query says the symbol belongs to: Cart for Cart.total."""
    return float(card.parent.rpartition(".")[2] in intent.owners)


FileSignal = Callable[[Intent, File], float]
CardSignal = Callable[[Intent, Card], float]

FILE_SIGNALS: Mapping[str, tuple[float, FileSignal]] = {
    "file_name": (0.25, file_name),
    "namesake": (0.3, namesake),
}
# Of a file with a purpose that the query does not ask for; the signal is called as the purpose.
PURPOSES: Mapping[Purpose, float] = {
    Purpose.TEST: -0.4,
    Purpose.EXAMPLE: -0.2,
    Purpose.LEGACY: -0.2,
    Purpose.GENERATED: -0.2,
    Purpose.DECLARATION: -0.1,
    Purpose.PROSE: -0.25,
    Purpose.CONFIG: -0.2,
}
CARD_SIGNALS: Mapping[str, tuple[float, CardSignal]] = {
    "definition": (0.3, definition),
    "names": (0.1, names),
    "member": (0.2, member),
}


def silent(intent: Intent) -> frozenset[str]:
    """Those that say nothing of any candidate, for want of what they look at."""
    without_symbols = () if intent.symbols else ("namesake", "definition")
    return frozenset((*without_symbols, *(() if intent.owners else ("member",))))


def _share(own: tuple[str, ...], intent: Intent) -> float:
    if not own:
        return 0.0
    kin, near = intent.kin, 0.0
    for word in own:
        near += kin[word]
    return near / len(own)


@lru_cache(maxsize=65536)
def _words_of(symbols: str) -> tuple[str, ...]:
    return tuple(words(symbols[:_MOST_NAMES]))


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
