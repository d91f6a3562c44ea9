"""mcp: the server for coding agents."""

from __future__ import annotations

import gc
import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from mnemolite import ram
from mnemolite.errors import InvalidInput
from mnemolite.wiring import find_root, tree_folder

LOOPBACK = ("127.0.0.1", "::1", "localhost")  # there are no passwords: no other machine may read the user's code


@click.command("mcp")
@click.argument("path", required=False)
@click.option("--http", is_flag=True, help="Streamable HTTP at /mcp, for programs on this machine, instead of stdio.")
@click.option("--host", type=click.Choice(LOOPBACK), default=LOOPBACK[0], show_default=True)
@click.option("--port", default=8005, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
def mcp_command(path: str | None, http: bool, host: str, port: int) -> None:
    """
    Serve the tree at PATH to a coding agent, by the Model Context Protocol.

    Without PATH: the tree around the current folder; when that is your home or the top folder, only trees that have an
    index.
    """
    folder = tree_folder(path) if path else _project(Path.cwd())
    ram.share_heap()
    with redirect_stdout(sys.stderr):  # what a library says as it is loaded is no protocol
        gc.disable()  # 0.15 s less of 1.4: the SDK makes many objects as it is loaded, and nothing of it is garbage
        try:
            from mnemolite.serve.mcp import serve_http, serve_stdio
        except ModuleNotFoundError as error:
            raise InvalidInput(f"{error}; install the server with: pip install 'mnemolite[mcp]'") from error
        gc.freeze()
        gc.enable()
        ram.give_back()
    if http:
        serve_http(folder, host, port)
    else:
        serve_stdio(folder)


def _project(folder: Path) -> Path | None:
    """*folder*, unless an agent that has no project was merely started there."""
    nowhere = folder in (Path.home(), Path(folder.anchor))
    return None if nowhere and find_root(folder) is None else folder
