"""
Events, nodes and edges, as a database of an earlier program has them already: then it is left as it is.

What is there is known by its shape, so that another program's table of the same name is not taken over.
"""

from alembic import op
from sqlalchemy import text

from mnemolite.errors import Conflict, StoreUnavailable

revision = "0001"
down_revision = None

TABLES = {
    "events": """
        CREATE TABLE events (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            timestamp timestamptz NOT NULL DEFAULT now(),
            content jsonb NOT NULL,
            metadata jsonb DEFAULT '{}',
            embedding vector(768)
        )
    """,
    "nodes": """
        CREATE TABLE nodes (
            node_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            node_type text NOT NULL,
            label text,
            properties jsonb DEFAULT '{}',
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """,
    "edges": """
        CREATE TABLE edges (
            edge_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            source_node uuid NOT NULL,
            target_node uuid NOT NULL,
            relation_type text NOT NULL,
            properties jsonb DEFAULT '{}',
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """,
}
EVENTS = {"id": "uuid", "timestamp": "timestamptz", "content": "jsonb", "metadata": "jsonb", "embedding": "vector"}


def upgrade() -> None:
    connection = op.get_bind()
    if not connection.scalar(text("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector')")):
        op.execute("CREATE EXTENSION vector")
    for name, create in TABLES.items():
        if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is None:
            op.execute(create)
    columns = connection.execute(
        text(
            "SELECT column_name, udt_name FROM information_schema.columns WHERE table_name = 'events'"
            " AND table_schema = current_schema()"
        )
    )
    found = {str(column): str(kind) for column, kind in columns}
    for column, kind in EVENTS.items():
        if found.get(column) != kind:
            raise StoreUnavailable(
                f"the table events of this database is another program's: its column {column} is"
                f" {found.get(column, 'missing')}, not {kind}; give MnemoLite a database or a schema of its own"
            )


def downgrade() -> None:
    raise Conflict(
        "revision 0001 cannot be taken back: events, nodes and edges may have been there before MnemoLite, and"
        " dropping them would lose what it did not write; drop the database itself if nothing in it is wanted"
    )
