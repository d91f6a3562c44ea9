"""The schema of a PostgreSQL database: db upgrade, downgrade, current, check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mnemolite.settings import Settings
from mnemolite.wiring_postgres import open_schema

if TYPE_CHECKING:
    from mnemolite.stores.postgres_migrate import Schema


@click.group("db")
def db_command() -> None:
    """Set up and look after the PostgreSQL database that DATABASE_URL names."""


@db_command.command("upgrade")
@click.argument("revision", default="head")
def upgrade_command(revision: str) -> None:
    """Bring the tables to REVISION, the newest unless told; what is stored is kept."""
    schema = _schema()
    before = schema.current()
    schema.upgrade(revision)
    _say(schema, before)


@db_command.command("downgrade")
@click.argument("revision")
def downgrade_command(revision: str) -> None:
    """Take the tables back to REVISION, unless something would be lost for good."""
    schema = _schema()
    before = schema.current()
    schema.downgrade(revision)
    _say(schema, before)


@db_command.command("current")
def current_command() -> None:
    """Say at which revision the database stands."""
    click.echo(_schema().current() or "none")


@db_command.command("check")
def check_command() -> int:
    """Say what in the database is not as this program expects it; exit 1 when there is something."""
    found = _schema().differences()
    for line in found or ["the tables are as this program expects them"]:
        click.echo(line)
    return 1 if found else 0


def _schema() -> Schema:
    return open_schema(Settings.load())


def _say(schema: Schema, before: str | None) -> None:
    now = schema.current()
    change = f"from {before or 'none'} to {now or 'none'}" if before != now else f"at {now or 'none'} already"
    click.echo(f"{schema.label}: {change}")
