"""Notes on the command line. Most tests call the program's main function, for a process takes half a second each."""

from __future__ import annotations

import io
import json
import random
import stat
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mnemolite import cli

PROGRAM = Path(sys.executable).parent / "mnemolite"
REKALL = PROGRAM.with_name("rekall")


class Shell:
    """Runs the program in a folder, with notes of its own."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, streams: pytest.CaptureFixture[bytes]) -> None:
        self.folder = folder
        self.err = ""
        self._patch = patch
        self._streams = streams

    def __call__(
        self, *arguments: object, program: Path = PROGRAM, stdin: str | bytes = b"", code: int = 0, **environ: str
    ) -> str:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        with self._patch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", [str(program), *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
            for name, value in environ.items():
                patch.setenv(name, value)
            self._streams.readouterr()
            returned = cli.run()
        out, err = self._streams.readouterr()
        self.err = err.decode()
        assert returned == code, (returned, self.err, out)
        return out.decode()

    def beside(self, name: str) -> Shell:
        """The same in another folder."""
        folder = self.folder.parent / name
        folder.mkdir()
        return Shell(folder, self._patch, self._streams)

    def json(self, *arguments: object, **more: Any) -> Any:
        return json.loads(self(*arguments, "--json", **more))

    def add(self, kind: str, title: str, *more: object, **given: Any) -> str:
        return str(self.json("note", "add", kind, title, *more, **given)["id"])


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Shell:
    (tmp_path / "shop").mkdir()
    return Shell(tmp_path / "shop", monkeypatch, capsysbinary)


def test_the_installed_programs_remember(tmp_path: Path) -> None:
    def program(path: Path, *arguments: str) -> str:
        return subprocess.run([path, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    id = program(REKALL, "add", "bug", "Cache returns stale rows").split()[0]
    assert program(PROGRAM, "note", "search", "stale cache").startswith(id)


def test_a_note_lives_from_add_to_restore(shell: Shell) -> None:
    options = ("-t", "db", "--tag", "ops", "-c", "4", "--situation", "under load", "--keyword", "stall", "-b", "Body.")
    note = shell.json("note", "add", "bug", "Pool runs dry", *options)
    id = note["id"]
    assert (note["tags"], note["confidence"], note["context"]["keywords"]) == (["db", "ops"], 4, ["stall"])
    assert "Pool runs dry" in shell("note", "show", id[:9])
    shell("note", "edit", id, "--title", "Pool ran dry", "--status", "obsolete", "--solution", "more")
    edited = shell.json("note", "show", id)
    assert (edited["title"], edited["status"], edited["tags"]) == ("Pool ran dry", "obsolete", ["db", "ops"])
    assert edited["context"] == {"situation": "under load", "solution": "more", "keywords": ["stall"]}
    assert shell("note", "list").split()[0] == id
    assert "removed" in shell("note", "rm", id)
    assert shell("note", "list", code=1) == ""
    assert id in shell("note", "list", "--removed")
    shell("note", "restore", id)
    assert "[obsolete]" in shell("note", "list")
    shell("note", "rm", "--purge", id)
    shell("note", "restore", id, code=2)
    assert f"no note '{id}' in project 'shop'" in shell.err


def test_a_body_from_stdin_is_kept_byte_for_byte(shell: Shell) -> None:
    body = "---\r\nfirst\r\n\ttab é \u2028 😀\n\n"
    id = shell.add("snippet", "Bytes", "--body", "-", stdin=body)
    assert shell.json("note", "show", id)["body"] == body
    assert shell("note", "show", id, "--markdown").endswith("---\n" + body)
    shell("note", "add", "bug", "x", "-b", "-", stdin=b"ab\xff", code=2)
    assert "stdin is not UTF-8 at byte 2" in shell.err
    shell("note", "add", "bug", "x", "-b", "-", stdin=b"a\0b", code=2)
    assert "the body has a NUL character at position 1" in shell.err
    large = "0123456789abcdef" * 2**16
    assert shell.json("note", "show", shell.add("bug", "Large", "-b", "-", stdin=large))["body"] == large


def test_a_note_is_added_as_json(shell: Shell) -> None:
    given = {"kind": "decision", "title": "As JSON", "tags": ["a"], "context": {"situation": "s"}}
    added = shell.json("note", "add", stdin=json.dumps(given))
    assert {key: added[key] for key in given} == given
    assert shell.json("note", "add", stdin=json.dumps(given))["id"] != added["id"]
    shell("note", "add", "--json", stdin='{"titel": "x"}', code=2)
    assert "a note has no 'titel'; it has id, kind, title" in shell.err
    shell("note", "add", "--json", stdin="[]", code=2)
    assert "stdin is no JSON object" in shell.err


def test_what_show_prints_as_json_can_be_taken_in_again(shell: Shell) -> None:
    (shell.folder / "charge.py").write_text("def charge_card(card): ...\n")
    shell("index", ".")
    added = shell("note", "add", "bug", "Taken twice", "--at", "charge.py:1", "--json")
    shown = shell("note", "show", json.loads(added)["id"], "--json")
    assert '"standings"' in shown
    for given in (added, shown):
        shell("note", "import", "-", stdin=given)
        shell("note", "add", "--json", stdin=given)
    assert len(shell("note", "list").splitlines()) == 1


@pytest.mark.parametrize("title", ["", " \t"])
def test_a_note_without_a_title_is_refused(shell: Shell, title: str) -> None:
    shell("note", "add", "bug", title, code=2)
    assert "the title is empty" in shell.err
    shell("note", "list", code=1)


def editor(folder: Path, program: str) -> str:
    script = folder / "editor"
    script.write_text(f"#!{sys.executable}\nimport sys, pathlib\npath = pathlib.Path(sys.argv[1])\n{program}\n")
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    return str(script)


def test_the_editor_gets_the_note_as_markdown_and_gives_it_back(shell: Shell, tmp_path: Path) -> None:
    write = "path.write_bytes(path.read_bytes().replace(b'(title)', b'From the editor') + b'line\\r\\n')"
    shell("note", "add", "pitfall", VISUAL=editor(tmp_path, write))
    [note] = [json.loads(line) for line in shell("note", "list", "--json").splitlines()]
    assert (note["kind"], note["title"], note["body"]) == ("pitfall", "From the editor", "line\r\n")
    shell("note", "edit", note["id"], VISUAL=editor(tmp_path, "pass"))
    assert shell.json("note", "show", note["id"])["revision"] == 1
    shell("note", "edit", note["id"], VISUAL=editor(tmp_path, "path.write_text('---\\ntitle\\n')"), code=2)
    assert "nothing was stored, what you wrote is in" in shell.err
    kept = Path(shell.err.split("what you wrote is in ")[1].strip())
    assert kept.read_text() == "---\ntitle\n"
    kept.unlink()
    shell("note", "edit", note["id"], VISUAL=editor(tmp_path, "path.write_text('half'); sys.exit(1)"), code=2)
    kept = Path(shell.err.split("Editing failed; nothing was stored, what you wrote is in ")[1].strip())
    assert kept.read_text() == "half"
    kept.unlink()


def test_search_finds_by_meaning_with_exit_codes_of_grep(shell: Shell) -> None:
    shell("note", "search", "anything", code=1)
    first = shell.add("decision", "Passwords are hashed with argon2", "-b", "It resists attacks with graphics cards.")
    second = shell.add("config", "Port of the payment service", "-b", "9090 on all machines")
    [hit, *_] = shell.json("note", "search", "how do we store credentials securely?")["hits"]
    assert (hit["type"], hit["id"]) == ("note", first)
    assert {"score", "ranks", "signals", "snippet", "title", "kind", "status", "superseded_by"} <= set(hit)
    assert shell.json("note", "similar", first)["hits"][0]["id"] == second
    assert json.loads(shell("note", "search", "port", "--jsonl").splitlines()[0])["id"] == second
    assert shell.json("note", "search", "port", "--kind", "decision", "--lexical-only", code=1)["hits"] == []
    shell("note", "search", "", code=2)
    shell("note", "search", "port", "--since", "yesterday", code=2)
    assert "--since 'yesterday' is no time; write 2026-01-31" in shell.err


def test_a_superseded_note_says_what_replaced_it(shell: Shell) -> None:
    old, new = shell.add("config", "The port is 8080"), shell.add("config", "The port is 9090 now")
    shell("note", "link", new, "supersedes", old, "--reason", "moved behind a proxy")
    text = shell("note", "search", "port 8080")
    assert text.index(new) < text.index(f"superseded by {new} The port is 9090 now")
    assert "moved behind a proxy" in shell("note", "show", old)
    assert f"[superseded by {new}]" in shell("note", "list")
    shell("note", "link", old, "supersedes", new, code=2)
    assert "cannot supersede each other" in shell.err
    shell("note", "unlink", new, old)
    assert "superseded" not in shell("note", "list")


def test_rekall_has_the_short_forms(shell: Shell) -> None:
    def rekall(*arguments: object, **more: Any) -> str:
        return shell(*arguments, program=REKALL, **more)

    id = rekall("add", "bug", "Cache returns stale rows", "-b", "Invalidate on write.").split()[0]
    other = rekall("add", "pattern", "Invalidate caches on write").split()[0]
    assert rekall("search", "stale cache").startswith(id)
    assert rekall("similar", id).startswith(other)
    assert rekall("index", "rebuild") == "indexed 2 notes\n"
    assert "notes" in rekall("stats", "--memory")
    assert rekall("show", id).startswith(id) and rekall("list") and rekall("export", "-")
    rekall("review", id, 4)
    rekall("review", id, code=2)


def test_code_and_notes_are_searched_together_each_first_under_its_name(shell: Shell) -> None:
    (shell.folder / "charge.py").write_text("def charge_card(card, cents):\n    '''Charge a card once.'''\n")
    shell("index", ".")
    note = shell.add("bug", "Charge a card twice", "-b", "The gateway retries: charge a card with a key.")
    shell.add("bug", "Colours", "-b", "green")

    def kinds(*more: str, **by: Any) -> list[str]:
        return [hit["type"] for hit in shell.json("search", "charge a card", *more, **by)["hits"]]

    assert kinds() == ["code", "note"]
    assert kinds("--code") == ["code"]
    assert kinds("--notes") == ["note", "note"]
    assert kinds(program=REKALL) == ["note", "note", "code"]
    text = shell("search", "charge a card", "--explain")
    assert text.index("charge.py:1-2") < text.index(note)
    assert shell("search", "charge a card", program=REKALL).startswith(note)


def test_a_note_says_how_the_code_it_points_at_stands(shell: Shell) -> None:
    shell("note", "add", "bug", "x", "--at", "charge.py:1", code=2)
    assert "run 'mnemolite index'" in shell.err
    charge = shell.folder / "charge.py"
    charge.write_text(
        "import money\n\n\ndef charge_card(card, cents):\n    card.hold(cents)\n    return card.take(cents)\n"
    )
    shell("index", ".")
    given = json.dumps({"kind": "decision", "title": "Hold first"})
    note = shell.json("note", "add", "--at", "charge.py:charge_card", stdin=given)
    id, [anchor] = note["id"], note["anchors"]
    assert (anchor["path"], anchor["name"], anchor["first_line"]) == ("charge.py", "charge_card", 4)
    shell("note", "edit", id, "--at", "nowhere.py:1", code=2)
    assert "nowhere.py is not indexed" in shell.err
    assert "charge.py:charge_card (fresh, charge.py:4-6)" in shell("note", "show", id)
    assert "[" not in shell("note", "list")

    charge.write_text(charge.read_text().replace("card.hold(cents)", "card.hold(cents, days=1)"))
    drifted = "drifted, 33 % of its lines changed, charge.py:4-6"
    for command in (["note", "show", id], ["note", "list"], ["note", "search", "hold"], ["note", "review"]):
        assert drifted in shell(*command)
    text = shell("search", "charge a card")
    assert text.index("charge.py:1-6") < text.index(f"note {id} decision Hold first ({drifted})")
    [hit] = shell.json("search", "charge a card", "--code")["hits"]
    assert hit["notes"] == []
    hit, *_ = shell.json("search", "charge a card")["hits"]
    assert (hit["notes"][0]["id"], hit["notes"][0]["standing"]["state"]) == (id, "drifted")
    (shell.folder / "refund.py").write_text("def refund_card(card, cents):\n    return card.take(-cents)\n")
    assert f"note {id} decision Hold first ({drifted})" in shell("similar", "refund.py:1")
    for found in (shell.json("note", "show", id), *shell.json("note", "search", "hold")["hits"]):
        assert [standing["changed"] for standing in found["standings"]] == [pytest.approx(1 / 3)]

    shell("note", "edit", id, "--at", "charge.py:charge_card")
    assert "(fresh, charge.py:4-6)" in shell("note", "show", id)
    charge.unlink()
    assert "orphaned, nothing like it is there" in shell("note", "list")
    assert "not checked here" in shell.beside("bank")("note", "show", id, "-A")


def test_without_an_index_notes_answer_alone(shell: Shell) -> None:
    shell("search", "alpha", code=2)
    assert "run 'mnemolite index" in shell.err
    id = shell.add("bug", "alpha beta")
    assert shell("search", "alpha").startswith(id)
    assert shell("search", "alpha", program=REKALL).startswith(id)
    shell("search", "alpha", "--code", code=2)


def test_notes_of_other_projects_are_hidden_unless_asked_for(shell: Shell) -> None:
    own = shell.add("bug", "own alpha")
    shared = shell.add("bug", "shared alpha", "--global")
    bank = shell.beside("bank")
    assert [hit["id"] for hit in bank.json("note", "search", "alpha")["hits"]] == [shared]
    bank("note", "show", own, code=2)
    assert bank.json("note", "show", own, "-A")["project"] == "shop"
    assert bank.json("note", "show", own, "--project", "shop")["id"] == own
    assert len(bank("note", "list", "--all-projects").splitlines()) == 2
    bank("note", "edit", own, "-A", "--move-to", "bank")
    assert own in bank("note", "list")


def test_an_ambiguous_id_names_the_notes_it_may_mean(shell: Shell) -> None:
    lines = [json.dumps({"id": f"abcd{i}", "title": f"Note {i}"}) for i in range(7)]
    shell("note", "import", "-", stdin="\n".join(lines))
    shell("note", "show", "abc", code=2)
    assert "'abc' may mean abcd0 (Note 0), abcd1 (Note 1)" in shell.err and "; type more of the id" in shell.err


def test_export_and_import_give_back_the_same_notes(shell: Shell, tmp_path: Path) -> None:
    old, new = shell.add("bug", "Old\x1b[31m", "-b", "---\nid: x\n---\n"), shell.add("bug", "New", "-t", "a,b")
    shell("note", "link", new, "supersedes", old)
    shell("note", "review", new, 5)
    shell("note", "rm", shell.add("bug", "Gone"))
    shell("note", "export", tmp_path / "all.jsonl")
    shell("note", "export", tmp_path / "folder")
    before = shell("note", "export")
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == sorted([f"{old}.md", f"{new}.md"])
    for source in ("all.jsonl", "folder"):
        elsewhere: Any = {"MNEMOLITE_DATA_DIR": str(tmp_path / f"data of {source}")}
        report = shell.json("note", "import", tmp_path / source, **elsewhere)
        assert report == {"added": 2, "updated": 0, "unchanged": 0, "older": 0, "masked": {}}
        exported = shell("note", "export", **elsewhere)
        assert sorted(exported.splitlines()) == sorted(before.splitlines())
        assert "2 unchanged" in shell("note", "import", tmp_path / source, **elsewhere)
    (tmp_path / "bad.md").write_text("---\ntitle: x\nkind: wrong\n---\n")
    shell("note", "import", tmp_path / "bad.md", code=2)
    assert "bad.md: Invalid enum value 'wrong'" in shell.err
    shell("note", "import", tmp_path / "nowhere.md", code=2)
    assert "nowhere.md: No such file" in shell.err


def test_who_writes_down_a_secret_is_told_so(shell: Shell, tmp_path: Path) -> None:
    secret = "ghp_" + "".join(random.Random(3).choices(string.ascii_letters + string.digits, k=36))
    kept = "kept as it was written, masked where it is searched"
    id = shell("note", "add", "config", "Deploy", "-b", f"export T={secret}").split()[0]
    assert f"note {id} holds a secret (GitHub token): {kept}" in shell.err
    assert secret in shell("note", "show", id)
    assert "ghp_****" in shell("note", "search", "export deploy")
    for part in (["--title", secret], ["-t", secret], ["--keyword", secret], ["--what-failed", secret]):
        assert shell.json("note", "edit", id, "-b", "", *part)["masked"] == ["GitHub token"]
        assert "(GitHub token)" in shell.err
        assert shell.json("note", "search", secret[4:], "--lexical-only", code=1)["hits"] == []
        shell("note", "edit", id, "--title", "Deploy", "-t", "", "--keyword", "", "--what-failed", "")
        assert not shell.err
    assert shell.json("note", "add", "bug", "Harmless")["masked"] == []

    written = {"title": "x", "updated_at": "2026-01-02T03:04:05Z"}
    lines = [json.dumps({**written, "id": f"note{i}", "body": secret if i else ""}) for i in range(3)]
    report = shell.json("note", "import", "-", stdin="\n".join(lines))
    assert report["masked"] == {"note1": ["GitHub token"], "note2": ["GitHub token"]}
    assert "secret" not in shell("note", "import", "-", stdin=lines[1])  # nothing was written
    assert f"1 notes hold secrets, {kept}" in shell("note", "import", "-", stdin=lines[1].replace("note1", "note4"))


def test_a_title_cannot_act_on_the_terminal(shell: Shell) -> None:
    id = shell.add("bug", "Bell\x07 \x1b[31mred\x1b[0m\nsecond line")
    for text in (shell("note", "list"), shell("note", "show", id), shell("note", "search", "bell")):
        assert "\x1b" not in text and "\x07" not in text
    assert shell.json("note", "show", id)["title"] == "Bell\x07 \x1b[31mred\x1b[0m\nsecond line"


def test_due_notes_are_listed_where_nobody_can_be_asked(shell: Shell) -> None:
    shell("note", "review", code=1)
    id = shell.add("reference", "Learn this")
    assert shell("note", "review").startswith(id)
    assert "due again on" in shell("note", "review", id, 5)
    shell("note", "review", code=1)
    shell("note", "review", id, 9, code=2)
    assert "must be 0 (forgotten) to 5" in shell.err
