"""What somebody without an index does: look for each word of a question, and read the files that have the most."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mnemolite.lab.evaluate import K
from mnemolite.lab.held_out import UNANSWERED, Answer, Question
from mnemolite.search.understand import STOP_WORDS

_WORD = re.compile(r"[^\W_]{3,}")


class Grep:
    """Over the files below *root*: by ripgrep where it is installed, else by a loop of our own that counts the same."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[str, Mapping[str, int]] = {}
        self.program = shutil.which("rg") or ""

    @property
    def name(self) -> str:
        return "ripgrep" if self.program else "grep (our own loop; rg is not installed)"

    def answer(self, question: Question) -> Answer:
        """A file counts as right as a whole, and is read as a whole: more lenient, and dearer, than a chunk."""
        read = 0.0
        for rank, path in enumerate(self.files(question.text)[:K], 1):
            read += len(self._texts[path]) / 4
            if path == question.path:
                return Answer(rank, read, True)
        return Answer(None, UNANSWERED, False)

    def files(self, text: str) -> Sequence[str]:
        """Those with the most of the words first; of as many, those with the most matches, then the shorter."""
        words = {word.lower() for word in _WORD.findall(text)} - STOP_WORDS
        different: Counter[str] = Counter()
        matches: Counter[str] = Counter()
        for word in words:
            found = self._matches(word)
            different.update(found.keys())
            matches.update(found)
        return sorted(different, key=lambda path: (-different[path], -matches[path], len(self._texts[path]), path))

    def _matches(self, word: str) -> Mapping[str, int]:
        """Lines that have the word, by file, upper and lower case alike."""
        if word not in self._found:
            self._found[word] = self._by_ripgrep(word) if self.program else self._by_loop(word)
        return self._found[word]

    def _by_ripgrep(self, word: str) -> Mapping[str, int]:
        command = [self.program, "--no-config", "--hidden", "--no-ignore", "-c", "-i", "-F", "--null", "--", word, "."]
        done = subprocess.run(command, cwd=self._root, capture_output=True, check=False)
        rows = (row.split(b"\0") for row in done.stdout.splitlines())
        counted = {Path(path.decode("utf-8", "surrogateescape")).as_posix(): int(count) for path, count in rows}
        return {path: count for path, count in counted.items() if path in self._texts}

    def _by_loop(self, word: str) -> Mapping[str, int]:
        counted = ((path, sum(word in line for line in lines)) for path, lines in self._lower.items())
        return {path: count for path, count in counted if count}

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        return {
            file.relative_to(self._root).as_posix(): file.read_text("utf-8", "replace")
            for file in sorted(self._root.rglob("*"))
            if file.is_file()
        }

    @cached_property
    def _lower(self) -> Mapping[str, Sequence[str]]:
        return {path: text.lower().split("\n") for path, text in self._texts.items()}
