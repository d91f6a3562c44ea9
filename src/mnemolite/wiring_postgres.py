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
    from mnemolite.ports import Store
    from mnemolite.stores.postgres import PostgresStore
    from mnemolite.stores.postgres_connection import Database
    from mnemolite.stores.postgres_jobs import PostgresTables
    from mnemolite.stores.postgres_migrate import Schema
    from mnemolite.stores.sharded import ShardedStore
    from mnemolite.stores.shards import Shards


@contextmanager
def installed() -> Iterator[None]:
    """
    Within, also as a decorator, what a database needs is imported.

    Raises:
        InvalidInput: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"database_url is set, and {error}; run: pip install 'mnemolite[postgres]', or unset DATABASE_URL to keep"
            " everything in files"
        ) from error


def database(settings: Settings) -> Database:
    """One for all that a process does with it."""
    return _database(settings.database_url, "", *_limits(settings))


def shards(settings: Settings) -> Shards | None:
    """
    Those that repositories are spread over, if they are.

    Raises:
        InvalidInput: two have one name, or one has the coordinator's.
    """
    urls = shard_urls(settings)
    return _shards(settings.database_url, tuple(urls.items()), *_limits(settings)) if urls else None


def shard_urls(settings: Settings) -> dict[str, str]:
    """By name, the coordinator's left out."""
    named = [each.split("=", 1) for each in settings.database_shards.split()]
    names = ["coordinator", *(name for name, _ in named)]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"database_shards names {name!r} twice; the database of database_url is the coordinator")
    return dict(named)


def _limits(settings: Settings) -> tuple[int, float, float]:
    return settings.database_pool_size, settings.database_wait_seconds, settings.database_statement_seconds


@cache
def _shards(
    url: str, others: tuple[tuple[str, str], ...], pool_size: int, wait_seconds: float, statement_seconds: float
) -> Shards:
    limits = (pool_size, wait_seconds, statement_seconds)
    coordinator = _database(url, "", *limits)
    from mnemolite.stores.shards import Shards

    return Shards(coordinator, {name: _database(other, name, *limits) for name, other in others})


@cache
def _database(url: str, shard: str, pool_size: int, wait_seconds: float, statement_seconds: float) -> Database:
    from mnemolite.stores.postgres_connection import Database

    return Database(
        url, pool_size=pool_size, wait_seconds=wait_seconds, statement_seconds=statement_seconds, shard=shard
    )


@installed()
def open_schemas(settings: Settings) -> list[Schema]:
    """
    Of the database and of each shard.

    Raises:
        InvalidInput: no database is named, or what migrates it is not installed.
    """
    if not settings.database_url:
        raise InvalidInput("no database is named; set DATABASE_URL=postgresql://user:password@host:port/name")
    from mnemolite.stores.postgres_migrate import Schema

    shards = [Schema(url, shard=name) for name, url in shard_urls(settings).items()]
    return [Schema(settings.database_url), *shards]


@installed()
def find_root(folder: Path, settings: Settings) -> Path | None:
    from mnemolite.stores.postgres_repositories import nearest_root

    return nearest_root(database(settings), [folder, *folder.parents])


@installed()
def open_store(root: Path, settings: Settings, *, create: bool) -> Store | None:
    """Of the tree at *root*, which is a repository of the database; None when it is not there."""
    from mnemolite.stores.postgres_repositories import claim

    name, several, kept = _name(root, settings), shards(settings), database(settings)
    shard, claimed = several.home(name) if several else "", False
    try:
        claimed = claim(kept, name, root, shard=shard, create=create)
    finally:
        if not claimed:
            kept.close()
    return _code(settings, name) if claimed else None


@installed()
def repositories(settings: Settings) -> Store:
    """The store of all source trees."""
    return _code(settings, "")


@installed()
def sharded_store(settings: Settings, source: str = "") -> ShardedStore:
    """
    Raises:
        InvalidInput: there is one database, or none.
    """
    several = shards(settings)
    if several is None:
        raise InvalidInput("there are no shards; name them in database_shards")
    from mnemolite.stores.sharded import ShardedStore

    return ShardedStore(several, source=source)


def _code(settings: Settings, source: str) -> Store:
    if settings.database_shards:
        return sharded_store(settings, source)
    from mnemolite.stores.postgres import PostgresStore

    return PostgresStore(database(settings), source=source)


@installed()
def remove_index(root: Path, settings: Settings) -> bool:
    from mnemolite.stores.postgres_repositories import disclaim

    store = open_store(root, settings, create=False)
    if store is None:
        return False
    with store.writer():
        store.clear()
        disclaim(database(settings), _name(root, settings))
    return True


@installed()
def records(settings: Settings) -> PostgresStore:
    """The store of the documents of notes and events."""
    from mnemolite.stores.postgres import RECORDS, PostgresStore

    return PostgresStore(database(settings), RECORDS)


@installed()
def job_tables(settings: Settings) -> PostgresTables:
    from mnemolite.stores.postgres_jobs import PostgresTables

    return PostgresTables(database(settings))


def _name(root: Path, settings: Settings) -> str:
    return settings.repository or root.name or "/"
