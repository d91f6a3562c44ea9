"""serve, ui, key: the HTTP server, its page for one tree, and who may ask it."""

from __future__ import annotations

import json
import webbrowser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import structs

from mnemolite import ram
from mnemolite.errors import InvalidInput
from mnemolite.settings import Settings
from mnemolite.wiring import tree_folder

if TYPE_CHECKING:
    from mnemolite.serve.security import Key, Keys

_MISSING = "{}; install the server with: pip install 'mnemolite[server]'"


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Other than this machine's own needs a key.")
@click.option("--port", default=8001, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--root", "roots", multiple=True, type=click.Path(path_type=Path), help="May be indexed by its path.")
@click.option("--insecure", is_flag=True, help="Let anybody who reaches the host ask without a key.")
def serve_command(host: str, port: int, roots: tuple[Path, ...], insecure: bool) -> None:
    """
    Serve code search, embeddings, notes and events over HTTP; /docs says what can be asked.

    Repositories, notes and events are in your data folder. Only folders given by --root, or by the setting index_roots,
    can be indexed by their path; files can be sent from anywhere.
    """
    settings = Settings.load()
    folders = tuple(str(tree_folder(root)) for root in roots)
    settings = structs.replace(settings, index_roots=(*settings.index_roots, *folders))
    try:
        from mnemolite.serve.http.server import serve
    except ModuleNotFoundError as error:
        raise InvalidInput(_MISSING.format(error)) from error
    ram.share_heap()
    serve(settings, host, port, insecure=insecure)


@click.command("ui")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Any that is free, unless told.")
@click.option("--no-open", is_flag=True, help="Only print the address.")
def ui_command(path: Path, port: int, no_open: bool) -> None:
    """
    Show the index around PATH, and your notes, in the browser: search, the map of meanings, notes, what is going on.

    On this machine alone, by a key of its own in the address, until Ctrl-C.
    """
    from mnemolite.wiring import open_browsed

    try:
        from mnemolite.serve.http.server import serve_page
    except ModuleNotFoundError as error:
        raise InvalidInput(_MISSING.format(error)) from error
    ram.share_heap()

    def started(address: str) -> None:
        click.echo(address)
        if not no_open and not webbrowser.open(address):
            click.echo("no browser can be opened here; open the address above yourself", err=True)

    with open_browsed(path) as memory:
        serve_page(memory, port, started)


@click.group("key")
def key_command() -> None:
    """API keys of the server: from the first on, every request needs one."""


@key_command.command("create")
@click.argument("name")
@click.option("--access", type=click.Choice(["read", "write", "admin"]), default="read", show_default=True)
@click.option("-p", "--project", "projects", multiple=True, help="Only for this repository and project of notes.")
@click.option("--days", type=click.IntRange(1), help="Until it expires.")
def create(name: str, access: str, projects: tuple[str, ...], days: int | None) -> None:
    """Make a key for NAME and print it: only its hash is kept, so it cannot be shown again."""
    from mnemolite.serve.security import Access

    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    key, token = _keys().create(name, Access(access), projects, expires_at)
    click.echo(token)
    click.echo(f"{_shown(key)}: keep it; it is not shown again", err=True)


@key_command.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """The keys there are."""
    keys = sorted(_keys().all(), key=lambda key: key.created_at)
    if as_json:
        shown = [{name: value for name, value in structs.asdict(key).items() if name != "digest"} for key in keys]
        click.echo(json.dumps(shown, default=str))
        return
    for key in keys:
        click.echo(_shown(key))


@key_command.command("revoke")
@click.argument("id")
def revoke(id: str) -> None:
    """Have the key ID be refused from now on, by a server that is running too."""
    click.echo(_shown(_keys().revoke(id.removeprefix("mnl_").split("_")[0])), err=True)


def _keys() -> Keys:
    from mnemolite.serve.security import Keys, keys_file

    return Keys(keys_file(Settings.load()))


def _shown(key: Key) -> str:
    of = f" of {', '.join(key.projects)}" if key.projects else ""
    state = ""
    if key.revoked_at:
        state = f", revoked {key.revoked_at:%Y-%m-%d}"
    elif key.expires_at:
        state = f", until {key.expires_at:%Y-%m-%d}"
    return f"mnl_{key.id}_...  {key.access}{of}  {key.name}, made {key.created_at:%Y-%m-%d}{state}"
