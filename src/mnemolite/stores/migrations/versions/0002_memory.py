"""Code, notes, what they are found by, and what our events have beyond those of 0001."""

from alembic import op
from sqlalchemy import text

from mnemolite.errors import Conflict

revision = "0002"
down_revision = "0001"

UPGRADE = """
-- A collection is searched by itself: 'code', or 'records' for notes and events.
CREATE TABLE sources (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection text NOT NULL,
    name text COLLATE "C" NOT NULL,  -- of a repository, a project's notes, the events; '' for what is of none
    root text NOT NULL DEFAULT '',   -- the folder a repository was indexed from
    changes bigint NOT NULL,         -- rises with each transaction that writes to it
    chunks bigint NOT NULL,
    UNIQUE (collection, name)
);

CREATE SEQUENCE document_ids;
CREATE TABLE documents (
    id bigint PRIMARY KEY,
    source integer NOT NULL,
    path text COLLATE "C" NOT NULL,
    digest text NOT NULL,
    language text NOT NULL,
    size bigint NOT NULL,
    mtime_ns bigint NOT NULL,
    skipped text NOT NULL,
    metadata jsonb,
    folded text COLLATE "C" NOT NULL,  -- the path in lower case, as far as it says something
    trigrams tsvector,                 -- of folded
    UNIQUE (source, path)
);
CREATE INDEX documents_trigrams ON documents USING gin (trigrams);
CREATE INDEX documents_metadata ON documents USING gin (metadata jsonb_path_ops);

-- An id is never given twice, so an old ranking cannot point to a new chunk.
CREATE SEQUENCE chunk_ids;
CREATE TABLE chunks (
    id bigint PRIMARY KEY,
    document bigint NOT NULL,
    kind text NOT NULL,
    first_line integer NOT NULL,
    last_line integer NOT NULL,
    name text NOT NULL,
    parent text NOT NULL,
    signature text NOT NULL,
    docstring text NOT NULL,
    symbols text NOT NULL,             -- a line each
    digest bytea NOT NULL,             -- of the passage its vectors were made from
    text text NOT NULL,                -- byte for byte, but that NUL and U+0001 are written as pairs after U+0001
    folded text COLLATE "C" NOT NULL,  -- the name and the other symbols in lower case, a line each
    trigrams tsvector                  -- of folded, and the source as in words
);
CREATE INDEX chunks_document ON chunks (document);
CREATE INDEX chunks_digest ON chunks (digest);
CREATE INDEX chunks_trigrams ON chunks USING gin (trigrams);

-- What a chunk is found by, apart from its text, so that scoring many reads few pages.
CREATE TABLE words (
    chunk bigint PRIMARY KEY,
    document bigint NOT NULL,
    source integer NOT NULL,
    words tsvector NOT NULL,    -- its terms, and behind a ! its source, language and kind
    impacts sparsevec NOT NULL  -- by hash of the term: what BM25 makes of its frequency, but for the term's rarity
);
ALTER TABLE words ALTER COLUMN words SET STORAGE MAIN, ALTER COLUMN impacts SET STORAGE MAIN;
CREATE INDEX words_words ON words USING gin (words);

-- In how many chunks of a source a term stands.
CREATE TABLE terms (
    term text COLLATE "C" NOT NULL,
    source integer NOT NULL,
    chunks integer NOT NULL,
    PRIMARY KEY (term, source)
) WITH (fillfactor = 80);

-- Each space has a table vectors_<id> beside it: chunk, source, vector. Those up to indexed_to are in an HNSW index.
CREATE TABLE spaces (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection text NOT NULL,
    domain text NOT NULL,
    model text NOT NULL,
    dimension integer NOT NULL,
    fingerprint text NOT NULL,
    indexed_to bigint NOT NULL DEFAULT 0,
    UNIQUE (collection, domain, model, dimension, fingerprint)
);
CREATE TABLE source_spaces (  -- one of each domain
    source integer NOT NULL,
    domain text NOT NULL,
    space integer NOT NULL,
    PRIMARY KEY (source, domain)
);

CREATE TABLE poison (
    collection text NOT NULL,
    digest text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (collection, digest)
);

CREATE TABLE notes (
    id text COLLATE "C" PRIMARY KEY,
    project text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    tags jsonb NOT NULL,
    context json NOT NULL,
    confidence integer NOT NULL,
    status text NOT NULL,
    review json NOT NULL,
    metadata json NOT NULL,  -- not jsonb: kept as it was given
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    due timestamptz,
    revision bigint NOT NULL,
    accesses bigint NOT NULL,
    accessed_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX notes_project ON notes (project, updated_at);
CREATE TABLE links (
    note text COLLATE "C" NOT NULL,
    place integer NOT NULL,
    relation text NOT NULL,
    target text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    created_at timestamptz,
    PRIMARY KEY (note, place)
);
CREATE INDEX links_target ON links (target, relation);
CREATE TABLE anchors (                  -- code that a note points at, as it was
    note text COLLATE "C" NOT NULL,
    place integer NOT NULL,
    path text COLLATE "C" NOT NULL,
    text text NOT NULL,
    first_line integer NOT NULL,
    last_line integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    project text NOT NULL,
    commit text NOT NULL,
    PRIMARY KEY (note, place)
);
CREATE INDEX anchors_path ON anchors (path);
CREATE INDEX anchors_name ON anchors (name);

-- Who knows only the columns of 0001 reads and writes events as before.
ALTER TABLE events
    ADD COLUMN own_id text COLLATE "C",  -- where it is no UUID
    ADD COLUMN key text COLLATE "C" GENERATED ALWAYS AS (coalesce(own_id, id::text)) STORED,
    ADD COLUMN verbatim json,            -- the content with its keys in their order; counts while it equals content
    ADD COLUMN components float8[],      -- the vector it came with, of whatever dimension
    ADD CONSTRAINT events_key UNIQUE (key);
CREATE INDEX events_by_time ON events (timestamp);
CREATE INDEX events_by_metadata ON events USING gin (metadata jsonb_path_ops);
"""

DOWNGRADE = """
DROP INDEX events_by_metadata, events_by_time;
ALTER TABLE events DROP COLUMN key, DROP COLUMN own_id, DROP COLUMN verbatim, DROP COLUMN components;
DROP TABLE anchors, links, notes, poison, source_spaces, spaces, terms, words, chunks, documents, sources;
DROP SEQUENCE chunk_ids, document_ids;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    connection = op.get_bind()
    notes = connection.scalar(text("SELECT count(*) FROM notes"))
    events = connection.scalar(text("SELECT count(*) FROM events WHERE own_id IS NOT NULL OR components IS NOT NULL"))
    if notes or events:
        raise Conflict(
            f"going below revision 0002 would lose {notes:,} notes, and ids and vectors of {events:,} events; export"
            " them with 'mnemolite db copy' and delete them first"
        )
    for space in connection.scalars(text("SELECT id FROM spaces")).all():
        op.execute(f"DROP TABLE vectors_{space}")
    op.execute(DOWNGRADE)
