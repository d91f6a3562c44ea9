"""Jobs, what they have yet to do, and word of their end."""

from alembic import op
from sqlalchemy import text

from mnemolite.errors import Conflict

revision = "0003"
down_revision = "0002"

UPGRADE = """
-- Times are microseconds since 1970 by the clocks of workers; paths, errors and bodies are JSON.
CREATE TABLE jobs (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- in the order they came
    id text NOT NULL UNIQUE,
    repository text COLLATE "C" NOT NULL,
    path text NOT NULL,
    git_url text NOT NULL,
    callback_url text NOT NULL,
    state text NOT NULL,
    progress bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL,
    chunks bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    errors text NOT NULL DEFAULT '{}',
    failure text NOT NULL DEFAULT '',
    waiting_for text NOT NULL DEFAULT '',
    revision text NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 1,
    turn bigint NOT NULL DEFAULT 0,    -- when a task of it was last begun: jobs take turns
    created_at bigint NOT NULL,
    started_at bigint,
    finished_at bigint
);
CREATE INDEX jobs_repository ON jobs (repository, state, number);
CREATE INDEX jobs_state ON jobs (state, number);
CREATE TABLE job_tasks (               -- what a job has yet to do, and the files it could not
    job bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    paths text NOT NULL,
    contents bytea,                    -- where the files were sent: MessagePack, compressed by zlib
    state text NOT NULL,               -- waiting, running, failed
    attempts integer NOT NULL,
    run_at bigint NOT NULL,            -- not before
    sent_at bigint,                    -- to a queue
    worker text NOT NULL,
    token text NOT NULL,               -- of the claim that counts
    lease_until bigint NOT NULL,
    PRIMARY KEY (job, number)
);
CREATE INDEX job_tasks_state ON job_tasks (state, lease_until);
CREATE INDEX job_tasks_token ON job_tasks (token);
CREATE TABLE deliveries (
    id text PRIMARY KEY,
    job_number bigint NOT NULL,
    job text NOT NULL,
    url text NOT NULL,
    body text NOT NULL,
    state text NOT NULL,               -- waiting, delivered, failed
    attempts integer NOT NULL,
    run_at bigint NOT NULL,
    failure text NOT NULL,
    created_at bigint NOT NULL,
    delivered_at bigint
);
CREATE INDEX deliveries_job ON deliveries (job);
CREATE INDEX deliveries_state ON deliveries (state, run_at);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    left = op.get_bind().scalar(text("SELECT count(*) FROM jobs WHERE state IN ('PENDING', 'STARTED')"))
    if left:
        raise Conflict(f"going below revision 0003 would lose {left:,} jobs that have not ended; cancel them first")
    op.execute("DROP TABLE deliveries, job_tasks, jobs")
