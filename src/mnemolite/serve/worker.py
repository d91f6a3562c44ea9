"""Threads that work on jobs, for as long as a server or a worker runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mnemolite.errors import StoreUnavailable
from mnemolite.indexing import KEPT_DAYS, Indexing
from mnemolite.serve.webhook import Webhooks
from mnemolite.settings import Settings
from mnemolite.wiring import open_indexer, open_server

IDLE_SECONDS = 1.0  # until a thread without a task asks again; news of this process wake it before
REST_SECONDS = 30.0  # without a task, after which its parsers are ended
SWEEP_SECONDS = 2.0
FORGET_SECONDS = 3600.0
AWAY_SECONDS = 1.0  # until a store that could not be reached is asked again
DRAIN_SECONDS = 10.0  # for the tasks that are being done when all is to end

log = logging.getLogger(__name__)


@contextmanager
def hand(settings: Settings) -> Iterator[Callable[[str], bool]]:
    """What does tasks of the jobs that a queue tells this process of, beside a thread that looks after others'."""
    with open_server(settings) as memory, open_indexer(memory.indexing) as indexer:
        workers = Workers(memory.indexing, 0)
        workers.start()
        yield indexer.work
        workers.stop()


class Workers:
    """
    *threads* that do tasks, one that looks after those of workers that ended, here or elsewhere, and one that tells
    callbacks.

    To be started once, and stopped.
    """

    def __init__(self, indexing: Indexing, threads: int) -> None:
        self._indexing = indexing
        self._ending = threading.Event()
        self._forgotten = -FORGET_SECONDS
        self._webhooks = Webhooks(indexing.store, indexing.outbound, indexing.settings.webhook_secret)
        bodies: list[tuple[str, Callable[[], None]]] = [("sweep", self._sweep), ("deliver", self._deliver)]
        bodies += [(f"work-{number}", self._work) for number in range(threads)]
        self._threads = [threading.Thread(target=body, name=f"mnemolite-{name}", daemon=True) for name, body in bodies]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Once the tasks that are being done are; what is late is done again by others."""
        self._ending.set()
        self._indexing.news.set()
        until = time.monotonic() + DRAIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        with open_indexer(self._indexing) as indexer:
            worked = time.monotonic()
            while not self._ending.is_set():
                self._indexing.news.clear()
                if self._tried(indexer.work):
                    worked = time.monotonic()
                    continue
                if time.monotonic() - worked > REST_SECONDS:
                    indexer.rest()
                if not self._ending.is_set():
                    self._indexing.news.wait(IDLE_SECONDS)

    def _sweep(self) -> None:
        while not self._ending.is_set():
            self._tried(self._swept)
            self._ending.wait(SWEEP_SECONDS)

    def _deliver(self) -> None:
        while not self._ending.is_set():
            if not self._tried(self._webhooks.deliver):
                self._ending.wait(IDLE_SECONDS)

    def _swept(self) -> bool:
        self._indexing.sweep()
        if time.monotonic() - self._forgotten > FORGET_SECONDS:
            self._forgotten = time.monotonic()
            self._indexing.store.forget(KEPT_DAYS)
        return True

    def _tried(self, step: Callable[[], bool]) -> bool:
        """What *step* gives; False, after a while, when it fails: a thread goes on whatever happens."""
        try:
            return step()
        except StoreUnavailable as error:
            log.warning("%s", error)
        except Exception:
            log.exception("a worker's step failed")
        self._ending.wait(AWAY_SECONDS)
        return False
