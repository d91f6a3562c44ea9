"""What git says of a source tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SECONDS = 10.0


def head(folder: Path) -> str:
    """The commit that is checked out; "" outside of a repository, or without git."""
    return _said(folder, "--verify", "-q", "HEAD").strip()


def git_of(folder: Path) -> tuple[Path, str] | None:
    """Git's own folder for *folder*, and where that is in its repository: "" at the top, else "a/b/"; or nothing."""
    found, _, below = _said(folder, "--absolute-git-dir", "--show-prefix").partition("\n")
    return (Path(found), below.rstrip("\n")) if found else None


def _said(folder: Path, *asked: str) -> str:
    command = ["git", "-C", str(folder), "rev-parse", *asked]
    try:
        done = subprocess.run(
            command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return os.fsdecode(done.stdout)


def environment() -> dict[str, str]:
    """Without what a surrounding git says, for instance within a hook."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
