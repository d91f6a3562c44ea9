"""Jobs in an SQLite file of their own: who searches waits for nobody who says how far a job has come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from mnemolite.stores.jobs import Tell
from mnemolite.stores.sqlite_connection import Database

# Times are microseconds since 1970; paths, errors and bodies are JSON.
STEPS = (
    """
    CREATE TABLE state (changes INTEGER NOT NULL);
    INSERT INTO state VALUES (0);
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order they came
        id TEXT NOT NULL UNIQUE,
        repository TEXT NOT NULL,
        path TEXT NOT NULL,
        git_url TEXT NOT NULL,
        callback_url TEXT NOT NULL,
        state TEXT NOT NULL,
        progress INTEGER NOT NULL DEFAULT 0,
        total INTEGER NOT NULL,
        chunks INTEGER NOT NULL DEFAULT 0,
        removed INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        errors TEXT NOT NULL DEFAULT '{}',
        failure TEXT NOT NULL DEFAULT '',
        waiting_for TEXT NOT NULL DEFAULT '',
        revision TEXT NOT NULL DEFAULT '',
        attempts INTEGER NOT NULL DEFAULT 1,
        turn INTEGER NOT NULL DEFAULT 0,  -- when a task of it was last begun: jobs take turns
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        finished_at INTEGER
    );
    CREATE INDEX jobs_repository ON jobs (repository, state, number);
    CREATE INDEX jobs_state ON jobs (state, number);
    CREATE TABLE job_tasks (  -- what a job has yet to do, and the files it could not
        job INTEGER NOT NULL,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        paths TEXT NOT NULL,
        contents BLOB,  -- where the files were sent: MessagePack, compressed by zlib
        state TEXT NOT NULL,  -- waiting, running, failed
        attempts INTEGER NOT NULL,
        run_at INTEGER NOT NULL,  -- not before
        sent_at INTEGER,  -- to a queue
        worker TEXT NOT NULL,
        token TEXT NOT NULL,  -- of the claim that counts
        lease_until INTEGER NOT NULL,
        PRIMARY KEY (job, number)
    );
    CREATE INDEX job_tasks_state ON job_tasks (state, lease_until);
    CREATE INDEX job_tasks_token ON job_tasks (token);
    CREATE TABLE deliveries (
        id TEXT PRIMARY KEY,
        job_number INTEGER NOT NULL,
        job TEXT NOT NULL,
        url TEXT NOT NULL,
        body TEXT NOT NULL,
        state TEXT NOT NULL,  -- waiting, delivered, failed
        attempts INTEGER NOT NULL,
        run_at INTEGER NOT NULL,
        failure TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        delivered_at INTEGER
    );
    CREATE INDEX deliveries_job ON deliveries (job);
    CREATE INDEX deliveries_state ON deliveries (state, run_at);
    """,
)


class SqliteTables:
    """The :class:`~mnemolite.stores.jobs.Tables` in the file at *path*, or in memory for None."""

    def __init__(self, path: Path | None, *, wait_seconds: float = 10.0) -> None:
        self._database = Database(
            path,
            wait_seconds=wait_seconds,
            durable=True,
            steps=STEPS,
            damage_advice="move it away, and submit again the jobs that had not ended",
        )

    @contextmanager
    def reading(self) -> Iterator[Tell]:
        with self._database.reading() as connection:
            yield _teller(connection)

    @contextmanager
    def writing(self) -> Iterator[Tell]:
        with self._database.writing() as connection:
            yield _teller(connection)

    def close(self) -> None:
        self._database.close()


def _teller(connection: apsw.Connection) -> Tell:
    def tell(sql: str, **values: Any) -> list[tuple[Any, ...]]:
        return connection.execute(sql, values).fetchall()

    return tell
