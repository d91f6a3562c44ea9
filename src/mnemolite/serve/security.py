"""Who may do what: API keys, kept hashed in a file, and the rate at which each may ask."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from mnemolite.errors import Conflict, Forbidden, InvalidInput, NotFound, StoreUnavailable
from mnemolite.settings import Settings

PREFIX = "mnl"
MAX_CALLERS = 10_000  # whose rates are remembered


class Access(StrEnum):
    """What a key may do; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def includes(self, needed: Access) -> bool:
        order = list(Access)
        return order.index(self) >= order.index(needed)


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key as it is kept: what was given out cannot be told from it."""

    id: str  # also the part of the key that is shown
    name: str
    digest: str  # SHA-256 of the whole key, which has 256 random bits: nothing slower is needed
    access: Access
    projects: tuple[str, ...] = ()  # repositories and projects of notes it is confined to; () is all
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, and what they may."""

    name: str  # for the log and the rate
    access: Access
    projects: tuple[str, ...] = ()  # () is all

    def require(self, needed: Access) -> None:
        """
        Raises:
            Forbidden: it may not.
        """
        if not self.access.includes(needed):
            raise Forbidden(f"this key may {self.access}, and {needed} is needed")

    def confined(self, wanted: str | None) -> tuple[str, ...]:
        """
        The projects a search may look into: *wanted*, or all it may; () is every one there is.

        Raises:
            Forbidden: *wanted* is none of its projects.
        """
        if wanted is None:
            return self.projects
        if self.projects and wanted not in self.projects:
            raise Forbidden(f"this key is for {', '.join(self.projects)} only, not for {wanted!r}")
        return (wanted,)


ANYONE = Caller(name="anyone", access=Access.ADMIN)  # where no key is asked for


class Keys:
    """The keys in *file*, read again when it has changed. Thread-safe."""

    def __init__(self, file: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._asked_for = False

    @property
    def asked_for(self) -> bool:
        """Whether there are keys, or ever were since the start: when the last one is gone, nobody may ask."""
        self.all()
        return self._asked_for

    def all(self) -> list[Key]:
        """
        Raises:
            StoreUnavailable: the file cannot be read.
        """
        with self._lock:
            self._refresh()
            return list(self._keys.values())

    def caller(self, token: str) -> Caller | None:
        """Whose *token* is, when it is a valid key."""
        with self._lock:
            self._refresh()
            key = self._keys.get(token.split("_")[1] if token.count("_") >= 2 else "")
        digest = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        known = hmac.compare_digest(digest, key.digest if key else "0" * 64)
        if key is None or not known or not key.is_valid(self._clock()):
            return None
        return Caller(name=key.id, access=key.access, projects=key.projects)

    def create(
        self, name: str, access: Access, projects: Sequence[str] = (), expires_at: datetime | None = None
    ) -> tuple[Key, str]:
        """The new key, and the text to be given to its owner, which cannot be had again."""
        if not name.strip() or not name.isprintable():
            raise InvalidInput("a key needs a name: whose it is, or what for")
        id = secrets.token_hex(4)
        token = f"{PREFIX}_{id}_{secrets.token_urlsafe(32)}"
        key = Key(
            id=id,
            name=name,
            digest=hashlib.sha256(token.encode()).hexdigest(),
            access=access,
            projects=tuple(projects),
            created_at=self._clock(),
            expires_at=expires_at,
        )
        self._write(lambda keys: keys | {id: key})
        return key, token

    def revoke(self, id: str) -> Key:
        """
        Raises:
            NotFound: there is no such key.
        """

        def revoked(keys: dict[str, Key]) -> dict[str, Key]:
            if id not in keys:
                raise NotFound(f"no key {id!r}; 'mnemolite key list' shows those there are")
            return keys | {id: msgspec.structs.replace(keys[id], revoked_at=keys[id].revoked_at or self._clock())}

        return self._write(revoked)[id]

    def _refresh(self) -> None:
        try:
            state = self._file.stat()
        except FileNotFoundError:
            self._keys, self._read_at = {}, None
            return
        if (state.st_mtime_ns, state.st_ino) == self._read_at:
            return
        try:
            keys = msgspec.json.decode(self._file.read_bytes(), type=list[Key])
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreUnavailable(f"the API keys in {self._file} cannot be read: {error}") from error
        self._keys = {key.id: key for key in keys}
        self._read_at = (state.st_mtime_ns, state.st_ino)
        self._asked_for = self._asked_for or bool(keys)

    def _write(self, change: Callable[[dict[str, Key]], dict[str, Key]]) -> dict[str, Key]:
        """In one piece; the new file beside the old one keeps others from writing meanwhile."""
        new = self._file.with_name(self._file.name + ".new")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            try:
                handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError as error:
                raise Conflict(f"{new} is there: another process is writing keys; delete it if none is") from error
            try:
                with os.fdopen(handle, "wb") as stream:
                    self._refresh()
                    keys = change(self._keys)
                    stream.write(msgspec.json.format(msgspec.json.encode(list(keys.values()))))
                new.replace(self._file)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
            self._refresh()
        return keys


def keys_file(settings: Settings) -> Path:
    return Path(settings.keys_file).expanduser() if settings.keys_file else Path(settings.data_dir) / "keys.json"


class Rate:
    """
    At most *per_minute* requests of each caller within a minute, and that many at once; 0 is any number.

    Not thread-safe: for the event loop.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._full_at: dict[str, float] = {}  # when a caller that asks no more will have its whole minute again

    def wait_seconds(self, caller: str) -> float:
        """0 when *caller* may ask now, which is then counted; else how long it has to wait."""
        if not self._per_minute:
            return 0.0
        now = self._clock()
        each = 60 / self._per_minute
        full_at = max(now, self._full_at.pop(caller, now)) + each
        over = full_at - now - 60
        if over > 1e-9:
            self._full_at[caller] = full_at - each
            return over
        self._full_at[caller] = full_at  # at the end: those who asked longest ago are forgotten first
        if len(self._full_at) > MAX_CALLERS:
            del self._full_at[next(iter(self._full_at))]
        return 0.0
