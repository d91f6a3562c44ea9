"""
The forms notes travel in: JSON Lines, and Markdown with a YAML front matter. Both give back exactly what went in.

The front matter is written as JSON values, which are YAML too. Read is the part of YAML that people write by hand:
plain and quoted texts, lists in brackets or with dashes, and one level of keys below a key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import PurePath
from typing import Any

import msgspec

from mnemolite.errors import InvalidInput
from mnemolite.notes.rules import ALPHABET, ID_LENGTH
from mnemolite.records import Anchor, Context, Link, Note, Review
from mnemolite.types import Kind

FENCE = "---"
_DERIVED = ("superseded_by", "standings", "masked")  # what a command says of a note beside what it is
_TIMES = ("created_at", "updated_at", "accessed_at", "deleted_at")
_SYNONYMS = {"type": "kind", "date": "created_at", "created": "created_at", "updated": "updated_at"}
_KNOWN = tuple(field.name for field in fields(Note) if field.name not in _DERIVED)
_EMPTY: tuple[object, ...] = (None, "", [], {}, 0)
# what JSON leaves as it is and YAML wants escaped
_UNPRINTABLE = re.compile("[\x7f-\x84\x86-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t]*#*[ \t]*$", re.MULTILINE)


def values_of(note: Note) -> dict[str, Any]:
    """*note* as a JSON object, without what is empty or only known to the store."""
    values = msgspec.to_builtins(note)
    context = {name: value for name, value in values["context"].items() if value}
    links = [{name: value for name, value in link.items() if value} for link in values["links"]]
    review = msgspec.to_builtins(note.review) if note.review != Review() else {}
    review = {name: value for name, value in review.items() if value is not None}
    anchors = [{name: value for name, value in anchor.items() if value} for anchor in values["anchors"]]
    values |= {"anchors": anchors, "context": context, "links": links, "review": review, "metadata": note.metadata}
    kept = {name: values[name] for name in _KNOWN if values[name] not in _EMPTY}
    return kept | {"project": note.project, "confidence": note.confidence}  # no project and 0 mean something


def to_json_lines(notes: Iterable[Note]) -> Iterator[str]:
    """A line each, with its end."""
    for note in notes:
        yield json.dumps(values_of(note), ensure_ascii=False, allow_nan=False) + "\n"


def from_json_lines(lines: Iterable[bytes], origin: str, now: datetime, project: str) -> Iterator[Note]:
    """
    Blank lines are skipped. A note without an id, times or a project gets them.

    Raises:
        InvalidInput: a line is no note; names the line.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"{origin}, line {number}"
            yield note_from(from_json(line, place), place, now, project)


def from_json(text: bytes | str, place: str) -> dict[str, Any]:
    """
    Raises:
        InvalidInput: *text* is not a JSON object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{place} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f'{place} is no JSON object; a note is one, such as {{"kind": "bug", "title": ...}}')
    return value


def to_markdown(note: Note) -> str:
    """Front matter, then the body, unchanged to the end."""
    values = values_of(note)
    values.pop("body", None)
    lines = [f"{name}: {_yaml(value)}" for name, value in values.items()]
    return "\n".join([FENCE, *lines, FENCE, note.body])


def from_markdown(text: str, origin: str, now: datetime, project: str) -> Note:
    """
    The note in *text*, the file *origin*. Without a front matter all of it is the body, the title its first heading or
    else the file's name; keys that are none of a note's are kept as metadata.

    Raises:
        InvalidInput: it cannot be read; names file and line.
    """
    header, body = _parted(text.removeprefix("\ufeff"), origin)
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in front_matter(header, origin).items():
        key = _SYNONYMS.get(name, name)
        (values if key in _KNOWN else extra)[key] = value
    if extra:
        values["metadata"] = {**values.get("metadata", {}), **extra}
    if not values.get("title"):
        heading = _HEADING.search(body)
        values["title"] = heading[1] if heading else PurePath(origin).stem
    return note_from({**values, "body": body}, origin, now, project)


def note_from(values: Mapping[str, Any], place: str, now: datetime, project: str) -> Note:
    """
    The note that a JSON object says, with an id, times and a project if it has none.

    Raises:
        InvalidInput: a key is unknown or a value cannot be; names the place.
    """
    given = {name: value for name, value in values.items() if name not in _DERIVED}
    given.setdefault("project", project)
    given.setdefault("kind", Kind.REFERENCE.value)
    given["tags"] = _listed(given.get("tags", ()))
    if isinstance(given.get("context"), Mapping) and "keywords" in given["context"]:
        given["context"] = {**given["context"], "keywords": _listed(given["context"]["keywords"])}
    try:
        for name in _TIMES:
            if given.get(name) is not None:
                given[name] = time_from(name, given[name])
        given["created_at"] = given.get("created_at") or given.get("updated_at") or now
        given["updated_at"] = given.get("updated_at") or given["created_at"]
        if not given.get("id"):
            given["id"] = _id_for(str(given["project"]), str(given.get("title", "")))
        _check_keys(given)
        return replace(msgspec.convert(given, Note, strict=False))  # msgspec leaves defaults to the class
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{place}: {error}") from error
    except InvalidInput as error:
        raise InvalidInput(f"{place}: {error}") from error


def time_from(name: str, value: object) -> datetime:
    """
    A time in ISO 8601; a day alone is its beginning, and without an offset it is in UTC.

    Raises:
        InvalidInput: *value* is no time.
    """
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInput(f"{name} {value!r} is no time; write 2026-01-31 or 2026-01-31T12:00:00Z") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def front_matter(lines: list[str], origin: str) -> dict[str, Any]:
    """
    Raises:
        InvalidInput: a line is beyond what is read of YAML; names it.
    """
    found: dict[str, Any] = {}
    key = ""
    for number, line in enumerate(lines, 2):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        place = f"{origin}, line {number}"
        nested = line[0] in " \t-"
        if nested and not key:
            raise InvalidInput(f"{place}: {text!r} belongs to no key")
        if nested and (text == "-" or text.startswith("- ")):
            if not isinstance(found[key] or [], list):
                raise InvalidInput(f"{place}: {key} has a value already")
            found[key] = [*(found[key] or []), _scalar(text[1:].strip(), place)]
            continue
        name, colon, value = text.partition(":")
        if not colon or (value and not value[0].isspace()):
            raise InvalidInput(f"{place}: {text!r} is no 'key: value'")
        if nested:
            if not isinstance(found[key] or {}, dict):
                raise InvalidInput(f"{place}: {key} has a value already")
            found[key] = {**(found[key] or {}), _unquoted(name.strip()): _scalar(value.strip(), place)}
        else:
            key = _unquoted(name.strip())
            found[key] = _scalar(value.strip(), place)
    return {name: value for name, value in found.items() if value is not None}


def _parted(text: str, origin: str) -> tuple[list[str], str]:
    """The lines of the front matter, and what follows it."""
    if not re.match(r"---[ \t]*\r?\n", text):
        return [], text
    lines: list[str] = []
    at = text.index("\n") + 1
    while at < len(text):
        end = text.find("\n", at)
        line, after = (text[at:], len(text)) if end < 0 else (text[at:end], end + 1)
        if line.rstrip() == FENCE:
            return lines, text[after:]
        lines.append(line.rstrip("\r"))
        at = after
    raise InvalidInput(f"{origin}: the front matter that begins in line 1 has no end; close it with a line '{FENCE}'")


def _scalar(text: str, place: str) -> Any:
    """A value as it stands behind a key or a dash; None for nothing."""
    if text[:1] in ('"', "{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            if text[0] == "[" and text[-1] == "]":
                return [_unquoted(each.strip()) for each in text[1:-1].split(",") if each.strip()]
            raise InvalidInput(f"{place}: {text[:60]} cannot be read: {error}") from error
    if text[:1] in ("|", ">", "&", "*", "!"):
        raise InvalidInput(f"{place}: {text[:60]!r} is YAML that is not read here; write the value in double quotes")
    if text[:1] == "'":
        return _unquoted(text)
    plain = re.split(r"\s#", text, maxsplit=1)[0].rstrip()
    return None if plain in ("", "~", "null") else plain


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return text


def _yaml(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _listed(value: object) -> object:
    """Tags, also as people write them: parted by commas."""
    return [each.strip() for each in value.split(",")] if isinstance(value, str) else value


def _check_keys(values: Mapping[str, Any]) -> None:
    """
    Raises:
        InvalidInput: there is a key that a note does not have; a decoder would pass over it in silence.
    """
    holders: list[tuple[str, Any, type]] = [
        ("a note", values, Note),
        ("the context", values.get("context"), Context),
        ("the review", values.get("review"), Review),
        *(("a link", link, Link) for link in _sequence(values.get("links"))),
        *(("an anchor", anchor, Anchor) for anchor in _sequence(values.get("anchors"))),
    ]
    for owner, held, kind in holders:
        known = [field.name for field in fields(kind) if field.name not in _DERIVED]
        if isinstance(held, Mapping) and (unknown := [key for key in held if key not in known]):
            raise InvalidInput(f"{owner} has no {', '.join(map(repr, unknown))}; it has {', '.join(known)}")


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _id_for(project: str, title: str) -> str:
    """The same for the same title, so that what is imported twice is there once."""
    number = int.from_bytes(blake2b(f"{project}\0{title}".encode("utf-8", "replace"), digest_size=8).digest())
    return "".join(ALPHABET[number >> 5 * place & 31] for place in range(ID_LENGTH))
