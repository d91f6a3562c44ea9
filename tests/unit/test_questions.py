"""Queries with known answers, from a real repository."""

import subprocess
from pathlib import Path

import pytest

from mnemolite.lab.mine import mine
from mnemolite.lab.pairs import Pair, Relation
from mnemolite.lab.questions import MOST, MOST_OF_A_FILE, questions_of, without, write_tree
from mnemolite.lab.repository import Git, git_folder

LICENCE = """MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software, to deal in it.
The above copyright notice and this permission notice shall be included in all copies.
"""
SAID = "Gives the mailbox and the domain of an address."
CODE = f'''
def split_address(text: str, strict: bool = False) -> tuple[str, str]:
    """{SAID}"""
    mailbox, _, domain = text.rpartition("@")
    if strict and not mailbox:
        raise ValueError(text)
    return mailbox, domain
'''
TEST = """
from address import split_address


def test_split_address_without_any_mailbox() -> None:
    assert split_address("@example.org") == ("", "example.org")
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("someone+post")
    git(folder, "init", "--quiet")
    commit(folder, "First", {"LICENSE": LICENCE, "large.py": "x = 1\n" * 1000})
    commit(folder, "Split the address of a letter", {"src/address.py": CODE, "tests/test_address.py": TEST})
    many = {f"src/part{n}.py": CODE.replace("address", f"part{n}") for n in range(4)}
    commit(folder, "Copy the parts of everything around", many)
    commit(folder, "Bump the version of it all", {"src/version.py": CODE.replace("split_", "join_")})
    return folder


def git(folder: Path, *arguments: str) -> None:
    own = ["-c", "user.name=A Person", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, message: str, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def written(repository: Path, folder: Path) -> Path:
    assert write_tree(Git(git_folder(repository)), folder, max_bytes=4000) == 8  # all but the large one
    return folder / "tree"


def test_docstrings_commits_and_tests_ask_for_files(repository: Path, tmp_path: Path) -> None:
    tree = written(repository, tmp_path)
    asked = {(q.relation, q.text): q.files for q in questions_of(mine(repository).pairs, tree)}
    assert asked.pop((Relation.COMMIT, "Split the address of a letter")) == ("src/address.py",)
    assert asked.pop((Relation.TEST, "split address without any mailbox")) == ("src/address.py",)
    assert {relation for relation, _ in asked} == {Relation.DOCSTRING}  # no chore, no commit of many files


def test_a_docstring_that_is_asked_for_is_not_in_the_tree(repository: Path, tmp_path: Path) -> None:
    tree = written(repository, tmp_path)
    pair = Pair(Relation.DOCSTRING, SAID, "def split_address", "python", "src/address.py")
    [question] = questions_of([pair], tree)
    text = (tree / "src/address.py").read_text()
    assert question.files == ("src/address.py",)
    assert SAID not in text
    assert text == CODE.replace("Gives the mailbox and the domain of an address", "")


def test_what_is_said_of_several_files_asks_for_none(repository: Path, tmp_path: Path) -> None:
    tree = written(repository, tmp_path)
    files = ("src/address.py", "src/version.py")
    assert questions_of([Pair(Relation.DOCSTRING, SAID, "def", "python", file) for file in files], tree) == []


def test_a_test_beside_what_it_tests_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "lib.rs").write_text("fn cut() {}\n#[test]\nfn cut_of_a_long_word() { cut(); }\n")
    assert questions_of([Pair(Relation.TEST, "cut of a long word", "fn cut() {}", "rust", "lib.rs")], tmp_path) == []


def test_no_file_and_no_relation_is_asked_for_too_often(tmp_path: Path) -> None:
    pairs = []
    for number in range(60):
        file = f"file{number // 3}.py"
        said = f"Counts the sheep of night number {number} twice."
        with (tmp_path / file).open("a") as out:
            out.write(f'def f{number}():\n    """{said}"""\n')
        pairs.append(Pair(Relation.DOCSTRING, said, "def f", "python", file))
    asked = questions_of(pairs, tmp_path)
    assert len(asked) == MOST[Relation.DOCSTRING]
    assert max(sum(q.files == other.files for q in asked) for other in asked) == MOST_OF_A_FILE


def test_words_are_cut_out_across_lines_and_marks() -> None:
    text = "/**\n * Waits until the *queue*\n * has room.\n */\nwait();\n"
    assert without(text, "Waits until the queue has room.") == "/**\n * \n.\n */\nwait();\n"
    assert without(text, "Waits for nobody at all") == text
