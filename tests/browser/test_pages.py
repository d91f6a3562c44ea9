"""The pages of repositories, notes and the server's status."""

from __future__ import annotations

from pathlib import Path

from mnemolite.jobs import JobState
from mnemolite.serve.security import Access
from mnemolite.serve.worker import Workers

from ..doors.conftest import served
from .chromium import Browser

REPOSITORY = {
    "shop/src/pay.py": b"def charge(card):\n    return card.take()\n",
    "shop/src/mail.py": b"def validate_email(address):\n    return '@' in address\n",
    "shop/logo.png": b"\x89PNG\0\0",
    "shop/.git/config": b"[core]\n",
}


def test_a_repository_is_indexed_watched_and_forgotten(browser: Browser, tmp_path: Path) -> None:
    root = tmp_path / "src"
    for name, content in REPOSITORY.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    with (
        served(tmp_path / "data", index_roots=(str(root),), job_threads=1) as server,
        browser.page(f"{server.url}/#/index") as page,
    ):
        page.sees("Nothing is indexed yet")
        page.click("summary", "Index a repository")
        page.fill("[name=path]", "/etc")
        page.fill("[name=repository]", "shop")
        page.click("button.primary", "Index")
        page.sees("is not in a folder that may be indexed", within=".result")
        page.fill("[name=path]", str(root / "shop"))
        page.click("button.primary", "Index")
        page.sees("success", within=".job")
        page.sees("2 chunks stored", within=".job")
        page.sees("1 file left out", within=".repository")
        page.click(".skipped summary")
        assert page.texts(".skipped .bar-row") == ["binary1"]
        page.fill("[name=repository]", "sent")
        node = page.ask("DOM.getDocument")["root"]["nodeId"]
        files = page.ask("DOM.querySelector", nodeId=node, selector="[name=files]")["nodeId"]
        page.ask("DOM.setFileInputFiles", nodeId=files, files=[str(root / "shop")])
        page.click("button.primary", "Index")
        page.until("[...document.querySelectorAll('.repository h2')].some(each => each.innerText === 'sent')")
        assert set(server.memory.repositories.store.files("sent")) == {"src/pay.py", "src/mail.py"}
        assert page.text("#said").startswith("Indexed: 2 files read")
        page.click(".repository:last-child button", "Forget")
        page.click(".repository:last-child button", "Forget shop for good?")
        page.until("document.querySelectorAll('.repository').length === 1")
        assert [source.name for source in server.memory.repositories.all()] == ["sent"]
        assert page.complaints == []


def test_a_job_is_watched_ended_and_gone_on_with(browser: Browser, tmp_path: Path) -> None:
    with (
        served(tmp_path, job_threads=0) as server,  # no one works on it yet
        browser.page(f"{server.url}/#/index") as page,
    ):
        page.sees("Nothing is indexed yet")
        job = server.memory.indexing.submit("shop", files={"a.py": "def alpha():\n    return 1\n"})
        page.run("location.reload()")
        page.sees("pending", within=".job")
        assert page.run("document.querySelector('.job progress').value") == 0
        page.click(".job button", "Cancel")
        page.sees("cancelled", within=".job")
        page.click(".job button", "Go on with it")
        page.sees("pending", within=".job")
        workers = Workers(server.memory.indexing, 1)
        workers.start()
        try:
            page.sees("success", within=".job")
            page.sees("1 chunk stored", within=".job")
            page.until("document.querySelectorAll('.repository').length === 1")
        finally:
            workers.stop()
        assert server.memory.indexing.get(job.id).state == JobState.SUCCESS
        assert page.complaints == []


def test_a_key_that_may_read_is_shown_nothing_to_write_with(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path) as server:
        _, token = server.keys.create("me", Access.READ)
        server.memory.repositories.add("x", {"a.py": "def alpha():\n    return 1\n"})
        server.memory.notes.add("A note", "Its text.")
        with browser.page(f"{server.url}/#key={token}") as page:
            page.sees("Ask in words")
            page.press("3")
            page.sees("This key may read", within="main")
            assert page.count("form, .repository button") == 0
            page.press("4")
            page.click(".notes a", "A note")
            page.sees("Its text.", within=".note-view")
            assert page.count("main button") == 0
            assert page.complaints == []


def test_a_note_is_written_changed_linked_removed_and_brought_back(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path) as server, browser.page(f"{server.url}/#/memory") as page:
        page.sees("No notes here")
        other = server.memory.notes.add("Payments are retried three times", "The gateway is busy at noon.")
        page.click("button", "New note")
        page.type("Charge with a key that stays the same")
        page.choose(".note-form [name=kind]", "pitfall")
        page.fill("[name=body]", "Else a card is charged twice.")
        page.fill("[name=tags]", "pay, retries")
        page.click("summary", "When does it apply?")
        page.fill("[name=situation]", "a charge is retried")
        page.click("button.primary", "Save")
        page.sees("Else a card is charged twice.", within=".note-view")
        [note] = [each for each in server.memory.notes.select() if each.id != other.id]
        assert (note.kind, note.tags, note.context.situation) == ("pitfall", ("pay", "retries"), "a charge is retried")
        assert f"id={note.id}" in page.address()
        page.click("button", "Change")
        page.fill(".note-form [name=title]", "Charge with one key")
        page.click("button.primary", "Save")
        page.sees("Charge with one key", within=".note-view")
        assert server.memory.notes.get(note.id).body == note.body
        page.sees("changed, 1 time in all", within=".timeline")
        page.click("button", "Link")
        page.choose("[name=relation]", "derived_from")
        page.fill("[name=reason]", "both are about retries")
        page.click(".link-form button", "Link")
        page.sees("both are about retries", within=".links")
        [link] = server.memory.notes.get(note.id).links
        assert (link.relation, link.target) == ("derived_from", other.id)
        page.click(".links a", "Payments are retried three times")
        page.sees("The gateway is busy at noon.", within=".note-view")
        page.run("history.back()")
        page.sees("Else a card is charged twice.", within=".note-view")  # of this note alone: the other names its title
        page.click("button.danger", "Remove")
        page.until("document.querySelectorAll('.notes a').length === 1")
        page.choose("[name=deleted]", "1")
        page.click(".notes a", "Charge with one key")
        page.click("button", "Bring it back")
        page.until("document.querySelectorAll('.notes a').length === 2")
        assert server.memory.notes.get(note.id).deleted_at is None
        page.fill("[name=q]", "charged twice")
        page.until("location.hash.includes('q=charged')")
        page.until("document.querySelector('.notes a').innerText.startsWith('Charge with one key')")
        assert page.complaints == []


def test_the_note_that_was_chosen_last_is_shown_though_its_answer_comes_first(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path) as server:
        slow = server.memory.notes.add("Slow", "Chosen first.")
        server.memory.notes.add("Quick", "Chosen last.")
        with browser.page(f"{server.url}/#/memory") as page:
            page.sees("Slow", within=".notes")
            page.run(
                "(() => { const fetched = window.fetch; window.late = 0; window.fetch = async (...asked) => {"
                f" const late = !window.go && String(asked[0].url ?? asked[0]).includes('{slow.id}');"
                " const answer = await fetched(...asked);"
                " if (late) { await new Promise((go) => { window.go = go; });"
                " setTimeout(() => { window.late += 1; }, 300); }"
                " return answer; }; })()"
            )
            page.click(".notes a", "Slow")
            page.until("window.go !== undefined")
            page.click(".notes a", "Quick")
            page.sees("Chosen last.", within=".note-view")
            page.run("window.go()")
            page.until("window.late > 0")  # and what is to be drawn of it is
            assert "Chosen last." in page.run("document.querySelector('.note-view').innerText")
            assert page.complaints == []


def test_the_status_page_shows_what_the_metrics_say(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path, ram_budget_mb=900) as server:
        server.memory.repositories.add("x", {"a.py": "def alpha():\n    return 1\n"})
        for query in ("alpha", "beta", "alpha"):
            server.post("/v1/code/search/hybrid", {"query": query})
        with browser.page(f"{server.url}/#/status") as page:
            page.until("document.querySelectorAll('.status .card').length === 8")
            cards = {text.split("\n")[0]: text for text in page.run(CARDS)}
            assert "mnemolite-static-1" in cards["Models"] and "of 900 MB" in cards["Memory"]
            assert "33 %" in cards["Cache of embeddings"] and "3 queries" in cards["Cache of embeddings"]
            assert "3 hybrid" in cards["Searches"]
            counts = page.run("[...document.querySelectorAll('.histogram')[0].children].map(each => each.title)")
            assert sum(int(text.rsplit(": ", 1)[1]) for text in counts) == 3
            assert "requests wait" in cards["Queue"] and "/ 16" in cards["Queue"]
            page.sees("/v1/code/search/hybrid", within=".status .wide")
            page.click("button", "Pause")
            page.sees("Go on")
            assert page.complaints == []


CARDS = "[...document.querySelectorAll('.status .card')].map(each => each.innerText)"
