"""The ranked lists of a search, by words and by a fragment of a name, and what a scope leaves: one statement or two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import apsw

from mnemolite.search import expand
from mnemolite.stores import globs, sqlite_write
from mnemolite.stores.bm25 import ALTERNATIVE_ROWS, BODY_WEIGHT, MAX_TERMS, NAME_WEIGHT, PATH_WEIGHT
from mnemolite.stores.sqlite_connection import fetch
from mnemolite.types import Ranking, Scope, nanoseconds

# matches of any term that are scored: 8 ms at 50,000 chunks instead of 17, and 97 % of the same ten hits
ANY_ROWS = 20_000


def lexical(
    connection: apsw.Connection,
    terms: Sequence[str],
    scope: Scope,
    limit: int,
    alternatives: Sequence[str],
    count: Callable[[Sequence[str]], Mapping[str, int]],
) -> Ranking:
    """
    All terms; where that finds fewer than *limit*, the ranking by any: what has all of them leads there too. *count*
    says in how many chunks each of some terms stands.
    """
    unique = list(dict.fromkeys(terms))[:MAX_TERMS]
    if not unique:
        return []
    scope = telling(connection, scope)
    counts = count([*unique, *alternatives[:MAX_TERMS]])
    found: Ranking = []
    if len(unique) == 1 or min(counts.get(term, 0) for term in unique) >= limit:
        found = _match(connection, " AND ".join(map(_phrase, unique)), scope, limit)
    if len(found) < limit and len(unique) > 1:
        some = unique if scope else _rarest(unique, counts, ANY_ROWS, limit) or unique
        found = _match(connection, " OR ".join(map(_phrase, some)), scope, limit)
    rows = max(ALTERNATIVE_ROWS, sum(counts.get(term, 0) for term in unique) // 4)
    if rare := _rarest(alternatives[:MAX_TERMS], counts, rows):
        others = _match(connection, " OR ".join(map(_phrase, rare)), scope, limit)
        found = _weighted_sum(found, others, limit)
    return found


def named(connection: apsw.Connection, fragment: str, scope: Scope, limit: int) -> Ranking:
    """
    Scores: the whole name 4, that of a definition inside 3, the beginning of the name 2, in any name 1, only in the
    path 0; plus, below 3, the share of the name or path that matched.
    """
    if len(fragment) < 3:
        return []
    condition, parameters = conditions(scope)
    return fetch(
        connection,
        f"""
        WITH found (id, tier) AS (
            SELECT rowid, 1 FROM names WHERE names MATCH :phrase
            UNION ALL
            SELECT chunks.id, 0 FROM paths JOIN chunks ON document = paths.rowid WHERE paths MATCH :phrase
        )
        SELECT chunks.id, max(CASE
            WHEN tier = 0 THEN length(:fragment) / (length(path) + 1.0)
            WHEN name = :fragment COLLATE NOCASE THEN 4.0
            WHEN instr(char(10) || lower(symbols) || char(10), char(10) || lower(:fragment) || char(10))
                THEN 3.0
            WHEN substr(name, 1, length(:fragment)) = :fragment COLLATE NOCASE
                THEN 2.0 + length(:fragment) / (length(name) + 1.0)
            ELSE 1.0 + length(:fragment) / (length(name) + length(:fragment) + 1.0)
            END) AS score
        FROM found JOIN chunks ON chunks.id = found.id JOIN documents ON documents.id = document
        WHERE {condition}
        GROUP BY chunks.id ORDER BY score DESC, chunks.id LIMIT :limit
        """,
        {"phrase": _phrase(fragment), "fragment": _sendable(fragment), "limit": limit, **parameters},
    )


def telling(connection: apsw.Connection, scope: Scope) -> Scope:
    """*scope* without its sources where they are all there are: what need not be checked of each match."""
    if not scope.sources:
        return scope
    others = fetch(
        connection,
        "SELECT 1 FROM sources WHERE name NOT IN carray(?) LIMIT 1",
        (apsw.carray(tuple(map(_sendable, scope.sources))),),
    )
    return scope if others else replace(scope, sources=())


def _match(connection: apsw.Connection, expression: str, scope: Scope, limit: int) -> Ranking:
    condition, parameters = conditions(scope)
    if scope:  # asked of each match: a list of all that is allowed would take longer to make than most searches
        condition = (
            "EXISTS (SELECT 1 FROM chunks JOIN documents ON documents.id = document"
            f" WHERE chunks.id = words.rowid AND {condition})"
        )
    return fetch(
        connection,
        f"""
        SELECT rowid, -bm25(words, {NAME_WEIGHT}, {PATH_WEIGHT}, {BODY_WEIGHT}) AS score
        FROM words WHERE words MATCH :expression AND {condition}
        ORDER BY score DESC, rowid LIMIT :limit
        """,
        {"expression": expression, "limit": limit, **parameters},
    )


def chunk_counts(connection: apsw.Connection, terms: Sequence[str]) -> dict[str, int]:
    """In how many chunks each of *terms* stands; those of none, and phrases, are left out."""
    rows = connection.executemany("SELECT term, doc FROM vocabulary WHERE term = ?", [(_sendable(t),) for t in terms])
    return {str(term): int(count) for term, count in rows}


def _rarest(terms: Sequence[str], counts: Mapping[str, int], most: int, least: int = 0) -> list[str]:
    """
    The rarest of *terms*, as many as stand in *most* chunks together, but at least in *least*; and all phrases.

    A term of every third chunk hardly moves a BM25 score, but costs more than all the others.
    """
    kept, total = [term for term in terms if " " in term], 0
    for count, term in sorted((counts[term], term) for term in terms if term in counts):
        if total >= least and total + count > most:
            break
        kept.append(term)
        total += count
    return kept


def _weighted_sum(found: Ranking, others: Ranking, limit: int) -> Ranking:
    scores = dict(found)
    for id, score in others:
        scores[id] = scores.get(id, 0.0) + expand.WEIGHT * score
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]


def conditions(scope: Scope) -> tuple[str, dict[str, Any]]:
    """On rows of chunks joined with documents, with named parameters."""
    all_of: list[str] = []
    parameters: dict[str, Any] = {}
    if scope.sources:
        all_of.append("documents.source IN (SELECT id FROM sources WHERE name IN carray(:sources))")
        parameters["sources"] = apsw.carray(tuple(map(_sendable, scope.sources)))
    if scope.kinds:
        all_of.append("chunks.kind IN carray(:kinds)")
        parameters["kinds"] = apsw.carray(tuple(kind.value for kind in scope.kinds))
    if scope.languages:
        all_of.append("documents.language IN carray(:languages)")
        parameters["languages"] = apsw.carray(tuple(map(_sendable, scope.languages)))
    if scope.below:
        all_of.append("documents.path > :below || '/' AND documents.path < :below || '0'")  # '0' follows '/'
        parameters["below"] = _sendable(scope.below).rstrip("/")
    if scope.paths:
        all_of.append("documents.path REGEXP :paths")
        parameters["paths"] = globs.regex([_sendable(path) for path in scope.paths])
    if scope.since is not None:
        all_of.append("documents.mtime_ns >= :since")
        parameters["since"] = nanoseconds(scope.since)
    if scope.until is not None:
        all_of.append("documents.mtime_ns < :until")
        parameters["until"] = nanoseconds(scope.until)
    if scope.metadata:
        all_of.append("json_contains(documents.metadata, :metadata)")
        parameters["metadata"] = sqlite_write.to_json(scope.metadata)
    return " AND ".join(all_of) or "true", parameters


def _phrase(term: str) -> str:
    """*term* as FTS5 reads it literally."""
    text = _sendable(term).replace('"', '""')
    return f'"{text}"'


def _sendable(term: str) -> str:
    """NUL would end an FTS5 expression, a lone surrogate has no UTF-8."""
    return term.encode("utf-8", "replace").decode().replace("\0", " ")
