"""Runs the revisions on the connection that postgres_migrate opened."""

from alembic import context

from mnemolite.stores.postgres_connection import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("metadata"),
    version_table=VERSION_TABLE,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
