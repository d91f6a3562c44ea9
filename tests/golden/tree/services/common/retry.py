"""What to do when a call to another machine fails."""

import random
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class RetryPolicy(Protocol):
    """How long to wait before the n-th further attempt, or None to give up."""

    def delay(self, attempt: int) -> float | None: ...


class LinearRetry:
    """Waits one step longer each time: 1 s, 2 s, 3 s."""

    def __init__(self, step: float = 1.0, attempts: int = 3) -> None:
        self.step = step
        self.attempts = attempts

    def delay(self, attempt: int) -> float | None:
        if attempt > self.attempts:
            return None
        return self.step * attempt


class ExponentialRetry:
    """Doubles the wait each time, up to a ceiling."""

    def __init__(self, base: float = 0.5, ceiling: float = 30.0, attempts: int = 6) -> None:
        self.base = base
        self.ceiling = ceiling
        self.attempts = attempts

    def delay(self, attempt: int) -> float | None:
        if attempt > self.attempts:
            return None
        return min(self.ceiling, self.base * 2 ** (attempt - 1))


class JitteredRetry(ExponentialRetry):
    """Picks a random point below the doubled wait, so that many clients do not come back in one herd."""

    def __init__(self, base: float = 0.5, ceiling: float = 30.0, attempts: int = 6, seed: int | None = None) -> None:
        super().__init__(base, ceiling, attempts)
        self._random = random.Random(seed)

    def delay(self, attempt: int) -> float | None:
        limit = super().delay(attempt)
        return None if limit is None else self._random.uniform(0, limit)


def call_with_retry(
    action: Callable[[], T],
    policy: RetryPolicy,
    retry_on: tuple[type[Exception], ...] = (ConnectionError, TimeoutError),
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    attempt = 0
    while True:
        try:
            return action()
        except retry_on:
            attempt += 1
            pause = policy.delay(attempt)
            if pause is None:
                raise
            sleep(pause)


class CircuitOpen(Exception):
    pass


class CircuitBreaker:
    """Stops calling a dependency that keeps failing, and tries one probe after a rest."""

    def __init__(self, threshold: int = 5, rest: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._threshold = threshold
        self._rest = rest
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None

    def call(self, action: Callable[[], T]) -> T:
        if self._opened_at is not None and self._clock() - self._opened_at < self._rest:
            raise CircuitOpen
        try:
            result = action()
        except Exception:
            self._failures += 1
            if self._failures >= self._threshold:
                self._opened_at = self._clock()
            raise
        self._failures = 0
        self._opened_at = None
        return result
