"""A model that learns from one's own tree: what is mined, what is learnt, what is kept apart."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from mnemolite.cli import cli
from mnemolite.embedders.static import SHIPPED, StaticEmbedder, verify
from mnemolite.errors import Conflict, InvalidInput
from mnemolite.lab import examples as ex
from mnemolite.lab import held_out, judge
from mnemolite.lab.grep import Grep
from mnemolite.lab.lesson import cut_passage
from mnemolite.lab.tune import Record, read_record
from mnemolite.settings import Settings
from mnemolite.wiring import open_memory

SOURCE = Path(__file__).parents[2] / "src" / "mnemolite"


def mnemolite(*arguments: object) -> None:
    cli.main([str(each) for each in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of our own source, as somebody's repository; a commit that says what it does."""
    root = tmp_path_factory.mktemp("own") / "project"
    for folder in ("ingest", "search", "notes", "lab"):
        shutil.copytree(SOURCE / folder, root / "src" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    git(root, "init", "-q")
    commit(root, "Begin")
    extra = "def passes(gate, ticket):\n    stamped = gate.stamp(ticket)\n    return stamped is not None\n"
    (root / "src" / "gate.py").write_text(extra)
    commit(root, "Let nobody through without a stamp")
    return root


def git(root: Path, *arguments: str) -> None:
    own = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    subprocess.run(["git", "-C", root, *own, *arguments], check=True, capture_output=True)


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", message)


@pytest.fixture(scope="module")
def mined(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mined") / "examples.jsonl"
    mnemolite("train", "mine", project, "--out", file, "--most", 1200)
    return file


@pytest.fixture(scope="module")
def resolved(mined: Path) -> Sequence[ex.Resolved]:
    return ex.resolve(ex.read_examples(mined), Path("nowhere"))


def test_a_line_has_the_three_keys_and_its_chunks_are_those_of_the_index(
    mined: Path, resolved: Sequence[ex.Resolved]
) -> None:
    lines = [json.loads(line) for line in mined.read_text().splitlines()]
    assert all({"query", "positive_chunk_id", "negative_chunk_ids"} <= line.keys() for line in lines)
    assert len(resolved) == len(lines)
    [one] = [one for one in resolved if one.query == "Let nobody through without a stamp"]
    assert (one.relation, one.positive.path, one.positive.name) == ("commit", "src/gate.py", "passes")
    said = {one.relation for one in resolved}
    assert said >= {"docstring", "comment", "name", "commit"}


def test_no_file_is_in_two_parts_nor_is_one_shown_as_wrong_in_another(resolved: Sequence[ex.Resolved]) -> None:
    files: dict[ex.Part, set[str]] = {part: set() for part in ex.Part}
    for one in resolved:
        files[one.part] |= {one.positive.path, *(chunk.path for chunk in one.negatives)}
    train, validation, held_out = files.values()
    assert train and validation and held_out
    assert not train & validation and not train & held_out and not validation & held_out


def test_the_words_of_a_docstring_are_cut_out_of_its_answer(resolved: Sequence[ex.Resolved]) -> None:
    documented = [one for one in resolved if one.relation == "docstring"]
    assert len(documented) > 50
    left = [one for one in documented if one.query.lower() in " ".join(cut_passage(one).lower().split())]
    assert len(left) < 0.02 * len(documented)  # what is said twice within a chunk


def test_what_is_mined_is_the_same_each_time(mined: Path, project: Path, tmp_path: Path) -> None:
    mnemolite("train", "mine", project, "--out", tmp_path / "again.jsonl", "--most", 60)
    again = (tmp_path / "again.jsonl").read_text().splitlines()
    assert 30 < len(again) <= 60
    assert set(again) <= set(mined.read_text().splitlines())


@pytest.fixture(scope="module")
def tuned(mined: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned") / "own-1"
    mnemolite("train", "run", mined, "--out", folder)
    return folder


def test_training_raises_the_rank_of_answers_in_files_it_has_not_seen(tuned: Path) -> None:
    verify(tuned)
    record: Record = read_record(tuned)
    assert record.share > 0
    assert record.own[f"{record.share:g}"] > record.own["0"] + 0.02
    assert record.general[f"{record.share:g}"] >= 0.95 * record.general["0"]
    assert record.start == StaticEmbedder(SHIPPED).space.fingerprint
    assert StaticEmbedder(tuned).space.fingerprint != record.start


def test_no_question_stands_in_the_copy_it_is_asked_of(resolved: Sequence[ex.Resolved], project: Path) -> None:
    with held_out.copies(resolved) as [copy]:
        texts = {f.relative_to(copy.root).as_posix(): f.read_text() for f in copy.root.rglob("*") if f.is_file()}
        assert len(copy.questions) > 10
        words = {path: " ".join(re.findall(r"[^\W_]+", text)).lower() for path, text in texts.items()}
        for question in copy.questions:
            asked = " ".join(re.findall(r"[^\W_]+", question.text)).lower()
            assert not [path for path, said in words.items() if asked in said]
            assert ex.part_of(question.path) is ex.Part.HELD_OUT
        cut = next(question for question in copy.questions if question.relation == "docstring")
        before, after = (project / cut.path).read_text().split("\n"), texts[cut.path].split("\n")
        assert len(before) == len(after) and before != after
        own = slice(cut.first_line - 1, cut.last_line)
        assert before[own] != after[own]


def figure(low: float, high: float) -> judge.Figure:
    middle = (low + high) / 2
    return judge.Figure(
        way="search", relation="all", metric="nDCG@10", questions=9, before=0.5, after=0.5 + middle, low=low, high=high
    )


def test_a_model_is_compared_with_the_one_in_use_and_used_only_when_it_is_better(
    mined: Path, tuned: Path, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match="has not been evaluated"):
        mnemolite("train", "use", tuned, project)
    mnemolite("train", "eval", tuned, mined, "--most", 40, "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["questions"] > 10
    by_vectors = [f for f in told["figures"] if (f["way"], f["relation"]) == ("vectors alone", "all")]
    assert [f["metric"] for f in by_vectors] == list(judge.METRICS)
    assert any(f["before"] != f["after"] for f in by_vectors)
    assert all(f["low"] <= f["after"] - f["before"] <= f["high"] for f in by_vectors)
    verdict = msgspec.convert(told | {"helps": None}, judge.Verdict)
    for low, high, used in ((0.01, 0.05, True), (-0.01, 0.05, False), (-0.05, -0.01, False)):
        made_up = msgspec.structs.replace(verdict, figures=(figure(low, high),))
        (tuned / judge.VERDICT).write_bytes(msgspec.json.encode(made_up))
        if used:
            mnemolite("train", "use", tuned, project)
            assert f"MNEMOLITE_EMBEDDING_MODEL={tuned}" in capsys.readouterr().err
            with open_memory(
                project, settings=judge.using(Settings(ram_budget_mb=100_000), tuned), create=False
            ) as memory:
                assert [(v.model, v.state) for v in memory.spaces.views() if v.configured] == [("own-1", "active")]
        else:
            with pytest.raises(Conflict, match="is not used"):
                mnemolite("train", "use", tuned, project)
    mnemolite("train", "use", tuned, project, "--force")
    assert "as you say" in capsys.readouterr().out
    with open_memory(project, create=False) as memory:  # and back, for the tests that follow
        memory.spaces.switch()
    monkeypatch.setenv("MNEMOLITE_EMBEDDING_MODEL", str(tuned))
    with pytest.raises(InvalidInput, match="against, another model"):
        mnemolite("train", "use", tuned, project)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "holds no example"),
        ("{}", "line 1 is no"),
        ('{"query": " ", "positive_chunk_id": 1}', "line 1: the query is empty"),
        ('{"query": "x", "positive_chunk_id": "x"}', "a chunk's id is a number"),
        ('{"query": "x", "positive_chunk_id": 999999}', "mine them again"),
        ('{"query": "the first of them", "positive_chunk_id": 1, "negative_chunk_ids": [2], "more": 0}', "too few"),
    ],
)
def test_what_is_no_example_is_refused_by_its_line(line: str, said: str, project: Path, tmp_path: Path) -> None:
    with open_memory(project) as memory:
        memory.index()
    (tmp_path / "own.jsonl").write_text(line)
    with pytest.raises(InvalidInput, match=said):
        mnemolite("train", "run", tmp_path / "own.jsonl", "--in", project, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tree_is_asked_what_it_says_of_itself_by_search_by_words_and_by_grep(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mnemolite("eval", "--mine", project, "--most", 40, "--plot", tmp_path / "own.svg", "--json")
    whole, words, grep = json.loads(capsys.readouterr().out)
    assert (whole["way"], words["way"], "grep" in grep["way"]) == ("search", "words alone (BM25)", True)
    for row in (whole, words, grep):
        for mean, low, high in (row["file"], row["recall"], row["ndcg"], row["tokens"]):
            assert 0 <= low <= mean <= high
        assert row["file"][0] >= row["recall"][0]
        assert row["recall"][0] >= row["ndcg"][0] > 0
    svg = ElementTree.parse(tmp_path / "own.svg").getroot()
    written = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert f"{whole['recall'][0]:.3f}" in written and f"{grep['tokens'][0]:,.0f}" in written
    with pytest.raises(InvalidInput, match="without the others"):
        mnemolite("eval", "--mine", project, "--rerank")
    with pytest.raises(InvalidInput, match="give a file of queries"):
        mnemolite("eval")


def test_grep_puts_files_with_most_of_the_words_first(tmp_path: Path) -> None:
    texts = {"a.py": "close\nclose\nclose the Door\n", "sub/b.py": "door, window: close\n", "c.py": "nothing\n"}
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    grep = Grep(tmp_path)
    asked = "how do we close the door and the window"
    assert list(grep.files(asked)) == ["sub/b.py", "a.py"]
    without_ripgrep = Grep(tmp_path)
    without_ripgrep.program = ""
    assert list(without_ripgrep.files(asked)) == ["sub/b.py", "a.py"]
    question = held_out.Question(text=asked, relation="", path="a.py", first_line=1, last_line=1)
    assert grep.answer(question) == held_out.Answer(2, (len(texts["sub/b.py"]) + len(texts["a.py"])) / 4, True)
