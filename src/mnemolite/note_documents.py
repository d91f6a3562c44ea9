"""What is found of a note: the document and the chunks that are made from it, its secrets masked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from mnemolite.records import Note, note_source
from mnemolite.types import Chunk, Document, nanoseconds


def documents(notes: Iterable[Note]) -> list[tuple[Document, tuple[Chunk, ...]]]:
    documents = []
    for note in notes:
        chunks = _chunks(note)
        digest = hashlib.blake2b("\0".join(c.text for c in chunks).encode(), digest_size=16).hexdigest()
        documents.append((_document(note, digest), chunks))
    return documents


def _chunks(note: Note) -> tuple[Chunk, ...]:
    """
    The title is each chunk's name, tags and keywords are its symbols, the heading it stands under is its parent. The
    note itself is kept as it was written; what is found of it has its secrets masked.
    """
    from mnemolite.ingest.chunk import chunk  # and its parsers: nothing that a search needs
    from mnemolite.ingest.secrets import mask

    symbols = tuple(mask(" ".join(word.split()))[0] for word in (*note.tags, *note.context.keywords))
    found = chunk(mask(_text(note))[0], source=note_source(note.project), path=note.id, language="markdown")
    return tuple(
        replace(
            each,
            language="note",
            kind=note.kind,
            name=mask(note.title)[0],
            parent=" > ".join(filter(None, (each.parent, each.name))),
            symbols=symbols,
        )
        for each in found
    )


def secrets_in(note: Note) -> tuple[str, ...]:
    """The kinds of the secrets that are masked in what is found of *note*."""
    from mnemolite.ingest.secrets import mask

    texts = (note.title, _text(note), *note.tags)
    return tuple(dict.fromkeys(place.kind for text in texts for place in mask(text)[1]))


def _text(note: Note) -> str:
    """What is cut into chunks: the body, then the context. The title is the chunks' name."""
    context = note.context
    parts = [note.body]
    parts += [
        f"{label}: {text}"
        for label, text in (
            ("Situation", context.situation),
            ("Solution", context.solution),
            ("What failed", context.what_failed),
            ("Keywords", ", ".join(context.keywords)),
        )
        if text
    ]
    text = "\n\n".join(filter(str.strip, parts))
    return text or note.title


def _document(note: Note, digest: str) -> Document:
    return Document(
        source=note_source(note.project),
        path=note.id,
        digest=digest,
        language="note",
        size=len(note.body.encode()),
        mtime_ns=nanoseconds(note.updated_at),
        metadata={**note.metadata, "tags": list(note.tags), "status": note.status.value},
    )
