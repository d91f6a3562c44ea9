from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mnemolite.ingest import chunk as chunking
from mnemolite.ingest import outline as outlining
from mnemolite.ingest.chunk import chunk, chunk_lines
from mnemolite.ingest.languages import LANGUAGES
from mnemolite.ingest.lines import Lines
from mnemolite.ingest.outline import Unparsable, outline
from mnemolite.types import Chunk, Kind

MAX = 600
MIN = 100


def cut(text: str, language: str = "python", most: int = MAX, least: int = MIN) -> list[Chunk]:
    chunks = chunk(text, source="s", path="p", language=language, max_chars=most, min_chars=least)
    assert "".join(each.text for each in chunks) == text or not text.strip()
    return chunks


def one(chunks: list[Chunk], name: str) -> Chunk:
    [found] = [each for each in chunks if each.name == name]
    return found


def function(name: str, lines: int = 8, indent: str = "") -> str:
    body = "".join(f"{indent}    value_{i} = compute({i})\n" for i in range(lines))
    return f"{indent}def {name}(a, b):\n{body}"


# Every text is its chunks

BITS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\u2028", "\x85", "\ufeff", "\t", "    ", "é", "😀", "def f():", "class A:"]
BITS += [
    "{",
    "}",
    "(",
    ")",
    '"',
    "'",
    '"""',
    "`",
    "#",
    "//",
    "/*",
    "*/",
    "---",
    "```",
    "===",
    "# H",
    "- a",
    "a: b",
    "\0",
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(BITS) | st.text(max_size=30), max_size=60).map("".join),
    st.sampled_from(sorted(LANGUAGES)),
    st.integers(1, 200),
)
@example("a\r\nbcdef g h\r\ni", "ada", 1)
def test_any_text_is_its_chunks(text: str, language: str, most: int) -> None:
    chunks = chunk(text, source="s", path="p", language=language, max_chars=most, min_chars=most // 4)
    assert "".join(each.text for each in chunks) == (text if text.strip() else "")


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="a\r\n\u2028 ", max_size=80), st.sampled_from(["text", "python", "markdown"]))
def test_lines_are_numbered_as_an_editor_does(text: str, language: str) -> None:
    at, start = 1, 0
    for each in chunk(text, source="s", path="p", language=language, max_chars=12, min_chars=4):
        before = text[:start].replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
        inside = each.text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        assert each.first_line == before
        assert each.last_line >= before + inside.count("\n")
        assert each.first_line >= at
        at, start = each.first_line, start + len(each.text)


@pytest.mark.parametrize("text", ["", " ", "\n\n\t\n", "\ufeff"])
def test_a_blank_text_has_no_chunks(text: str) -> None:
    assert chunk(text.replace("\ufeff", ""), source="s", path="p", language="python") == []


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_chunk_is_much_larger_than_asked(language: str) -> None:
    text = "".join(f"item_{i} = [{i}, 'some text here']  # and a word\n" for i in range(400))
    assert max(len(each.text) for each in cut(text, language)) <= MAX * 1.25


# Definitions


def test_a_function_that_fits_is_one_chunk_with_what_stands_above_it() -> None:
    text = "import os\n" * 20 + "\n# About f.\n# More.\n@cache\n@other(1)\n" + function("f") + "\n" + function("g")
    found = one(cut(text), "f")
    assert found.text.startswith("# About f.\n# More.\n@cache\n")
    assert found.kind is Kind.FUNCTION
    assert found.signature == "def f(a, b)"
    assert found.docstring == "About f.\nMore."


def test_a_large_function_is_cut_at_statements_and_keeps_its_name() -> None:
    text = "class A:\n" + function("f", 60, "    ") + function("g", 8, "    ")
    parts = [each for each in cut(text) if each.name == "f"]
    assert len(parts) > 2
    assert {(each.kind, each.parent) for each in parts} == {(Kind.METHOD, "A")}
    assert [bool(each.signature) for each in parts] == [True] + [False] * (len(parts) - 1)
    assert all(each.text.endswith("\n") for each in parts)


def test_a_large_class_is_a_head_and_its_members() -> None:
    text = 'class A(B):\n    """About A."""\n\n    x: int = 1\n    y = [\n' + '        "some text",\n' * 8 + "    ]\n\n"
    text += function("f", 10, "    ") + "\n" + function("g", 10, "    ")
    head, f, g = cut(text)
    assert (head.kind, head.name, head.signature, head.docstring) == (Kind.CLASS, "A", "class A(B)", "About A.")
    assert (f.kind, f.name, f.parent) == (Kind.METHOD, "f", "A")
    assert (g.kind, g.name, g.parent) == (Kind.METHOD, "g", "A")


def test_small_members_share_a_chunk_that_names_them_all() -> None:
    getters = "".join(f"    def get_{i}(self):\n        return {i}\n\n" for i in range(30))
    chunks = cut("class A:\n" + getters)
    assert len(chunks) < 8
    assert {name for each in chunks for name in each.symbols} == {"A", *(f"get_{i}" for i in range(30))}
    assert {each.parent for each in chunks[1:]} == {"A"}


def test_large_neighbours_stay_apart() -> None:
    assert [each.name for each in cut(function("f", 5) + "\n" + function("g", 5))] == ["f", "g"]


def test_imports_and_constants_share_a_chunk() -> None:
    text = "import os\nimport re\n\nA = 1\nB = 2\n" + "\n" + function("f", 22)
    first, second = cut(text)
    assert first.text.startswith("import os")
    assert set(first.symbols) == {"A", "B"}
    assert second.name == "f"


def test_a_closing_bracket_never_stands_alone() -> None:
    methods = "".join(f"  method{i}() {{\n" + "    this.call(1, 2, 3);\n" * 12 + "  }\n\n" for i in range(4))
    chunks = cut("class A {\n" + methods + "}\n", "javascript")
    assert all(any(map(str.isalnum, each.text)) for each in chunks)
    assert chunks[-1].name == "method3"


def test_nested_definitions_know_what_they_are_in() -> None:
    inner = function("inner", 12, "            ")
    text = (
        "class A:\n    class B:\n        def f(self):\n"
        + inner
        + "            return inner\n"
        + function("g", 12, "        ")
    )
    assert one(cut(text, most=500), "inner").parent == "A.B.f"


def test_definitions_on_one_line_are_all_named() -> None:
    text = "int a() { return 1; } int b() { return 2; }\n"
    [only] = cut(text, "c")
    assert set(only.symbols) == {"a", "b"}


def test_a_nameless_leftover_has_no_name() -> None:
    [only] = cut("print(1)\nprint(2)\n")
    assert (only.kind, only.name, only.parent) == (Kind.BLOCK, "", "")


@pytest.mark.parametrize("newline", ["\r\n", "\r"], ids=["CRLF", "CR"])
def test_other_line_ends_change_nothing(newline: str) -> None:
    text = function("f", 10) + "\n" + "class A:\n" + function("g", 10, "    ") + function("h", 10, "    ")
    expected = [(each.name, each.first_line, each.last_line) for each in cut(text)]
    assert [(each.name, each.first_line, each.last_line) for each in cut(text.replace("\n", newline))] == expected


def test_broken_syntax_hides_no_other_definition() -> None:
    text = (
        function("f")
        + "\ndef broken(:\n    x = = 1\n)))\n\n"
        + function("g")
        + "\nclass A:\n"
        + function("h", 8, "    ")
    )
    assert {"f", "g", "h"} <= {name for each in cut(text) for name in each.symbols}


def test_wide_characters_do_not_shift_a_definition() -> None:
    text = "# " + "é😀" * 50 + "\n" + function("f") + "\n# " + "é😀" * 20 + "\n" + function("g")
    assert one(cut(text), "g").text.rstrip().startswith("# é")
    assert one(cut(text), "g").docstring.startswith("é")


@pytest.mark.parametrize("language", ["svelte", "vue"])
def test_the_script_of_a_component_is_read_as_code(language: str) -> None:
    script = (
        "function save() {\n" + "  store.put(1);\n" * 12 + "}\nfunction load() {\n" + "  store.get(1);\n" * 12 + "}\n"
    )
    text = (
        "<p>function no() {}</p>\n" * 8
        + '<script lang="ts">\n'
        + script
        + "</script>\n<style>\np { color: red }\n</style>\n"
    )
    chunks = cut(text, language, 400)
    assert one(chunks, "save").first_line == 10
    assert not any("no" in each.symbols for each in chunks)


# Documents


def test_markdown_is_cut_at_its_headings() -> None:
    text = (
        "---\ntitle: x\n---\n"
        + "Hello, hello.\n" * 8
        + "\n# One\n"
        + "Words here.\n" * 10
        + "\n## Two `b` [c](d)\n"
        + "Words here.\n" * 10
    )
    text += "\nThree\n=====\n" + "Words here.\n" * 10
    assert [(each.kind, each.name, each.parent) for each in cut(text, "markdown", 200, 60)] == [
        (Kind.SECTION, "", ""),
        (Kind.SECTION, "One", ""),
        (Kind.SECTION, "Two b c", "One"),
        (Kind.SECTION, "Three", ""),
    ]


def test_a_code_fence_holds_no_heading() -> None:
    text = (
        "# A\n"
        + "Words here.\n" * 10
        + "```sh\n# not a heading\n~~~\n````\n"
        + "Words here.\n" * 10
        + "# B\n"
        + "Words here.\n" * 9
    )
    assert {each.name for each in cut(text, "markdown", 400, 50)} == {"A", "B"}


def test_a_large_section_is_cut_at_paragraphs_that_keep_its_heading() -> None:
    text = "# A\n\n" + ("Some words of a paragraph.\n" * 4 + "\n") * 12
    chunks = cut(text, "markdown")
    assert len(chunks) > 1
    assert {each.name for each in chunks} == {"A"}
    assert all(each.text.endswith("\n\n") for each in chunks[:-1])


def test_tiny_sections_join() -> None:
    text = "# Log\n\n" + "".join(f"## 1.{i}\n\nFixed.\n\n" for i in range(12))
    assert len(cut(text, "markdown")) == 1


def test_restructured_text_is_cut_at_its_headings() -> None:
    words = "Words here, several of them.\n" * 6
    text = f"=====\nTitle\n=====\n\n{words}\nOne\n---\n\n{words}\nTwo\n~~~\n\n{words}\nThree\n-----\n\n{words}"
    assert [(each.name, each.parent) for each in cut(text, "rst", 250, 60)] == [
        ("Title", ""),
        ("One", "Title"),
        ("Two", "Title > One"),
        ("Three", "Title"),
    ]


@pytest.mark.parametrize(("language", "mark"), [("asciidoc", "="), ("org", "*")])
def test_other_documents_are_cut_at_their_headings(language: str, mark: str) -> None:
    words = "Words here, several of them.\n" * 6
    chunks = cut(f"{mark} One\n\n{words}\n{mark}{mark} Two\n\n{words}", language, 250, 60)
    assert [(each.name, each.parent) for each in chunks] == [("One", ""), ("Two", "One")]


def test_data_is_cut_at_its_top_level_keys() -> None:
    text = json.dumps({"name": "x", "long": ["words"] * 60, "other": ["more"] * 60}, indent=1)
    chunks = cut(text, "json")
    assert {"long", "other"} <= {each.name for each in chunks}


def test_unknown_text_is_cut_at_blank_lines() -> None:
    chunks = cut(("words and words\n" * 5 + "\n") * 20, "text")
    assert len(chunks) > 2
    assert {each.kind for each in chunks} == {Kind.LINES}
    assert all(each.text.endswith("\n\n") for each in chunks)


def test_one_endless_line_is_cut_inside() -> None:
    chunks = cut("word " * 5_000, "text")
    assert max(len(each.text) for each in chunks) <= MAX
    assert {(each.first_line, each.last_line) for each in chunks} == {(1, 1)}


# What harms a grammar

HOSTILE = {
    "yaml, 300 dashes": ("yaml", "- " * 300 + "a\n"),
    "yaml, 300 levels": ("yaml", "".join(" " * i + "a:\n" for i in range(300))),
    "yaml, 300 brackets": ("yaml", "a: " + "[" * 300 + "]" * 300),
    "python, 520 indents and an open string": (
        "python",
        "".join(" " * i + "if x:\n" for i in range(520)) + " " * 520 + "'",
    ),
    "markdown, 300 quotes": ("markdown", ">" * 300 + " a\n"),
    "markdown, 300 spaced quotes": ("markdown", "> " * 300 + " a\n"),
    "json, 5,000 levels": ("json", "[" * 5_000 + "]" * 5_000),
    "json, 100,000 levels": ("json", "[" * 100_000 + "]" * 100_000),
    "javascript, 5,000 levels": ("javascript", "if(a){" * 5_000 + "}" * 5_000),
    "javascript, 900 levels": ("javascript", "if (a) {\n" * 900 + "}\n" * 900),
    "javascript, 100,000 brackets": ("javascript", "(" * 100_000),
    "javascript, 50,000 terms": ("javascript", "x = 1" + "\n + 1" * 50_000),
    "javascript, 900 functions": ("javascript", "function f() {\n" * 900 + "}\n" * 900),
    "html, 5,000 levels": ("html", "<div>" * 5_000 + "</div>" * 5_000),
    "python, 900 brackets": ("python", "x = " + "(" * 900 + ")" * 900 + "\n"),
    "c, 20,000 elses": ("c", "void f(void) {\n" + "if (a) b();\nelse " * 20_000 + "c();\n}\n"),
    "minified javascript, 1 MB": ("javascript", "function f(a,b){return a+b}" * 40_000),
    "minified css": ("css", ".a{color:red}" * 10_000),
    "only quotes": ("python", '"' * 50_001),
    "only backslashes": ("bash", "\\" * 10_000),
    "heredocs": ("bash", "".join(f"cat <<A{i}\n" for i in range(500))),
    "open comments": ("rust", "/*" * 5_000),
    "open templates": ("javascript", "`${" * 900),
    "a million newlines": ("python", "x = 1\n" + "\n" * 1_000_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_its_chunks(name: str) -> None:
    language, text = HOSTILE[name]
    chunks = cut(text, language)
    assert chunks
    assert all(each.text for each in chunks)


@pytest.mark.parametrize(
    "name",
    [
        "yaml, 300 dashes",
        "yaml, 300 levels",
        "python, 520 indents and an open string",
        "json, 5,000 levels",
        "javascript, 100,000 brackets",
        "minified javascript, 1 MB",
    ],
)
def test_what_is_known_to_harm_a_grammar_never_reaches_it(name: str) -> None:
    language, text = HOSTILE[name]
    with pytest.raises(Unparsable):
        outline(Lines(text), language)


def test_a_grammar_that_is_not_installed_costs_only_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("tree_sitter_python")

    monkeypatch.setattr(outlining, "query_of", missing)
    assert {each.kind for each in cut(function("f"))} == {Kind.LINES}


def test_a_file_can_be_cut_without_its_grammar() -> None:
    text = function("f", 60)
    chunks = chunk_lines(text, source="s", path="p", language="python", max_chars=MAX)
    assert "".join(each.text for each in chunks) == text
    assert {each.kind for each in chunks} == {Kind.LINES}


def test_our_own_source_is_its_chunks() -> None:
    for file in Path(chunking.__file__).parent.glob("*.py"):
        cut(file.read_text(encoding="utf-8"))
