"""What the search box offers while somebody types."""

from __future__ import annotations


class TrieNode:
    __slots__ = ("children", "weight", "word")

    def __init__(self) -> None:
        self.children: dict[str, TrieNode] = {}
        self.word: str | None = None
        self.weight = 0


class PrefixTree:
    def __init__(self) -> None:
        self._root = TrieNode()

    def insert(self, word: str, weight: int = 1) -> None:
        node = self._root
        for char in word:
            node = node.children.setdefault(char, TrieNode())
        node.word = word
        node.weight += weight

    def complete(self, prefix: str, limit: int = 8) -> list[str]:
        """The most popular words that begin with what has been typed so far."""
        node = self._root
        for char in prefix:
            if char not in node.children:
                return []
            node = node.children[char]
        found: list[tuple[int, str]] = []
        stack = [node]
        while stack:
            current = stack.pop()
            if current.word is not None:
                found.append((-current.weight, current.word))
            stack.extend(current.children.values())
        return [word for _, word in sorted(found)[:limit]]


def edit_distance(left: str, right: str) -> int:
    previous = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        current = [i]
        for j, b in enumerate(right, 1):
            current.append(min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a != b)))
        previous = current
    return previous[-1]


def did_you_mean(word: str, vocabulary: dict[str, int], reach: int = 2) -> str | None:
    """Guess the intended word behind a typo: nearest first, then the more frequent."""
    best: tuple[int, int, str] | None = None
    for known, frequency in vocabulary.items():
        if abs(len(known) - len(word)) > reach:
            continue
        distance = edit_distance(word, known)
        if distance <= reach and (best is None or (distance, -frequency, known) < best):
            best = (distance, -frequency, known)
    return best[2] if best else None
