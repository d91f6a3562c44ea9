"""Keeps callers away from what fails, so that they do not wait for it one after the other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

FIRST_SECONDS = 1.0  # nobody tries, after a failure; twice as long after each try that fails as well
LONGEST_SECONDS = 10.0


class Breaker:
    """
    After a failure nobody may pass for a while; then one may, and what becomes of that one holds for all. Thread-safe.

    Each change is logged once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._reason = ""
        self._wait = FIRST_SECONDS
        self._retry_at = 0.0

    @property
    def trouble(self) -> str:
        """What failed, as long as that is known to hold: once somebody may try again, nobody knows."""
        return self._reason if self._clock() < self._retry_at else ""

    def allows(self) -> bool:
        if not self._reason:
            return True
        with self._lock:
            now = self._clock()
            if now < self._retry_at:
                return False
            self._wait = min(2 * self._wait, LONGEST_SECONDS)
            self._retry_at = now + self._wait  # the others stay away until this one knows more
            return True

    def failed(self, reason: str) -> None:
        with self._lock:
            if not self._reason:
                self._wait = FIRST_SECONDS
                self._retry_at = self._clock() + self._wait
            if reason != self._reason:
                logger.warning("%s", reason)
            self._reason = reason

    def succeeded(self) -> None:
        if not self._reason:
            return
        with self._lock:
            if self._reason:
                logger.info("no longer: %s", self._reason)
            self._reason = ""
            self._retry_at = 0.0
