"""db upgrade, downgrade, current, check: the tables of a PostgreSQL database. db copy: into it and out of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import structs

from mnemolite.errors import InvalidInput, NotFound
from mnemolite.settings import POSTGRES, Settings
from mnemolite.wiring import open_store, tree_folder
from mnemolite.wiring_postgres import open_schemas, sharded_store
from mnemolite.wiring_records import NOTES, record_stores

if TYPE_CHECKING:
    from mnemolite.ports import Store
    from mnemolite.stores.postgres_migrate import Schema
    from mnemolite.transfer import Copied, RecordStores


@click.group("db")
def db_command() -> None:
    """Set up and look after the PostgreSQL database that DATABASE_URL names, and its shards."""


@db_command.command("upgrade")
@click.argument("revision", default="head")
def upgrade_command(revision: str) -> None:
    """Bring the tables to REVISION, the newest unless told; what is stored is kept."""
    for schema in _schemas():
        before = schema.current()
        schema.upgrade(revision)
        _say(schema, before)


@db_command.command("downgrade")
@click.argument("revision")
def downgrade_command(revision: str) -> None:
    """Take the tables back to REVISION, unless something would be lost for good."""
    for schema in _schemas():
        before = schema.current()
        schema.downgrade(revision)
        _say(schema, before)


@db_command.command("current")
def current_command() -> None:
    """Say at which revision the database stands, and each of its shards."""
    found = [(schema.label, schema.current() or "none") for schema in _schemas()]
    for label, revision in found:
        click.echo(f"{label}: {revision}" if len(found) > 1 else revision)


@db_command.command("check")
def check_command() -> int:
    """Say what in the database is not as this program expects it; exit 1 when there is something."""
    schemas = _schemas()
    found = [
        f"{schema.label}: {line}" if len(schemas) > 1 else line for schema in schemas for line in schema.differences()
    ]
    for line in found or ["the tables are as this program expects them"]:
        click.echo(line)
    return 1 if found else 0


@db_command.command("copy")
@click.argument("origin", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def copy_command(origin: str, target: str, as_json: bool) -> None:
    """
    Copy between files and a database: one of FROM and TO is its URL.

    The other is the folder of a tree, for its index, or a file notes.db, for all notes, events and feedback in it.
    Nothing is embedded anew. A copy that was stopped goes on where it was; every document is read back and compared.
    """
    if origin.startswith(POSTGRES) == target.startswith(POSTGRES):
        raise InvalidInput(
            "of FROM and TO one must be a database's URL, postgresql://..., and one a folder or notes.db"
        )
    place = Path(target if origin.startswith(POSTGRES) else origin).expanduser()
    copied = (_copy_records if place.name == NOTES else _copy_tree)(origin, target, place)
    if as_json:
        click.echo(json.dumps(asdict(copied)))
        return
    parts = [
        *(f"{count:,} {kind} copied" for kind, count in copied.written.items()),
        *(f"{count:,} {kind} there already" for kind, count in copied.present.items()),
        *(f"{count:,} {kind} left as they are there" for kind, count in copied.kept.items()),
        *([f"{copied.removed:,} removed"] if copied.removed else []),
    ]
    click.echo(f"{', '.join(parts) or 'nothing to copy'}; verified, digest {copied.digest}")


@db_command.command("shards")
def shards_command() -> int:
    """Say what each shard holds, which cannot be reached and what moves have left; exit 1 for either of these."""
    with closing(sharded_store(Settings.load())) as store:
        troubles, places = store.shards.troubles(), store.shards.places()
        for shard in store.shards.all:
            held = len(places.repositories.get(shard.name, ()))
            click.echo(f"{shard.name:16}{held:>6} repositories  {troubles[shard.name] or shard.database.label}")
        left = [] if any(troubles.values()) else store.left_over()
        for line in left:
            click.echo(line)
    return int(any(troubles.values()) or bool(left))


@db_command.command("move")
@click.argument("repositories", nargs=-1)
@click.option("--to", metavar="SHARD", help="Where to; unless told, to where a new repository of this name would go.")
def move_command(repositories: tuple[str, ...], to: str | None) -> None:
    """
    Move REPOSITORIES, all unless named, to other shards.

    They are searched all the while, and not written to. Each is read back and compared before what was copied is
    removed; a move that was stopped goes on where it was.
    """
    with closing(sharded_store(Settings.load())) as store:
        for name in repositories or sorted(store.shards.places().shards):
            target = to or store.shards.home(name)
            copied = store.move(name, target, _progress())
            said = f"to {target}, {sum(copied.written.values()):,} documents" if copied else f"on {target} already"
            click.echo(f"{name}: {said}")


def _copy_tree(origin: str, target: str, place: Path) -> Copied:
    from mnemolite.transfer import copy_tree

    root = tree_folder(place)

    def opened(side: str, *, create: bool) -> Store:
        return open_store(root, _on(Settings.load(root), side), create=create)

    with closing(opened(origin, create=False)) as first, closing(opened(target, create=True)) as second:
        return copy_tree(first, second, _progress())


def _copy_records(origin: str, target: str, place: Path) -> Copied:
    from mnemolite.transfer import RecordStores, copy_records

    def opened(side: str, *, create: bool) -> RecordStores:
        folder = str(place.absolute().parent)
        settings = structs.replace(_on(Settings.load(), side), data_dir=folder)
        found = record_stores(settings, create=create)
        if found is None:
            raise NotFound(f"there are no notes and events at {place}")
        return RecordStores(found.documents, found.notes, found.events(), found.feedback())

    first = opened(origin, create=False)
    with closing(first.index):
        second = opened(target, create=True)
        with closing(second.index):
            return copy_records(first, second, _progress())


def _progress() -> Callable[[int, int], None]:
    """Redraws a line on a terminal, and says nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda done, total: None
    return lambda done, total: click.echo(
        f"\rcopied {done:,} of {total:,}" + ("\n" if done == total else ""), err=True, nl=False
    )


def _on(settings: Settings, side: str) -> Settings:
    """With the database that *side* is, or with files; the shards are those of the configured one."""
    url = side if side.startswith(POSTGRES) else ""
    shards = settings.database_shards if url == settings.database_url else ""
    return structs.replace(settings, database_url=url, database_shards=shards)


def _schemas() -> list[Schema]:
    return open_schemas(Settings.load())


def _say(schema: Schema, before: str | None) -> None:
    now = schema.current()
    change = f"from {before or 'none'} to {now or 'none'}" if before != now else f"at {now or 'none'} already"
    click.echo(f"{schema.label}: {change}")
