"""What a query asks for, read from its text alone: no model is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mnemolite.search.purposes import Purpose, asked_for
from mnemolite.search.tokens import terms, words

# Words of questions: they stand in every chunk, or in none that matters.
STOP_WORDS = frozenset(
    "a an and are as at be been being but by can could did do does doing for from had has have how i if in into is it "
    "its me my of on or our out over should so some than that the their them then there these they this those to under "
    "until up us was we were what when where which while who why will with would you your".split()
)

BEGINNING = 0.7  # of "auth" with "authentication"
LEAST_BEGINNING = 4  # letters

_RUN = re.compile(r"[\w$@#./:\\-]{3,}")
_NAME = re.compile(r"[^\W\d][\w$]*(?:(?:::|->|[.#])[^\W\d][\w$]*)*")
_SEPARATOR = re.compile(r"::|->|[.#/\\:]")
_MARKED = re.compile(r"[a-z0-9][A-Z]|_|::|->|\w[.#]\w")  # no plain word has an inner capital or separator


class Kin(dict[str, float]):
    """
    How near a word is to the nearest of those asked for: 1 for another form of it, BEGINNING if one begins the other.

    Found once for each word, for names repeat theirs.
    """

    def __init__(self, asked: Sequence[str]) -> None:
        self._stems = frozenset(map(stem, asked))
        self._long = tuple(word for word in asked if len(word) >= LEAST_BEGINNING)
        self._starts = frozenset(word[:LEAST_BEGINNING] for word in self._long)

    def __missing__(self, word: str) -> float:
        near = 0.0
        if stem(word) in self._stems:
            near = 1.0
        elif word[:LEAST_BEGINNING] in self._starts and (
            word.startswith(self._long) or any(asked.startswith(word) for asked in self._long)
        ):
            near = BEGINNING
        self[word] = near
        return near


@dataclass(frozen=True)
class Intent:
    """A query, understood."""

    is_symbol: bool  # nothing but a name, a path, or a part of one
    kin: Kin  # to its words, without those of questions
    symbols: frozenset[str]  # last parts of the names it mentions: bar of Foo::bar
    owners: frozenset[str]  # what stands before them: Foo
    wanted: frozenset[Purpose]  # which files it asks for that others do not want


def understand(text: str) -> Intent:
    symbol = is_symbol(text)
    names = [text.strip()] if symbol else [name for name in _NAME.findall(text) if _is_name(name)]
    parted = [[part for part in _SEPARATOR.split(name) if part] for name in names]
    return Intent(
        is_symbol=symbol,
        kin=Kin(_telling(words(text))),
        symbols=frozenset(parts[-1] for parts in parted if parts),
        owners=frozenset(parts[-2] for parts in parted if len(parts) > 1),
        wanted=asked_for(words(text)),
    )


def query_terms(text: str) -> list[str]:
    """Its terms without repetitions, and without the words of questions unless there is nothing else."""
    return _telling(terms(text))


def is_symbol(text: str) -> bool:
    """One run without spaces, such as a name, a path or a part of one."""
    return _RUN.fullmatch(text.strip()) is not None


def _telling(found: list[str]) -> list[str]:
    unique = list(dict.fromkeys(found))
    return [term for term in unique if term not in STOP_WORDS] or unique


def _is_name(word: str) -> bool:
    """Marked as one, or a capitalised word; an abbreviation in capitals says nothing."""
    return _MARKED.search(word) is not None or (word[0].isupper() and not word.isupper())


_SUFFIX = re.compile(r"(?<=...)(?:(?:i[sz])?(?:ations?|ators?|at)?(?:ings?|ers?|ors?|ies|ied|ed|es|e|s|y)?)$")


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Crude, for English; it only has to bring "routes", "router" and "routing" together."""
    return _SUFFIX.sub("", word)
