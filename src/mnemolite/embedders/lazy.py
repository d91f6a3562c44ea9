"""An embedder that is loaded at its first text, once, however many threads ask."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mnemolite.ports import Embedder
from mnemolite.types import Role, Space

if TYPE_CHECKING:
    from mnemolite.types import Matrix

logger = logging.getLogger(__name__)


class LazyEmbedder:
    """*describe* gives the space without loading anything; *load* makes the embedder."""

    def __init__(self, describe: Callable[[], Space], load: Callable[[], Embedder]) -> None:
        self._describe = describe
        self._load = load
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None

    @cached_property
    def space(self) -> Space:
        return self._describe()

    @property
    def loaded(self) -> bool:
        return self._embedder is not None

    def embed(self, texts: Sequence[str], role: Role) -> Matrix:
        return self._get().embed(texts, role)

    def _get(self) -> Embedder:
        if self._embedder is None:
            with self._lock:
                if self._embedder is None:
                    logger.info("loading embedding model %s", self.space.model)
                    start = time.perf_counter()
                    self._embedder = self._load()
                    logger.info("loaded %s in %.0f ms", self.space.model, 1000 * (time.perf_counter() - start))
        return self._embedder
