"""The parts of wiring that are a PostgreSQL database, where ``database_url`` names one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mnemolite.errors import InvalidInput
from mnemolite.settings import Settings

if TYPE_CHECKING:
    from mnemolite.stores.postgres import PostgresStore
    from mnemolite.stores.postgres_connection import Database
    from mnemolite.stores.postgres_jobs import PostgresTables
    from mnemolite.stores.postgres_migrate import Schema


def database(settings: Settings) -> Database:
    """One for all that a process does with it."""
    return _database(
        settings.database_url,
        settings.database_pool_size,
        settings.database_wait_seconds,
        settings.database_statement_seconds,
    )


@cache
def _database(url: str, pool_size: int, wait_seconds: float, statement_seconds: float) -> Database:
    with _installed():
        from mnemolite.stores.postgres_connection import Database
    return Database(url, pool_size=pool_size, wait_seconds=wait_seconds, statement_seconds=statement_seconds)


def open_schema(settings: Settings) -> Schema:
    """
    Raises:
        InvalidInput: no database is named, or what migrates it is not installed.
    """
    if not settings.database_url:
        raise InvalidInput("no database is named; set DATABASE_URL=postgresql://user:password@host:port/name")
    with _installed():
        from mnemolite.stores.postgres_migrate import Schema
    return Schema(settings.database_url)


def find_root(folder: Path, settings: Settings) -> Path | None:
    from mnemolite.stores.postgres_repositories import nearest_root

    return nearest_root(database(settings), [folder, *folder.parents])


def open_store(root: Path, settings: Settings, *, create: bool) -> PostgresStore | None:
    """Of the tree at *root*, which is a repository of the database; None when it is not there."""
    from mnemolite.stores.postgres_repositories import repository

    return repository(database(settings), _name(root, settings), root, create=create)


def repositories(settings: Settings) -> PostgresStore:
    """The store of all source trees."""
    from mnemolite.stores.postgres import PostgresStore

    return PostgresStore(database(settings))


def remove_index(root: Path, settings: Settings) -> bool:
    from mnemolite.stores.postgres_repositories import forget

    return forget(database(settings), _name(root, settings), root)


def records(settings: Settings) -> PostgresStore:
    """The store of the documents of notes and events."""
    from mnemolite.stores.postgres import RECORDS, PostgresStore

    return PostgresStore(database(settings), RECORDS)


def job_tables(settings: Settings) -> PostgresTables:
    from mnemolite.stores.postgres_jobs import PostgresTables

    return PostgresTables(database(settings))


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise InvalidInput(f"database_url is set, and {error}; run: pip install 'mnemolite[postgres]'") from error


def _name(root: Path, settings: Settings) -> str:
    return settings.repository or root.name or "/"
