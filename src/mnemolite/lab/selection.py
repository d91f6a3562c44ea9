"""Which pairs are worth learning from: no secrets, no answers given away, nothing twice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

from mnemolite.lab.mine_text import LEGAL, MAX_QUERY, MIN_PASSAGE, MIN_QUERY, TEST_PATH
from mnemolite.lab.pairs import Pair, Relation, read_pairs, write_pairs

MAX_SAME_QUERY = 2  # pairs of one relation: batches come from one repository, and there equal queries contradict


_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*(?:PRIVATE KEY|CERTIFICATE)|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}|\bxox[abpr]-[\w-]{10,}"
    r"|\bsk-[A-Za-z0-9]{20,}|\beyJ[\w-]{20,}\.|\b[0-9a-fA-F]{32,}\b|[A-Za-z0-9+/]{64,}|\b[A-Za-z0-9+/]{40,}={1,2}"
    r"|(?i:api_?key|secret|passw(?:or)?d|token)[\"']?\s*[:=]\s*[\"'][A-Za-z0-9/+_\-]{16,}[\"']"
)
_TODO = re.compile(r"\W*(?:todo|fixme|xxx|hack)\b", re.IGNORECASE)


def kept(pairs: Iterable[Pair], dropped: Counter[str]) -> Iterator[Pair]:
    for pair in pairs:
        if reason := objection(pair):
            dropped[reason] += 1
        else:
            yield pair


def objection(pair: Pair) -> str:
    """Why a pair teaches nothing, or something that must not be learnt; "" when there is no reason."""
    if not MIN_QUERY <= len(pair.query) <= MAX_QUERY or not re.search(r"[^\W\d_]{2}|[^\W\d_a-zA-Z]", pair.query):
        return "query says nothing"
    if len(pair.passage) < MIN_PASSAGE:
        return "passage too short"
    if _SECRET.search(pair.passage) or _SECRET.search(pair.query):
        return "secret"
    if LEGAL.search(pair.query) or LEGAL.search(pair.passage):
        return "licence text"
    if _TODO.match(pair.query):
        return "todo"
    return "query in passage" if _is_given_away(pair) else ""


def _is_given_away(pair: Pair) -> bool:
    if pair.relation not in (Relation.DOCSTRING, Relation.COMMENT):
        return False
    return pair.query.lower().rstrip(".") in pair.passage.split("\n", 1)[0].lower()


def with_tested(pairs: Sequence[Pair]) -> list[Pair]:
    """Tests whose name begins with that of one definition of the repository lead to it instead of to themselves."""
    known: dict[str, Pair | None] = {}
    for pair in pairs:
        if pair.relation is Relation.NAME and not TEST_PATH.search(pair.path):
            known[pair.query] = None if pair.query in known else pair
    return [_tested_by(pair, known) if pair.relation is Relation.TEST else pair for pair in pairs]


def _tested_by(test: Pair, known: Mapping[str, Pair | None]) -> Pair:
    words = test.query.split()
    for count in range(len(words), 0, -1):
        if count == 1 and len(words) > 2:  # one word of many: a name by chance
            break
        if found := known.get(" ".join(words[:count])):
            return Pair(Relation.TEST, test.query, found.passage, found.language, found.path)
    return test


def distinct(pairs: Iterable[Pair], dropped: Counter[str]) -> list[Pair]:
    """Of pairs of one relation with nearly the same passage the first, and few of those with the same query."""
    seen: set[tuple[object, ...]] = set()
    queries: Counter[tuple[Relation, str]] = Counter()
    kept = []
    for pair in sorted(pairs, key=_order):
        exact = (pair.relation, digest(pair.passage))
        near = (pair.relation, *sketch(pair.passage))
        query = (pair.relation, pair.query.lower())
        if exact in seen or near in seen:
            dropped["duplicate" if exact in seen else "near-duplicate"] += 1
        elif queries[query] >= MAX_SAME_QUERY:
            dropped["query repeated"] += 1
        else:
            kept.append(pair)
            queries[query] += 1
            seen |= {exact, near}
    return kept


def _order(pair: Pair) -> bytes:
    text = f"{pair.relation}\0{pair.query}\0{pair.passage}\0{pair.path}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def digest(passage: str) -> int:
    """A number for the words of *passage*, whatever stands between them."""
    words = " ".join(_WORD.findall(passage)).lower()
    return int.from_bytes(blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


_WORD = re.compile(r"[^\W\d]+")
SHINGLE = 4  # words
PARTS = 3


@lru_cache(maxsize=4096)
def sketch(passage: str) -> tuple[int, ...]:
    """
    PARTS minima of hashed runs of SHINGLE words, numbers left out.

    Two passages that share a part *j* of their runs have equal sketches with a probability of about j ** PARTS: 0.86
    at 0.95, 0.12 at 0.5.
    """
    words = [word.lower().encode("utf-8", "surrogatepass") for word in _WORD.findall(passage)]
    runs = [crc32(b" ".join(words[i : i + SHINGLE])) for i in range(max(1, len(words) - SHINGLE + 1))]
    minima = [1 << 32] * PARTS
    for run in runs:
        part = run % PARTS
        minima[part] = min(minima[part], run)
    return tuple(minima)


def capped(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """*most* of them, evenly over the relations: what one has too few of, the others may have more of."""
    groups: dict[Relation, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.relation, []).append(pair)
    chosen: list[Pair] = []
    left = sorted(groups, key=lambda relation: (len(groups[relation]), relation))
    for i, relation in enumerate(left):
        chosen += groups[relation][: (most - len(chosen)) // (len(left) - i)]
    return sorted(chosen, key=lambda pair: (pair.path, pair.relation, _order(pair)))


def dedupe_across(files: Iterable[Path]) -> int:
    """
    How many pairs were taken out: those whose passage an earlier file has for the same relation.

    Only the files that lose pairs are written anew.
    """
    seen: set[int] = set()
    removed = 0
    for file in files:
        pairs = list(read_pairs(file))
        keys = [digest(f"{pair.relation} {pair.passage}") for pair in pairs]
        kept = [pair for pair, key in zip(pairs, keys, strict=True) if key not in seen]
        seen.update(keys)
        if len(kept) < len(pairs):
            write_pairs(file, kept)
            removed += len(pairs) - len(kept)
    return removed
