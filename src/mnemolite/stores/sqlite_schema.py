"""The tables of an index file, as numbered steps: a file at version n has had the first n applied."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from mnemolite.errors import StoreUnavailable

APPLICATION_ID = 0x4D4E4C54  # "MNLT", in the file's header, so that no other program's database is touched

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE state (changes INTEGER NOT NULL);
    INSERT INTO state VALUES (abs(random() >> 20));  -- so that a file made anew is not taken for the one before

    CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY,
        source INTEGER NOT NULL,
        path TEXT NOT NULL,
        digest TEXT NOT NULL,
        language TEXT NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        skipped TEXT NOT NULL,  -- why it has no chunks, or nothing
        UNIQUE (source, path)
    );

    -- AUTOINCREMENT: an id is never given twice, so an old ranking cannot point to a new chunk
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document INTEGER NOT NULL,
        kind TEXT NOT NULL,
        first_line INTEGER NOT NULL,
        last_line INTEGER NOT NULL,
        name TEXT NOT NULL,
        parent TEXT NOT NULL,
        signature TEXT NOT NULL,
        docstring TEXT NOT NULL,
        symbols TEXT NOT NULL,  -- a line each
        digest BLOB NOT NULL,
        text TEXT NOT NULL  -- plain: zlib would save a quarter of the file, and cost a fifth more to write
    );
    CREATE INDEX chunks_document ON chunks (document, kind);
    CREATE INDEX chunks_digest ON chunks (digest);

    -- terms contain no ASCII separators but the spaces between them; the rowid is the chunk's
    CREATE VIRTUAL TABLE words USING fts5(
        name, path, body, content='', contentless_delete=1, tokenize='ascii'
    );
    CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'row');
    CREATE VIRTUAL TABLE names USING fts5(name, content='', contentless_delete=1, tokenize='trigram');
    -- once per document, not per chunk: the rowid is the document's
    CREATE VIRTUAL TABLE paths USING fts5(path, content='', contentless_delete=1, tokenize='trigram');

    -- each space has a table vectors_<id> beside it, see sqlite_vectors.py
    CREATE TABLE spaces (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        domain TEXT NOT NULL UNIQUE,
        model TEXT NOT NULL,
        dimension INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        changed INTEGER NOT NULL,  -- value of state.changes when its vectors last changed
        mirrored INTEGER           -- value of changed that its sqlite-vec table stands at
    );
    CREATE TABLE blocks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        space INTEGER NOT NULL,
        used INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        chunks BLOB NOT NULL,
        bits BLOB NOT NULL
    );
    CREATE INDEX blocks_space ON blocks (space, used, changed);

    CREATE TABLE poison (digest TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
    """,
    # Notes and events are the truth; their documents, chunks and vectors are made from them. Times are microseconds
    # since 1970, tags and all that has parts is JSON.
    """
    ALTER TABLE documents ADD COLUMN metadata TEXT NOT NULL DEFAULT '';  -- what a scope may ask for, or nothing

    CREATE TABLE notes (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        kind TEXT NOT NULL,
        title TEXT NOT NULL,
        body TEXT NOT NULL,
        tags TEXT NOT NULL,
        context TEXT NOT NULL,
        confidence INTEGER NOT NULL,
        status TEXT NOT NULL,
        review TEXT NOT NULL,
        metadata TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        due INTEGER,  -- of the review
        revision INTEGER NOT NULL,
        accesses INTEGER NOT NULL,
        accessed_at INTEGER,
        deleted_at INTEGER
    );
    CREATE INDEX notes_project ON notes (project, updated_at);
    CREATE TABLE links (
        note TEXT NOT NULL,  -- the id of the note that has it
        place INTEGER NOT NULL,  -- among the links of the note
        relation TEXT NOT NULL,
        target TEXT NOT NULL,
        reason TEXT NOT NULL,
        created_at INTEGER,
        PRIMARY KEY (note, place)
    ) WITHOUT ROWID;
    CREATE INDEX links_target ON links (target, relation);

    CREATE TABLE events (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        timestamp INTEGER NOT NULL,
        content TEXT NOT NULL,
        metadata TEXT NOT NULL,
        embedding BLOB  -- float64, where the event came with one
    );
    CREATE INDEX events_timestamp ON events (timestamp);
    """,
    """
    CREATE TABLE anchors (
        note TEXT NOT NULL,  -- the id of the note that has it
        place INTEGER NOT NULL,  -- among the anchors of the note
        path TEXT NOT NULL,
        text TEXT NOT NULL,
        first_line INTEGER NOT NULL,
        last_line INTEGER NOT NULL,
        name TEXT NOT NULL,
        project TEXT NOT NULL,
        "commit" TEXT NOT NULL,
        PRIMARY KEY (note, place)
    ) WITHOUT ROWID;
    CREATE INDEX anchors_path ON anchors (path);
    CREATE INDEX anchors_name ON anchors (name);
    """,
    # Several spaces of a domain: one is active, others are being made or were active before.
    """
    CREATE TABLE new_spaces (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        domain TEXT NOT NULL,
        model TEXT NOT NULL,
        dimension INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        active INTEGER NOT NULL,   -- 1 when it is searched and put into
        changed INTEGER NOT NULL,  -- value of state.changes when its vectors last changed
        mirrored INTEGER           -- value of changed that its sqlite-vec table stands at
    );
    INSERT INTO new_spaces SELECT id, domain, model, dimension, fingerprint, 1, changed, mirrored FROM spaces;
    DELETE FROM sqlite_sequence WHERE name = 'new_spaces';
    INSERT INTO sqlite_sequence SELECT 'new_spaces', seq FROM sqlite_sequence WHERE name = 'spaces';
    DROP TABLE spaces;
    ALTER TABLE new_spaces RENAME TO spaces;
    """,
    """
    CREATE TABLE feedback (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        given_at INTEGER NOT NULL,  -- microseconds since 1970
        query TEXT NOT NULL,
        chosen INTEGER NOT NULL,  -- its place in shown, from 0
        shown TEXT NOT NULL  -- JSON: where the hits stood, best first
    );
    """,
)


def stored_version(connection: apsw.Connection, path: object, steps: Sequence[str] = STEPS) -> int:
    """
    The schema version of the file, 0 when it is new.

    Raises:
        StoreUnavailable: the file belongs to another program, or to a newer version of this one.
    """
    application = connection.pragma("application_id")
    version = int(connection.pragma("user_version"))
    if application != APPLICATION_ID and not _is_empty(connection):
        raise StoreUnavailable(f"{path} is a database of another program, not a MnemoLite index; give another path")
    if version > len(steps):
        raise StoreUnavailable(
            f"{path} has schema version {version}, this program knows up to {len(steps)}; upgrade mnemolite"
        )
    return version


def migrate(connection: apsw.Connection, path: object, steps: Sequence[str] = STEPS) -> None:
    """Brings the file to the newest version in one transaction; another process may have been faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[stored_version(connection, path, steps) :]:
            connection.execute(step)
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", len(steps))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_empty(connection: apsw.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None
