"""The search page: what a person asks, sees, and does with the keyboard."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from mnemolite.serve.security import Access

from ..doors.conftest import PROGRAM, Served, served
from .chromium import Browser, Page

FOUND = "document.querySelectorAll('.hit').length > 0 && !document.querySelector('[aria-busy]')"


def ask(page: Page, query: str) -> None:
    page.fill("[name=q]", query)
    page.until(f"location.hash.includes('q=') && {FOUND}")


def test_a_question_is_answered_by_cards_that_say_why(page: Page, server: Served) -> None:
    page.sees("Ask in words, or give a name")
    ask(page, "how often is a payment retried?")
    [first, *_] = server.post("/v1/code/search/hybrid", {"query": "how often is a payment retried?"})["results"]
    assert page.text(".hits h2") == f"{first['file_path']}:{first['first_line']}–{first['last_line']}"
    values = page.texts(".hit .bar-value")
    assert [float(value) for value in values[:2]] == [
        round(first["contribution"][name], 3) for name in ("lexical", "vector")
    ]
    widths = page.run("[...document.querySelectorAll('.bar-fill')].map(e => e.getBoundingClientRect().width)")
    assert len(widths) == 20 and max(widths) > 100
    assert "This is it" not in page.text(".hit footer")  # nothing is kept unless a setting says so
    assert page.count(".code .t-keyword") and page.count(".code mark")
    shown = page.run("document.querySelector('.hit .line').dataset.number")
    assert first["first_line"] <= int(shown) <= first["last_line"]
    page.sees("10 results")
    page.sees("complete")
    page.sees("Payments are retried three times", within=".beside")
    assert page.text("#said").startswith("10 results")


def test_the_address_holds_the_state(page: Page, server: Served) -> None:
    ask(page, "retry")
    page.choose("[name=repo]", "shop")
    page.choose("[name=lang]", "python")
    page.fill("[name=path]", "services/**")
    page.click(".switch", "Synonyms")
    page.until("location.hash.includes('expand=0')")
    page.until(FOUND)
    address = page.address()
    for part in ("q=retry", "repo=shop", "lang=python", "path=services%2F**", "expand=0"):
        assert part in address
    before = page.texts(".hit h2")
    assert before and all("services/" in text and ".py:" in text for text in before)
    page.go("about:blank")
    page.go(server.url + "/" + address)
    page.until(FOUND)
    assert page.texts(".hit h2") == before
    assert page.run("document.querySelector('[name=expand]').checked") is False
    page.click(".switch", "Synonyms")
    page.until("!location.hash.includes('expand')")
    page.run("history.back()")
    page.until("location.hash.includes('expand=0') && !document.querySelector('[name=expand]').checked")


def test_an_address_that_changes_while_a_page_opens_wins(page: Page, server: Served) -> None:
    for _ in range(3):
        page.go("about:blank")
        page.ask("Page.navigate", url=f"{server.url}/#/map?q=cache")
        page.until("document.querySelector('#pages a') !== null")
        page.run("location.hash = '#/memory'; setTimeout(() => location.hash = '#/search?q=retry?&repo=shop', 0)")
        page.until(FOUND)
        assert page.texts("h1") == ["Search"]
        assert page.run("document.querySelector('[name=q]').value") == "retry?"
        assert page.run("document.querySelector('[name=repo]').value") == "shop"


def test_each_switch_does_what_it_says(page: Page) -> None:
    ask(page, "retry a payment")
    page.click(".switch", "Meaning")
    page.until("[...document.querySelectorAll('.meaning .bar-value')].every(each => each.textContent === '0.000')")
    page.click(".switch", "Words")
    page.sees("lexical and vector search are both off", within=".failure")
    page.click(".switch", "Meaning")
    page.until("[...document.querySelectorAll('.words .bar-value')].every(each => each.textContent === '0.000')")
    page.click(".segments label", "Notes")
    page.sees("Retry payments with a key", within=".hits")
    assert page.count(".note-hit") == page.count(".hit")
    page.click(".segments label:nth-of-type(2)")
    page.fill("[name=path]", "no/such/folder/**")
    page.sees("Nothing was found")


def test_the_keyboard_is_enough(page: Page) -> None:
    page.sees("Ask in words")
    page.run("document.activeElement.blur()")
    page.press("/")
    page.type("retry")
    page.until(FOUND)
    page.press("Enter")
    focused = "document.activeElement.querySelector('h2')?.id"
    ids = page.run("[...document.querySelectorAll('.hit h2')].map(each => each.id)")
    assert page.run(focused) == ids[0]
    page.press("j")
    page.press("j")
    assert page.run(focused) == ids[2]
    page.press("k")
    assert page.run(focused) == ids[1]
    folded = "document.activeElement.querySelectorAll('.line').length"
    code = next(n for n, id in enumerate(ids) if id.startswith("hit-") and n > 0)
    while page.run(focused) != ids[code]:
        page.press("j")
    few = page.run(folded)
    page.press("Enter")
    assert page.run(folded) >= few
    page.press("?")
    page.sees("next, previous result", within="dialog[open]")
    page.press("Escape")
    page.until("!document.querySelector('dialog[open]')")
    page.press("t")
    assert page.run("document.documentElement.dataset.theme") == "light"
    page.press("t")
    assert page.run("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_a_thousand_results_are_drawn_as_they_come_near(page: Page) -> None:
    page.choose("[name=limit]", "1000")
    page.choose("[name=repo]", "many")
    ask(page, "count of the ledger")
    page.until("document.querySelectorAll('.hit').length === 1000")
    drawn = "[...document.querySelectorAll('.hit')].filter(each => each.querySelector('.line')).length"
    assert 0 < page.run(drawn) < 200
    page.run("document.querySelectorAll('.hit')[999].focus()")
    page.until("document.querySelectorAll('.hit')[999].querySelector('.line') !== null")
    page.press("k")
    assert page.run("[...document.querySelectorAll('.hit')].indexOf(document.activeElement)") == 998


def test_what_an_answer_does_not_rest_on_is_shown(browser: Browser, server: Served, data: Path) -> None:
    with (
        served(data, embedding_model="/no/such/model") as without,
        browser.page(f"{without.url}/#/search?q=retry") as page,
    ):
        page.until("document.querySelector('.degraded') !== null")
        assert "/no/such/model" in page.text(".degraded")
        assert "complete" not in page.text(".summary")
        assert page.complaints == []


def test_the_right_result_is_kept_where_a_setting_says_so(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path, feedback=True) as server:
        server.memory.repositories.add("x", {"a.py": "def alpha():\n    return 1\n", "b.py": "def alpha_two(): ...\n"})
        with browser.page(f"{server.url}/#/search?q=alpha") as page:
            page.until(FOUND)
            page.press("j")
            page.press("j")
            chosen = page.text(".hit:focus h2").split(":")[0]
            page.press("a")
            page.sees("✓ Kept", within=".hit:focus")
            assert page.complaints == []
        [kept] = map(json.loads, server.client.get("/v1/feedback").text.splitlines())
        assert kept["query"] == "alpha" and chosen in json.dumps(kept)


def test_the_key_is_asked_for_and_stays_in_the_tab(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path) as server:
        _, token = server.keys.create("me", Access.READ)
        server.memory.repositories.add("x", {"a.py": "def alpha():\n    return 1\n"})
        with browser.page(f"{server.url}/#/search?q=alpha") as page:
            page.sees("API key", within="dialog[open]")
            page.fill("#key input", "mnl_00000000_wrong")
            page.press("Enter")
            page.sees("not valid", within="dialog[open]")
            page.fill("#key input", token)
            page.press("Enter")
            page.until(FOUND)
            assert page.text(".hit h2").startswith("a.py")
            assert page.run("sessionStorage.getItem('mnemolite.key')") == token
            assert page.run("JSON.stringify([{...localStorage}, document.cookie, location.href])").count(token) == 0


def test_ui_shows_the_tree_it_is_started_in_as_it_is_now(browser: Browser, tree: Path) -> None:
    subprocess.run([PROGRAM, "index", tree], check=True, capture_output=True)
    command = [PROGRAM, "ui", str(tree), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            (tree / "auth/phone.py").write_text("def validate_phone_number(digits):\n    return len(digits) > 6\n")
            with browser.page(address) as page:
                ask(page, "validate a phone number")
                assert page.text(".hit h2") == "auth/phone.py:1–2"
                page.sees("fresh")
                assert "key=" not in page.run("location.href")
                assert page.count("[name=repo]") == 0
                page.press("Escape")
                page.press("3")
                page.click("button", "Bring it up to date")
                page.sees("success", within=".job")
                assert str(tree) in page.text(".job") and str(tree) in page.text(".repository")
                assert page.complaints == []
        finally:
            process.terminate()
    assert process.returncode in (0, -15, 143)
