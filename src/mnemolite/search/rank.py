"""The order of what was found: named factors on the fused score, by what each candidate is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from math import exp

from mnemolite.errors import InvalidInput
from mnemolite.search.fuse import Fused, order
from mnemolite.search.signals import CARD_SIGNALS, FILE_SIGNALS, PURPOSES, file_of, silent
from mnemolite.search.understand import Intent
from mnemolite.types import Card, telling_path

COHERENCE = 0.2  # best of 0, .1, .2, .3, .4, .6 in docs/performance.md
SATURATION = 0.45  # on what is not the best chunk of its file, so that one file does not fill the page
SIGNALS = (*FILE_SIGNALS, *map(str, PURPOSES), *CARD_SIGNALS, "coherence", "saturation")

Candidate = tuple[Fused, Card]


def signals_named(names: str) -> frozenset[str]:
    """
    Of *names*, parted by commas.

    Raises:
        InvalidInput: there is no such signal.
    """
    found = frozenset(filter(None, map(str.strip, names.split(","))))
    if unknown := found - set(SIGNALS):
        raise InvalidInput(f"no ranking signal {', '.join(sorted(unknown))}; there are {', '.join(SIGNALS)}")
    return found


def rank(intent: Intent, fused: Sequence[Fused], cards: Sequence[Card], off: Collection[str] = ()) -> list[Fused]:
    """
    Those of *fused* that have a card, best first, each with the factors that put it there.

    *off* names signals to leave out.
    """
    by_id = {f.id: f for f in fused}
    candidates = [(by_id[card.id], card) for card in cards]
    if "coherence" not in off:
        cohere(candidates)
    weigh(intent, candidates, off)
    candidates.sort(key=lambda candidate: order(candidate[0]))
    if "saturation" not in off:
        saturate(candidates)
    return sorted((f for f, _ in candidates), key=order)


def cohere(candidates: Sequence[Candidate]) -> None:
    """A file that is found by many of its chunks is likelier to be what is meant than one found by a single one."""
    mass: dict[tuple[str, str], float] = defaultdict(float)
    for fused, card in candidates:
        mass[card.source, card.path] += fused.score
    most = max(mass.values(), default=0.0) or 1.0
    for fused, card in candidates:
        fused.scale("coherence", 1 + COHERENCE * mass[card.source, card.path] / most)


def weigh(intent: Intent, candidates: Sequence[Candidate], off: Collection[str] = ()) -> None:
    out = {*off, *silent(intent)}
    of_files = [(name, weight, signal) for name, (weight, signal) in FILE_SIGNALS.items() if name not in out]
    of_cards = [(name, weight, signal) for name, (weight, signal) in CARD_SIGNALS.items() if name not in out]
    unasked = {p: (str(p), exp(weight)) for p, weight in PURPOSES.items() if p not in intent.wanted and p not in out}
    known: dict[str, list[tuple[str, float]]] = {}
    for fused, card in candidates:
        factors = known.get(card.path)
        if factors is None:
            file = file_of(telling_path(card), card.language)
            factors = [(name, exp(weight * s)) for name, weight, signal in of_files if (s := signal(intent, file))]
            if file.purposes:
                factors.extend(unasked[purpose] for purpose in sorted(file.purposes) if purpose in unasked)
            known[card.path] = factors
        for name, factor in factors:
            fused.scale(name, factor)
        for name, weight, of_card in of_cards:
            if strength := of_card(intent, card):
                fused.scale(name, exp(weight * strength))


def saturate(candidates: Sequence[Candidate]) -> None:
    """*candidates* must be best first."""
    seen: set[tuple[str, str]] = set()
    for fused, card in candidates:
        file = card.source, card.path
        if file in seen:
            fused.scale("saturation", SATURATION)
        seen.add(file)
