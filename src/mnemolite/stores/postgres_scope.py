"""A scope as PostgreSQL understands it: sources by number, and conditions that each list adds in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.types.json import Jsonb

from mnemolite.stores import globs
from mnemolite.stores.postgres_spaces import Catalogue, Source
from mnemolite.stores.postgres_words import MARK, any_of, sendable
from mnemolite.types import Scope, nanoseconds


@dataclass(frozen=True)
class Within:
    """*sources* holds everything that may be found; *documents* are conditions on the table d of documents."""

    sources: Sequence[Source]
    partial: bool  # the collection has others
    narrow: bool  # they hold less than half of the database, so that their marks are worth looking up
    scope: Scope
    documents: Sequence[str] = ()
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def chunks(self) -> int:
        return sum(source.chunks for source in self.sources)

    @property
    def only_sources(self) -> bool:
        """Whether nothing but the sources confines it."""
        return not self.documents and not self.scope.kinds

    def source_lexemes(self) -> list[str]:
        return [any_of(f"{MARK}{source.id}" for source in self.sources)] if self.narrow else []

    def lexemes(self) -> list[str]:
        """What words must have besides terms, as parts of a tsquery."""
        parts = self.source_lexemes()
        if self.scope.languages:
            parts.append(any_of(f"{MARK}l:{sendable(language)}" for language in self.scope.languages))
        if self.scope.kinds:
            parts.append(any_of(f"{MARK}k:{kind.value}" for kind in self.scope.kinds))
        return parts


def within(catalogue: Catalogue, sources: Mapping[str, Source], scope: Scope) -> Within:
    """*sources*, by the name they have for the caller, are those of the catalogue that may be searched at all."""
    held = [
        source for name, source in sources.items() if source.chunks and (not scope.sources or name in scope.sources)
    ]
    conditions: list[str] = []
    parameters: dict[str, Any] = {"sources": [source.id for source in held]}
    if scope.languages:
        conditions.append("d.language = ANY(%(languages)s)")
        parameters["languages"] = list(map(sendable, scope.languages))
    if scope.paths:
        conditions.append("d.path ~ %(paths)s")
        # the atomic groups, which PostgreSQL lacks, only spare Python some work
        expression = globs.regex([sendable(path) for path in scope.paths]).replace("(?>", "(?:")
        parameters["paths"] = f"^(?:{expression})$"
    if scope.below:
        conditions.append("d.path > %(below)s || '/' AND d.path < %(below)s || '0'")  # '0' is the character after '/'
        parameters["below"] = sendable(scope.below).rstrip("/")
    if scope.since is not None:
        conditions.append("d.mtime_ns >= %(since)s")
        parameters["since"] = nanoseconds(scope.since)
    if scope.until is not None:
        conditions.append("d.mtime_ns < %(until)s")
        parameters["until"] = nanoseconds(scope.until)
    if scope.metadata:
        conditions.append("d.metadata @> %(metadata)s")
        parameters["metadata"] = Jsonb(scope.metadata)
    return Within(
        sources=held,
        partial=len(held) < sum(1 for source in catalogue.sources.values() if source.chunks),
        narrow=sum(source.chunks for source in held) * 2 < catalogue.chunks,
        scope=scope,
        documents=conditions,
        parameters=parameters,
    )
