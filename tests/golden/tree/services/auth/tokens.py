"""Short-lived access tokens and the long-lived ones that renew them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass

ACCESS_LIFETIME = 15 * 60
REFRESH_LIFETIME = 30 * 24 * 3600


class TokenError(Exception):
    pass


class TokenReuseDetected(TokenError):
    """A refresh token came back after it had been spent: somebody holds a stolen copy."""


@dataclass
class RefreshRecord:
    family: str
    account_id: str
    expires_at: float
    spent: bool = False


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class TokenIssuer:
    def __init__(self, key: bytes, clock=time.time) -> None:
        self._key = key
        self._clock = clock
        self._records: dict[str, RefreshRecord] = {}

    def issue_access_token(self, account_id: str, roles: list[str]) -> str:
        """Sign a claim set with HMAC-SHA256: header-less, dot-separated, URL-safe."""
        claims = {"sub": account_id, "roles": roles, "exp": int(self._clock()) + ACCESS_LIFETIME}
        body = _b64(json.dumps(claims, separators=(",", ":")).encode())
        return f"{body}.{self._sign(body)}"

    def read_access_token(self, token: str) -> dict:
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(signature, self._sign(body)):
            raise TokenError("signature does not match")
        claims = json.loads(_unb64(body))
        if claims["exp"] < self._clock():
            raise TokenError("token has expired")
        return claims

    def issue_refresh_token(self, account_id: str, family: str | None = None) -> str:
        raw = secrets.token_urlsafe(32)
        self._records[self._fingerprint(raw)] = RefreshRecord(
            family or secrets.token_hex(8), account_id, self._clock() + REFRESH_LIFETIME
        )
        return raw

    def rotate_refresh_token(self, raw: str) -> tuple[str, str]:
        """Trade a refresh token for its successor; each can be used once.

        When a spent one shows up again the whole family is revoked, which signs out
        both the thief and the victim.
        """
        record = self._records.get(self._fingerprint(raw))
        if record is None or record.expires_at < self._clock():
            raise TokenError("unknown or expired refresh token")
        if record.spent:
            self.revoke_family(record.family)
            raise TokenReuseDetected(record.family)
        record.spent = True
        return record.account_id, self.issue_refresh_token(record.account_id, record.family)

    def revoke_family(self, family: str) -> int:
        doomed = [key for key, record in self._records.items() if record.family == family]
        for key in doomed:
            del self._records[key]
        return len(doomed)

    def _sign(self, body: str) -> str:
        return _b64(hmac.new(self._key, body.encode(), hashlib.sha256).digest())

    @staticmethod
    def _fingerprint(raw: str) -> str:
        return hashlib.sha256(raw.encode()).hexdigest()
