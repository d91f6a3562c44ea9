"""Who someone is, and what they may do."""

from services.auth.passwords import hash_password, needs_rehash, verify_password
from services.auth.permissions import Forbidden, has_permission, require_permission
from services.auth.tokens import TokenError, TokenIssuer, TokenReuseDetected
from services.auth.totp import recovery_codes, verify_code

__all__ = [
    "Forbidden",
    "TokenError",
    "TokenIssuer",
    "TokenReuseDetected",
    "has_permission",
    "hash_password",
    "needs_rehash",
    "recovery_codes",
    "require_permission",
    "verify_code",
    "verify_password",
]
