"""
Text to the terms that lexical search matches: the same for every store, for passages and for queries.

An identifier gives its parts and, when it has several, itself without separators: ``HTTPServer2`` gives
``http server 2 httpserver2`` and meets ``http_server_2``. Accents and case are folded, words of any script are kept.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from mnemolite.types import Chunk, telling_path

MAX_TERM = 64  # longer runs are hashes, base64 and minified code: nobody types them, and they swell the index

_RUN = re.compile(r"\w+")
_SEPARATORS = {code: " " for code in range(128) if not _RUN.match(chr(code))}
_PART = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # the second: HTTP in HTTPServer
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"  # kana, Han, Hangul
_FOREIGN_PART = re.compile(rf"\d+|[{_UNSPACED}]+|[^\W\d_{_UNSPACED}]+")


@dataclass(frozen=True)
class Fields:
    """The terms of a chunk, by where they stand, in order."""

    name: list[str]
    path: list[str]
    body: list[str]


def terms(text: str) -> list[str]:
    """Terms of *text* in order, repetitions kept."""
    return list(chain.from_iterable(map(_split, _runs(text))))


def words(text: str) -> list[str]:
    """Terms of *text* without those that join several: of an identifier its parts alone."""
    return list(chain.from_iterable(map(_parts, _runs(text))))


def fields(chunk: Chunk) -> Fields:
    """What a store indexes of *chunk*. The name stands in the body too, so a body match needs no second field."""
    return Fields(
        name=terms(" ".join((chunk.parent, chunk.name, *(s for s in chunk.symbols if s != chunk.name)))),
        path=terms(telling_path(chunk)),
        body=terms(chunk.text),
    )


def _runs(text: str) -> list[str]:
    """What ``\\w+`` finds; of ASCII, as most code is, three times as fast."""
    return text.translate(_SEPARATORS).split() if text.isascii() else _RUN.findall(text)


@lru_cache(maxsize=65536)
def _split(run: str) -> tuple[str, ...]:
    parts = _parts(run)
    if len(parts) < 2:
        return parts
    if run.isascii():
        return (*parts, run.replace("_", "").lower())
    folded = _fold(run)
    return parts if not folded.isascii() and _is_unspaced(folded[0]) else (*parts, folded.replace("_", "").lower())


def _parts(run: str) -> tuple[str, ...]:
    if not run.isascii():
        run = _fold(run)
    if len(run) > MAX_TERM:
        return ()
    if run.isascii() and run.isalpha() and (run.islower() or run.isupper()):
        return (run.lower(),)
    if run.isascii():
        return tuple(part.lower() for part in _PART.findall(run))
    return tuple(term for part in _FOREIGN_PART.findall(run) for term in _foreign(part))


def _fold(run: str) -> str:
    """*run* without accents, ligatures and full-width forms; case is kept, for it marks the parts."""
    plain = unicodedata.normalize("NFKD", run.replace("ß", "ss"))
    return unicodedata.normalize("NFC", "".join(c for c in plain if not unicodedata.combining(c)))


def _foreign(part: str) -> list[str]:
    """A script written without spaces gives overlapping pairs, so that any two neighbours can be found."""
    if not _is_unspaced(part[0]) or len(part) == 1:
        return [part.lower()]
    return [part[i : i + 2] for i in range(len(part) - 1)]


def _is_unspaced(character: str) -> bool:
    return re.match(f"[{_UNSPACED}]", character) is not None
