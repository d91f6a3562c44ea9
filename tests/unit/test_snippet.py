from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mnemolite.search.snippet import window
from mnemolite.search.tokens import terms

LINES = st.lists(st.text(st.sampled_from("aAbB_2 .é(")), min_size=1, max_size=6)


@given(LINES, st.text(st.sampled_from("aAbB_2 é")))
def test_the_window_is_around_the_first_line_that_shares_most_terms(lines: list[str], query: str) -> None:
    shared = [len(set(terms(query)) & set(terms(line))) for line in lines]
    best = [i for i, count in enumerate(shared) if count == max(shared)]
    assert window(lines, query, 0)[0] == next((i for i in best if lines[i].strip()), best[0])


def test_context_ends_with_the_chunk() -> None:
    assert window(["a", "b", "http_server", "c"], "HttpServer", 3) == range(4)
