"""The server's store: one PostgreSQL database with pgvector, for many repositories, notes and events."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mnemolite import types
from mnemolite.errors import StoreUnavailable
from mnemolite.stores import postgres_build, postgres_index, postgres_search, postgres_write
from mnemolite.stores.documents import Stored, assembled, checked, with_skipped
from mnemolite.stores.postgres_connection import SCHEMA, Connection, Database, Row, follows
from mnemolite.stores.postgres_lock import WriterLock
from mnemolite.stores.postgres_scope import Within, within
from mnemolite.stores.postgres_spaces import Catalogue, Source, read_catalogue, stored_spaces
from mnemolite.stores.postgres_words import array, restore, sendable, unescaped
from mnemolite.stores.vectors import unit
from mnemolite.types import (
    TREE,
    Card,
    Chunk,
    Document,
    FileState,
    Indexed,
    Kind,
    Ranking,
    Scope,
    Space,
    SpaceState,
    Stats,
)

if TYPE_CHECKING:
    from mnemolite.types import Vector

CODE = "code"  # the collection of source trees
RECORDS = "records"  # of notes and events
CATALOGUE_SECONDS = 1.0  # so long a search may not see a repository that another process has just begun to index

_CHUNKS = """
    SELECT c.id, sources.name, d.path, d.language, c.kind, c.text, c.first_line, c.last_line, c.name, c.parent,
        c.signature, c.docstring, c.symbols
    FROM chunks c JOIN documents d ON d.id = c.document JOIN sources ON sources.id = d.source
"""
_CARDS = """
    SELECT c.id, sources.name, d.path, d.language, c.name, c.parent, c.symbols
    FROM chunks c JOIN documents d ON d.id = c.document JOIN sources ON sources.id = d.source
"""


class PostgresStore:
    """
    A Store in a *collection* of *database*: of all its sources, or of *source* alone, which it then calls TREE.

    Whatever is called first raises StoreUnavailable where the database cannot be reached or is not set up.
    """

    def __init__(
        self,
        database: Database,
        collection: str = CODE,
        *,
        source: str = "",
        holds: Callable[[], Collection[str]] | None = None,
    ) -> None:
        """*holds*, of one shard among several, gives the sources it is asked of; others there are left-overs."""
        self.database = database
        self.collection = collection
        self._source = source
        self._holds = holds
        self._lock = WriterLock(database, collection)
        self._catalogues: dict[bool, tuple[float, Catalogue]] = {}  # of the primary, and of a standby
        self._unsettled = 0  # chunks put since the indexes were last looked at

    @contextmanager
    def writer(self, source: str = "") -> Iterator[None]:
        """
        Of *source*, or of all the store holds. What is written meanwhile is safe from a crash of the server at its end,
        which is many times faster; then also the indexes are brought up to what was put.
        """
        outermost = not self._lock.is_mine
        with self._lock.held(self._name(source)):
            yield
            if outermost:
                postgres_write.flush(self.database)
            if self._unsettled:
                self.settle()

    def settle(self) -> None:
        self._unsettled = 0
        postgres_index.settle(self.database, self.collection)
        self._catalogues.clear()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that changes documents of this collection."""
        try:
            with self.database.writing() as connection:
                if self._lock.is_mine:
                    connection.execute("SET LOCAL synchronous_commit = off")
                yield connection
        finally:
            self._catalogues.clear()

    def close(self) -> None:
        self.database.close()

    def files(self, source: str, paths: Sequence[str] | None = None) -> Mapping[str, FileState]:
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT path, digest, size, mtime_ns FROM documents JOIN sources ON sources.id = source"
                " WHERE collection = %s AND name = %s AND (%s OR path = ANY(%s))",
                (self.collection, self._name(source), paths is None, list(paths or ())),
            ).fetchall()
        return {path: FileState(digest=digest, size=size, mtime_ns=mtime) for path, digest, size, mtime in rows}

    def documents(self, source: str, paths: Sequence[str]) -> list[Indexed]:
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT d.id, path, digest, language, size, mtime_ns, skipped, metadata FROM documents d"
                " JOIN sources ON sources.id = source WHERE collection = %s AND name = %s AND path = ANY(%s)",
                (self.collection, self._name(source), list(paths)),
            ).fetchall()
            found = {
                id: Stored(
                    Document(
                        source=source,
                        path=path,
                        digest=digest,
                        language=language,
                        size=size,
                        mtime_ns=mtime_ns,
                        skipped=skipped,
                        metadata=metadata or {},
                    )
                )
                for id, path, digest, language, size, mtime_ns, skipped, metadata in rows
            }
            rows = connection.execute(
                f"SELECT c.document, c.digest, {_CHUNKS.strip().removeprefix('SELECT')} WHERE c.document = ANY(%s)"
                " ORDER BY c.id",
                (list(found),),
            ).fetchall()
            for document, digest, *row in rows:
                found[document].add(self._chunk(tuple(row)), digest)
            ids = [chunk.id for stored in found.values() for chunk in stored.chunks]
            active = {id for each in self._now(connection) for id in each.spaces if each.spaces[id]}
            vectors = {
                stored.space: {
                    chunk: restore(sent, stored.space.dimension)
                    for chunk, sent in connection.execute(
                        f"SELECT chunk, vector FROM {stored.table} WHERE chunk = ANY(%s)", (ids,), binary=True
                    )
                }
                for stored in stored_spaces(connection, self.collection)
                if stored.id in active
            }
        return assembled(found.values(), vectors)

    def put(self, items: Iterable[Indexed]) -> None:
        """All of *items* in one transaction; a document given twice is stored as given last."""
        batch = checked(items)
        named = {(self._name(source), path): item for (source, path), item in batch.items()}
        with self.writing() as connection:
            postgres_write.put(connection, self.collection, named)
        self._unsettled += sum(len(item.chunks) for item in batch.values())

    def touch(self, source: str, states: Mapping[str, FileState]) -> None:
        with self.writing() as connection:
            [number] = postgres_write.bump(connection, self.collection, [self._name(source)]).values()
            with connection.cursor() as cursor:
                cursor.executemany(
                    "UPDATE documents SET size = %s, mtime_ns = %s WHERE source = %s AND path = %s AND digest = %s",
                    [(state.size, state.mtime_ns, number, path, state.digest) for path, state in states.items()],
                )

    def drop(self, source: str, paths: Iterable[str]) -> None:
        gone = tuple(paths)
        with self.writing() as connection:
            postgres_write.drop(connection, self.collection, self._name(source), gone)

    def clear(self) -> None:
        with self.writing() as connection:
            catalogue = read_catalogue(connection, self.collection)
            sources = [self._source] if self._source else list(catalogue.sources)
            postgres_write.clear(connection, self.collection, sources)

    def known_vectors(self, space: Space, digests: Sequence[bytes]) -> Mapping[bytes, Vector]:
        """Of whatever source: the same passage has the same vector."""
        if not digests:
            return {}
        with self.database.reading() as connection:
            stored = self._read(connection).find(space, self._held(connection).values() if self._source else ())
            if stored is None:
                return {}
            rows = connection.execute(
                f"SELECT DISTINCT ON (digest) digest, vector FROM chunks JOIN {stored.table} ON chunk = id"
                " WHERE digest = ANY(%s)",
                (list(digests),),
                binary=True,
            ).fetchall()
        return {digest: restore(vector, space.dimension) for digest, vector in rows}

    def chunks(self, ids: Sequence[int]) -> list[Chunk]:
        with self._searching() as connection:

            def ask(missing: Sequence[int]) -> dict[int, Chunk]:
                rows = connection.execute(f"{_CHUNKS} WHERE c.id = ANY(%s::bigint[])", (array(missing),)).fetchall()
                return {row[0]: self._chunk(row) for row in rows}

            found = self._read(connection).kept.chunks.of(ids, ask)
        return [found[id] for id in ids if id in found]

    def cards(self, ids: Sequence[int]) -> list[Card]:
        with self._searching() as connection:

            def ask(missing: Sequence[int]) -> dict[int, Card]:
                rows = connection.execute(f"{_CARDS} WHERE c.id = ANY(%s::bigint[])", (array(missing),)).fetchall()
                return {
                    id: Card(id, TREE if self._source else source, path, language, *map(unescaped, named))
                    for id, source, path, language, *named in rows
                }

            found = self._read(connection).kept.cards.of(ids, ask)
        return list(found.values())

    def chunk_at(self, path: str, line: int) -> Chunk | None:
        """Of several sources with such a path, that of the first name; of several chunks on the line, the shortest."""
        with self.database.reading() as connection:
            found = connection.execute(
                f"{_CHUNKS} WHERE d.source = ANY(%s) AND d.path = %s AND %s BETWEEN c.first_line AND c.last_line"
                " ORDER BY sources.name, c.last_line - c.first_line, c.id LIMIT 1",
                ([source.id for source in self._held(connection).values()], sendable(path), line),
            ).fetchone()
        return self._chunk(found) if found else None

    def chunks_of(self, path: str) -> list[Chunk]:
        with self.database.reading() as connection:
            rows = connection.execute(
                f"{_CHUNKS} WHERE d.source = ANY(%s) AND d.path = %s ORDER BY sources.name, c.id",
                ([source.id for source in self._held(connection).values()], sendable(path)),
            ).fetchall()
        return [self._chunk(row) for row in rows if row[1] == rows[0][1]]

    def origin(self, chunk: Chunk) -> tuple[PostgresStore, str]:
        return self, chunk.path

    def vector(self, space: Space, id: int) -> Vector | None:
        with self.database.reading() as connection:
            stored = self._read(connection).find(space, ())
            if stored is None:
                return None
            found = connection.execute(
                f"SELECT vector FROM {stored.table} WHERE chunk = %s", (id,), binary=True
            ).fetchone()
        return restore(found[0], space.dimension) if found else None

    def lexical(self, terms: Sequence[str], scope: Scope, limit: int, alternatives: Sequence[str] = ()) -> Ranking:
        """All terms where that can fill the list, else any: what has all of them leads there too."""
        return postgres_search.lexical(
            terms,
            limit,
            alternatives,
            lambda terms: self.counted(terms, scope),
            lambda parts, weights: self.matching(parts, weights, scope, limit),
        )

    def counted(self, terms: Sequence[str], scope: Scope) -> tuple[Mapping[str, int], int]:
        """As frequencies, of the sources in *scope*."""
        with self._searching() as connection:
            found, known = self._within(connection, scope), self._read(connection).kept.frequencies
            return postgres_search.frequencies(connection, terms, found, known), found.chunks

    def matching(self, parts: Sequence[str], weights: Mapping[str, float], scope: Scope, limit: int) -> Ranking:
        """A part of what is searched by words: see postgres_search.lexical."""
        with self._searching() as connection:
            return postgres_search.match(connection, parts, weights, self._within(connection, scope), limit)

    def frequencies(self, terms: Sequence[str]) -> tuple[Mapping[str, int], int]:
        return self.counted(terms, Scope())

    def named(self, fragment: str, scope: Scope, limit: int) -> Ranking:
        with self._searching() as connection:
            return postgres_search.named(connection, fragment, self._within(connection, scope), limit)

    def nearest(self, space: Space, vector: Vector, scope: Scope, limit: int) -> Ranking:
        wanted = unit(vector, space)
        with self._searching() as connection:
            found = self._within(connection, scope)
            stored = self._read(connection).find(space, found.sources)
            if stored is None or wanted is None:
                return []
            return postgres_search.nearest(connection, stored, wanted, found, limit)

    def spaces(self) -> list[Space]:
        with self._searching() as connection:
            catalogue = self._read(connection)
            sources = self._held(connection).values()
            used = {id for source in sources for id, active in source.spaces.items() if active}
        return [stored.space for stored in catalogue.spaces.values() if stored.id in used]

    def space_states(self) -> list[SpaceState]:
        with self.database.reading() as connection:
            return postgres_build.states(connection, self.collection, self._now(connection))

    def lacking(self, space: Space, after: int, limit: int) -> list[Chunk]:
        with self.database.reading() as connection:
            condition = postgres_build.lacking(connection, self.collection, space)
            rows = connection.execute(
                f"{_CHUNKS} WHERE d.source = ANY(%s) AND c.id > %s AND {condition} ORDER BY c.id LIMIT %s",
                ([source.id for source in self._now(connection)], after, limit),
            ).fetchall()
        return list(map(self._chunk, rows))

    def fill(self, space: Space, vectors: Mapping[int, Vector]) -> None:
        if vectors:
            with self.writing() as connection:
                self._unsettled += postgres_build.fill(connection, self.collection, space, vectors)

    def activate(self, spaces: Sequence[Space]) -> None:
        with self.writing() as connection:
            postgres_build.activate(connection, self.collection, self._now(connection), spaces)

    def drop_space(self, space: Space) -> None:
        with self.writing() as connection:
            postgres_build.drop(connection, self.collection, self._now(connection), space)

    def poisoned(self) -> Mapping[str, str]:
        with self.database.reading() as connection:
            rows = connection.execute("SELECT digest, reason FROM poison WHERE collection = %s", (self.collection,))
            return dict(rows.fetchall())

    def add_poison(self, digest: str, reason: str) -> None:
        with self.writing() as connection:
            postgres_write.bump(connection, self.collection, [self._source])
            connection.execute(
                "INSERT INTO poison VALUES (%s, %s, %s)"
                " ON CONFLICT (collection, digest) DO UPDATE SET reason = excluded.reason",
                (self.collection, digest, reason),
            )

    def sources(self) -> list[types.Source]:
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT s.name, count(DISTINCT d.id), count(c.id) FROM sources s"
                " JOIN documents d ON d.source = s.id AND skipped = '' LEFT JOIN chunks c ON c.document = d.id"
                " WHERE collection = %(collection)s AND (%(source)s = '' OR s.name = %(source)s)"
                " GROUP BY s.id ORDER BY s.name",
                {"collection": self.collection, "source": self._source},
            ).fetchall()
            skipped = connection.execute(
                "SELECT s.name, skipped, count(*) FROM documents d JOIN sources s ON s.id = d.source"
                " WHERE skipped <> '' AND collection = %(collection)s AND (%(source)s = '' OR s.name = %(source)s)"
                " GROUP BY s.id, skipped ORDER BY skipped",
                {"collection": self.collection, "source": self._source},
            ).fetchall()
        found = with_skipped(rows, skipped)
        return [replace(source, name=TREE) for source in found] if self._source else found

    def version(self) -> int:
        with self.database.reading() as connection:
            [(changes,)] = connection.execute(
                "SELECT coalesce(sum(changes), 0)::bigint FROM sources WHERE collection = %s AND %s IN ('', name)",
                (self.collection, self._source),
            )
        return int(changes)

    def stats(self) -> Stats:
        with self.database.reading() as connection:
            sources = [source.id for source in self._held(connection).values()]

            def count(sql: str) -> dict[str, int]:
                return dict(connection.execute(sql, (sources,)).fetchall())

            of_documents = "FROM documents d WHERE source = ANY(%s)"
            of_chunks = "FROM chunks c JOIN documents d ON d.id = c.document WHERE d.source = ANY(%s)"
            skipped = count(f"SELECT skipped, count(*) {of_documents} GROUP BY skipped ORDER BY 2 DESC, 1")
            kinds = count(f"SELECT kind, count(*) {of_chunks} GROUP BY 1 ORDER BY 2 DESC, 1")
            vectors = {}
            searched = {id for source in self._held(connection).values() for id in source.spaces if source.spaces[id]}
            for stored in self._read(connection).spaces.values():
                if stored.id not in searched:
                    continue
                counted = count(f"SELECT '', count(vector) FROM {stored.table} WHERE source = ANY(%s)")[""]
                if counted:
                    vectors[f"{stored.space.model} ({stored.space.dimension})"] = counted
            [(size, extension)] = connection.execute(
                "SELECT pg_database_size(current_database()),"
                " (SELECT extversion FROM pg_extension WHERE extname = 'vector')"
            )
            return Stats(
                documents=skipped.pop("", 0),
                skipped=skipped,
                chunks=sum(kinds.values()),
                vectors=vectors,
                languages=count(f"SELECT language, count(*) {of_chunks} GROUP BY 1 ORDER BY 2 DESC, 1"),
                kinds=kinds,
                bytes_on_disk=size,
                vector_backend="pgvector",
                details={
                    "postgresql": connection.info.parameter_status("server_version"),
                    "pgvector": extension,
                    "schema": SCHEMA,
                },
            )

    def connections(self) -> Mapping[str, int]:
        return self.database.connections()

    def check(self) -> list[str]:
        from mnemolite.stores.postgres_check import problems

        with self.database.reading() as connection:
            return problems(connection, self.collection)

    def _searching(self) -> AbstractContextManager[Connection]:
        """Notes and events are looked for as soon as they are written, so no standby is asked for them."""
        return self.database.searching() if self.collection == CODE else self.database.reading()

    def _read(self, connection: Connection) -> Catalogue:
        side = follows(connection)
        held = self._catalogues.get(side)
        if held is None or time.monotonic() - held[0] > CATALOGUE_SECONDS:
            fresh = read_catalogue(connection, self.collection)
            away = next((source for source in fresh.sources.values() if source.shard), None)
            if away is not None and self._holds is None:
                raise StoreUnavailable(
                    f"the repository {away.name!r} of {self.database.label} is on the shard {away.shard!r}; name all"
                    " shards in database_shards"
                )
            if held is not None and held[1].version == fresh.version:
                fresh = replace(fresh, kept=held[1].kept)
            self._catalogues[side] = held = (time.monotonic(), fresh)
        return held[1]

    def _now(self, connection: Connection) -> list[Source]:
        """The sources this store is of, as they are, and not as they were a moment ago."""
        self._catalogue = None
        return list(self._held(connection).values())

    def _name(self, source: str) -> str:
        """What the database calls *source*."""
        return self._source or source

    def _held(self, connection: Connection) -> dict[str, Source]:
        """The sources this store is of, by what it calls them."""
        sources = self._read(connection).sources
        if self._holds is not None:
            own = self._holds()
            sources = {name: source for name, source in sources.items() if name in own}
        if not self._source:
            return dict(sources)
        return {TREE: sources[self._source]} if self._source in sources else {}

    def _within(self, connection: Connection, scope: Scope) -> Within:
        return within(self._read(connection), self._held(connection), scope)

    def _chunk(self, row: Row) -> Chunk:
        chunk = _chunk(*row)
        return replace(chunk, source=TREE) if self._source else chunk


def _chunk(
    number: int,
    source: str,
    path: str,
    language: str,
    kind: str,
    text: str,
    first_line: int,
    last_line: int,
    name: str,
    parent: str,
    signature: str,
    docstring: str,
    symbols: str,
) -> Chunk:
    return Chunk(
        id=number,
        source=source,
        path=path,
        language=language,
        kind=Kind(kind),
        text=unescaped(text),
        first_line=first_line,
        last_line=last_line,
        name=unescaped(name),
        parent=unescaped(parent),
        signature=unescaped(signature),
        docstring=unescaped(docstring),
        symbols=tuple(unescaped(symbols).split("\n") if symbols else ()),
    )
