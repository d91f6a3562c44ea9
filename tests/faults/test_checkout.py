"""Git repositories fetched from a real server of git's own, over HTTP, and what such a server may do to us."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mnemolite.errors import Cancelled, CheckoutFailed, Forbidden, InvalidInput
from mnemolite.ingest.checkout import Checkouts
from mnemolite.ingest.git import head
from mnemolite.jobs import JobState
from mnemolite.outbound import Outbound
from mnemolite.settings import Settings
from mnemolite.stores.lock import WriterLock
from mnemolite.wiring import open_indexer, open_server

LOOPBACK = Outbound.of(["127.0.0.0/8"], http=True)


class Backend(BaseHTTPRequestHandler):
    """git-http-backend behind a socket; /moved/ is redirected."""

    projects = ""

    def do_GET(self) -> None:
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.replace("/moved/", "/"))
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": self.projects,
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        done = subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True, check=False)
        said, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in said.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815  as the base class has them

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def git_server(projects: Path) -> Iterator[str]:
    handler = type("OfTest", (Backend,), {"projects": str(projects)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def origin(tmp_path: Path, tree: Path) -> Path:
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "first")
    return tree


@pytest.fixture
def checkouts(tmp_path: Path) -> Checkouts:
    return Checkouts(tmp_path / "kept", LOOPBACK, lambda folder: WriterLock(folder, 10).held(), 10_000_000, 60)


def test_the_latest_commit_is_fetched_alone_and_what_did_not_change_keeps_its_time(
    origin: Path, checkouts: Checkouts
) -> None:
    with git_server(origin.parent) as server:
        (origin / "more.py").write_text("def more(): ...\n")
        git(origin, "add", ".")
        git(origin, "commit", "-qm", "second")
        tree = checkouts.at(f"{server}/shop/.git", "shop")
        first = head(origin)
        assert head(tree) == first
        count = subprocess.run(["git", "-C", tree, "rev-list", "--count", "HEAD"], capture_output=True, check=True)
        assert count.stdout == b"1\n"
        times = {each.name: each.stat().st_mtime_ns for each in tree.rglob("*.*") if ".git" not in each.parts}
        (origin / "more.py").unlink()
        (origin / "auth/email.py").write_text("def other(): ...\n")
        git(origin, "add", ".")
        git(origin, "commit", "-qm", "third")
        (tree / "stray.py").write_text("left over\n")
        assert checkouts.at(f"{server}/shop/.git", "shop", first) == tree  # nothing to fetch
        assert (tree / "stray.py").exists()
        assert checkouts.at(f"{server}/shop/.git", "shop") == tree
        assert sorted(p.name for p in tree.iterdir()) == [".git", ".gitignore", "auth", "docs", "logo.png", "pay"]
        assert (tree / "auth/email.py").read_text() == "def other(): ...\n"
        assert (tree / "logo.png").stat().st_mtime_ns == times["logo.png"]
        assert checkouts.at(f"{server}/shop/.git", "other name") != tree
        assert head(checkouts.at(f"{server}/shop/.git", "shop", first)) == first  # as another worker's task asks


def test_what_may_not_be_fetched_leaves_nothing_behind(origin: Path, checkouts: Checkouts) -> None:
    (origin / "large.bin").write_bytes(os.urandom(2_000_000))
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "large")
    with git_server(origin.parent) as server:
        url = f"{server}/shop/.git"
        with pytest.raises(InvalidInput, match="has more than 1,000,000 bytes"):
            replace(checkouts, max_bytes=1_000_000).at(url, "r")
        with pytest.raises(InvalidInput, match="takes longer than 0 s"):
            replace(checkouts, seconds=0).at(url, "r")
        with pytest.raises(Cancelled):
            checkouts.at(url, "r", wanted=lambda: False)
        with pytest.raises(CheckoutFailed, match="git fetch"):
            checkouts.at(f"{server}/nothing/.git", "r")
        with pytest.raises(CheckoutFailed, match="git fetch"):
            checkouts.at(f"{server}/moved/shop/.git", "r")
        with pytest.raises(Forbidden, match="is not https"):
            replace(checkouts, outbound=Outbound.of(["127.0.0.0/8"], http=False)).at(url, "r")
        with pytest.raises(Forbidden, match="no public address"):
            replace(checkouts, outbound=Outbound.of([], http=True)).at(url, "r")
    with pytest.raises(CheckoutFailed, match="git fetch"):
        checkouts.at(url, "r")
    for scheme in ("file", "ssh", "ext", "git"):
        with pytest.raises(InvalidInput, match="is no URL"):
            checkouts.at(f"{scheme}://{origin}", "r")
    assert [each for each in checkouts.folder.iterdir() if each.is_dir()] == []


def test_nothing_of_a_repository_or_of_the_user_is_run(
    origin: Path, checkouts: Checkouts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ran = tmp_path / "ran"
    (home / ".gitconfig").write_text(f'[core]\n\thooksPath = {home}\n[filter "run"]\n\tsmudge = touch {ran}; cat\n')
    (home / "post-checkout").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (home / "post-checkout").chmod(0o755)
    (origin / ".gitattributes").write_text("* filter=run\n")
    (origin / "outside").symlink_to("/etc/passwd")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "hostile")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with git_server(origin.parent) as server:
        tree = checkouts.at(f"{server}/shop/.git", "r")
    assert (tree / "auth/email.py").exists()
    assert not ran.exists()


def test_the_address_that_was_checked_is_the_one_that_is_asked(
    origin: Path, checkouts: Checkouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: look_up("127.0.0.1", *rest, **more))
    with git_server(origin.parent) as server:
        url = server.replace("127.0.0.1", "known-to-nobody-else.invalid")
        assert head(checkouts.at(f"{url}/shop/.git", "r")) == head(origin)


def test_a_job_follows_a_git_repository_and_says_why_it_cannot(origin: Path, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=str(tmp_path / "data"), workers=1, outbound_http=True, outbound_networks=("127.0.0.0/8",)
    )
    with git_server(origin.parent) as server, open_server(settings) as memory:
        indexing = memory.indexing
        good = indexing.submit("shop", git_url=f"{server}/shop/.git")
        bad = indexing.submit("none", git_url=f"{server}/none/.git")
        with open_indexer(indexing) as indexer:
            while indexer.work():
                pass
        good, bad = indexing.get(good.id), indexing.get(bad.id)
        assert (good.state, good.total, good.revision) == (JobState.SUCCESS, 5, head(origin))
        assert [each.documents for each in memory.repositories.all()] == [4]
        assert bad.state is JobState.FAILURE
        assert "git fetch of" in bad.failure
        assert "3 times" in bad.failure
