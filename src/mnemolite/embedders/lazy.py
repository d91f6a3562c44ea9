"""An embedder that is loaded at its first text, once, however many threads ask, and unloaded when nobody asks."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from mnemolite.errors import EmbedderUnavailable
from mnemolite.ports import Embedder
from mnemolite.ram import give_back
from mnemolite.types import ModelState, Role, Space, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix

logger = logging.getLogger(__name__)


class LazyEmbedder:
    """
    *describe* gives the space without loading anything; *load* makes the embedder.

    After *idle_seconds* without a text (0: never) the model is unloaded; the next text loads it again. To embed no
    texts loads it too. What is *slow* to load says so in the log, at a level that is shown unless turned off. *size*
    estimates the bytes it takes, without loading it.
    """

    def __init__(
        self,
        describe: Callable[[], Space],
        load: Callable[[], Embedder],
        *,
        idle_seconds: float = 0,
        slow: bool = False,
        size: Callable[[], int] = lambda: 0,
    ) -> None:
        self._describe = describe
        self._load = load
        self._size = size
        self._idle_seconds = idle_seconds
        self._level = logging.WARNING if slow else logging.DEBUG
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None
        self._users = 0  # threads that are embedding
        self._used = 0.0  # when the last of them ended
        self._loads = 0
        self._unloaded = threading.Event()
        self._failure = ""  # why the latest attempt to load it failed

    @cached_property
    def space(self) -> Space:
        return self._describe()

    @property
    def loaded(self) -> bool:
        return self._embedder is not None

    @property
    def state(self) -> ModelState:
        return ModelState(space=self.space, loaded=self.loaded, bytes=self._size(), failure=self._failure)

    @property
    def max_tokens(self) -> int:
        with self._use() as embedder:
            return embedder.max_tokens

    def tokens(self, text: str) -> Sequence[int]:
        with self._use() as embedder:
            return embedder.tokens(text)

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        with self._use() as embedder:
            return embedder.embed(texts, role)

    def unload(self) -> None:
        """Gives the model's memory back to the system, unless a text is being embedded; the next one loads it again."""
        with self._lock:
            if self._embedder is None or self._users:
                return
            self._embedder = None
            self._unloaded.set()
        give_back()
        logger.log(self._level, "unloaded embedding model %s", self.space.model)

    @contextmanager
    def _use(self) -> Iterator[Embedder]:
        with self._lock:
            embedder = self._embedder or self._loaded_now()
            self._users += 1
        try:
            yield embedder
        finally:
            with self._lock:
                self._users -= 1
                self._used = time.monotonic()

    def _loaded_now(self) -> Embedder:
        if self._loads and self._describe() != self.space:
            raise EmbedderUnavailable(
                f"the files of the model {self.space.model} have changed; start this process anew"
            )
        logger.log(self._level, "loading embedding model %s", self.space.model)
        start = time.perf_counter()
        try:
            self._embedder = self._load()
        except EmbedderUnavailable as error:
            self._failure = str(error)
            raise
        self._failure = ""
        self._loads += 1
        logger.log(self._level, "loaded %s in %.1f s", self.space.model, time.perf_counter() - start)
        if self._idle_seconds:
            self._unloaded = unloaded = threading.Event()
            own = weakref.ref(self, lambda _: unloaded.set())
            watch = (own, unloaded, self._idle_seconds)
            threading.Thread(target=_unload_when_idle, args=watch, name="mnemolite-idle", daemon=True).start()
        return self._embedder

    def _idle_for(self) -> float:
        """Seconds."""
        with self._lock:
            return 0.0 if self._users else time.monotonic() - self._used


def _unload_when_idle(own: weakref.ref[LazyEmbedder], unloaded: threading.Event, idle_seconds: float) -> None:
    """Waits without keeping the embedder alive: an embedder nobody holds takes its model and this thread along."""
    wait = idle_seconds
    while not unloaded.wait(wait) and (embedder := own()) is not None:
        wait = idle_seconds - embedder._idle_for()
        if wait <= 0:
            embedder.unload()
            wait = idle_seconds  # where a text came in between
        del embedder
