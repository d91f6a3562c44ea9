"""Word of a job's end, signed as https://www.standardwebhooks.com says and brought to its callback URL."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import time
from collections.abc import Callable

from mnemolite import __version__
from mnemolite.errors import Forbidden, InvalidInput
from mnemolite.jobs import Delivery
from mnemolite.outbound import Outbound, Unreachable, post
from mnemolite.ports import JobStore

SECONDS = 10.0  # for one attempt, redirects included
LEASE_SECONDS = 60.0  # after which another may try: whoever had it has ended
AGAIN_SECONDS = (5, 30, 120, 600, 3600, 6 * 3600, 16 * 3600)  # after each attempt that failed; a day in all
BASE64 = "whsec_"

log = logging.getLogger(__name__)


class Webhooks:
    """Brings what is due in *store*, once or, where it is unsure whether it came, again."""

    def __init__(
        self, store: JobStore, outbound: Outbound, secret: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._outbound = outbound
        self._secret = secret
        self._clock = clock

    def deliver(self) -> bool:
        """Tries the delivery that is due; whether there was one."""
        delivery = self._store.claim_delivery(LEASE_SECONDS)
        if delivery is None:
            return False
        try:
            self._send(delivery)
        except (Forbidden, InvalidInput, Unreachable) as error:
            again = AGAIN_SECONDS[delivery.attempts - 1] if delivery.attempts <= len(AGAIN_SECONDS) else None
            log.warning("callback of job %s, attempt %d: %s", delivery.job, delivery.attempts, error)
            self._store.delivered(delivery, str(error), again)
        else:
            self._store.delivered(delivery)
        return True

    def _send(self, delivery: Delivery) -> None:
        if not self._secret:
            raise Forbidden("webhook_secret is not set where it is to be delivered from")
        body = delivery.body.encode()
        at = int(self._clock())
        headers = {
            "User-Agent": f"MnemoLite/{__version__}",
            "webhook-id": delivery.id,  # the same in each attempt
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{signature(self._secret, delivery.id, at, body)}",
        }
        post(delivery.url, body, headers, self._outbound, SECONDS)


def signature(secret: str, id: str, at: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(BASE64)) if secret.startswith(BASE64) else secret.encode()
    return base64.b64encode(hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
