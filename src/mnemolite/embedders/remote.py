"""Models of an embedding service, see ``mnemolite embedder``, asked over gRPC."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from mnemolite.embedders.addresses import Addresses, Call
from mnemolite.errors import EmbedderUnavailable, InvalidInput
from mnemolite.proto import embedding_pb2 as wire
from mnemolite.proto.embedding_pb2_grpc import EmbeddingServiceStub
from mnemolite.types import Domain, ModelState, Role, Space, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix

PORT = 8003
BATCH_TEXTS = 64  # of one message
BATCH_CHARACTERS = 1_000_000
STREAM_BATCHES = 4  # of one call, for each of which there is the whole time
_ROLES = {Role.QUERY: wire.QUERY, Role.PASSAGE: wire.PASSAGE}


class RemoteEmbedder:
    """
    An :class:`~mnemolite.ports.Embedder` at *urls*; making one asks nothing.

    Its space is the one the service had when it was first reached: another model's vectors are refused from then on. A
    query has *query_seconds* and is given up early where no address answers; passages have *passage_seconds*, and wait
    for one that comes back.
    """

    def __init__(
        self,
        urls: Sequence[str],
        domain: Domain = Domain.HYBRID,
        *,
        token: str = "",
        ca: bytes | None = None,
        query_seconds: float = 10.0,
        passage_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._domain = domain
        self._name = "TEXT" if domain is Domain.HYBRID else domain.upper()  # on the wire HYBRID asks for both
        self._query_seconds = query_seconds
        self._passage_seconds = passage_seconds
        self._addresses = Addresses(urls, EmbeddingServiceStub, token=token, ca=ca, default_port=PORT, clock=clock)
        self._lock = threading.Lock()
        self._known: wire.Model | None = None

    @property
    def space(self) -> Space:
        model = self._model()
        return Space(
            domain=self._domain,
            model=model.name,
            dimension=model.dimension,
            fingerprint=model.fingerprint,
            moderate=model.moderate,
            high=model.high,
        )

    @property
    def state(self) -> ModelState:
        space, trouble = self.space, self._addresses.trouble
        return ModelState(space=space, loaded=not trouble, failure=trouble)

    @property
    def max_tokens(self) -> int:
        return self._model().max_tokens

    def tokens(self, text: str) -> Sequence[int]:
        request = wire.TokenizeRequest(texts=[_valid(text)], domain=self._name, fingerprint=self._model().fingerprint)
        answer = self._addresses.call(
            lambda stub, call: stub.Tokenize(request, timeout=call.timeout, metadata=call.metadata), self._query_seconds
        )
        return list(answer.tokens[0].ids)

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        import numpy as np

        model = self._model()
        rows = np.empty((len(texts), model.dimension), np.float32)
        patient = role is Role.PASSAGE
        batches = list(_batches(texts))
        while batches:
            now, batches = batches[:STREAM_BATCHES], batches[STREAM_BATCHES:]

            def ask(stub: EmbeddingServiceStub, call: Call, now: list[range] = now) -> None:
                """Leaves in *now* what is not answered yet."""
                requests = [self._request(texts, batch, role, model) for batch in now]
                how = {"timeout": call.timeout, "metadata": call.metadata}
                if len(requests) > 1:
                    answers = stub.StreamEmbeddings(iter(requests), **how)
                else:
                    answers = (stub.GenerateEmbeddingsBatch(request, **how) for request in requests)
                for answer in answers:
                    batch = now[0]
                    rows[batch.start : batch.stop] = self._rows(answer, len(batch), model.dimension)
                    del now[0]

            seconds = self._passage_seconds if patient else self._query_seconds
            self._addresses.call(ask, seconds, patient=patient)
        return rows

    def _model(self) -> wire.Model:
        """
        Raises:
            EmbedderUnavailable: the service cannot be reached, or has no such model.
        """
        with self._lock:
            if self._known is None:
                self._known = self._addresses.call(self._asked_for, self._query_seconds)
            return self._known

    def _asked_for(self, stub: EmbeddingServiceStub, call: Call) -> wire.Model:
        models: Sequence[wire.Model] = stub.Info(
            wire.InfoRequest(), timeout=call.timeout, metadata=call.metadata
        ).models
        for model in models:
            if model.domain == self._domain.upper():
                return model
        raise EmbedderUnavailable(
            f"the embedding service has models for {', '.join(each.domain.lower() for each in models)}, and one for"
            f" {self._domain} is wanted; set text_embedding_model and code_embedding_model as they are there"
        )

    def _request(
        self, texts: Sequence[Text], batch: range, role: Role, model: wire.Model
    ) -> wire.BatchEmbeddingRequest:
        request = wire.BatchEmbeddingRequest(
            domain=self._name, role=_ROLES[role], form=wire.BYTES, fingerprint=model.fingerprint
        )
        for number, place in enumerate(batch):
            text = texts[place]
            request.texts.append(_valid(text) if isinstance(text, str) else "")
            if not isinstance(text, str):
                request.tokens[number].ids.extend(_whole(text))
        return request

    def _rows(self, answer: wire.BatchEmbeddingResponse, count: int, dimension: int) -> Matrix:
        import numpy as np

        vectors = answer.vectors_code if self._domain is Domain.CODE else answer.vectors_text
        if (vectors.dim, len(vectors.data), vectors.dtype) != (dimension, 4 * count * dimension, wire.FLOAT32):
            raise EmbedderUnavailable(
                f"the embedding service gave {len(vectors.data):,} bytes of {vectors.dim} dimensions for {count} texts"
            )
        return np.frombuffer(vectors.data, "<f4").reshape(count, dimension)


def _batches(texts: Sequence[Text]) -> Iterator[range]:
    start = size = 0
    for place, text in enumerate(texts):
        if place > start and (place - start == BATCH_TEXTS or size + len(text) > BATCH_CHARACTERS):
            yield range(start, place)
            start, size = place, 0
        size += len(text)
    if start < len(texts):
        yield range(start, len(texts))


def _valid(text: str) -> str:
    """Half of a surrogate pair is no Unicode, and cannot be sent."""
    return text.encode("utf-8", "replace").decode()


def _whole(ids: Sequence[int]) -> Sequence[int]:
    """
    Raises:
        InvalidInput: one is no token of any model.
    """
    for id in ids:
        if not 0 <= id < 2**32:
            raise InvalidInput(f"{id} is no token of the model")
    return ids
