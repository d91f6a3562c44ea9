import json
import math
from pathlib import Path

import pytest

from mnemolite.errors import InvalidInput
from mnemolite.lab.evaluate import matches, read_cases, score
from mnemolite.types import Chunk, Kind


def chunk(path: str, name: str, parent: str = "", symbols: tuple[str, ...] = ()) -> Chunk:
    return Chunk(
        source=".",
        path=path,
        language="python",
        kind=Kind.FUNCTION,
        text="x",
        first_line=1,
        last_line=1,
        name=name,
        parent=parent,
        symbols=symbols,
    )


A = chunk("src/a.py", "run", "Engine", ("run", "stop"))
B = chunk("src/b.py", "walk")


@pytest.mark.parametrize(
    "result", ["run", "stop", "Engine.run", "a.py", "src/a.py", "src/a.py:run", "a.py:Engine.run", "a.py:stop"]
)
def test_a_result_is_matched_by_path_by_name_or_by_both(result: str) -> None:
    assert matches(result, A)
    assert not matches(result, B)


@pytest.mark.parametrize("result", ["rc/a.py", "ru", "b.py:run", "Other.run"])
def test_half_a_name_matches_nothing(result: str) -> None:
    assert not matches(result, A)


def test_scores_are_those_of_the_definitions() -> None:
    found = score(["walk", "run"], [chunk("c.py", "other"), B, A])
    assert found.recall == 1
    assert found.precision == found.f1 == 0.5
    assert found.reciprocal_rank == 0.5
    assert found.ndcg == pytest.approx((1 / math.log2(3) + 1 / math.log2(4)) / (1 + 1 / math.log2(3)))
    assert found.hit_at_1 == 0


def test_two_results_in_one_chunk_are_one_find() -> None:
    assert score(["run", "stop"], [A]).ndcg == 1


def test_nothing_found_is_nought() -> None:
    found = score(["run"], [])
    assert (found.recall, found.ndcg, found.reciprocal_rank) == (0, 0, 0)


@pytest.mark.parametrize("content", ["", "{}", "[]", '[{"query": "x"}]', '[{"query": " ", "expected_results": ["a"]}]'])
def test_a_broken_set_is_refused_with_its_name(content: str, tmp_path: Path) -> None:
    (tmp_path / "queries.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"queries.json"):
        read_cases(tmp_path / "queries.json")


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    case = {"query": "x", "expected_results": ["a"], "categroy": "exact"}
    (tmp_path / "queries.json").write_text(json.dumps([case]))
    with pytest.raises(InvalidInput, match="categroy"):
        read_cases(tmp_path / "queries.json")
