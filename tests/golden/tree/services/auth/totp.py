# Einmalkennwörter für die Zwei-Faktor-Anmeldung.

import base64
import hmac
import secrets
import struct

STEP_SECONDS = 30
DIGITS = 6


def generate_secret() -> str:
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: str, moment: float) -> str:
    # Berechnet den sechsstelligen Code für einen Zeitpunkt: HMAC über den Zählerstand,
    # daraus vier Bytes ab dem Versatz, der im letzten Halbbyte steht.
    counter = int(moment) // STEP_SECONDS
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", counter), "sha1").digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def verify_code(secret: str, code: str, moment: float, drift: int = 1) -> bool:
    """Accept the code of the current step and, because phones' clocks are off, of its neighbours."""
    for shift in range(-drift, drift + 1):
        if hmac.compare_digest(code_at(secret, moment + shift * STEP_SECONDS), code):
            return True
    return False


def recovery_codes(count: int = 8) -> list[str]:
    alphabet = "23456789abcdefghjkmnpqrstuvwxyz"
    return ["-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(2)) for _ in range(count)]
