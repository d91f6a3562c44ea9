"""Which paths a pattern of a scope takes in."""

from __future__ import annotations

import re

import pytest

from mnemolite.stores.globs import regex


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*.py", ["a.py", "x/y/a.py", ".py"], ["a.pyc", "a.py.txt"]),
        ("test_*", ["test_a.py", "x/test_b/c.go"], ["a_test_b.py"]),
        ("src", ["src", "src/a.py", "lib/src/a.py"], ["srcs/a.py", "mysrc/a.py"]),
        ("src/", ["src/a.py", "lib/src/a.py"], ["srcs/a.py"]),
        ("/src", ["src/a.py"], ["lib/src/a.py"]),
        ("src/core", ["src/core/a.py", "src/core"], ["lib/src/core/a.py", "src/cores"]),
        ("./src/core/", ["src/core/a.py"], ["x/src/core/a.py"]),
        ("src/*.py", ["src/a.py"], ["src/x/a.py", "src/a.c"]),
        ("src/**/*.py", ["src/a.py", "src/x/y/a.py"], ["a.py", "src/a.c"]),
        ("**/test/**", ["test/a", "x/test/y/b"], ["test", "tests/a"]),
        ("a*b*c", ["abc", "aXbYbZc"], ["ab", "abcd"]),
        ("?.c", ["a.c", "x/b.c"], ["ab.c", ".c"]),
        ("app/[id]/page.tsx", ["app/[id]/page.tsx"], ["app/i/page.tsx"]),
        ("Übung (1)+", ["Übung (1)+/a"], ["Übung 1/a"]),
    ],
)
def test_a_pattern_takes_in_what_gitignore_would(pattern: str, inside: list[str], outside: list[str]) -> None:
    expression = re.compile(regex([pattern]))
    assert [path for path in inside if not expression.fullmatch(path)] == []
    assert [path for path in outside if expression.fullmatch(path)] == []


def test_any_of_several_patterns_may_match() -> None:
    expression = re.compile(regex(["*.go", "docs"]))
    assert all(expression.fullmatch(path) for path in ("x/a.go", "docs/a.md"))
    assert not expression.fullmatch("x/a.md")


def test_a_pattern_of_stars_is_refused_quickly() -> None:
    assert not re.fullmatch(regex(["*a" * 40 + "b"]), "a" * 3000)
    assert not re.fullmatch(regex(["**/" * 40 + "b"]), "a/" * 200 + "c")
