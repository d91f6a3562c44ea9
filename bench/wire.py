"""
What the wire costs: vectors of 768 over gRPC and over HTTP with JSON, in turns within one run.

    python bench/wire.py [--calls 300] [--rounds 5]

The service is the one of 'mnemolite embedder' with all that a call passes there, but its model gives vectors that it
has already, so that only the way to them is measured. The client is this process; HTTP is spoken by http.client, on a
connection that stays, and JSON read by msgspec. Each answer becomes a NumPy array. Prints the bytes of an answer's
message, the CPU of both processes for a call, and the median of the time it takes.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import grpc
import msgspec
import numpy as np
from prometheus_client import CollectorRegistry

from mnemolite.lab.local_embedder import cpu_seconds
from mnemolite.ports import Embedder
from mnemolite.proto import embedding_pb2 as wire
from mnemolite.proto.embedding_pb2_grpc import EmbeddingServiceStub
from mnemolite.serve.batching import BatchingEmbedder
from mnemolite.serve.embedding import Server
from mnemolite.serve.http.embedder import embedder_app
from mnemolite.serve.http.server import runner
from mnemolite.serve.metrics import BatchMetrics, Metrics
from mnemolite.serve.security import Keys
from mnemolite.settings import Settings
from mnemolite.types import Domain, ModelState, Role, Space, Text
from mnemolite.wiring import open_models

if TYPE_CHECKING:
    from mnemolite.types import Matrix

DIMENSION = 768
COUNTS = (1, 100)


class Ready:
    """A model whose vectors are there before they are asked for."""

    space = Space(domain=Domain.HYBRID, model="ready", dimension=DIMENSION, fingerprint="ready")
    state = ModelState(space=space, loaded=True)
    max_tokens = 512

    def __init__(self) -> None:
        rows = np.random.default_rng(0).standard_normal((max(COUNTS), DIMENSION), np.float32)
        self._rows: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def tokens(self, text: str) -> Sequence[int]:
        return (1, 2, 3)

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        return self._rows[: len(texts)]


@dataclass
class Way:
    """To get vectors: *ask* gives them with the bytes of the message they came in."""

    ask: Callable[[list[str]], tuple[Matrix, int]]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    size: int = 0


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{'vectors':>7}  {'':22}{'bytes':>10}{'CPU ms':>9}{'p50 ms':>9}")
    with served() as (pid, grpc_port, http_port):
        for number in COUNTS:
            texts = [f"text {place}" for place in range(number)]
            found = ways(grpc_port, http_port)
            for _ in range(args.rounds):
                for way in found.values():
                    measure(way, texts, max(20, args.calls // number), pid)
            for name, way in found.items():
                ms = 1000 * median(way.seconds)
                print(f"{number:7}  {name:22}{way.size:10,}{1000 * median(way.cpu):9.2f}{ms:9.2f}")


def measure(way: Way, texts: list[str], calls: int, pid: int) -> None:
    expected = Ready().embed(texts, Role.QUERY)
    for _ in range(5):
        rows, way.size = way.ask(texts)
        assert np.abs(rows - expected).max() < 1e-6
    cpu = cpu_seconds(pid) + time.process_time()
    for _ in range(calls):
        start = time.perf_counter()
        way.ask(texts)
        way.seconds.append(time.perf_counter() - start)
    way.cpu.append((cpu_seconds(pid) + time.process_time() - cpu) / calls)


def ways(grpc_port: int, http_port: int) -> dict[str, Way]:
    channel = grpc.insecure_channel(f"127.0.0.1:{grpc_port}", options=[("grpc.enable_http_proxy", 0)])
    stub = EmbeddingServiceStub(channel)  # type: ignore[no-untyped-call]
    connection = http.client.HTTPConnection("127.0.0.1", http_port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def packed_floats(texts: list[str]) -> tuple[Matrix, int]:
        answer = stub.GenerateEmbeddingsBatch(wire.BatchEmbeddingRequest(texts=texts))
        return np.array([each.embedding_text for each in answer.embeddings], np.float32), answer.ByteSize()

    def in_bytes(texts: list[str]) -> tuple[Matrix, int]:
        answer = stub.GenerateEmbeddingsBatch(wire.BatchEmbeddingRequest(texts=texts, form=wire.BYTES))
        return np.frombuffer(answer.vectors_text.data, "<f4").reshape(len(texts), -1), answer.ByteSize()

    def posted(path: str, body: object) -> bytes:
        connection.request("POST", path, msgspec.json.encode(body), {"Content-Type": "application/json"})
        with connection.getresponse() as response:
            read = response.read()
            assert response.status == 200, read
            return read

    def floats(texts: list[str]) -> tuple[Matrix, int]:
        read = posted("/embed", {"inputs": texts})
        return np.array(msgspec.json.decode(read), np.float32), len(read)

    def base64s(texts: list[str]) -> tuple[Matrix, int]:
        read = posted("/v1/embeddings", {"input": texts, "model": "ready", "encoding_format": "base64"})
        given = b"".join(base64.b64decode(each["embedding"]) for each in msgspec.json.decode(read)["data"])
        return np.frombuffer(given, "<f4").reshape(len(texts), -1), len(read)

    return {
        "gRPC, packed floats": Way(packed_floats),
        "gRPC, bytes": Way(in_bytes),
        "HTTP, JSON floats": Way(floats),
        "HTTP, JSON base64": Way(base64s),
    }


@contextmanager
def served() -> Iterator[tuple[int, int, int]]:
    """The service's process and its ports."""
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        grpc_port, http_port = map(int, process.stdout.readline().split())
        try:
            yield process.pid, grpc_port, http_port
        finally:
            process.kill()


def serve() -> None:
    registry = CollectorRegistry()

    def wrap(_: Embedder) -> Embedder:
        return BatchingEmbedder(Ready(), BatchMetrics(registry), batch_tokens=4096, queue_tokens=131_072)

    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"data_dir": folder, "perf_cache_max_size": 0, "rate_per_minute": 0}
        memory = open_models(Settings(**options), wrap=wrap)
        metrics, keys = Metrics(memory, registry), Keys(Path(folder) / "keys.json")
        server = Server(memory, metrics, keys, requests=256, max_bytes=32 * 2**20)
        listener = socket.create_server(("127.0.0.1", 0))
        print(server.listen("127.0.0.1:0"), listener.getsockname()[1], flush=True)
        http_server = runner(embedder_app(memory, metrics, keys, lambda: True))
        threading.Thread(target=http_server.run, args=([listener],), daemon=True).start()
        signal.pause()


if __name__ == "__main__":
    main()
