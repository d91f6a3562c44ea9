"""The ranked lists of a search: by words, by a fragment of a name, by a vector. Each is one statement or two."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mnemolite.search import expand
from mnemolite.stores.bm25 import ALTERNATIVE_ROWS, MAX_TERMS
from mnemolite.stores.postgres_connection import Binary, Connection
from mnemolite.stores.postgres_kept import Frequencies
from mnemolite.stores.postgres_scope import Within
from mnemolite.stores.postgres_spaces import StoredSpace
from mnemolite.stores.postgres_words import (
    DIMENSIONS,
    all_of,
    array,
    halfvec,
    phrase,
    place,
    quoted,
    sendable,
    trigrams,
)
from mnemolite.types import Ranking

if TYPE_CHECKING:
    from mnemolite.types import Vector

# chunks that have any of the terms and are scored, the rarest terms first: see docs/performance.md
ANY_ROWS = 3000
EXACT_ROWS = (
    10_000  # chunks that a scope leaves and that are scored one by one, instead of filtering a walk of the graph
)
Count = Callable[[Sequence[str]], tuple[Mapping[str, int], int]]  # in how many chunks terms stand, and of how many
Match = Callable[[Sequence[str], Mapping[str, float]], Ranking]  # chunks that match a part of a tsquery, by weights


def lexical(terms: Sequence[str], limit: int, alternatives: Sequence[str], count: Count, match: Match) -> Ranking:
    """
    All terms where that can fill the list, else any: what has all of them leads there too. *count* and *match* answer
    for one database or for many: what is rare is known before anything is ranked.

    An alternative of several words is a phrase.
    """
    unique = _usable(terms)
    if not unique:
        return []
    others = [other for each in alternatives[:MAX_TERMS] if (other := each.split()) == _usable(other) and other]
    known, chunks = count([*unique, *(word for other in others for word in other)])
    counts = {term: known[term] for term in unique if term in known}
    others = _rare_enough([other for other in others if known.keys() >= set(other)], known, sum(counts.values()) // 4)
    if not counts and not others:
        return []
    weights = {term: _rarity(count, chunks) for term, count in counts.items()}
    for other in others:
        for word in other:
            weights[word] = weights.get(word, 0) + expand.WEIGHT * _rarity(known[word], chunks) / len(other)
    if len(counts) == len(unique) and min(counts.values()) >= limit:
        found = match([all_of(unique)], weights)
        if len(found) >= limit or len(unique) == 1:
            beside = dict(match(list(map(phrase, others)), weights)) if others else {}
            return sorted((beside | dict(found)).items(), key=lambda item: (-item[1], item[0]))[:limit]
    return match([*map(quoted, _telling(counts, limit)), *map(phrase, others)], weights)


def match(
    connection: Connection, parts: Sequence[str], weights: Mapping[str, float], scope: Within, limit: int
) -> Ranking:
    """Chunks that match one of *parts* of a tsquery, by what each term counts in them times its weight."""
    if not scope.sources:
        return []
    places = {place(term) + 1: weight for term, weight in weights.items()}
    parameters: dict[str, Any] = {
        **scope.parameters,
        "query": " & ".join([f"({' | '.join(parts)})", *scope.lexemes()]),
        "weights": f"{{{','.join(f'{at}:{weight}' for at, weight in sorted(places.items()))}}}/{DIMENSIONS}",
        "limit": limit,
    }
    conditions = " AND ".join(["w.words @@ %(query)s::tsquery", "w.source = ANY(%(sources)s)", *scope.documents])
    documents = "JOIN documents d ON d.id = w.document" if scope.documents else ""
    rows = connection.execute(
        f"""
        SELECT w.chunk, -(w.impacts <#> %(weights)s::sparsevec) AS score FROM words w {documents}
        WHERE {conditions} ORDER BY score DESC, w.chunk LIMIT %(limit)s
        """,
        parameters,
        binary=True,
    )
    return rows.fetchall()


def frequencies(connection: Connection, terms: Sequence[str], scope: Within, held: Frequencies) -> dict[str, int]:
    """In how many chunks of the scope's sources each term stands; those in none are left out."""
    if not scope.sources:
        return {}
    sources = tuple(scope.parameters["sources"])

    def ask(missing: Sequence[tuple[tuple[int, ...], str]]) -> dict[tuple[tuple[int, ...], str], int]:
        rows = connection.execute(
            "SELECT term, sum(chunks)::bigint FROM terms"
            " WHERE term = ANY(%s) AND source = ANY(%s::int[]) GROUP BY term",
            ([term for _, term in missing], array(sources)),
        )
        return {(sources, term): count for term, count in rows.fetchall()}

    asked = {(sources, sendable(term)): None for term in terms}
    return {term: count for (_, term), count in held.of(list(asked), ask).items()}


def named(connection: Connection, fragment: str, scope: Within, limit: int) -> Ranking:
    """
    Scores: the whole name 4, that of a definition inside 3, the beginning of the name 2, in any name 1, only in the
    path 0; plus, below 3, the share of the name or path that matched.
    """
    folded = sendable(fragment).lower()
    if len(folded) < 3 or not scope.sources:
        return []
    conditions = " AND ".join(["d.source = ANY(%(sources)s)", *scope.documents])
    kinds = "c.kind = ANY(%(kinds)s)" if scope.scope.kinds else "true"
    rows = connection.execute(
        f"""
        WITH named AS (
            SELECT c.id, c.document, c.folded, split_part(c.folded, E'\\n', 1) AS name FROM chunks c
            WHERE c.trigrams @@ %(query)s::tsquery AND strpos(c.folded, %(fragment)s) > 0 AND {kinds}
        ),
        placed AS (
            SELECT d.id, d.path FROM documents d
            WHERE d.trigrams @@ %(query)s::tsquery AND strpos(d.folded, %(fragment)s) > 0 AND {conditions}
            ORDER BY length(d.path), d.id LIMIT %(documents)s
        ),
        found (id, score) AS (
            SELECT c.id, CASE
                WHEN name = %(fragment)s THEN 4.0
                WHEN strpos(E'\\n' || c.folded || E'\\n', E'\\n' || %(fragment)s || E'\\n') > 0 THEN 3.0
                WHEN starts_with(name, %(fragment)s) THEN 2.0 + %(length)s / (length(name) + 1.0)
                ELSE 1.0 + %(length)s / (length(name) + %(length)s + 1.0)
            END FROM named c JOIN documents d ON d.id = c.document WHERE {conditions}
            UNION ALL
            SELECT c.id, %(length)s / (length(placed.path) + 1.0)
            FROM placed JOIN chunks c ON c.document = placed.id WHERE {kinds}
        )
        SELECT id, max(score)::float8 AS score FROM found GROUP BY id ORDER BY score DESC, id LIMIT %(limit)s
        """,
        {
            **scope.parameters,
            "query": " & ".join([all_of(trigrams(folded)), *scope.source_lexemes()]),
            "fragment": folded,
            "length": len(folded),
            "kinds": [kind.value for kind in scope.scope.kinds],
            "documents": None if scope.scope.kinds else limit,  # each has a chunk, but it may be of another kind
            "limit": limit,
        },
    )
    return rows.fetchall()


def nearest(connection: Connection, stored: StoredSpace, vector: Vector, scope: Within, limit: int) -> Ranking:
    """By inner product with *vector*, a unit vector as those stored: exactly where few are left, else by the graph."""
    if not scope.sources:
        return []
    parameters = {
        **scope.parameters,
        "vector": Binary(halfvec(vector)),
        "kinds": [kind.value for kind in scope.scope.kinds],
        "marks": " & ".join(scope.lexemes()),
        "limit": limit,
    }
    if not stored.indexed_to or scope.chunks <= EXACT_ROWS:
        sql = _scored(stored, _conditions(scope))
    elif scope.only_sources:
        sql = _by_graph(stored, _conditions(scope))
    else:
        few = f"(SELECT count(*) FROM allowed) <= {EXACT_ROWS}"
        sql = f"""
            WITH allowed AS MATERIALIZED (
                {_allowed(scope)} LIMIT {EXACT_ROWS + 1}
            )
            {_scored(stored, [few, "v.chunk IN (SELECT id FROM allowed)"])}
            UNION ALL
            ({_by_graph(stored, [f"NOT {few}", *_conditions(scope)])})
        """
    rows = connection.execute(
        f"SELECT chunk, score FROM ({sql}) AS found ORDER BY score DESC, chunk LIMIT %(limit)s",
        parameters,
        binary=True,
    )
    return rows.fetchall()


def _allowed(scope: Within) -> str:
    """The ids of its chunks: where languages or kinds confine it, by their marks in the index of words."""
    if not scope.lexemes():
        return (
            f"SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document WHERE {' AND '.join(_on_chunks(scope))}"
        )
    conditions = ["w.words @@ %(marks)s::tsquery", "w.source = ANY(%(sources)s)", *scope.documents]
    documents = "JOIN documents d ON d.id = w.document" if scope.documents else ""
    return f"SELECT w.chunk AS id FROM words w {documents} WHERE {' AND '.join(conditions)}"


def _by_graph(stored: StoredSpace, conditions: Sequence[str]) -> str:
    """What the index holds, and what has been added since."""
    return (
        f"{_scored(stored, [f'v.chunk <= {stored.indexed_to}', *conditions])}"
        f" UNION ALL {_scored(stored, [f'v.chunk > {stored.indexed_to}', *conditions])}"
    )


def _scored(stored: StoredSpace, conditions: Sequence[str]) -> str:
    return (
        f"(SELECT v.chunk, -(v.vector <#> %(vector)s::halfvec) AS score FROM {stored.table} v"
        f" WHERE {' AND '.join(['v.vector IS NOT NULL', *conditions])}"
        " ORDER BY v.vector <#> %(vector)s::halfvec LIMIT %(limit)s)"
    )


def _conditions(scope: Within) -> list[str]:
    """On the table v of vectors."""
    own = ["v.source = ANY(%(sources)s)"] if scope.partial else []
    if scope.only_sources:
        return own
    return [
        *own,
        "EXISTS (SELECT FROM chunks c JOIN documents d ON d.id = c.document"
        f" WHERE c.id = v.chunk AND {' AND '.join(_on_chunks(scope))})",
    ]


def _on_chunks(scope: Within) -> list[str]:
    kinds = ["c.kind = ANY(%(kinds)s)"] if scope.scope.kinds else []
    return ["d.source = ANY(%(sources)s)", *scope.documents, *kinds]


def _usable(terms: Sequence[str]) -> list[str]:
    return [term for term in map(sendable, dict.fromkeys(terms)) if 0 < len(term) < 512][:MAX_TERMS]


def _rarity(count: int, chunks: int) -> float:
    return max(1e-6, math.log((chunks - count + 0.5) / (count + 0.5)))


def _rare_enough(others: Sequence[list[str]], counts: Mapping[str, int], rows: int) -> list[list[str]]:
    """The rarest of *others*, as many as have their rarest words in *rows* chunks together, or in ALTERNATIVE_ROWS."""
    kept, left = [], max(rows, ALTERNATIVE_ROWS)
    for count, other in sorted((min(counts[word] for word in other), other) for other in others):
        left -= count
        if left < 0:
            break
        kept.append(other)
    return kept


def _telling(counts: Mapping[str, int], limit: int) -> list[str]:
    """
    The rarest terms, as many as stand in ANY_ROWS chunks together, and at least in *limit*.

    A term of every third chunk hardly moves a BM25 score, but costs more than all the others.
    """
    kept, total = [], 0
    for term, count in sorted(counts.items(), key=lambda item: (item[1], item[0])):
        if total >= limit and total + count > ANY_ROWS:
            break
        kept.append(term)
        total += count
    return kept
