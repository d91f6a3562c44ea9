"""An embedding service of one's own: ``mnemolite embedder`` as a process, to test and to measure with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mnemolite.errors import EmbedderUnavailable

PROGRAM = str(Path(sys.executable).parent / "mnemolite")
START_SECONDS = 30.0
END_SECONDS = 90.0


class LocalEmbedder:
    """On ports of this machine that were free. Started as a context manager, killed at its end."""

    def __init__(self, **environ: str) -> None:
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self.grpc_port = _free_ports()

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.grpc_port}"

    def start(self, **environ: str) -> None:
        """
        Raises:
            EmbedderUnavailable: it ended at once, or is never ready.
        """
        self._process = subprocess.Popen(
            [PROGRAM, "embedder", "--port", str(self.port), "--grpc-port", str(self.grpc_port)],
            env={**os.environ, **self._environ, **environ},
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise EmbedderUnavailable(f"no embedding service at port {self.grpc_port}")
            time.sleep(0.02)

    def kill(self) -> None:
        """At once, as when its machine dies; paused or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def end(self) -> int:
        """As it is told to; gives its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self.ended()

    def ended(self) -> int:
        """Its exit status, once somebody has told it to end."""
        assert self._process is not None
        return self._process.wait(END_SECONDS)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It keeps its connections, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if self._process is not None:
                self._process.send_signal(signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """It took until now."""
        assert self._process is not None
        return cpu_seconds(self._process.pid)

    def _is_ready(self) -> bool:
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)  # type: ignore[attr-defined]
            except grpc.RpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def __enter__(self) -> LocalEmbedder:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()


def cpu_seconds(pid: int) -> float:
    """That a process took until now, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
