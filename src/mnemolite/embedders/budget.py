"""How much memory the models of a process may take."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from weakref import WeakSet

from mnemolite.embedders.lazy import LazyEmbedder
from mnemolite.errors import EmbedderUnavailable
from mnemolite.ports import Embedder
from mnemolite.ram import MB, resident_bytes
from mnemolite.types import Space

logger = logging.getLogger(__name__)


class RamBudget:
    """
    The first model is always loaded; another one is refused when the process with it would have more than
    *budget_bytes* resident. Thread-safe.
    """

    def __init__(self, budget_bytes: int, resident: Callable[[], int] = resident_bytes) -> None:
        self._budget_bytes = budget_bytes
        self._resident = resident
        self._models: WeakSet[LazyEmbedder] = WeakSet()
        self._loading = threading.Lock()
        self._warned = False

    def embedder(
        self,
        describe: Callable[[], Space],
        load: Callable[[], Embedder],
        size: Callable[[], int],
        *,
        idle_seconds: float = 0,
        slow: bool = False,
    ) -> LazyEmbedder:
        """*size* estimates the bytes the model takes, without loading it."""

        def load_within() -> Embedder:
            with self._loading:  # two at once would both see room for one
                self._admit(describe().model, size())
                loaded = load()
            self._warn()
            return loaded

        made = LazyEmbedder(describe, load_within, idle_seconds=idle_seconds, slow=slow, size=size)
        self._models.add(made)
        return made

    def _admit(self, model: str, size: int) -> None:
        wanted = self._resident() + size
        if wanted > self._budget_bytes and any(each.loaded for each in list(self._models)):
            raise EmbedderUnavailable(
                f"{model} was not loaded: the process would have {wanted // MB} MB, its RAM budget is "
                f"{self._budget_bytes // MB} MB; raise ram_budget_mb or configure a smaller model"
            )

    def _warn(self) -> None:
        resident = self._resident()
        if resident > self._budget_bytes and not self._warned:
            self._warned = True
            logger.warning("%d MB resident, above the RAM budget of %d MB", resident // MB, self._budget_bytes // MB)
