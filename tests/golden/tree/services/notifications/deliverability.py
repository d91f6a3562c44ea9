"""Will mail to this mailbox arrive?"""

import socket
from collections.abc import Callable

DISPOSABLE_DOMAINS = frozenset({"tempbox.example", "mailsink.example", "tenminutes.example"})


class SuppressionList:
    """Addresses that bounced or complained; nothing is sent to them any more."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def __contains__(self, address: str) -> bool:
        return address.lower() in self._reasons

    def record_bounce(self, address: str, permanent: bool, attempts: int = 1) -> None:
        if permanent or attempts >= 3:
            self._reasons[address.lower()] = "bounced"

    def record_complaint(self, address: str) -> None:
        self._reasons[address.lower()] = "complaint"

    def forgive(self, address: str) -> None:
        self._reasons.pop(address.lower(), None)


def _resolve(domain: str) -> bool:
    try:
        socket.getaddrinfo(domain, 25)
    except socket.gaierror:
        return False
    return True


def is_deliverable(address: str, resolve: Callable[[str], bool] = _resolve) -> bool:
    """Ask the name service whether the domain takes mail at all; throw-away providers count as no."""
    domain = address.rsplit("@", 1)[-1].lower()
    if domain in DISPOSABLE_DOMAINS:
        return False
    return resolve(domain)


def unsubscribe_link(base_url: str, account_id: str, topic: str) -> str:
    return f"{base_url}/unsubscribe?account={account_id}&topic={topic}"
