"""Several addresses of one gRPC service: each call goes to one that answers, and one that does not is left alone."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import grpc

from mnemolite.caches.breaker import Breaker
from mnemolite.errors import EmbedderUnavailable, InvalidInput, SpaceMismatch

S = TypeVar("S")
T = TypeVar("T")

TRIES = 3  # of a call that is in a hurry
FIRST_PAUSE_SECONDS = 0.05  # doubled after each try, and spread by half of it, so that callers do not come all at once
LONGEST_PAUSE_SECONDS = 2.0
TLS = "grpcs://"
OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),  # also how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 1000),  # the breaker is what keeps callers away
]
_AGAIN = {  # nothing was done, or it does no harm twice
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,  # by a server that was about to end: nobody here does
}


@dataclass(eq=False)
class _Address(Generic[S]):
    name: str
    channel: grpc.Channel
    stub: S
    breaker: Breaker


@dataclass
class _Attempts(Generic[S]):
    """Of one call."""

    until: float
    failed: dict[_Address[S], int] = field(default_factory=dict)  # how often
    trouble: str = ""

    @property
    def count(self) -> int:
        return sum(self.failed.values())


class Addresses(Generic[S]):
    """
    Calls of *stub* take turns among *urls*. One that fails is tried again after a pause, elsewhere if possible; an
    address that failed twice in a call, or kept it waiting to the end, is left alone for a while. Thread-safe.
    """

    def __init__(
        self,
        urls: Sequence[str],
        stub: Callable[[grpc.Channel], S],
        *,
        token: str = "",
        ca: bytes | None = None,
        default_port: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = 0
        self._all = [self._made(url.strip().rstrip("/"), stub, ca, default_port) for url in urls]

    def _made(self, url: str, stub: Callable[[grpc.Channel], S], ca: bytes | None, default_port: int) -> _Address[S]:
        place = url.partition("://")[2]
        name = place if place.rpartition("]")[2].count(":") else f"{place}:{default_port}"
        if url.startswith(TLS):
            channel = grpc.secure_channel(name, grpc.ssl_channel_credentials(ca), options=OPTIONS)
        else:
            channel = grpc.insecure_channel(name, options=OPTIONS)
        return _Address(name, channel, stub(channel), Breaker(self._clock))

    @property
    def trouble(self) -> str:
        """Why none of them is asked now, if so."""
        troubles = [address.breaker.trouble for address in self._all]
        return "; ".join(troubles) if all(troubles) else ""

    def call(self, ask: Callable[[S, Call], T], seconds: float, *, patient: bool = False) -> T:
        """
        What *ask* gives, within *seconds*; it may be called several times. One that is *patient* uses all of them to
        get an answer; one that is not gives up after a few tries, or where no address is worth one.

        Raises:
            EmbedderUnavailable: none answers.
            InvalidInput: the service says so.
            SpaceMismatch: the service says so.
        """
        attempts = _Attempts[S](self._clock() + seconds)
        while True:
            address = self._next(attempts)
            if address is not None:
                remaining = max(attempts.until - self._clock(), 0.001)
                try:
                    answer = ask(address.stub, Call(timeout=remaining, metadata=self._metadata))
                except grpc.RpcError as error:
                    self._judge(address, error, attempts)
                else:
                    address.breaker.succeeded()
                    return answer
            pause = min(FIRST_PAUSE_SECONDS * 2 ** max(attempts.count - 1, 0), LONGEST_PAUSE_SECONDS)
            pause *= random.uniform(0.5, 1.5)
            hopeless = not patient and (address is None or attempts.count >= TRIES)
            if hopeless or self._clock() + pause > attempts.until:
                raise EmbedderUnavailable(attempts.trouble or self.trouble or "the embedding service does not answer")
            time.sleep(pause)

    def _next(self, attempts: _Attempts[S]) -> _Address[S] | None:
        """In turn; first those that have not failed this call."""
        with self._lock:
            self._turn += 1
            turned = [self._all[(self._turn + n) % len(self._all)] for n in range(len(self._all))]
        for address in sorted(turned, key=lambda each: attempts.failed.get(each, 0)):
            if address.breaker.allows():
                return address
        return None

    def _judge(self, address: _Address[S], error: grpc.RpcError, attempts: _Attempts[S]) -> None:
        """Raises what no other try would change."""
        code, details = error.code(), (error.details() or "").rpartition("remote host: ")[2]
        where = f"the embedding service at {address.name}"
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            raise InvalidInput(details) from error
        if code is grpc.StatusCode.FAILED_PRECONDITION:
            raise SpaceMismatch(f"{where}: {details}; start this process anew, and rebuild what is indexed") from error
        if code is grpc.StatusCode.UNAUTHENTICATED:
            raise EmbedderUnavailable(f"{where} refuses the token; set embedding_service_token") from error
        if code is grpc.StatusCode.UNIMPLEMENTED:
            raise EmbedderUnavailable(f"{where} is none of mnemolite's: {details}") from error
        attempts.trouble = f"{where} does not answer: {details or code.name}"
        attempts.failed[address] = attempts.failed.get(address, 0) + 1
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            attempts.trouble = f"{where} has too much to do: {details}"
        elif code not in _AGAIN or attempts.failed[address] > 1:
            address.breaker.failed(attempts.trouble)
        if code not in _AGAIN:
            raise EmbedderUnavailable(attempts.trouble) from error


@dataclass(frozen=True)
class Call:
    """How a stub's method is to be called."""

    timeout: float
    metadata: Sequence[tuple[str, str]]
