"""Documents into the tables of a collection and out of them, all within the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from psycopg.types.json import Jsonb

from mnemolite.search import tokens
from mnemolite.stores.postgres_connection import Connection, Database, Row
from mnemolite.stores.postgres_spaces import forget_unused, stored_spaces, use_space
from mnemolite.stores.postgres_words import MARK, escaped, halfvecs, trigrams, tsvector, words
from mnemolite.stores.vectors import unit_rows
from mnemolite.types import Chunk, Indexed, Kind, Space, telling_path

_DOCUMENTS = "id, source, path, digest, language, size, mtime_ns, skipped, metadata, folded, trigrams"
_DOCUMENT_TYPES = "int8 int4 text text text int8 int8 text jsonb text bytea".split()
_CHUNKS = (
    "id, document, kind, first_line, last_line, name, parent, signature, docstring, symbols, digest, text, folded,"
    " trigrams"
)
_CHUNK_TYPES = "int8 int8 text int4 int4 text text text text text bytea text text bytea".split()
_WORD_TYPES = "int8 int8 int4 bytea bytea".split()  # what is sent as bytes arrives as it is


def flush(database: Database) -> None:
    """Everything committed so far is on the server's disk: what comes last in its log takes all before it along."""
    with database.writing() as connection:
        connection.execute("SELECT pg_logical_emit_message(true, 'mnemolite', '')")


def bump(connection: Connection, collection: str, names: Collection[str]) -> dict[str, int]:
    """Counts a change of these sources and gives their ids. From here to the end nobody else writes to them."""
    changed = """
        WITH known AS (
            SELECT id FROM sources WHERE collection = %(collection)s AND name = ANY(%(names)s)
            ORDER BY name FOR NO KEY UPDATE
        )
        UPDATE sources SET changes = changes + 1 FROM known WHERE sources.id = known.id RETURNING name, sources.id
    """
    wanted = {"collection": collection, "names": sorted(names)}
    found: dict[str, int] = dict(connection.execute(changed, wanted).fetchall())
    if len(found) < len(wanted["names"]):
        connection.execute(
            "INSERT INTO sources (collection, name, changes, chunks) SELECT %s, name, 0, 0 FROM unnest(%s::text[]) name"
            " ON CONFLICT DO NOTHING",
            (collection, [name for name in wanted["names"] if name not in found]),
        )
        found = dict(connection.execute(changed, wanted).fetchall())
    return found


def put(connection: Connection, collection: str, batch: Mapping[tuple[str, str], Indexed]) -> None:
    """Whole documents, by source and path."""
    if not batch:
        return
    sources = bump(connection, collection, {source for source, _ in batch})
    keys = [(sources[source], path) for source, path in batch]
    remove(connection, collection, document_ids(connection, keys))
    by_source: defaultdict[int, list[Indexed]] = defaultdict(list)
    for (source, _), item in zip(keys, batch.values(), strict=True):
        by_source[source].append(item)
    for source, items in by_source.items():
        _insert(connection, collection, source, items)


def drop(connection: Connection, collection: str, source: str, paths: Collection[str]) -> None:
    """Leaves no space behind that has no vectors."""
    sources = bump(connection, collection, [source])
    remove(connection, collection, document_ids(connection, [(sources[source], path) for path in paths]))
    forget_unused(connection, list(sources.values()), stored_spaces(connection, collection))


def clear(connection: Connection, collection: str, sources: Collection[str]) -> None:
    """Removes everything of *sources* but their names, and what is known of poison."""
    numbers = list(bump(connection, collection, sources).values())
    spaces = stored_spaces(connection, collection)
    for stored in spaces:
        connection.execute(f"DELETE FROM {stored.table} WHERE source = ANY(%s)", (numbers,))
    for sql in (
        "DELETE FROM chunks USING words WHERE chunk = id AND source = ANY(%s)",
        "DELETE FROM words WHERE source = ANY(%s)",
        "DELETE FROM terms WHERE source = ANY(%s)",
        "DELETE FROM documents WHERE source = ANY(%s)",
        "UPDATE sources SET chunks = 0 WHERE id = ANY(%s)",
    ):
        connection.execute(sql, (numbers,))
    connection.execute("DELETE FROM poison WHERE collection = %s", (collection,))
    forget_unused(connection, numbers, spaces)


def document_ids(connection: Connection, keys: Collection[tuple[int, str]]) -> list[int]:
    """Ids of those documents that exist."""
    found = connection.execute(
        "SELECT id FROM documents JOIN unnest(%s::int[], %s::text[]) AS key (source, path) USING (source, path)",
        ([source for source, _ in keys], [path for _, path in keys]),
    )
    return [id for (id,) in found]


def remove(connection: Connection, collection: str, documents: Sequence[int]) -> None:
    """Documents with their chunks, words and vectors."""
    if not documents:
        return
    connection.execute("DELETE FROM documents WHERE id = ANY(%s)", (documents,))
    found = connection.execute("DELETE FROM chunks WHERE document = ANY(%s) RETURNING id", (documents,))
    chunks = [id for (id,) in found]
    if not chunks:
        return
    left = connection.execute(
        """
        WITH gone AS (DELETE FROM words WHERE chunk = ANY(%(chunks)s) RETURNING source, words),
        counted AS (
            SELECT source, lexeme, count(*) AS n FROM gone, unnest(words)
            WHERE NOT starts_with(lexeme, %(mark)s) GROUP BY source, lexeme
        ),
        fewer AS (
            UPDATE sources SET chunks = chunks - n FROM (SELECT source, count(*) AS n FROM gone GROUP BY source) AS gone
            WHERE id = source
        )
        UPDATE terms SET chunks = chunks - n FROM counted WHERE term = lexeme AND terms.source = counted.source
        RETURNING terms.source, term, chunks
        """,
        {"chunks": chunks, "mark": MARK},
    ).fetchall()
    last = [(source, term) for source, term, chunks_left in left if chunks_left <= 0]
    connection.execute(
        "DELETE FROM terms USING unnest(%s::int[], %s::text[]) AS last (source, term)"
        " WHERE terms.term = last.term AND terms.source = last.source",
        ([source for source, _ in last], [term for _, term in last]),
    )
    for stored in stored_spaces(connection, collection):
        connection.execute(f"DELETE FROM {stored.table} WHERE chunk = ANY(%s)", (chunks,))


def unindexed(connection: Connection, collection: str, records: str, source: str, spaces: Sequence[Space]) -> list[str]:
    """
    Ids of *records*, a query for ids, that have no document in a source beginning with *source*, or a chunk of it
    without a vector in one of *spaces*.
    """
    stored = {each.space: each for each in stored_spaces(connection, collection)}
    tables = [stored[space].table if space in stored else "(SELECT 0 AS chunk) AS none" for space in spaces]
    lacking = " OR ".join(f"NOT EXISTS (SELECT FROM {table} WHERE chunk = chunks.id)" for table in tables) or "false"
    found = connection.execute(
        f"""
        WITH own AS MATERIALIZED (
            SELECT path, documents.id FROM documents JOIN sources ON sources.id = source
            WHERE collection = %s AND starts_with(name, %s)
        )
        SELECT id FROM ({records}) AS record (id) WHERE NOT EXISTS (SELECT FROM own WHERE path = record.id)
        UNION
        SELECT path FROM own JOIN chunks ON document = own.id WHERE {lacking}
        """,
        (collection, source),
    )
    return [id for (id,) in found]


@cache
def scope_lexemes(source: int, language: str, kind: Kind) -> tuple[str, ...]:
    """By which words are confined to a scope within their index."""
    return f"{MARK}{source}", f"{MARK}k:{kind.value}", f"{MARK}l:{language}"


def _insert(connection: Connection, collection: str, source: int, items: Sequence[Indexed]) -> None:
    document_numbers = _reserve(connection, "document_ids", len(items))
    chunk_numbers = iter(_reserve(connection, "chunk_ids", sum(len(item.chunks) for item in items)))
    marks = [scope_lexemes(source, item.document.language, chunk.kind) for item in items for chunk in item.chunks]
    found_by = words([tokens.fields(chunk) for item in items for chunk in item.chunks], marks)
    documents: list[Row] = []
    chunks: list[Row] = []
    vectors: defaultdict[Space, list[Row]] = defaultdict(list)
    for id, item in zip(document_numbers, items, strict=True):
        documents.append(_document(id, source, item))
        numbers = list(islice(chunk_numbers, len(item.chunks)))
        for number, chunk, digest in zip(numbers, item.chunks, item.digests, strict=True):
            chunks.append(_chunk(number, id, source, chunk, digest))
        for space, matrix in item.vectors.items():
            sent = halfvecs(unit_rows(matrix, space, len(numbers)))
            vectors[space] += [(number, source, each) for number, each in zip(numbers, sent, strict=True)]
    copy(connection, f"documents ({_DOCUMENTS})", _DOCUMENT_TYPES, documents)
    if not chunks:
        return
    copy(connection, f"chunks ({_CHUNKS})", _CHUNK_TYPES, chunks)
    searched = zip(chunks, found_by.tsvectors, found_by.impacts, strict=True)
    copy(
        connection,
        "words (chunk, document, source, words, impacts)",
        _WORD_TYPES,
        ((chunk[0], chunk[1], source, lexemes, impacts) for chunk, lexemes, impacts in searched),
    )
    _count_terms(connection, source, found_by.frequencies)
    connection.execute("UPDATE sources SET chunks = chunks + %s WHERE id = %s", (len(chunks), source))
    for space, rows in vectors.items():
        if rows:
            stored = use_space(connection, collection, source, space)
            copy(connection, f"{stored.table} (chunk, source, vector)", ["int8", "int4", "bytea"], rows)


def _document(id: int, source: int, item: Indexed) -> Row:
    document = item.document
    folded = "" if document.skipped else telling_path(document).lower()
    return (
        id,
        source,
        document.path,
        document.digest,
        document.language,
        document.size,
        document.mtime_ns,
        document.skipped,
        Jsonb(document.metadata) if document.metadata else None,
        folded,
        tsvector([*trigrams(folded), f"{MARK}{source}"]) if len(folded) > 2 else None,
    )


def _chunk(id: int, document: int, source: int, chunk: Chunk, digest: bytes) -> Row:
    folded = escaped("\n".join(dict.fromkeys((chunk.name, *chunk.symbols))).lower())
    return (
        id,
        document,
        chunk.kind.value,
        chunk.first_line,
        chunk.last_line,
        escaped(chunk.name),
        escaped(chunk.parent),
        escaped(chunk.signature),
        escaped(chunk.docstring),
        escaped("\n".join(chunk.symbols)),
        digest,
        escaped(chunk.text),
        folded,
        tsvector([*trigrams(folded), f"{MARK}{source}"]) if len(folded) > 2 else None,
    )


def _reserve(connection: Connection, sequence: str, count: int) -> list[int]:
    found = connection.execute(f"SELECT nextval('{sequence}') FROM generate_series(1, %s)", (count,))
    return [id for (id,) in found]


def copy(connection: Connection, table: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _count_terms(connection: Connection, source: int, frequencies: Mapping[str, int]) -> None:
    connection.execute(  # one text each, for a list is quoted item by item; no term has a space
        "INSERT INTO terms (source, term, chunks)"
        " SELECT %s, * FROM unnest(string_to_array(%s, ' '), string_to_array(%s, ' ')::int[])"
        " ON CONFLICT (term, source) DO UPDATE SET chunks = terms.chunks + excluded.chunks",
        (source, " ".join(frequencies), " ".join(map(str, frequencies.values()))),
    )
