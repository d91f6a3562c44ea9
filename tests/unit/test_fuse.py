import pytest

from mnemolite.search.fuse import BY_MEANING, BY_WORDS, fuse


def test_fusion_adds_each_list_s_share_of_its_best() -> None:
    fused = fuse({"lexical": [(1, 9.0), (2, 3.0)], "code": [(2, 0.5), (3, 0.4)]}, {"lexical": 1.0, "code": 3.0})
    assert [f.id for f in fused] == [2, 3, 1]
    assert fused[0].score == pytest.approx(0.25 * (3 / 9) ** BY_WORDS + 0.75)
    assert fused[1].score == pytest.approx(0.75 * (0.4 / 0.5) ** BY_MEANING)
    assert [(name, rank, score) for name, rank, score, _ in fused[0].places] == [("lexical", 2, 3.0), ("code", 1, 0.5)]


def test_a_list_without_a_positive_score_still_ranks() -> None:
    assert [f.id for f in fuse({"lexical": [(2, 0.0), (1, -0.1)]}, {"lexical": 1.0})] == [2, 1]


def test_an_empty_list_takes_nothing_from_the_others() -> None:
    assert fuse({"lexical": [], "vector": [(1, 0.4)]}, {"lexical": 1.0, "vector": 1.0})[0].score == 1.0


def test_contributions_add_up_to_the_score() -> None:
    fused = fuse({"a": [(1, 1.0)], "b": [(2, 1.0), (1, 0.5)]}, {"a": 0.3, "b": 2.0})
    for each in fused:
        assert abs(sum(contribution for *_, contribution in each.places) - each.score) < 1e-12


def test_first_everywhere_scores_one() -> None:
    assert fuse({"a": [(7, 1.0)], "b": [(7, 1.0)]}, {"a": 1.0, "b": 0.5})[0].score == 1.0


def test_a_list_of_weight_nothing_moves_nothing() -> None:
    assert fuse({"a": [(1, 1.0)], "b": [(2, 1.0)]}, {"a": 1.0, "b": 0.0})[0].id == 1
