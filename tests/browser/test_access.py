"""For everyone: axe finds nothing serious on any page, in light and dark, on a desk and on a phone."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from ..doors.conftest import Served
from .chromium import Browser, Page

AXE = Path(__file__).with_name("axe.min.js.gz")
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
PAGES = {  # address, and what is there once the page is
    "/#/search": ".examples",
    "/#/search?q=retry+a+payment": ".hit .line",
    "/#/search?q=retry&lexical=0&vector=0": ".failure",
    "/#/map?q=retry+a+payment": ".near li",
    "/#/index": ".repository",
    "/#/memory?id={note}": ".note-view",
    "/#/status": ".histogram",
}
FOUND = """axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations
    .filter(each => ['serious', 'critical'].includes(each.impact))
    .map(each => [each.id, each.help, each.nodes.map(node => node.html)]))"""


def axe() -> str:
    source = gzip.decompress(AXE.read_bytes())
    assert hashlib.sha256(source).hexdigest() == SHA256
    return source.decode()


def judged(page: Page) -> None:
    """Once colours have settled."""
    page.until("document.getAnimations().every(each => each.playState === 'finished')")
    found = page.run(FOUND)
    assert found == [], json.dumps(found, indent=1)


@pytest.mark.parametrize(("scheme", "width", "phone"), [("light", 1280, False), ("dark", 360, True)])
def test_nothing_serious_is_found(browser: Browser, server: Served, scheme: str, width: int, phone: bool) -> None:
    note = server.memory.notes.select()[0].id
    script = axe()
    with browser.page(server.url + "/", width=width, height=800, phone=phone) as page:
        page.prefers(scheme)
        page.run(script + "; 0")
        for address, there in PAGES.items():
            page.run(f"location.hash = {json.dumps(address.removeprefix('/').format(note=note))}")
            page.until(f"document.querySelector({json.dumps(there)}) !== null")
            judged(page)
            assert page.run("document.documentElement.scrollWidth") <= width, f"{address} is wider than the screen"
        page.click("#pages a", "Memory")
        page.click("button", "New note")
        page.until("document.querySelector('.note-form') !== null")
        judged(page)
        page.click("#pages a", "Index")
        page.click("summary", "Index a repository")
        judged(page)
        if not phone:
            page.click("#help-button")
            page.until("document.querySelector('dialog[open]') !== null")
            judged(page)
        assert page.complaints == []


def test_a_page_is_a_landmark_with_one_heading_and_a_link_to_skip_to_it(page: Page) -> None:
    page.sees("Ask in words")
    assert page.run("[...document.querySelectorAll('h1')].map(each => each.innerText)") == ["Search"]
    page.run("document.activeElement.blur()")
    page.press("Tab")
    assert page.run("document.activeElement.innerText") == "Skip to the page"
    page.press("Enter")
    page.until("document.activeElement === document.querySelector('main')")
    assert page.text("h1") == "Search"
    page.click("#pages a", "Status")
    page.until("document.querySelector('[aria-current=page]').innerText === 'Status'")
    assert page.run("document.title") == "Status · MnemoLite"
