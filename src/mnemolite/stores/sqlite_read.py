"""Whole documents out of a SQLite file, as they were put."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence

import apsw

from mnemolite.stores.documents import Stored, assembled
from mnemolite.stores.sqlite_connection import fetch
from mnemolite.stores.sqlite_spaces import stored_spaces
from mnemolite.stores.sqlite_vectors import restore
from mnemolite.types import Chunk, Document, Indexed, Kind


def documents(connection: apsw.Connection, source: str, paths: Sequence[str]) -> list[Indexed]:
    found: dict[int, Stored] = {}
    rows = fetch(
        connection,
        "SELECT documents.id, path, digest, language, size, mtime_ns, skipped, metadata FROM documents"
        " JOIN sources ON sources.id = source WHERE name = ? AND path IN carray(?)",
        (source, apsw.carray(tuple(paths))),
    )
    for id, path, digest, language, size, mtime_ns, skipped, metadata in rows:
        found[id] = Stored(
            Document(
                source=source,
                path=path,
                digest=digest,
                language=language,
                size=size,
                mtime_ns=mtime_ns,
                skipped=skipped,
                metadata=json.loads(metadata) if metadata else {},
            )
        )
    if not found:
        return []
    rows = fetch(
        connection,
        "SELECT document, id, kind, first_line, last_line, name, parent, signature, docstring, symbols, digest, text"
        " FROM chunks WHERE document IN carray(?) ORDER BY id",
        (apsw.carray(array("q", found)),),
    )
    for document, id, kind, first, last, name, parent, signature, docstring, symbols, digest, text in rows:
        of = found[document].document
        chunk = Chunk(
            source=source,
            path=of.path,
            language=of.language,
            kind=Kind(kind),
            text=text,
            first_line=first,
            last_line=last,
            name=name,
            parent=parent,
            signature=signature,
            docstring=docstring,
            symbols=tuple(symbols.split("\n") if symbols else ()),
            id=id,
        )
        found[document].add(chunk, digest)
    ids = array("q", [chunk.id for stored in found.values() for chunk in stored.chunks])
    vectors = {
        stored.space: {
            chunk: restore(blob, stored.space.dimension)
            for chunk, blob in fetch(
                connection,
                f"SELECT chunk, vector FROM vectors_{stored.id} WHERE chunk IN carray(?)",
                (apsw.carray(ids),),
            )
        }
        for stored in (stored_spaces(connection) if ids else ())
        if stored.active
    }
    return assembled(found.values(), vectors)
