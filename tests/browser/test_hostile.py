"""What others wrote is shown, and never becomes a part of the page: names of files, code, notes, and addresses."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from mnemolite.records import Context

from ..doors.conftest import served
from .chromium import Browser, Page

HOSTILE = [
    "<img src=x onerror=window.caught=1>",
    "<script>window.caught=1</script>",
    '"><svg onload=window.caught=1>',
    "'><iframe srcdoc='<script>parent.caught=1</script>'>",
    "</pre></code><body onload=window.caught=1>",
    "javascript:window.caught=1",
    "[x](javascript:window.caught=1)",
    "{{constructor.constructor('window.caught=1')()}}${window.caught=1}",
    '<math><mtext><style><img title="</style><img src=x onerror=window.caught=1>">',
    "<a href=javascript:window.caught=1 autofocus onfocus=window.caught=1>x</a>",
    "&lt;img src=x onerror=window.caught=1&gt; \u202e \u2028 &amp;#x3c;b>",
]
REPOSITORIES = HOSTILE[:3]
MADE = "main :is(img, script, iframe, svg, math, style, object, embed, [onerror], [onload], [onfocus], [srcdoc])"


def unharmed(page: Page) -> None:
    assert page.run("window.caught") is None
    assert page.count(MADE) == 0
    assert page.run("[...document.querySelectorAll('a')].every(each => each.href.startsWith(location.origin))")
    assert page.complaints == []


def shows(page: Page, selector: str, texts: list[str]) -> None:
    """All of *texts*, letter by letter."""
    wanted = f"{json.dumps(texts)}.every(text => [...document.querySelectorAll({json.dumps(selector)})]"
    page.until(f"{wanted}.some(each => each.textContent.includes(text)))")


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> object:
    with served(tmp_path_factory.mktemp("hostile")) as server:
        codes = {f"{text}.py": f"def hostile_{i}():\n    # {text}\n    return {i}\n" for i, text in enumerate(HOSTILE)}
        for name in REPOSITORIES:
            server.memory.repositories.add(name, codes)
        for text in HOSTILE:
            server.memory.notes.add(
                f"hostile {text}",
                text,
                tags=[text],
                project=text,
                context=Context(situation=text, solution=text, what_failed=text, keywords=(text,)),
                metadata={"x": text},
            )
        yield server.url, [note.id for note in server.memory.notes.select()]


def test_hostile_files_and_code_are_shown_as_they_are(browser: Browser, addresses: tuple[str, list[str]]) -> None:
    url, _ = addresses
    with browser.page(f"{url}/#/search?q=hostile&limit=100") as page:
        page.until(f"document.querySelectorAll('.hits .hit').length >= {len(REPOSITORIES) * len(HOSTILE)}")
        page.run("document.querySelectorAll('.hit').forEach(each => each.draw?.())")
        shows(page, ".hit h2", [f"{text}.py" for text in HOSTILE])
        shows(page, ".hit .line", [f"# {text}".replace("\u2028", "\u2028") for text in HOSTILE])
        unharmed(page)
        page.click("#pages a", "Map")
        page.until("document.querySelector('.legend li') !== null")
        page.choose("[name=colour]", "repository")
        page.fill("[name=q]", "hostile")
        page.until("document.querySelectorAll('.near li').length > 20")
        for i in range(12):
            page.run(f"document.querySelectorAll('.near button')[{i}].click()")
        page.until("document.querySelector('.detail .line') !== null")
        unharmed(page)
        page.click("#pages a", "Index")
        page.until(f"document.querySelectorAll('.repository').length === {len(REPOSITORIES)}")
        shows(page, ".repository h2", REPOSITORIES)
        page.click(".repository button", "Forget")
        unharmed(page)


def test_hostile_notes_are_shown_as_they_are(browser: Browser, addresses: tuple[str, list[str]]) -> None:
    url, notes = addresses
    with browser.page(f"{url}/#/memory") as page:
        shows(page, ".notes b", [f"hostile {text}" for text in HOSTILE])
        unharmed(page)
        for id in notes:
            page.run(f"location.hash = '#/memory?id={id}'")
            page.until(f"document.querySelector('.notes [aria-current]')?.dataset.id === '{id}'")
            page.until("document.querySelector('.note-view .prose') !== null")
            text = page.run("document.querySelector('.note-view .prose').textContent")
            assert text in HOSTILE
            assert page.texts(".note-view dd")[:3] == [text] * 3
            page.click(".note-view button", "Change")
            page.until("document.querySelector('.note-form') !== null")
            assert page.run("document.querySelector('[name=body]').value") == text
            unharmed(page)


@pytest.mark.parametrize("page_name", ["search", "map", "memory", "index", "status", "<img src=x onerror=caught=1>"])
def test_a_hostile_address_is_only_text(browser: Browser, addresses: tuple[str, list[str]], page_name: str) -> None:
    url, _ = addresses
    with browser.page(url + "/") as page:
        for text in HOSTILE if page_name in ("search", "map", "memory") else HOSTILE[:2]:
            names = ("q", "repo", "lang", "path", "limit", "in", "id", "at", "kind", "colour", "view", "key")
            given = "&".join(f"{name}={quote(text)}" for name in names)
            page.run(f"location.hash = {json.dumps(f'#/{page_name}?{given}')}")
            page.until("document.querySelector('main').childElementCount > 0")
            page.run("new Promise(done => setTimeout(done, 60))")
            unharmed(page)


def test_the_policy_holds_even_where_the_page_would_fail(browser: Browser, addresses: tuple[str, list[str]]) -> None:
    """A page that made markup of strings, loaded from elsewhere or ran inline scripts: each is refused."""
    url, _ = addresses
    with browser.page(url + "/") as page:
        assert "TrustedHTML" in page.run(
            "(() => { try { document.body.innerHTML = '<b>x</b>' } catch (error) { return error.message } })()"
        )
        page.run(
            "(() => { const script = document.createElement('script'); script.setAttribute('nonce', 'x');"
            "try { script.textContent = 'window.caught = 1'; document.body.append(script) } catch { } })()"
        )
        page.run(
            "new Promise(done => { const image = new Image(); image.onerror = done; image.onload = done;"
            " image.src = 'http://127.0.0.1:9/x.png' })"
        )
        assert page.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
        assert page.run("window.caught") is None
        for refused in ("TrustedHTML", "TrustedScript", "img-src", "Refused to connect"):
            assert any(refused in complaint for complaint in page.complaints), page.complaints
