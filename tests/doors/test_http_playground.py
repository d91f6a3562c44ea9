"""The page of the server, as it is sent: what it may load and do."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from mnemolite.serve.http.playground import POLICY
from mnemolite.serve.security import Access

from .conftest import Served, served

FOLDER = files("mnemolite.serve").joinpath("playground")
FILES = {each.name: each.read_text("utf-8") for each in FOLDER.iterdir() if each.is_file()}


def test_the_page_loads_its_own_files_alone(shop: Served) -> None:
    answer = shop.client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers.get_list("content-security-policy") == [POLICY]
    asked = set(re.findall(r'(?:src|href)="/playground/([^"]+)"', answer.text))
    for name, text in FILES.items():
        asked |= set(re.findall(r'(?:from|import\() ?"\./([^"]+)"', text)) if name.endswith(".js") else set()
    assert asked == FILES.keys() - {"index.html"}
    for name in asked:
        sent = shop.client.get(f"/playground/{name}")
        assert sent.text == FILES[name]
        assert sent.headers["x-content-type-options"] == "nosniff"
        assert sent.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize("name", FILES)
def test_a_file_names_no_other_site_and_makes_no_markup_of_strings(name: str) -> None:
    text = FILES[name].replace("http://www.w3.org/2000/svg", "")
    assert "://" not in text
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser"
    assert not re.search(forbidden, text)
    if name.endswith((".html", ".svg")):
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", text)


@pytest.mark.parametrize("name", ["../guard.py", "..%2fguard.py", "nothing.js", "__init__.py", "%2e%2e/app.py"])
def test_there_is_no_other_file(shop: Served, name: str) -> None:
    assert shop.client.get(f"/playground/{name}").status_code == 404


def test_a_key_is_told_what_it_may(tmp_path_factory: pytest.TempPathFactory) -> None:
    with served(tmp_path_factory.mktemp("session"), index_roots=("/src",)) as server:
        server.memory.repositories.add("x", {"a.go": "package a\n"})
        free = server.get("/v1/session")
        assert (free["access"], free["folders"], free["languages"], free["tree"]) == ("admin", ["/src"], ["go"], None)
        _, token = server.keys.create("ci", Access.WRITE, ["shop"])
        assert server.client.get("/").status_code == server.client.get("/playground/app.js").status_code == 200
        server.get("/v1/session", 401)
        confined = server.get("/v1/session", headers={"X-API-Key": token})
        assert (confined["access"], confined["projects"], confined["folders"]) == ("write", ["shop"], [])
        assert "python" in confined["languages"]
