"""Our tables of a PostgreSQL database as SQL, by its own programs: pg_dump and psql."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mnemolite.archive import COUNTED, Part
from mnemolite.errors import NotFound, StoreUnavailable
from mnemolite.stores.postgres_connection import PRIMARY, SCHEMA, VERSION_TABLE, Connection, connect, label
from mnemolite.stores.postgres_connection import schema_version as version_of
from mnemolite.stores.postgres_schema import expected

WAIT_SECONDS = 10.0
SEQUENCES = ("document_ids", "chunk_ids")
_FIND = """
    SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'TABLE' ELSE 'SEQUENCE' END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'S')
    AND (c.relname = ANY(%s) OR c.relname ~ '^vectors_[0-9]+$') ORDER BY c.relkind DESC  -- tables first
"""


class PostgresTables:
    """Those of the database at *url*; what else is in it is left alone."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._label = label(url)

    def held(self) -> bool:
        with self._connected() as connection:
            return any(_counts(connection, _tables(connection)).values())

    def save(self, copy: Path) -> Part:
        """
        As they are at one moment.

        Raises:
            NotFound: the database has none, or there is no pg_dump.
        """
        with self._connected() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            [(snapshot,)] = connection.execute("SELECT pg_export_snapshot()")
            tables, version = _tables(connection), version_of(connection)
            if version is None:
                raise NotFound(f"the database {self._label} has no tables of ours; run 'mnemolite db upgrade'")
            wanted = [f"--table={schema}.{name}" for schema, name, _ in tables]
            self._run("pg_dump", f"--snapshot={snapshot}", "--no-owner", "--no-privileges", f"--file={copy}", *wanted)
            return Part(schema=version, counts=_counts(connection, tables))

    def check(self, copy: Path, part: Part) -> None:
        """
        Raises:
            StoreUnavailable: it is of a newer version of the program.
        """
        if part.schema > SCHEMA:
            raise StoreUnavailable(
                f"the backup has tables of revision {part.schema}, this program knows up to {SCHEMA}; upgrade mnemolite"
            )

    def put_back(self, copy: Path) -> None:
        """In one transaction: others see what was there, or what is put back."""
        with self._connected() as connection:
            tables = _tables(connection)
            [(schema,)] = connection.execute("SELECT current_schema()")
            drops = [
                sql.SQL("DROP {} {}").format(sql.SQL(kind), sql.Identifier(schema, name)).as_string(connection)
                for _, name, kind in tables
            ]
            # so that no process takes what it has kept of another state for that of this one
            renew = sql.SQL("UPDATE {} SET changes = changes + (random() * 1e12)::bigint")
            after = renew.format(sql.Identifier(schema, "sources")).as_string(connection)
        before = "; ".join(["SET client_min_messages = warning", *drops, "CREATE EXTENSION IF NOT EXISTS vector"])
        options = ("--no-psqlrc", "--quiet", "--output=/dev/null", "--single-transaction", "--set=ON_ERROR_STOP=1")
        self._run("psql", *options, f"--command={before}", f"--file={copy}", f"--command={after}")

    def remove(self) -> None:
        raise AssertionError("a database is put back after all else")

    def _run(self, program: str, *arguments: str) -> None:
        given = {name: str(value) for name, value in conninfo_to_dict(self._url).items()}
        password = {"PGPASSWORD": given.pop("password")} if "password" in given else {}  # others see arguments
        try:
            done = subprocess.run(
                [program, f"--dbname={make_conninfo(**given)}", *arguments],
                env={**os.environ, **password},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise NotFound(f"there is no {program} here; install PostgreSQL's client (postgresql-client)") from error
        if done.returncode:
            raise StoreUnavailable(f"{program} of {self._label} failed: {done.stderr.strip()[-1000:]}")

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with connect(self._url, PRIMARY, WAIT_SECONDS) as connection:
                yield connection
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise StoreUnavailable(f"the database {self._label} cannot be asked: {reason}") from error


def _tables(connection: Connection) -> list[tuple[str, str, str]]:
    """The schema, the name and the kind of each table and sequence of ours."""
    names = [VERSION_TABLE, *expected.tables, *SEQUENCES]
    return [(str(schema), str(name), str(kind)) for schema, name, kind in connection.execute(_FIND, (names,))]


def _counts(connection: Connection, tables: list[tuple[str, str, str]]) -> dict[str, int]:
    present = {name for _, name, _ in tables}
    statement = "SELECT count(*) FROM {}"
    return {
        name: int(connection.execute(sql.SQL(statement).format(sql.Identifier(name))).fetchall()[0][0])
        for name in COUNTED
        if name in present
    }
