"""Which of the hits that were shown was chosen."""

from alembic import op
from sqlalchemy import text

from mnemolite.errors import Conflict

revision = "0006"
down_revision = "0005"

UPGRADE = """
CREATE TABLE feedback (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    given_at timestamptz NOT NULL,
    query text NOT NULL,
    chosen integer NOT NULL,  -- its place in shown, from 0
    shown json NOT NULL       -- where the hits stood, best first
);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    if count := op.get_bind().scalar(text("SELECT count(*) FROM feedback")):
        raise Conflict(
            f"going below revision {revision} would lose {count:,} pieces of feedback; keep them with"
            " 'mnemolite feedback export' and delete them with 'mnemolite feedback clear' first"
        )
    op.execute("DROP TABLE feedback")
