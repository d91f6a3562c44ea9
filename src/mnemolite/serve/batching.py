"""What many callers want embedded at once goes through the model together, in turns, and no more than it can bear."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mnemolite.errors import EmbedderUnavailable, MnemoError, Overloaded
from mnemolite.ports import Embedder
from mnemolite.serve.metrics import BatchMetrics
from mnemolite.types import ModelState, Role, Space, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix

caller_is_gone: ContextVar[Callable[[], bool]] = ContextVar("caller_is_gone")  # set by a door, for what it calls


@dataclass(eq=False)
class _Request:
    """The texts of one call, as tokens. *rows* are filled as batches come back."""

    texts: list[Text]
    role: Role
    rows: Matrix
    is_gone: Callable[[], bool]
    since: float
    taken: int = 0  # texts that are in a batch or were
    missing: int = 0  # rows
    failure: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def fail(self, failure: Exception) -> None:
        self.failure = failure
        self.done.set()


_Batch = list[tuple[_Request, int]]  # texts, by request and place


class BatchingEmbedder:
    """
    An :class:`~mnemolite.ports.Embedder` for many threads. Requests take turns text by text, so that one text does not
    wait for the thousands of another; what waits has at most *queue_tokens*, but for a request that finds nothing
    waiting. A request whose caller is gone by its turn is left out.
    """

    def __init__(self, embedder: Embedder, metrics: BatchMetrics, *, batch_tokens: int, queue_tokens: int) -> None:
        self._embedder = embedder
        self._metrics = metrics.of(embedder.space.model)
        self._batch_tokens = batch_tokens
        self._queue_tokens = queue_tokens
        self._waiting: deque[_Request] = deque()
        self._tokens = 0  # of texts that wait
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="mnemolite-batches", daemon=True)
        self._thread.start()

    @property
    def space(self) -> Space:
        return self._embedder.space

    @property
    def state(self) -> ModelState:
        return self._embedder.state

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    def tokens(self, text: str) -> Sequence[int]:
        return self._embedder.tokens(text)

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        """
        Raises:
            Overloaded: too much waits already.
        """
        import numpy as np

        if not texts:
            return self._embedder.embed(texts, role)
        most = self.max_tokens
        cut = [self._as_tokens(text)[:most] for text in texts]
        rows = np.zeros((len(texts), self.space.dimension), np.float32)
        is_gone = caller_is_gone.get(lambda: False)
        request = _Request(list(cut), role, rows, is_gone, time.monotonic(), missing=len(texts))
        self._put(request, sum(map(len, cut)))
        request.done.wait()
        if request.failure is not None:
            raise request.failure
        return request.rows

    def close(self) -> None:
        """Whatever waits is embedded first."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _as_tokens(self, text: Text) -> tuple[int, ...]:
        if isinstance(text, str):
            return tuple(self._embedder.tokens(text)) if text.strip() else ()
        return text

    def _put(self, request: _Request, tokens: int) -> None:
        with self._changed:
            if self._closed:
                raise EmbedderUnavailable("the embedding service is ending; ask again")
            if self._waiting and self._tokens + tokens > self._queue_tokens:
                self._drop_gone()
            if self._waiting and self._tokens + tokens > self._queue_tokens:
                self._metrics.overloads.inc()
                raise Overloaded(f"{self._tokens:,} tokens wait to be embedded; ask again in a moment")
            self._waiting.append(request)
            self._count(tokens)
            self._changed.notify()

    def _work(self) -> None:
        while batch := self._next():
            self._embed(batch)

    def _next(self) -> _Batch:
        """Of one role, for that is what a model is called with; empty at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                self._drop_gone()
                if self._waiting:
                    return self._taken()
                if self._closed:
                    return []

    def _drop_gone(self) -> None:
        for request in [each for each in self._waiting if each.is_gone()]:
            self._waiting.remove(request)
            self._count(-sum(map(len, request.texts[request.taken :])))
            self._metrics.gone.inc()
            request.fail(EmbedderUnavailable("whoever asked is gone"))

    def _taken(self) -> _Batch:
        batch: _Batch = []
        others: deque[_Request] = deque()
        role, tokens = self._waiting[0].role, 0
        now = time.monotonic()
        while self._waiting:
            request = self._waiting.popleft()
            if request.role is not role:
                others.append(request)
                continue
            size = len(request.texts[request.taken])
            if batch and tokens + size > self._batch_tokens:
                self._waiting.appendleft(request)
                break
            if not request.taken:
                self._metrics.wait_seconds.observe(now - request.since)
            batch.append((request, request.taken))
            tokens += size
            request.taken += 1
            if request.taken < len(request.texts):
                self._waiting.append(request)
        self._waiting.extendleft(reversed(others))  # they have waited longest now
        self._count(-tokens)
        self._metrics.texts.observe(len(batch))
        self._metrics.tokens.observe(tokens)
        return batch

    def _count(self, tokens: int) -> None:
        self._tokens += tokens
        self._metrics.waiting_tokens.inc(tokens)

    def _embed(self, batch: _Batch) -> None:
        [(first, _), *_] = batch
        try:
            rows = self._embedder.embed([request.texts[place] for request, place in batch], first.role)
        except Exception as error:  # noqa: BLE001  whatever it is, somebody waits for an answer
            self._fail(batch, error)
            return
        for (request, place), row in zip(batch, rows, strict=True):
            request.rows[place] = row
            request.missing -= 1
            if not request.missing:
                request.done.set()

    def _fail(self, batch: _Batch, error: Exception) -> None:
        """What fails together is tried singly: a text that cannot be embedded is the fault of its own caller."""
        requests = list(dict.fromkeys(request for request, _ in batch))
        if len(requests) > 1:
            for each in requests:
                self._embed([(request, place) for request, place in batch if request is each])
            return
        [request] = requests
        with self._changed:
            if request in self._waiting:
                self._waiting.remove(request)
                self._count(-sum(map(len, request.texts[request.taken :])))
        request.fail(
            error if isinstance(error, MnemoError) else EmbedderUnavailable(f"{type(error).__name__}: {error}")
        )
