"""The embedded store: one SQLite file with full-text indexes and vectors."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import apsw

from mnemolite.stores import sqlite_search, sqlite_spaces, sqlite_write
from mnemolite.stores.documents import with_skipped
from mnemolite.stores.sqlite_connection import REBUILD, Database, changes, fetch
from mnemolite.stores.sqlite_spaces import StoredSpace, stored_space, stored_spaces
from mnemolite.types import (
    Card,
    Chunk,
    FileState,
    Indexed,
    Kind,
    Ranking,
    Scope,
    Source,
    Space,
    SpaceState,
    Stats,
)

if TYPE_CHECKING:  # numpy, which these import, is loaded by the first call that has to do with vectors
    from mnemolite.stores.sqlite_vec import SqliteVecVectors
    from mnemolite.stores.sqlite_vectors import Ids, NumpyVectors
    from mnemolite.types import Vector

MOST_COUNTS = 10_000  # terms whose number of chunks is kept
MANY_SEGMENTS = 4  # of the index of words; SQLite itself merges four of a size
WORTH_MERGING = 8  # once an eighth of it lies outside its largest segment

VectorBackend = Literal["auto", "numpy", "sqlite-vec"]

_CHUNKS = """
    SELECT chunks.id, sources.name, documents.path, documents.language, chunks.kind, chunks.text, chunks.first_line,
        chunks.last_line, chunks.name, chunks.parent, chunks.signature, chunks.docstring, chunks.symbols
    FROM chunks
    JOIN documents ON documents.id = chunks.document
    JOIN sources ON sources.id = documents.source
"""


_CARDS = """
    SELECT chunks.id, sources.name, documents.path, documents.language, chunks.name, chunks.parent, chunks.symbols
    FROM chunks
    JOIN documents ON documents.id = chunks.document
    JOIN sources ON sources.id = documents.source
"""


class SqliteStore:
    """
    A Store in the file at *path*, or in memory for None; the file is made when missing, unless *readonly*.

    Raises:
        NotFound: *readonly*, and there is no file.
        StoreUnavailable: the file is damaged, not ours, of a newer version, or cannot be opened.
        InvalidInput: *vector_backend* needs a package that is not installed.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        vector_backend: VectorBackend = "auto",
        lock_wait_seconds: float = 10.0,
        readonly: bool = False,
        durable: bool = False,
        damage_advice: str = REBUILD,
    ) -> None:
        self._extension = _sqlite_vec() if vector_backend == "sqlite-vec" else None
        self._numpy: NumpyVectors | None = None
        self._allowed: tuple[tuple[int, Scope], Ids] | None = None
        # as of a version: how many chunks there are, and how many have a term
        self._counts: tuple[int, int, dict[str, int]] = (-1, 0, {})
        self.database = Database(
            path,
            wait_seconds=lock_wait_seconds,
            readonly=readonly,
            durable=durable,
            damage_advice=damage_advice,
            prepare=self._extension.load if self._extension else None,
        )

    @contextmanager
    def writer(self, source: str = "") -> Iterator[None]:
        """Of the whole file, whatever *source*."""
        with self.database.lock.held():
            yield
            if not self.database.readonly:
                self._merge_words()

    def close(self) -> None:
        self.database.close()

    def settle(self) -> None:
        with self.database.lock.held():
            self._merge_words()

    def files(self, source: str, paths: Sequence[str] | None = None) -> Mapping[str, FileState]:
        sql = "SELECT path, digest, size, mtime_ns FROM documents JOIN sources ON sources.id = source WHERE name = ?"
        with self.database.reading() as connection:
            if paths is None:
                rows = fetch(connection, sql, (source,))
            else:
                named = (source, apsw.carray(tuple(paths)))
                rows = fetch(connection, f"{sql} AND path IN carray(?)", named) if paths else []
        return {path: FileState(digest=digest, size=size, mtime_ns=mtime) for path, digest, size, mtime in rows}

    def documents(self, source: str, paths: Sequence[str]) -> list[Indexed]:
        from mnemolite.stores.sqlite_read import documents

        with self.database.reading() as connection:
            return documents(connection, source, paths)

    def put(self, items: Iterable[Indexed]) -> None:
        """All of *items* in one transaction; a document given twice is stored as given last."""
        with self.database.writing() as connection:
            sqlite_write.put(connection, items)

    def touch(self, source: str, states: Mapping[str, FileState]) -> None:
        with self.database.writing() as connection:
            connection.executemany(
                "UPDATE documents SET size = ?, mtime_ns = ? WHERE path = ? AND digest = ?"
                " AND source = (SELECT id FROM sources WHERE name = ?)",
                [(state.size, state.mtime_ns, path, state.digest, source) for path, state in states.items()],
            )

    def drop(self, source: str, paths: Iterable[str]) -> None:
        gone = tuple(paths)
        with self.database.writing() as connection:
            sqlite_write.drop(connection, source, gone)

    def clear(self) -> None:
        with self.database.writing() as connection:
            sqlite_write.clear(connection)
            if self._extension:
                self._extension.drop_mirrors(connection)
        self.database.shrink()

    def known_vectors(self, space: Space, digests: Sequence[bytes]) -> Mapping[bytes, Vector]:
        if not digests:
            return {}
        from mnemolite.stores.sqlite_vectors import restore

        with self.database.reading() as connection:
            stored = stored_space(connection, space)
            if stored is None:
                return {}
            rows = fetch(
                connection,
                f"SELECT digest, vector FROM chunks JOIN vectors_{stored.id} ON chunk = chunks.id"
                " WHERE digest IN carray(?) GROUP BY digest",
                (apsw.carray(tuple(digests)),),
            )
        return {digest: restore(vector, space.dimension) for digest, vector in rows}

    def chunks(self, ids: Sequence[int]) -> list[Chunk]:
        if not ids:
            return []
        with self.database.reading() as connection:
            rows = fetch(connection, f"{_CHUNKS} WHERE chunks.id IN carray(?)", (apsw.carray(array("q", ids)),))
        found = {row[0]: _chunk(row) for row in rows}
        return [found[wanted] for wanted in ids if wanted in found]

    def cards(self, ids: Sequence[int]) -> list[Card]:
        if not ids:
            return []
        with self.database.reading() as connection:
            rows = fetch(connection, f"{_CARDS} WHERE chunks.id IN carray(?)", (apsw.carray(array("q", ids)),))
        return list(map(Card._make, rows))

    def chunk_at(self, path: str, line: int) -> Chunk | None:
        """Of several sources with such a path, that of the first name; of several chunks on the line, the shortest."""
        with self.database.reading() as connection:
            found = fetch(
                connection,
                f"{_CHUNKS} WHERE documents.source IN (SELECT id FROM sources) AND documents.path = ?"
                " AND ? BETWEEN chunks.first_line AND chunks.last_line"
                " ORDER BY sources.name, chunks.last_line - chunks.first_line, chunks.id LIMIT 1",
                (path, line),
            )
        return _chunk(found[0]) if found else None

    def chunks_of(self, path: str) -> list[Chunk]:
        with self.database.reading() as connection:
            rows = fetch(
                connection,
                f"{_CHUNKS} WHERE documents.source IN (SELECT id FROM sources) AND documents.path = ?"
                " ORDER BY sources.name, chunks.id",
                (path,),
            )
        return [chunk for chunk in map(_chunk, rows) if chunk.source == rows[0][1]]

    def origin(self, chunk: Chunk) -> tuple[SqliteStore, str]:
        return self, chunk.path

    def vector(self, space: Space, id: int) -> Vector | None:
        from mnemolite.stores.sqlite_vectors import restore

        with self.database.reading() as connection:
            stored = stored_space(connection, space)
            if stored is None:
                return None
            found = fetch(connection, f"SELECT vector FROM vectors_{stored.id} WHERE chunk = ?", (id,))
        return restore(found[0][0], space.dimension) if found else None

    def lexical(self, terms: Sequence[str], scope: Scope, limit: int, alternatives: Sequence[str] = ()) -> Ranking:
        with self.database.reading() as connection:

            def count(terms: Sequence[str]) -> Mapping[str, int]:
                return self._chunk_counts(connection, terms)[0]

            return sqlite_search.lexical(connection, terms, scope, limit, alternatives, count)

    def frequencies(self, terms: Sequence[str]) -> tuple[Mapping[str, int], int]:
        with self.database.reading() as connection:
            return self._chunk_counts(connection, terms)

    def named(self, fragment: str, scope: Scope, limit: int) -> Ranking:
        with self.database.reading() as connection:
            return sqlite_search.named(connection, fragment, scope, limit)

    def nearest(self, space: Space, vector: Vector, scope: Scope, limit: int) -> Ranking:
        from mnemolite.stores.vectors import unit

        wanted = unit(vector, space)
        if self._extension and not self.database.readonly:
            self._extension.refresh(self.database)
        with self.database.reading() as connection:
            stored = stored_space(connection, space)
            if stored is None or wanted is None:
                return []
            scope = sqlite_search.telling(connection, scope)
            allowed = self._allowed_ids(connection, scope) if scope else None
            return self._vectors(stored).nearest(connection, stored, wanted, allowed, limit)

    def spaces(self) -> list[Space]:
        with self.database.reading() as connection:
            return [stored.space for stored in stored_spaces(connection) if stored.active]

    def space_states(self) -> list[SpaceState]:
        with self.database.reading() as connection:
            return sqlite_spaces.states(connection)

    def lacking(self, space: Space, after: int, limit: int) -> list[Chunk]:
        with self.database.reading() as connection:
            condition = sqlite_spaces.lacking(connection, space)
            sql = f"{_CHUNKS} WHERE chunks.id > ? AND {condition} ORDER BY chunks.id LIMIT ?"
            return [_chunk(row) for row in fetch(connection, sql, (after, limit))]

    def fill(self, space: Space, vectors: Mapping[int, Vector]) -> None:
        if vectors:
            with self.database.writing() as connection:
                sqlite_spaces.fill(connection, space, vectors)

    def activate(self, spaces: Sequence[Space]) -> None:
        with self.database.writing() as connection:
            sqlite_spaces.activate(connection, spaces)

    def drop_space(self, space: Space) -> None:
        with self.database.writing() as connection:
            sqlite_spaces.drop(connection, space)
            if self._extension:
                self._extension.drop_mirrors(connection)

    def poisoned(self) -> Mapping[str, str]:
        with self.database.reading() as connection:
            return dict(fetch(connection, "SELECT digest, reason FROM poison"))

    def add_poison(self, digest: str, reason: str) -> None:
        with self.database.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO poison VALUES (?, ?)", (digest, reason))

    def sources(self) -> list[Source]:
        with self.database.reading() as connection:
            rows = fetch(
                connection,
                "SELECT sources.name, count(DISTINCT documents.id), count(chunks.id) FROM sources"
                " JOIN documents ON source = sources.id AND skipped = '' LEFT JOIN chunks ON document = documents.id"
                " GROUP BY sources.id ORDER BY sources.name",
            )
            skipped = fetch(
                connection,
                "SELECT name, skipped, count(*) FROM documents JOIN sources ON sources.id = source"
                " WHERE skipped <> '' GROUP BY sources.id, skipped ORDER BY skipped",
            )
        return with_skipped(rows, skipped)

    def version(self) -> int:
        with self.database.reading() as connection:
            return changes(connection)

    def stats(self) -> Stats:
        with self.database.reading() as connection:
            spaces = [stored for stored in stored_spaces(connection) if stored.active]
            return Stats(
                documents=_count(connection, "documents WHERE skipped = ''"),
                skipped=_skipped(connection),
                chunks=_count(connection, "chunks"),
                vectors={
                    _label(stored.space): _count(connection, f"vectors_{stored.id} WHERE block > 0")
                    for stored in spaces
                },
                languages=_chunks_by(connection, "language"),
                kinds=_chunks_by(connection, "kind"),
                bytes_on_disk=self.database.bytes_on_disk(),
                vector_backend=self._extension.name if self._extension else "numpy",
                details={"sqlite": apsw.sqlite_lib_version(), "schema": connection.pragma("user_version")},
            )

    def connections(self) -> Mapping[str, int]:
        return {}  # to a file

    def check(self) -> list[str]:
        from mnemolite.stores.sqlite_check import problems

        with self.database.reading() as connection:
            return problems(connection)

    def _merge_words(self) -> None:
        """Into one segment what a long run left in many: each costs a search a look-up for each of its terms."""
        with self.database.reading() as connection:
            pages = [count for (count,) in fetch(connection, "SELECT count(*) FROM words_idx GROUP BY segid")]
        if len(pages) > MANY_SEGMENTS and sum(pages) - max(pages) > sum(pages) / WORTH_MERGING:
            with self.database.writing() as connection:
                connection.execute("INSERT INTO words (words) VALUES ('optimize')")

    def _vectors(self, stored: StoredSpace) -> NumpyVectors | SqliteVecVectors:
        if self._extension and stored.mirrored is not None:
            return self._extension
        if self._numpy is None:
            from mnemolite.stores.sqlite_vectors import NumpyVectors

            self._numpy = NumpyVectors()
        return self._numpy

    def _chunk_counts(self, connection: apsw.Connection, terms: Sequence[str]) -> tuple[dict[str, int], int]:
        """As frequencies gives them; one search asks for the same several times."""
        version = changes(connection)
        as_of, chunks, known = self._counts
        if as_of != version or len(known) > MOST_COUNTS:
            chunks, known = _count(connection, "chunks"), {}
            self._counts = (version, chunks, known)
        if new := [term for term in terms if term not in known]:
            known.update({**dict.fromkeys(new, 0), **sqlite_search.chunk_counts(connection, new)})
        return {term: known[term] for term in terms if known[term]}, chunks

    def _allowed_ids(self, connection: apsw.Connection, scope: Scope) -> Ids:
        """Chunks in *scope*; the last answer is kept, because an agent asks many times within one."""
        from mnemolite.stores.sqlite_vectors import to_ids

        key = (changes(connection), scope)
        held = self._allowed
        if held is None or held[0] != key:
            condition, parameters = sqlite_search.conditions(scope)
            joined = "chunks JOIN documents ON documents.id = document"
            rows = fetch(connection, f"SELECT chunks.id FROM {joined} WHERE {condition}", parameters)
            held = (key, to_ids(chunk for (chunk,) in rows))
            self._allowed = held
        return held[1]


def _count(connection: apsw.Connection, table: str) -> int:
    [(count,)] = fetch(connection, f"SELECT count(*) FROM {table}")
    return int(count)


def _skipped(connection: apsw.Connection) -> dict[str, int]:
    sql = "SELECT skipped, count(*) FROM documents WHERE skipped <> '' GROUP BY skipped ORDER BY count(*) DESC, skipped"
    return dict(fetch(connection, sql))


def _chunks_by(connection: apsw.Connection, column: str) -> dict[str, int]:
    rows = fetch(
        connection,
        f"SELECT {column}, count(*) FROM chunks JOIN documents ON documents.id = document"
        f" GROUP BY {column} ORDER BY count(*) DESC, {column}",
    )
    return dict(rows)


def _label(space: Space) -> str:
    return f"{space.model} ({space.dimension})"


def _chunk(row: tuple[Any, ...]) -> Chunk:
    number, source, path, language, kind, text, first_line, last_line, name, parent, signature, docstring, symbols = row
    return Chunk(
        id=number,
        source=source,
        path=path,
        language=language,
        kind=Kind(kind),
        text=text,
        first_line=first_line,
        last_line=last_line,
        name=name,
        parent=parent,
        signature=signature,
        docstring=docstring,
        symbols=tuple(symbols.split("\n") if symbols else ()),
    )


def _sqlite_vec() -> SqliteVecVectors:
    from mnemolite.stores.sqlite_vec import SqliteVecVectors

    return SqliteVecVectors()
