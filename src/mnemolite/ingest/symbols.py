"""The definitions in a text with their lines, found in a child process: a grammar may crash on what it is given."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from mnemolite.child import START, module_folders
from mnemolite.ingest.parser import PACKAGES

SECONDS = 10.0
_START = f"{START}from mnemolite.ingest.symbols import main; main()"


class Symbol(msgspec.Struct, array_like=True, frozen=True):
    name: str
    parents: tuple[str, ...]  # outermost first
    first_line: int  # with the comments and decorators above
    last_line: int

    @property
    def qualified(self) -> tuple[str, ...]:
        return (*self.parents, self.name)


def symbols(text: str, language: str) -> list[Symbol]:
    """In order of their starts, one inside another after it; none where there is no grammar or it fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _START, *module_folders(PACKAGES)],
            input=msgspec.msgpack.encode((language, text)),
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return msgspec.msgpack.decode(done.stdout, type=list[Symbol])


def main() -> None:
    """In the child."""
    from mnemolite.ingest.lines import Lines
    from mnemolite.ingest.outline import Unparsable, outline

    language, text = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=tuple[str, str])
    try:
        found = outline(Lines(text), language)
    except Unparsable:
        found = []
    spans = [Symbol(each.name, each.parents, each.start + 1, each.stop) for each in found]
    sys.stdout.buffer.write(msgspec.msgpack.encode(spans))
