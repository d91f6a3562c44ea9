"""From settings to what a backup is of, in files or in a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnemolite.errors import InvalidInput
from mnemolite.settings import Settings
from mnemolite.wiring import JOBS, SERVER
from mnemolite.wiring_postgres import installed
from mnemolite.wiring_records import NOTES

if TYPE_CHECKING:
    from mnemolite.archive import Kept

POSTGRES = "postgres.sql"


def kept_parts(settings: Settings) -> dict[str, Kept]:
    """
    By the names they have in an archive.

    Raises:
        InvalidInput: there are shards, or what a database needs is not installed.
    """
    if settings.database_url:
        if settings.database_shards:
            raise InvalidInput(
                "database_shards is set: save and restore each server by itself, with DATABASE_URL naming it and "
                "without database_shards"
            )
        with installed():
            from mnemolite.stores.postgres_backup import PostgresTables
        return {POSTGRES: PostgresTables(settings.database_url)}
    from mnemolite.stores import sqlite_jobs, sqlite_schema
    from mnemolite.stores.sqlite_backup import SqliteFile

    steps = {JOBS: sqlite_jobs.STEPS, NOTES: sqlite_schema.STEPS, SERVER: sqlite_schema.STEPS}
    folder, wait = Path(settings.data_dir), settings.lock_wait_seconds
    return {name: SqliteFile(folder / name, each, wait) for name, each in steps.items()}
