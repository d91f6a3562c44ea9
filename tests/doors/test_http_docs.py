"""What can be asked: /docs and /openapi.json."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from mnemolite.serve.security import Access

from .conftest import Serve, Served


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_every_route_and_every_key_of_a_body_and_asks_nobody_else(shop: Served) -> None:
    answer = shop.client.get("/docs")
    page = Page(answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not page.tags & {"script", "link", "img", "iframe"}
    described = shop.get("/openapi.json")
    for path in described["paths"]:
        assert path in page.text
    for name in ("HybridSearch", "NewNote", "CreateEmbeddings", "Index"):
        for key in described["components"]["schemas"][name]["properties"]:
            assert key in page.text


def test_the_guides_name_every_route_and_every_metric(shop: Served) -> None:
    guide = "".join(page.read_text("utf-8") for page in (Path(__file__).parents[2] / "docs").glob("*.md"))
    assert [path for path in shop.get("/openapi.json")["paths"] if path not in guide] == []
    families = re.findall(r"^# TYPE (\w+)", shop.client.get("/metrics").text, re.MULTILINE)
    assert len(families) > 20
    assert [name for name in families if name not in guide and not name.startswith("process_")] == []


def test_what_can_be_asked_is_told_without_a_key(serve: Serve) -> None:
    with serve(rate_per_minute=3) as server:
        server.keys.create("me", Access.READ)
        statuses = [server.client.get(path).status_code for path in ("/docs", "/openapi.json", "/docs", "/docs")]
        assert statuses == [200, 200, 200, 429]
        server.get("/v1/models", 429)
