"""Several spaces of a domain: one is active, others are being made or were active before."""

from alembic import op
from sqlalchemy import text

from mnemolite.errors import Conflict

revision = "0005"
down_revision = "0004"

UPGRADE = """
ALTER TABLE source_spaces
    ADD COLUMN active boolean NOT NULL DEFAULT true,  -- whether it is searched and put into
    DROP CONSTRAINT source_spaces_pkey,
    ADD PRIMARY KEY (source, space);
"""

DOWNGRADE = """
ALTER TABLE source_spaces DROP CONSTRAINT source_spaces_pkey, DROP COLUMN active, ADD PRIMARY KEY (source, domain);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    if op.get_bind().scalar(text("SELECT count(*) FROM source_spaces WHERE NOT active")):
        raise Conflict(
            f"revision {down_revision} has no place for spaces that are not searched; drop them first, with"
            " 'mnemolite spaces drop'"
        )
    op.execute(DOWNGRADE)
