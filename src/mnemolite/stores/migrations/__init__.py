"""The schema of the PostgreSQL store, as Alembic's revisions; see ``mnemolite db``."""
