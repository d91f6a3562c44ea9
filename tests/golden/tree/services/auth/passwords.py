"""Secrets at rest."""

import base64
import hashlib
import hmac
import math
import os

SCRYPT_N = 2**15
SCRYPT_R = 8
SCRYPT_P = 1


def hash_password(password: str) -> str:
    """Derive a storable string from a password, with a fresh random salt and scrypt."""
    salt = os.urandom(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=2**26)
    packed = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"scrypt${SCRYPT_N}${packed[0]}${packed[1]}"


def verify_password(password: str, stored: str) -> bool:
    """Compare in constant time, so that the answer's delay says nothing about the stored digest."""
    scheme, cost, salt, expected = stored.split("$")
    if scheme != "scrypt":
        return False
    actual = hashlib.scrypt(
        password.encode(), salt=base64.b64decode(salt), n=int(cost), r=SCRYPT_R, p=SCRYPT_P, maxmem=2**26
    )
    return hmac.compare_digest(actual, base64.b64decode(expected))


def needs_rehash(stored: str) -> bool:
    scheme, cost, *_ = stored.split("$")
    return scheme != "scrypt" or int(cost) < SCRYPT_N


def strength_score(password: str) -> int:
    """Guess how hard a password is to crack, from 0 (trivial) to 4 (strong)."""
    if not password:
        return 0
    pool = 0
    pool += 26 if any(c.islower() for c in password) else 0
    pool += 26 if any(c.isupper() for c in password) else 0
    pool += 10 if any(c.isdigit() for c in password) else 0
    pool += 33 if any(not c.isalnum() for c in password) else 0
    bits = len(set(password)) * math.log2(max(pool, 2))
    return min(4, int(bits // 18))
