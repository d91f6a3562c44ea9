"""Finding articles in the catalog."""

import math
from collections import Counter, defaultdict
from datetime import datetime

K1 = 1.4
B = 0.72

SYNONYMS = {
    "sofa": {"couch", "settee"},
    "trousers": {"pants"},
    "mobile": {"phone", "smartphone"},
}


def tokenize(text: str) -> list[str]:
    word = ""
    words = []
    for char in text.lower() + " ":
        if char.isalnum():
            word += char
        elif word:
            words.append(word)
            word = ""
    return words


class InvertedIndex:
    def __init__(self) -> None:
        self._postings: dict[str, dict[str, int]] = defaultdict(dict)
        self._lengths: dict[str, int] = {}

    def add(self, sku: str, text: str) -> None:
        words = tokenize(text)
        self._lengths[sku] = len(words)
        for word, count in Counter(words).items():
            self._postings[word][sku] = count

    def discard(self, sku: str) -> None:
        self._lengths.pop(sku, None)
        for holders in self._postings.values():
            holders.pop(sku, None)

    def score(self, query: str) -> dict[str, float]:
        """Okapi weighting: rare words count more, long descriptions count less."""
        average = sum(self._lengths.values()) / max(len(self._lengths), 1)
        scores: dict[str, float] = defaultdict(float)
        for word in expand_synonyms(tokenize(query)):
            holders = self._postings.get(word, {})
            rarity = math.log(1 + (len(self._lengths) - len(holders) + 0.5) / (len(holders) + 0.5))
            for sku, count in holders.items():
                length = 1 - B + B * self._lengths[sku] / average
                scores[sku] += rarity * count * (K1 + 1) / (count + K1 * length)
        return scores


def expand_synonyms(words: list[str]) -> list[str]:
    expanded = list(words)
    for word in words:
        expanded.extend(sorted(SYNONYMS.get(word, ())))
    return expanded


def boost_fresh(scores: dict[str, float], listed_at: dict[str, datetime], now: datetime, half_life: float = 45.0) -> None:
    """Lift newcomers: the bonus halves every `half_life` days."""
    for sku in scores:
        age = max((now - listed_at[sku]).days, 0)
        scores[sku] *= 1 + 0.25 * 0.5 ** (age / half_life)


def bury_unavailable(scores: dict[str, float], available: dict[str, int]) -> None:
    for sku in scores:
        if available.get(sku, 0) <= 0:
            scores[sku] *= 0.1
