"""Which repositories may be learnt from: permissive licences by their text, and none that is kept for evaluation."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mnemolite.errors import InvalidInput

MAX_OVERLAP = 0.1  # of the files: more is a fork or holds a copy

LICENCE_FILE = re.compile(r"(?:un)?licen[cs]es?\b.*|copying\b.*|.*[.-]licen[cs]e(?:\.(?:md|txt|rst))?", re.IGNORECASE)

_REFUSED = {
    "GPL": re.compile(r"gnu (?:lesser |library |affero )?general public licen[cs]e"),
    "MPL": re.compile(r"mozilla public license"),
    "EPL": re.compile(r"eclipse public license"),
    "Creative Commons": re.compile(r"creative commons (?:attribution|legal code|corporation)"),
    "source available": re.compile(
        r"server side public license|business source license|elastic license|commons clause"
    ),
    "JSON": re.compile(r"shall be used for good, not evil"),
    "BSD-4-Clause": re.compile(r"all advertising materials mentioning"),
}
_MIT_NOTICE = re.compile(r"the above copyright notice(?:s)? and this permission notice")
_ISC = re.compile(
    r"permission to use, copy, modify,? and(?:/or)? distribute this software for any purpose with or without fee is"
    r" hereby granted,? provided that the above copyright notice"
)
_PSF = re.compile(r"python software foundation license version|psf license agreement")
_APACHE = re.compile(
    r"apache license,? version 2\.0.*(?:terms and conditions for use|unless required by applicable law)"
    r"|licensed under the apache license,? version 2\.0"
)


@dataclass(frozen=True)
class Licence:
    """*name* is an SPDX identifier, several joined by " OR "; "" when *objection* says why there is none to use."""

    name: str = ""
    objection: str = ""


def licence_of(texts: Mapping[str, str]) -> Licence:
    """What the licence files of a repository, text by name, allow together: one that is not permissive spoils all."""
    if not texts:
        return Licence(objection="no licence file")
    plain = [" ".join(re.sub(r"[*#>|]|//", " ", text).lower().split()) for text in texts.values()]
    for name, pattern in _REFUSED.items():
        if any(pattern.search(text) for text in plain):
            return Licence(objection=f"licence: {name}")
    names = dict.fromkeys(name for text in plain if (name := _recognised(text)))
    if not names:
        return Licence(objection=f"licence not recognised: {', '.join(sorted(texts))}")
    return Licence(" OR ".join(names))


def _recognised(text: str) -> str:
    if "permission is hereby granted, free of charge, to any person obtaining a copy" in text:
        return "MIT" if _MIT_NOTICE.search(text) else ""  # MIT-0 does not ask for it
    if _APACHE.search(text):
        return "Apache-2.0"
    if "redistribution and use in source and binary forms" in text and "must retain the above copyright" in text:
        return "BSD-3-Clause" if "endorse or promote" in text else "BSD-2-Clause"
    if _PSF.search(text):
        return "PSF-2.0"
    return "ISC" if _ISC.search(text) else ""


def reserved_names(file: Path) -> frozenset[str]:
    """
    Lower-case "owner/name"s, one a line; what follows a ``#`` is a remark.

    Raises:
        InvalidInput: the file cannot be read.
    """
    try:
        rows = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} names no reserved repositories: {error}") from error
    return frozenset(name.lower() for row in rows if (name := row.split("#")[0].strip()))


def overlap(a: Collection[str], b: Collection[str]) -> float:
    """The share of the smaller one's digests that the other has too: 0 when either is empty."""
    shared = len(set(a) & set(b))
    return shared / min(len(set(a)), len(set(b))) if shared else 0.0


@dataclass(frozen=True)
class Reserved:
    """Repositories never to be learnt from, with the file digests of those that are at hand."""

    names: frozenset[str] = frozenset()  # "owner/name", lower-case
    digests: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def objection(self, name: str, digests: Collection[str]) -> str:
        """Why the repository *name* is too near to one of these; "" when it is not."""
        if name.lower() in self.names:
            return "reserved"
        own = name.lower().rpartition("/")[2]
        for reserved in sorted(self.names):
            if own == reserved.rpartition("/")[2]:
                return f"reserved: named as {reserved}"
        for reserved, theirs in sorted(self.digests.items()):
            if (share := overlap(digests, theirs)) > MAX_OVERLAP:
                return f"reserved: shares {share:.0%} of its files with {reserved}"
        return ""
