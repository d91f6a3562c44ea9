"""The embedding service as a process: models that are loaded once, asked over gRPC and HTTP."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path

from msgspec import structs
from prometheus_client import CollectorRegistry

from mnemolite.errors import InvalidInput
from mnemolite.ports import Embedder
from mnemolite.serve.batching import BatchingEmbedder
from mnemolite.serve.embedding import Server
from mnemolite.serve.http.embedder import embedder_app
from mnemolite.serve.http.server import DRAIN_SECONDS, check_host, listen, names, runner
from mnemolite.serve.logs import log_json
from mnemolite.serve.metrics import BatchMetrics, Metrics
from mnemolite.serve.security import Keys, keys_file
from mnemolite.settings import Settings
from mnemolite.wiring import open_models

WAKE_SECONDS = 1.0

log = logging.getLogger(__name__)


class EmbeddingProcess:
    """
    Both doors of the service, from when it is made until :meth:`end`. Port 0 is any that is free.

    Raises:
        InvalidInput: a port is taken, or the certificate cannot be read.
    """

    def __init__(self, settings: Settings, host: str, port: int, grpc_port: int, *, insecure: bool = False) -> None:
        keys = Keys(keys_file(settings))
        check_host(host, keys, insecure=insecure)
        # Callers keep what they asked for lately; a model that is always in use is best held in this process.
        settings = structs.replace(
            settings, embedding_service_url="", perf_cache_max_size=0, perf_model_idle_timeout_minutes=0
        )
        registry = CollectorRegistry()
        metrics = BatchMetrics(registry)
        self._batching: list[BatchingEmbedder] = []

        def batching(embedder: Embedder) -> Embedder:
            made = BatchingEmbedder(
                embedder,
                metrics,
                batch_tokens=settings.embedder_batch_tokens,
                queue_tokens=settings.embedder_queue_tokens,
            )
            self._batching.append(made)
            return made

        self.memory = open_models(settings, wrap=batching)
        everything = Metrics(self.memory, registry)
        self._ready = threading.Event()
        key, certificate = settings.embedder_tls_key, settings.embedder_tls_certificate
        pems = (_read(key), _read(certificate)) if certificate else None
        self._grpc = Server(
            self.memory, everything, keys, requests=settings.embedder_requests, max_bytes=settings.max_body_bytes
        )
        listener = listen(host, port)
        self.port: int = listener.getsockname()[1]
        at = f"[{host}]" if ":" in host else host
        self.grpc_port = self._grpc.listen(f"{at}:{grpc_port}", pems)
        hosts = names(settings, keyless=not keys.asked_for and not insecure)
        app = embedder_app(self.memory, everything, keys, self._ready.is_set, hosts=hosts)
        tls = {"ssl_keyfile": key, "ssl_certfile": certificate} if certificate else {}
        self._http = runner(app, settings.trusted_proxies, **tls)
        self._thread = threading.Thread(target=self._http.run, args=([listener],), name="mnemolite-http")
        self._thread.start()
        log.info("serving at http%s://%s:%d, gRPC at port %d", "s" * bool(tls), at, self.port, self.grpc_port)

    def load(self) -> None:
        """
        From then on it says that it is ready.

        Raises:
            EmbedderUnavailable: a model cannot be loaded.
        """
        self.memory.preload()
        self._ready.set()
        self._grpc.ready()
        log.info("ready")

    def end(self) -> None:
        """Says that it is not ready any more, and ends when what was asked before is answered."""
        self._ready.clear()
        ended = self._grpc.drain(DRAIN_SECONDS)
        self._http.should_exit = True
        ended.wait()
        self._thread.join()
        for each in self._batching:
            each.close()


def serve_embedder(settings: Settings, host: str, port: int, grpc_port: int, *, insecure: bool = False) -> None:
    """Until it is told to end."""
    log_json()
    told = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: told.set())
    process = EmbeddingProcess(settings, host, port, grpc_port, insecure=insecure)
    try:
        process.load()
        while not told.wait(WAKE_SECONDS):  # a signal that another thread gets is seen by this one as it wakes
            pass
    finally:
        process.end()
    log.info("ended")


def _read(file: str) -> bytes:
    try:
        return Path(file).expanduser().read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file or 'embedder_tls_key'} cannot be read: {error.strerror}") from error
