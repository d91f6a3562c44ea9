"""Embeddings over gRPC, as ``proto/embedding.proto`` says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mnemolite import __version__
from mnemolite.errors import (
    EmbedderUnavailable,
    InvalidInput,
    MnemoError,
    Overloaded,
    SpaceMismatch,
    StoreUnavailable,
)
from mnemolite.memory import Memory
from mnemolite.ports import Embedder
from mnemolite.proto import embedding_pb2 as wire
from mnemolite.proto.embedding_pb2_grpc import EmbeddingServiceServicer
from mnemolite.proto.embedding_pb2_grpc import add_EmbeddingServiceServicer_to_server as add_service
from mnemolite.serve.batching import caller_is_gone
from mnemolite.serve.http.vectors import check_texts
from mnemolite.serve.metrics import Metrics
from mnemolite.serve.security import Keys
from mnemolite.types import Domain, Role, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix

    Context: TypeAlias = grpc.ServicerContext
    _Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
    Found: TypeAlias = dict[Domain, Matrix]
    Asked: TypeAlias = wire.EmbeddingRequest | wire.BatchEmbeddingRequest

NAME = "EmbeddingService"
CODES: dict[type[MnemoError], grpc.StatusCode] = {
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    SpaceMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    EmbedderUnavailable: grpc.StatusCode.UNAVAILABLE,
}
_ROLES = {wire.QUERY: Role.QUERY, wire.PASSAGE: Role.PASSAGE}


class EmbeddingService(EmbeddingServiceServicer):
    def __init__(self, memory: Memory, metrics: Metrics) -> None:
        self._memory = memory
        self._metrics = metrics

    def GenerateEmbedding(self, request: wire.EmbeddingRequest, context: Context) -> wire.EmbeddingResponse:  # noqa: N802
        with _answering(context):
            start = time.perf_counter()
            found = self._embedded([request.text], request)
            answer = wire.EmbeddingResponse()
            if request.form == wire.BYTES:
                _pack(answer, found)
            else:
                _spell(answer, found, 0)
            answer.generation_time_ms = _ms(start)
            return answer

    def GenerateEmbeddingsBatch(  # noqa: N802
        self, request: wire.BatchEmbeddingRequest, context: Context
    ) -> wire.BatchEmbeddingResponse:
        with _answering(context):
            return self._batch(request)

    def StreamEmbeddings(  # noqa: N802
        self, requests: Iterator[wire.BatchEmbeddingRequest], context: Context
    ) -> Iterator[wire.BatchEmbeddingResponse]:
        for request in requests:
            with _answering(context):
                answer = self._batch(request)
            yield answer

    def Tokenize(self, request: wire.TokenizeRequest, context: Context) -> wire.TokenizeResponse:  # noqa: N802
        with _answering(context):
            check_texts(request.texts)
            embedder = self._embedder(_domains(request.domain)[0], request.fingerprint)
            return wire.TokenizeResponse(tokens=[wire.Tokens(ids=embedder.tokens(text)) for text in request.texts])

    def Info(self, request: wire.InfoRequest, context: Context) -> wire.InfoResponse:  # noqa: N802
        with _answering(context):
            return wire.InfoResponse(models=map(_described, self._memory.embedders), version=__version__)

    def _batch(self, request: wire.BatchEmbeddingRequest) -> wire.BatchEmbeddingResponse:
        start = time.perf_counter()
        texts: list[Text] = list(request.texts)
        for place, tokens in request.tokens.items():
            if place >= len(texts) or texts[place]:
                raise InvalidInput(f"tokens are given for text {place}, where there is no empty text")
            texts[place] = tuple(tokens.ids)
        found = self._embedded(texts, request)
        answer = wire.BatchEmbeddingResponse()
        if request.form == wire.BYTES:
            _pack(answer, found)
        else:
            for place in range(len(texts)):
                _spell(answer.embeddings.add(), found, place)
        answer.total_time_ms = _ms(start)
        return answer

    def _embedded(self, texts: Sequence[Text], request: Asked) -> Found:
        """By domain; one space of both is asked once."""
        check_texts(texts)
        found: dict[Domain, tuple[Embedder, Matrix]] = {}
        for domain in _domains(request.domain):
            embedder = self._embedder(domain, request.fingerprint)
            same = next((rows for other, rows in found.values() if other is embedder), None)
            if same is None:
                start = time.perf_counter()
                same = embedder.embed(texts, _ROLES.get(request.role, Role.QUERY))
                self._metrics.embedded(str(embedder.space.domain), len(texts), time.perf_counter() - start)
            found[domain] = (embedder, same)
        return {domain: rows for domain, (_, rows) in found.items()}

    def _embedder(self, domain: Domain, fingerprint: str) -> Embedder:
        embedder = self._memory.embedder(domain)
        space = embedder.space
        if fingerprint and fingerprint != space.fingerprint:
            raise SpaceMismatch(f"{space.described} is here, and vectors of fingerprint {fingerprint} were asked for")
        return embedder


class Server:
    """The service with its health and reflection. *requests* are worked on at once; more are refused."""

    def __init__(self, memory: Memory, metrics: Metrics, keys: Keys, *, requests: int, max_bytes: int) -> None:
        self._health = health.HealthServicer(experimental_thread_pool=ThreadPoolExecutor(1))
        self._health.set(NAME, health_pb2.HealthCheckResponse.NOT_SERVING)
        self._health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        self._server = grpc.server(
            ThreadPoolExecutor(requests, thread_name_prefix="mnemolite-grpc"),
            interceptors=[_Doorkeeper(keys)],
            options=[
                ("grpc.max_receive_message_length", max_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=requests,
        )
        add_service(EmbeddingService(memory, metrics), self._server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    def listen(self, address: str, certificate: tuple[bytes, bytes] | None = None) -> int:
        """
        The port; *certificate* is a key and its chain, in PEM.

        Raises:
            InvalidInput: nobody can listen there.
        """
        try:
            port = (
                self._server.add_secure_port(address, grpc.ssl_server_credentials([certificate]))
                if certificate
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise InvalidInput(f"cannot listen on {address}: {error}; choose another --grpc-port") from error
        self._server.start()
        return port

    def ready(self) -> None:
        self._health.set(NAME, health_pb2.HealthCheckResponse.SERVING)
        self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    def drain(self, seconds: float) -> Event:
        """Takes no more calls; set once those that are going on have ended, after *seconds* at the latest."""
        self._health.enter_graceful_shutdown()
        ended: Event = self._server.stop(seconds)
        return ended


class _Doorkeeper(grpc.ServerInterceptor):
    """Whoever has no valid key may ask for nothing but how the service is."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], _Handler | None],
        details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        if details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return continuation(details)
        try:
            if not self._keys.asked_for or self._keys.caller(_token(details)):
                return continuation(details)
        except StoreUnavailable as error:
            return _refusal(grpc.StatusCode.UNAVAILABLE, str(error))
        message = "give a valid API key, as metadata 'authorization: Bearer mnl_...'"
        return _refusal(grpc.StatusCode.UNAUTHENTICATED, message)


def _token(details: grpc.HandlerCallDetails) -> str:
    given = dict(details.invocation_metadata or ()).get("authorization", "")
    scheme, _, token = str(given).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refusal(code: grpc.StatusCode, message: str) -> _Handler:
    return grpc.stream_stream_rpc_method_handler(lambda _, context: context.abort(code, message))


@contextmanager
def _answering(context: Context) -> Iterator[None]:
    """An error of ours becomes a status; what nobody waits for any more is not embedded."""
    caller_is_gone.set(lambda: not context.is_active())
    try:
        yield
    except MnemoError as error:
        code = next((code for kind, code in CODES.items() if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
        context.abort(code, str(error))


def _domains(name: str) -> tuple[Domain, ...]:
    wanted = name.upper() or "TEXT"
    if wanted == "HYBRID":
        return Domain.TEXT, Domain.CODE
    if wanted not in ("TEXT", "CODE"):
        raise InvalidInput(f"no domain {name!r}; there are TEXT, CODE and HYBRID")
    return (Domain(wanted.lower()),)


def _spell(answer: wire.EmbeddingResponse, found: Found, place: int) -> None:
    if (text := found.get(Domain.TEXT)) is not None:
        answer.embedding_text.extend(text[place].tolist())
    if (code := found.get(Domain.CODE)) is not None:
        answer.embedding_code.extend(code[place].tolist())


def _pack(answer: wire.EmbeddingResponse | wire.BatchEmbeddingResponse, found: Found) -> None:
    for domain, rows in found.items():
        packed = answer.vectors_text if domain is Domain.TEXT else answer.vectors_code
        packed.data, packed.dim = rows.astype("<f4", copy=False).tobytes(), rows.shape[1]


def _described(embedder: Embedder) -> wire.Model:
    state = embedder.state
    return wire.Model(
        domain=state.space.domain.upper(),
        name=state.space.model,
        dimension=state.space.dimension,
        fingerprint=state.space.fingerprint,
        max_tokens=embedder.max_tokens,
        moderate=state.space.moderate,
        high=state.space.high,
        loaded=state.loaded,
    )


def _ms(start: float) -> float:
    return 1000 * (time.perf_counter() - start)
