"""The pictures of the docs, of the page as it is: written by `make screenshots`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnemolite.records import Context, Relation
from mnemolite.types import Kind

from ..doors.conftest import GOLDEN, Served, served
from .chromium import Browser, Page

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs/images"
MOST_BYTES = 150_000
PICTURES = {  # name: address, what is there once the page is, scheme, size
    "search": (
        "/#/search?q=where+are+the+lists+of+a+search+fused%3F&repo=mnemolite",
        ".hit .line",
        "light",
        (1120, 720),
    ),
    "search-dark": ("/#/search?q=charge+a+card+once&repo=shop", ".hits .line", "dark", (1120, 720)),
    "search-phone": ("/#/search?q=validate+an+email&repo=shop", ".hit .line", "light", (390, 700)),
    "map": ("/#/map?q=retry+a+payment&repo=shop", ".near li", "light", (1120, 720)),
    "index": ("/#/index", ".job", "light", (1120, 640)),
    "memory": ("/#/memory?id={note}", ".note-view", "light", (1120, 720)),
    "status": ("/#/status", ".histogram", "dark", (1220, 760)),
}

pytestmark = pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="pictures are written by: make screenshots")


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """This repository's own code, a small shop, and what was learnt about it."""
    with served(tmp_path_factory.mktemp("shown"), index_roots=(str(GOLDEN), str(ROOT / "src")), workers=2) as server:
        for name, folder in (("shop", GOLDEN), ("mnemolite", ROOT / "src")):
            server.memory.indexing.submit(name, path=str(folder))
        while any(not job.state.is_final for job in server.memory.indexing.jobs()):
            time.sleep(0.2)
        for query in ("retry", "cache", "parse", "an email", "retry", "charge a card", "retry", "a webhook"):
            server.post("/v1/code/search/hybrid", {"query": query})
        write_notes(server)
        yield server


def write_notes(server: Served) -> None:
    notes = server.memory.notes
    notes.add(
        "Run migrations before the workers",
        "They ask for columns that are not there yet.",
        kind=Kind.BUG,
        project="shop",
    )
    once = notes.add("Refunds take five days", "The bank's, not ours.", kind=Kind.REFERENCE, tags=["refunds"])
    same_key = notes.add(
        "Retry payments with a key that stays the same",
        "Else a card is charged twice.",
        kind=Kind.PITFALL,
        tags=["pay"],
    )
    five = notes.add("Payments are retried five times", "Until March.", kind=Kind.DECISION, project="shop")
    three = notes.add(
        "Payments are retried three times",
        "The gateway answers 502 when it is busy. After the third try the charge is queued, and a person looks at it in"
        " the morning.",
        kind=Kind.DECISION,
        tags=["pay", "gateway"],
        project="shop",
        context=Context(
            situation="a charge fails with 502",
            solution="wait twice as long each time, then retry with the same key",
            what_failed="retrying at once",
        ),
    )
    notes.link(same_key.id, Relation.RELATED, three.id, "both are about retries")
    notes.link(three.id, Relation.SUPERSEDES, five.id, "the gateway is faster now")
    notes.link(three.id, Relation.RELATED, once.id, "what customers ask next")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small(browser: Browser, shown: Served, name: str) -> None:
    address, there, scheme, (width, height) = PICTURES[name]
    [note] = [each.id for each in shown.memory.notes.select() if each.title == "Payments are retried three times"]
    with browser.page(shown.url + "/", width=width, height=height, phone=width < 500) as page:
        page.prefers(scheme)
        page.run(f"location.hash = {address.removeprefix('/').format(note=note)!r}")
        page.until(f"document.querySelector({there!r}) !== null")
        if name == "map":
            page.click(".near button")
            page.until("document.querySelector('.detail .line') !== null")
        if name == "status":
            page.until("document.querySelectorAll('.spark i').length > 2")
        picture = settled(page)
    assert len(picture) < MOST_BYTES
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.png").write_bytes(picture)


def settled(page: Page) -> bytes:
    """Once nothing moves any more."""
    page.until("document.getAnimations().every(each => each.playState === 'finished')")
    page.run("new Promise(done => setTimeout(done, 300))")
    return page.picture()
