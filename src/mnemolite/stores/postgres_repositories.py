"""Which folder each repository in a database was indexed from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnemolite.errors import Conflict
from mnemolite.stores.postgres import CODE
from mnemolite.stores.postgres_connection import Connection, Database


def nearest_root(database: Database, folders: Sequence[Path]) -> Path | None:
    """The first of *folders* that a repository was indexed from."""
    with database.reading() as connection:
        found = connection.execute(
            "SELECT root FROM sources WHERE collection = %s AND root = ANY(%s)", (CODE, list(map(str, folders)))
        )
        roots = {root for (root,) in found}
    return next((folder for folder in folders if str(folder) in roots), None)


def claim(database: Database, name: str, root: Path, *, shard: str = "", create: bool) -> bool:
    """
    Whether the repository *name* is that of the tree at *root*; made so when there is none, if *create*, on *shard*.

    Raises:
        Conflict: it was indexed from another folder, whose index would be overwritten.
    """
    with database.writing() as connection:
        held = _root(connection, name)
        if held is None and not create:
            return False
        if held is None:
            connection.execute(
                "INSERT INTO sources (collection, name, root, changes, chunks, shard)"
                " VALUES (%(code)s, %(name)s, %(root)s, 0, 0, %(shard)s)"
                " ON CONFLICT (collection, name) DO UPDATE SET root = excluded.root WHERE sources.root = ''",
                {"code": CODE, "name": name, "root": str(root), "shard": shard},
            )
            held = _root(connection, name)
    if held != str(root):
        raise Conflict(
            f"the repository {name!r} in {database.label} is the tree at {held}; give the one at {root} a name of its"
            " own (the setting 'repository'), or take the other out with 'mnemolite clear'"
        )
    return True


def disclaim(database: Database, name: str) -> None:
    """It is no tree's any more."""
    with database.writing() as connection:
        connection.execute("UPDATE sources SET root = '' WHERE collection = %s AND name = %s", (CODE, name))


def _root(connection: Connection, name: str) -> str | None:
    """None when no folder has been indexed under this name."""
    found = connection.execute("SELECT root FROM sources WHERE collection = %s AND name = %s", (CODE, name)).fetchone()
    return str(found[0]) if found and found[0] else None
