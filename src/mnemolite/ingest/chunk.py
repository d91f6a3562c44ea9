"""
Cuts a document into chunks: code by its definitions, documents by their headings, all else by lines.

Whatever the text, the chunks in order are the text, character for character.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from mnemolite.ingest.lines import Lines, pieces_of
from mnemolite.ingest.outline import CONTAINERS, Definition, Unparsable, docstring_of, outline, signature_of
from mnemolite.ingest.prose import Section, sections
from mnemolite.types import Chunk, Kind

MAX_CHARS = 800
MIN_CHARS = 200  # what is smaller may share a chunk with its neighbours
TRIVIAL_CHARS = 40  # a closing bracket, an `end`, a lone blank line: belongs to what precedes it
OVERFULL = 1.25  # of MAX_CHARS: how far trivial leftovers may fill a chunk beyond its room
MAX_SYMBOLS = 200

PROSE = frozenset({"markdown", "rst", "asciidoc", "org"})


@dataclass(frozen=True, slots=True)
class _Room:
    most: int
    least: int


@dataclass(slots=True)
class _Piece:
    """A run of rows on its way to becoming a chunk."""

    start: int
    stop: int
    size: int
    kind: Kind
    owner: object = None  # what it is inside of; pieces of different owners stay apart
    definition: Definition | None = None  # the largest in it; None for what stands between definitions
    weight: int = 0  # characters of the definition
    small: bool = True  # nothing in it is large enough to stand alone
    continued: bool = False  # not the first part of its definition
    name: str = ""
    parent: str = ""
    trivial: bool = False
    titles: tuple[str, ...] = ()  # of the sections in it


def chunk(
    text: str,
    *,
    source: str,
    path: str,
    language: str,
    max_chars: int = MAX_CHARS,
    min_chars: int = MIN_CHARS,
) -> list[Chunk]:
    """The chunks of a document; none when it is blank."""
    if not text.strip():
        return []
    lines, room = Lines(text), _Room(max_chars, min_chars)
    definitions: list[Definition] = []
    if language in PROSE:
        pieces = _documents(lines, sections(lines, language), room)
    else:
        try:
            definitions = outline(lines, language)
            pieces = _code(lines, definitions, room)
        except Unparsable:
            pieces = _runs(lines, room)
    return list(_chunks(lines, pieces, definitions, room, (source, path, language)))


def chunk_lines(text: str, *, source: str, path: str, language: str, max_chars: int = MAX_CHARS) -> list[Chunk]:
    """The chunks of a document that no grammar shall see."""
    if not text.strip():
        return []
    lines, room = Lines(text), _Room(max_chars, 0)
    return list(_chunks(lines, _runs(lines, room), [], room, (source, path, language)))


def _runs(lines: Lines, room: _Room) -> list[_Piece]:
    return [
        _Piece(start, stop, lines.size(start, stop), Kind.LINES)
        for start, stop in lines.split(0, len(lines), room.most)
    ]


# Documents


def _documents(lines: Lines, found: list[Section], room: _Room) -> list[_Piece]:
    pieces: list[_Piece] = []
    for section in found:
        size = lines.size(section.start, section.stop)
        last = pieces[-1] if pieces else None
        if last is not None and _joins(last, section, size, room):
            last.stop, last.size = section.stop, last.size + size
            last.titles += (section.title,) if section.title else ()
            if not last.name:
                last.name, last.parent = section.title, " > ".join(section.parents)
            continue
        for start, stop in lines.split(section.start, section.stop, room.most):
            pieces.append(
                _Piece(
                    start,
                    stop,
                    lines.size(start, stop),
                    Kind.SECTION,
                    name=section.title,
                    parent=" > ".join(section.parents),
                    titles=(section.title,) if section.title else (),
                )
            )
    return pieces


def _joins(last: _Piece, section: Section, size: int, room: _Room) -> bool:
    """A tiny section joins the one before it, and a heading without text the section below it."""
    within = last.size + size <= room.most
    below = section.parents[-1:] == (last.name,)
    sibling = " > ".join(section.parents) == last.parent
    return within and (last.size < room.least / 2 or (size < room.least / 2 and (below or sibling)))


# Code


def _code(lines: Lines, definitions: list[Definition], room: _Room) -> list[_Piece]:
    pieces = _cut(lines, definitions, room)
    parts = [part for piece in pieces for part in _parts(lines, piece, room)]
    return _merge(parts, room)


def _cut(lines: Lines, definitions: list[Definition], room: _Room) -> list[_Piece]:
    """Definitions that fit, the heads and members of those that don't, and what stands between."""
    pieces: list[_Piece] = []
    opened: list[Definition] = []
    cursor = 0

    def between(stop: int, closing: bool = False) -> None:
        nonlocal cursor
        if stop > cursor:
            piece = _between(lines, cursor, stop, opened[-1] if opened else None, closing)
            piece.small = piece.size < room.least
            pieces.append(piece)
            cursor = stop

    for i, definition in enumerate(definitions):
        while opened and definition.start >= opened[-1].stop:
            between(opened[-1].stop, closing=True)
            opened.pop()
        if definition.stop <= cursor:
            continue
        size = lines.size(definition.start, definition.stop)
        outer = opened[-1] if opened else None
        if size < room.least and outer is not None and outer.kind not in CONTAINERS:
            continue  # a helper inside a function stays in its flow
        between(definition.start)
        if size > room.most and _has_inner(definitions, i):
            opened.append(definition)
            continue
        piece = _Piece(cursor, definition.stop, lines.size(cursor, definition.stop), definition.kind, outer, definition)
        piece.weight, piece.small = piece.size, piece.size < room.least
        pieces.append(piece)
        cursor = definition.stop
    while opened:
        between(opened[-1].stop, closing=True)
        opened.pop()
    between(len(lines))
    return pieces


def _has_inner(definitions: list[Definition], i: int) -> bool:
    return i + 1 < len(definitions) and definitions[i + 1].stop <= definitions[i].stop


def _between(lines: Lines, start: int, stop: int, owner: Definition | None, closing: bool) -> _Piece:
    piece = _Piece(start, stop, lines.size(start, stop), Kind.BLOCK, owner)
    if piece.size <= TRIVIAL_CHARS or (stop - start <= 8 and piece.size <= 4 * TRIVIAL_CHARS):
        text = lines.between(start, stop).strip()
        piece.trivial = not any(map(str.isalnum, text)) or (closing and len(text) <= TRIVIAL_CHARS)
    if owner is None:
        return piece
    head = start <= owner.first < stop
    if head or owner.kind not in CONTAINERS:
        piece.definition, piece.kind, piece.weight = owner, owner.kind, piece.size
        piece.continued = not head
        piece.trivial = piece.trivial and not head
    else:
        piece.parent = ".".join((*owner.parents, owner.name))
    return piece


def _parts(lines: Lines, piece: _Piece, room: _Room) -> Iterator[_Piece]:
    if piece.size <= room.most:
        yield piece
        return
    continued = piece.continued
    for start, stop in lines.split(piece.start, piece.stop, room.most):
        size = lines.size(start, stop)
        yield _Piece(
            start,
            stop,
            size,
            piece.kind,
            piece.owner,
            piece.definition,
            weight=size,
            small=False,
            continued=continued,
            parent=piece.parent,
        )
        continued = True


def _merge(pieces: list[_Piece], room: _Room) -> list[_Piece]:
    merged: list[_Piece] = []
    for piece in pieces:
        if merged and _belongs(merged[-1], piece, room):
            _absorb(merged[-1], piece)
        else:
            merged.append(piece)
    return merged


def _belongs(last: _Piece, piece: _Piece, room: _Room) -> bool:
    size = last.size + piece.size
    if last.trivial or piece.trivial:
        return size <= OVERFULL * room.most
    if last.owner is not piece.owner or size > room.most:
        return False
    return (last.small and piece.small) or _leftover(last, room) or _leftover(piece, room)


def _leftover(piece: _Piece, room: _Room) -> bool:
    return piece.size < room.least and (piece.definition is None or piece.kind is Kind.CONSTANT)


def _absorb(last: _Piece, piece: _Piece) -> None:
    head = last.definition is not None and last.definition is last.owner
    telling = (piece.definition is not None and not piece.trivial) and (
        last.definition is None or last.trivial or (not head and _tells_more(piece, last))
    )
    if telling:
        last.definition, last.kind, last.weight = piece.definition, piece.kind, piece.weight
        last.continued = piece.continued
    if last.trivial:
        last.owner, last.parent, last.kind = piece.owner, piece.parent, piece.kind
    last.stop = piece.stop
    last.size += piece.size
    last.small = last.small and piece.small
    last.trivial = last.trivial and piece.trivial


def _tells_more(piece: _Piece, last: _Piece) -> bool:
    return (piece.kind is not Kind.CONSTANT, piece.weight) > (last.kind is not Kind.CONSTANT, last.weight)


# Chunks


def _chunks(
    lines: Lines,
    pieces: list[_Piece],
    definitions: list[Definition],
    room: _Room,
    where: tuple[str, str, str],
) -> Iterator[Chunk]:
    source, path, language = where
    named = sorted((definition.first, definition.name) for definition in definitions)
    rows = [row for row, _ in named]
    for piece in pieces:
        definition = piece.definition
        name = definition.name if definition is not None else piece.name
        inside = (name for _, name in named[bisect_left(rows, piece.start) : bisect_left(rows, piece.stop)])
        named_here = (name, *inside) if definition is not None else (*piece.titles, *inside)
        symbols = tuple(dict.fromkeys(named_here))[:MAX_SYMBOLS]
        first = definition if definition is not None and not piece.continued else None
        text = lines.between(piece.start, piece.stop)
        for part in _sliced(text, piece, room):
            yield Chunk(
                source=source,
                path=path,
                language=language,
                kind=piece.kind,
                text=part,
                first_line=piece.start + 1,
                last_line=piece.stop,
                name=name,
                parent=".".join(definition.parents) if definition is not None else piece.parent,
                signature=signature_of(first) if first is not None else "",
                docstring=docstring_of(first, lines) if first is not None else "",
                symbols=symbols,
            )
            first = None


def _sliced(text: str, piece: _Piece, room: _Room) -> list[str]:
    overlong = piece.stop - piece.start == 1 and len(text) > room.most
    return pieces_of(text, room.most) if overlong else [text]
