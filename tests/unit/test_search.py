import pytest

from mnemolite.search.fuse import RRF_K, fuse
from mnemolite.search.rank import saturate
from mnemolite.search.retrieve import is_symbol, query_terms
from mnemolite.types import Chunk, Hit, Kind


def chunk(id: int, path: str) -> Chunk:
    return Chunk(
        source=".", path=path, language="python", kind=Kind.FUNCTION, text="x", first_line=1, last_line=1, id=id
    )


def test_fusion_is_the_sum_of_reciprocal_ranks() -> None:
    fused = fuse({"lexical": [(1, 9.0), (2, 8.0)], "code": [(2, 0.5), (3, 0.4)]}, {"lexical": 1.0, "code": 1.0})
    assert [f.id for f in fused] == [2, 1, 3]
    best = 2 / (RRF_K + 1)
    assert fused[0].score == pytest.approx((1 / (RRF_K + 2) + 1 / (RRF_K + 1)) / best)
    assert fused[0].places["lexical"].rank == 2
    assert fused[0].places["code"].score == 0.5


def test_contributions_add_up_to_the_score() -> None:
    fused = fuse({"a": [(1, 1.0)], "b": [(2, 1.0), (1, 0.5)]}, {"a": 0.3, "b": 2.0})
    for each in fused:
        assert abs(sum(place.contribution for place in each.places.values()) - each.score) < 1e-12


def test_first_everywhere_scores_one() -> None:
    assert fuse({"a": [(7, 1.0)], "b": [(7, 1.0)]}, {"a": 1.0, "b": 0.5})[0].score == 1.0


def test_a_list_of_weight_nothing_moves_nothing() -> None:
    assert fuse({"a": [(1, 1.0)], "b": [(2, 1.0)]}, {"a": 1.0, "b": 0.0})[0].id == 1


def test_each_further_chunk_of_a_file_counts_less() -> None:
    hits = [
        Hit(chunk=chunk(1, "a.py"), score=1.0, ranks={}),
        Hit(chunk=chunk(2, "a.py"), score=0.9, ranks={}),
        Hit(chunk=chunk(3, "b.py"), score=0.6, ranks={}),
    ]
    ranked = saturate(hits)
    assert [hit.chunk.id for hit in ranked] == [1, 3, 2]
    assert ranked[2].signals == {"saturation": 0.5}


def test_words_of_questions_are_no_terms_unless_alone() -> None:
    assert query_terms("where do we validate an email?") == ["validate", "email"]
    assert query_terms("how to") == ["how", "to"]


def test_a_symbol_is_one_run() -> None:
    assert is_symbol("Foo::bar") and is_symbol("src/app.py") and is_symbol(" get_user ")
    assert not is_symbol("get user") and not is_symbol("id")
