"""Trees of git repositories that are somewhere on the web: the latest commit, in a folder that is kept for the next."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mnemolite.errors import Cancelled, CheckoutFailed, InvalidInput
from mnemolite.ingest.git import environment, head
from mnemolite.outbound import Outbound, Target, Unreachable

LOOK_SECONDS = 0.25  # between looks at how large it has become
KEPT_SECONDS = 7 * 24 * 3600.0
SAID = 300  # characters of what git says


@dataclass(frozen=True)
class Checkouts:
    """In *folder*; a fetch takes at most *seconds*, and no tree with its history more than *max_bytes*."""

    folder: Path
    outbound: Outbound
    lock: Callable[[Path], AbstractContextManager[None]]  # of a folder, between processes
    max_bytes: int
    seconds: float

    def at(self, url: str, name: str, revision: str = "", wanted: Callable[[], bool] = lambda: True) -> Path:
        """
        The folder of *name*'s tree, brought to *revision*, or to the head of what is at *url*. Files that did not
        change keep their times.

        Raises:
            InvalidInput, Forbidden: *url* may not be asked, or is too large.
            CheckoutFailed: there is no such repository, or it cannot be reached.
            Cancelled: it is not *wanted* any more.
        """
        tree = self.folder / hashlib.sha256(f"{name}\n{url}".encode()).hexdigest()[:32]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._forget_old()
        with self.lock(tree):
            if revision and head(tree) == revision:
                return tree
            try:
                target = self.outbound.target(url)
                _Run(self, tree, target, wanted).bring_to(revision)
            except Unreachable as error:
                raise CheckoutFailed(f"{url} cannot be reached: {error}") from error
            except BaseException:
                shutil.rmtree(tree, ignore_errors=True)
                raise
            os.utime(tree)
        return tree

    def _forget_old(self) -> None:
        for tree in self.folder.iterdir():
            if tree.is_dir() and time.time() - tree.stat().st_mtime > KEPT_SECONDS:
                with self.lock(tree):
                    shutil.rmtree(tree, ignore_errors=True)


@dataclass(frozen=True)
class _Run:
    checkouts: Checkouts
    tree: Path
    target: Target
    wanted: Callable[[], bool]

    def bring_to(self, revision: str) -> None:
        until = time.monotonic() + self.checkouts.seconds
        self._git(until, "init", "--quiet", str(self.tree))
        fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-auto-gc")
        self._git(until, *fetch, self.target.url, revision or "HEAD")
        self._git(until, "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        self._git(until, "clean", "--quiet", "-ffdx")

    def _git(self, until: float, *arguments: str) -> None:
        schemes = ("https", "http") if self.checkouts.outbound.http else ("https",)
        host = f"[{self.target.host}]" if ":" in self.target.host else self.target.host
        pinned = f"{host}:{self.target.port}:{','.join(self.target.addresses)}"
        options = {
            "core.hooksPath": os.devnull,
            "core.fsmonitor": "false",
            "credential.helper": "",
            "http.curloptResolve": pinned,  # the addresses that were checked, whatever the name means by now
            "http.followRedirects": "false",
            "http.proxy": "",
            "protocol.allow": "never",
            **{f"protocol.{scheme}.allow": "always" for scheme in schemes},
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        where = ["-C", str(self.tree)] if self.tree.is_dir() else []
        with tempfile.TemporaryFile("w+b") as said:
            process = subprocess.Popen(
                ["git", *settings, *where, *arguments],
                env=_alone(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
            try:
                self._watch(process, until)
            finally:
                if process.poll() is None:
                    with suppress(OSError):
                        os.killpg(process.pid, 9)  # its helpers too
                    process.wait()
            if process.returncode:
                raise CheckoutFailed(f"git {arguments[0]} of {self.target.url} failed: {_last_words(said)}")

    def _watch(self, process: subprocess.Popen[bytes], until: float) -> None:
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
            if not self.wanted():
                raise Cancelled("it is not wanted any more")
            if time.monotonic() > until:
                raise InvalidInput(f"{self.target.url} takes longer than {self.checkouts.seconds:g} s; see git_seconds")
            if _size(self.tree) > self.checkouts.max_bytes:
                limit = f"{self.checkouts.max_bytes:,} bytes"
                raise InvalidInput(f"{self.target.url} has more than {limit}; see git_max_bytes")


def _alone() -> dict[str, str]:
    """Nothing of the user's: no credentials, no other place for a URL, no proxy to look up names in our stead."""
    kept = {name: value for name, value in environment().items() if not name.lower().endswith("_proxy")}
    alone = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return {**kept, **alone, "GIT_ASKPASS": "", "GIT_LFS_SKIP_SMUDGE": "1"}


def _size(folder: Path) -> int:
    size = 0
    for base, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                size += Path(base, name).lstat().st_size
    return size


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read(100_000).decode("utf-8", "replace").strip().splitlines()
    return "".join(c if c.isprintable() else " " for c in (lines or ["it says nothing"])[-1])[:SAID]
