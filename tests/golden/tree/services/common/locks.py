"""Mutual exclusion between processes, kept in the database."""

import contextlib
import secrets
import time
from collections.abc import Iterator


class LockNotAcquired(Exception):
    pass


class LeaseLock:
    """A named lock that frees itself when its holder dies, because it is only leased.

    Each grant carries a fencing number; a writer that was paused past its lease
    is refused by whoever has seen a higher one.
    """

    def __init__(self, connection, name: str, lease: float = 30.0) -> None:
        self._connection = connection
        self._name = name
        self._lease = lease
        self._owner = secrets.token_hex(8)

    def acquire(self, patience: float = 5.0) -> int:
        give_up_at = time.monotonic() + patience
        while time.monotonic() < give_up_at:
            row = self._connection.execute(
                "UPDATE leases SET owner = ?, expires_at = ?, fence = fence + 1 "
                "WHERE name = ? AND (owner IS NULL OR expires_at < ?) RETURNING fence",
                (self._owner, time.time() + self._lease, self._name, time.time()),
            ).fetchone()
            if row is not None:
                return row[0]
            time.sleep(0.1)
        raise LockNotAcquired(self._name)

    def renew(self) -> bool:
        changed = self._connection.execute(
            "UPDATE leases SET expires_at = ? WHERE name = ? AND owner = ?",
            (time.time() + self._lease, self._name, self._owner),
        ).rowcount
        return changed == 1

    def release(self) -> None:
        self._connection.execute(
            "UPDATE leases SET owner = NULL WHERE name = ? AND owner = ?", (self._name, self._owner)
        )

    @contextlib.contextmanager
    def held(self) -> Iterator[int]:
        fence = self.acquire()
        try:
            yield fence
        finally:
            self.release()
