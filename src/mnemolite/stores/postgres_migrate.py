"""The schema of a PostgreSQL database: brought to a revision, and compared with what the program expects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from mnemolite.errors import InvalidInput, StoreUnavailable
from mnemolite.stores.postgres_connection import PRIMARY, SCHEMA, VERSION_TABLE, connect, label

LOCK = 0x4D4E4C54  # of one migration at a time: "MNLT"
WAIT_SECONDS = 10.0  # for the server


class Schema:
    """
    Of the database at *url*. Each call is a transaction on a connection of its own; of two changes at once, the second
    waits for the first.

    Every call raises StoreUnavailable where the database cannot be reached.
    """

    def __init__(self, url: str, *, shard: str = "") -> None:
        self.label = label(url, shard)
        self._url = url

    def upgrade(self, revision: str = "head") -> None:
        """
        Brings the tables to *revision*, whole or not at all.

        Raises:
            StoreUnavailable: pgvector is missing, or the tables are another program's.
            InvalidInput: there is no such revision.
        """
        with self._migrating() as config:
            command.upgrade(config, revision)

    def downgrade(self, revision: str) -> None:
        """
        Raises:
            Conflict: something would be lost that is nowhere else.
            InvalidInput: there is no such revision.
        """
        with self._migrating() as config:
            command.downgrade(config, revision)

    def current(self) -> str | None:
        """The revision the tables stand at, None before the first."""
        with self._connected() as connection:
            if connection.scalar(text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}) is None:
                return None
            found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
            return found

    def differences(self) -> list[str]:
        """What in the tables is not as this program expects it, a line each."""
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        from mnemolite.stores.postgres_schema import expected, ours

        is_at = self.current()
        if is_at != SCHEMA:
            return [f"stands at revision {is_at or 'none'}, not {SCHEMA}: run 'mnemolite db upgrade'"]
        with self._connected() as connection:
            options = {"version_table": VERSION_TABLE, "include_name": ours, "compare_type": True}
            found = compare_metadata(MigrationContext.configure(connection, opts=options), expected)
        return [_told(each) for change in found for each in (change if isinstance(change, list) else [change])]

    @contextmanager
    def _migrating(self) -> Iterator[Config]:
        with self._connected() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            try:
                yield config
            except CommandError as error:
                raise InvalidInput(f"{error}; 'mnemolite db current' says where the database stands") from error

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, on a connection that nobody keeps."""
        engine = create_engine(
            "postgresql+psycopg://", poolclass=NullPool, creator=lambda: connect(self._url, PRIMARY, WAIT_SECONDS)
        )
        try:
            with engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0]
            if "extension" in reason:
                reason += "; install pgvector on the server and have its owner run CREATE EXTENSION vector"
            raise StoreUnavailable(f"the database {self.label} cannot be migrated: {reason}") from error


def _told(change: tuple[object, ...]) -> str:
    action, *what = change
    return f"{str(action).replace('_', ' ')}: {', '.join(str(each) for each in what if each is not None)}"
