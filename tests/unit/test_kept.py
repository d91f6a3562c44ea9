from __future__ import annotations

from collections.abc import Sequence

from mnemolite.stores.postgres_kept import Lately


def test_only_what_is_not_held_is_asked_for_and_absence_is_held_too() -> None:
    asked: list[list[int]] = []

    def ask(missing: Sequence[int]) -> dict[int, str]:
        asked.append(list(missing))
        return {key: str(key) for key in missing if key < 9}

    lately: Lately[int, str] = Lately(most=3)
    assert lately.of([1, 2, 9, 1], ask) == {1: "1", 2: "2"}
    assert lately.of([9, 2, 3], ask) == {2: "2", 3: "3"}
    assert lately.of([1, 2], ask) == {1: "1", 2: "2"}  # 1 had made room for 3
    assert lately.of([4, 5, 6, 7], ask) == {key: str(key) for key in (4, 5, 6, 7)}  # more than it holds
    assert asked == [[1, 2, 9], [3], [1], [4, 5, 6, 7]]
