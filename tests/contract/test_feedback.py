"""What every FeedbackStore does, seen through the FeedbackLog that uses it. A new backend is a new entry of STORES."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnemolite.errors import Conflict, InvalidInput, NotFound
from mnemolite.feedback import FeedbackLog
from mnemolite.ports import FeedbackStore
from mnemolite.settings import Settings
from mnemolite.stores.postgres_connection import Database
from mnemolite.stores.postgres_feedback import PostgresFeedback
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.stores.sqlite_feedback import SqliteFeedback
from mnemolite.wiring import open_memory

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def sqlite(path: Path | None) -> tuple[FeedbackStore, Callable[[], None]]:
    store = SqliteStore(path)
    return SqliteFeedback(store.database), store.close


def postgres(url: str) -> tuple[FeedbackStore, Callable[[], None]]:
    database = Database(url)
    return PostgresFeedback(database), database.close


Made = tuple[FeedbackStore, Callable[[], None]]  # and what closes it
STORES: dict[str, Callable[[Path, Callable[[], str]], Made]] = {
    "sqlite in memory": lambda folder, url: sqlite(None),
    "sqlite on disk": lambda folder, url: sqlite(folder / "notes.db"),
    "postgresql": lambda folder, url: postgres(url()),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Callable[[], str]) -> Iterator[FeedbackStore]:
    made, close = STORES[request.param](tmp_path, empty_database)
    yield made
    close()


@pytest.fixture
def log(store: FeedbackStore, tree: Path) -> Iterator[FeedbackLog]:
    """Over a tree that is indexed: its chunks have the ids 1, 2, ..."""
    with open_memory(tree, settings=Settings(data_dir=str(tree.parent / "data"))) as memory:
        memory.index()
        yield FeedbackLog(store, memory.trees[0].store, is_on=True, clock=lambda: NOW)


def test_what_was_chosen_is_kept_exported_and_deleted(log: FeedbackLog) -> None:
    given = log.give("wem gehört die Adresse? 😀", [3, 1, 2], 1)
    log.give("again", [2], 2)
    first, second = (json.loads(line) for line in log.export().splitlines())
    assert first["query"] == "wem gehört die Adresse? 😀"
    assert first["given_at"] == "2026-01-02T03:04:05.678901Z"
    assert (first["chosen"], len(first["shown"])) == (1, 3)
    chosen = given.shown[1]
    assert first["shown"][1] == {
        "source": ".",
        "path": chosen.path,
        "first_line": chosen.first_line,
        "last_line": chosen.last_line,
        "name": chosen.name,
    }
    assert (second["query"], second["chosen"]) == ("again", 0)
    assert log.clear() == 2
    assert log.export() == b""
    assert log.clear() == 0


def test_nothing_is_kept_while_it_is_off_and_what_was_kept_can_be_deleted(
    log: FeedbackLog, store: FeedbackStore
) -> None:
    log.give("while it was on", [1], 1)
    off = FeedbackLog(store, log._index, is_on=False)
    with pytest.raises(Conflict, match="feedback is off and nothing was kept"):
        off.give("while it is off", [1], 1)
    assert b"while it is off" not in off.export()
    assert off.clear() == 1


REFUSED: tuple[tuple[str, list[int], int, type[Exception], str], ...] = (
    ("x", [1, 2], 3, InvalidInput, "3 is none of those shown"),
    ("x", [1, 999999], 1, NotFound, "no chunk 999999"),
    ("x", [1, 1], 1, InvalidInput, "named twice"),
    (" ", [1], 1, InvalidInput, "the query is empty"),
    ("a\0", [1], 1, InvalidInput, "NUL"),
)


def test_what_cannot_be_is_refused_and_nothing_kept(log: FeedbackLog) -> None:
    for query, shown, chosen, error, said in REFUSED:
        with pytest.raises(error, match=said):
            log.give(query, shown, chosen)
    assert log.export() == b""
