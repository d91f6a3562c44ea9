"""The page of a real server in a real browser. Without a Chromium these tests are skipped, and say how to get one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mnemolite.records import Relation
from mnemolite.types import Kind

from ..doors.conftest import GOLDEN, Served, served
from .chromium import INSTALL, Browser, Page, chromium, program

FUNCTIONS = 1100  # of a repository from which a thousand results come
LINES = 40  # of each, so that none is put into one chunk with another


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if program() is None:
        pytest.skip(f"NOT TESTED: there is no Chromium to show the page in; install one with: {INSTALL}")
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def server(browser: Browser, data: Path) -> Iterator[Served]:
    """Two repositories and a few notes."""
    with served(data, index_roots=(str(GOLDEN),)) as server:
        memory = server.memory
        memory.repositories.index("shop", GOLDEN)
        body = "    ledger.add(1)\n" * LINES
        counting = [f"def count_{n}(ledger):\n{body}\n\n" for n in range(FUNCTIONS)]
        memory.repositories.add("many", {f"{i}.py": "".join(counting[i : i + 100]) for i in range(0, FUNCTIONS, 100)})
        first = memory.notes.add(
            "Payments are retried three times",
            "The gateway answers 502 when it is busy.",
            kind=Kind.DECISION,
            tags=["pay"],
            project="shop",
        )
        second = memory.notes.add(
            "Retry payments with a key that stays the same", "Else a card is charged twice.", kind=Kind.PITFALL
        )
        memory.notes.link(second.id, Relation.RELATED, first.id, "both are about retries")
        yield server


@pytest.fixture
def page(browser: Browser, server: Served) -> Iterator[Page]:
    """At the start; whatever a test does, no script may fail and nothing be asked of anyone else."""
    with browser.page(server.url + "/") as page:
        yield page
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(server.url + "/")] == []
