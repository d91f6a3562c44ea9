"""Where a repository is, when there are several databases."""

from alembic import op
from sqlalchemy import text

from mnemolite.errors import Conflict

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE sources ADD COLUMN shard text NOT NULL DEFAULT ''")  # '' is here


def downgrade() -> None:
    away = op.get_bind().scalar(text("SELECT count(*) FROM sources WHERE shard <> ''"))
    if away:
        raise Conflict(
            f"going below revision 0004 would lose on which shard {away:,} repositories are; move them back first with"
            " 'mnemolite db move --to coordinator'"
        )
    op.execute("ALTER TABLE sources DROP COLUMN shard")
