"""The embedding map: points that can be pointed at, clicked, and walked through by keyboard."""

from __future__ import annotations

from typing import Any

from ..doors.conftest import Served
from .chromium import Page

DRAWN = "document.querySelector('.scatter').getContext('2d').getImageData(0, 0, 300, 300).data.some(each => each)"


def test_a_query_is_drawn_among_its_results_and_read_by_a_click(page: Page, server: Served) -> None:
    page.go("about:blank")
    page.go(f"{server.url}/#/map?q=retry+a+payment&repo=shop&view=near")
    page.until("document.querySelectorAll('.near li').length === 30")
    found = server.post("/v1/code/map", {"query": "retry a payment", "repository": "shop"})
    share = 100 * sum(found["variance"])
    page.sees(f"keep {share:.1f} % of all variance", within=".variance")
    assert page.text(".near .near-result").split()[0] == "1"
    assert page.run(DRAWN)
    box = page.run("document.querySelector('.scatter').getBoundingClientRect().toJSON()")
    x, y = place(found, box["width"], box["height"])
    page.mouse(box["x"] + x, box["y"] + y, press=False)
    page.until("!document.querySelector('.tip').hidden")
    page.mouse(box["x"] + x, box["y"] + y)
    page.until("document.querySelector('.detail .line') !== null")
    first = next(point for point in found["points"] if point["rank"] == 1)
    assert page.text(".tip span") == f"{first['file_path']}:{first['first_line']}"
    assert page.text(".detail h2") == f"{first['file_path']}:{first['first_line']}–{first['last_line']}"
    components = page.run("document.querySelector('.strip').getAttribute('aria-label')")
    assert components.startswith(f"{found['dimension']} components")
    page.click(".detail a", "What lies around it")
    page.until(f"location.hash.includes('at={first['chunk_id']}')")


def place(found: Any, width: float, height: float) -> tuple[float, float]:
    """Of the first result, when results and neighbours fill a canvas of that size."""
    points = found["points"]
    near = [*((p["x"], p["y"]) for p in points if p["role"] != "sample"), found["query"]]
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*near, strict=True))
    scale = min((width - 68) / (right - left), (height - 68) / (high - low))
    first = next(point for point in points if point["rank"] == 1)
    x = (width - (right - left) * scale) / 2 + (first["x"] - left) * scale
    y = (height + (high - low) * scale) / 2 - (first["y"] - low) * scale
    return x, y


def test_the_list_beside_the_map_says_the_same_to_those_who_do_not_see_it(page: Page) -> None:
    page.press("2")
    page.until("location.hash === '#/map'")
    page.sees("Choose a point")
    page.press("/")
    page.type("validate an address")
    page.until("location.hash.includes('q=') && document.querySelectorAll('.near li').length === 30")
    assert "10 results and 20 neighbours" in page.run("document.querySelector('.scatter').getAttribute('aria-label')")
    page.press("Escape")
    page.press("j")
    page.press("j")
    page.press("Enter")
    page.until("document.querySelector('.detail .line') !== null")
    second = page.texts(".near .near-path")[1]
    assert page.text(".detail h2").startswith(second)
    page.choose("[name=colour]", "language")
    page.sees("python", within=".legend")
    page.press("1")
    page.until("location.hash === '#/search'")
