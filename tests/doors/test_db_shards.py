"""Shards that are named wrongly: no advice and no command may cost the only copy of a repository."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mnemolite import wiring_postgres
from mnemolite.cli import run


@pytest.fixture
def two(empty_database: Callable[[], str], empty_shards: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Has the command line use the shards ``one`` and ``two`` at the databases of these numbers."""
    main, databases = empty_database(), empty_shards()

    def two(one: int, other: int) -> None:
        wiring_postgres._shards.cache_clear()  # which knows for a while where repositories are
        monkeypatch.setenv("DATABASE_URL", main)
        monkeypatch.setenv("MNEMOLITE_DATABASE_SHARDS", f"one={databases[one]} two={databases[other]}")

    return two


@pytest.fixture
def mnemolite(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def mnemolite(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["mnemolite", *map(str, arguments)])
        code = run()
        said = capsys.readouterr()
        return code, said.out + said.err

    return mnemolite


def test_shards_named_the_wrong_way_round_lose_nothing(
    two: Callable[[int, int], None], mnemolite: Callable[..., tuple[int, str]], tree: Path
) -> None:
    two(0, 1)
    assert mnemolite("index", tree)[0] == 0
    mnemolite("db", "move", "shop", "--to", "two")
    two(1, 0)
    code, said = mnemolite("db", "shards")
    assert code == 1
    assert "shard one: 'shop', of which nothing is on two, where it should be" in said
    assert "db move" not in said
    code, said = mnemolite("db", "move", "shop", "--to", "two")
    assert code == 2
    assert "the wrong way round" in said
    two(0, 1)
    assert mnemolite("db", "shards")[0] == 0
    code, said = mnemolite("search", "validate_email", "--no-refresh", tree)
    assert code == 0 and said.startswith("auth/email.py")


def test_a_database_that_is_named_twice_loses_nothing(
    two: Callable[[int, int], None], mnemolite: Callable[..., tuple[int, str]], tree: Path
) -> None:
    two(0, 0)
    assert mnemolite("index", tree)[0] == 0
    code, said = mnemolite("db", "shards")
    assert code == 1
    assert "is the database of one, too" in said
    for shard in ("one", "two"):
        code, said = mnemolite("db", "move", "shop", "--to", shard)
        assert code == 2
        assert "is the database of one, too" in said
    assert mnemolite("search", "validate_email", "--no-refresh", tree)[0] == 0


def test_a_repository_that_the_coordinator_does_not_know_is_indexed_again(
    two: Callable[[int, int], None],
    mnemolite: Callable[..., tuple[int, str]],
    empty_database: Callable[[], str],
    tree: Path,
) -> None:
    two(0, 1)
    assert mnemolite("index", tree)[0] == 0
    empty_database()  # as one that was restored from before
    two(0, 1)
    code, said = mnemolite("db", "shards")
    assert code == 1
    assert "'shop', which the coordinator does not know; index it again" in said
    assert mnemolite("index", tree)[0] == 0
    two(0, 1)
    assert mnemolite("db", "shards")[0] == 0
