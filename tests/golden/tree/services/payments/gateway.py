"""The line to the card processor."""

from __future__ import annotations

import abc
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class GatewayAnswer:
    approved: bool
    reference: str
    reason: str = ""


class PaymentGateway(abc.ABC):
    @abc.abstractmethod
    def authorize(self, amount: Decimal, currency: str, method: str, key: str) -> GatewayAnswer: ...

    @abc.abstractmethod
    def refund(self, reference: str, amount: Decimal) -> GatewayAnswer: ...


class HttpGateway(PaymentGateway):
    def __init__(self, base_url: str, secret: str, timeout: float = 8.0) -> None:
        self._base_url = base_url.rstrip("/")
        self._secret = secret
        self._timeout = timeout

    def authorize(self, amount: Decimal, currency: str, method: str, key: str) -> GatewayAnswer:
        minor = int(amount * 100)
        return self._post("/authorizations", {"amount": minor, "currency": currency, "source": method}, key)

    def refund(self, reference: str, amount: Decimal) -> GatewayAnswer:
        return self._post(f"/authorizations/{reference}/refunds", {"amount": int(amount * 100)}, f"refund-{reference}")

    def _post(self, path: str, body: dict, key: str) -> GatewayAnswer:
        request = urllib.request.Request(
            self._base_url + path,
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._secret}",
                "Content-Type": "application/json",
                "Idempotency-Key": key,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 402:
                return GatewayAnswer(False, "", json.load(error).get("reason", "declined"))
            raise ConnectionError(f"gateway said {error.code}") from error
        return GatewayAnswer(True, answer["reference"])


class SandboxGateway(PaymentGateway):
    """Answers from memory, for local work: amounts ending in .13 are declined."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def authorize(self, amount: Decimal, currency: str, method: str, key: str) -> GatewayAnswer:
        self.calls.append(("authorize", key))
        if int(amount * 100) % 100 == 13:
            return GatewayAnswer(False, "", "unlucky amount")
        return GatewayAnswer(True, f"sbx-{len(self.calls)}")

    def refund(self, reference: str, amount: Decimal) -> GatewayAnswer:
        self.calls.append(("refund", reference))
        return GatewayAnswer(True, reference)
