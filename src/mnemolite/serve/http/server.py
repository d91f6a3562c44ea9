"""The server as a process: what it opens, where it listens, how it ends."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from mnemolite.errors import InvalidInput
from mnemolite.memory import Memory
from mnemolite.serve.http.app import make_app
from mnemolite.serve.http.guard import THIS_MACHINE
from mnemolite.serve.logs import log_json
from mnemolite.serve.security import Access, Keys, keys_file
from mnemolite.settings import Settings
from mnemolite.wiring import open_server

HOST = "127.0.0.1"
DRAIN_SECONDS = 10  # for the requests that are going on when it is told to end

log = logging.getLogger(__name__)


def serve(settings: Settings, host: str, port: int, *, insecure: bool = False) -> None:
    """
    Answers at *host*:*port* until it is told to end.

    Raises:
        InvalidInput: other machines could ask without a key, and *insecure* does not allow it; or *port* is taken.
    """
    keys = Keys(keys_file(settings))
    check_host(host, keys, insecure=insecure)
    log_json()
    memory = open_server(settings)
    try:
        listener = listen(host, port)
        shown = f"[{host}]" if ":" in host else host
        log.info("serving at http://%s:%d", shown, listener.getsockname()[1])
        app = make_app(memory, keys, hosts=names(settings, keyless=not keys.asked_for and not insecure))
        _run(app, listener, settings)
        log.info("ended")
    finally:
        memory.close()


def serve_page(memory: Memory, port: int, started: Callable[[str], None]) -> None:
    """
    The page for *memory* alone, on this machine, until it is told to end; *started* is given its address, which holds
    the one key that it can be asked with: other users of the machine cannot.

    Raises:
        InvalidInput: *port* is taken.
    """
    with TemporaryDirectory(prefix="mnemolite-") as folder:
        keys = Keys(Path(folder) / "keys.json")
        _, token = keys.create("page", Access.ADMIN)
        listener = listen(HOST, port)
        started(f"http://{HOST}:{listener.getsockname()[1]}/#key={token}")
        _run(make_app(memory, keys, hosts=THIS_MACHINE), listener, memory.settings)


def _run(app: ASGIApp, listener: socket.socket, settings: Settings) -> None:
    for ending in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises again what it was ended by
        signal.signal(ending, lambda *_: None)
    runner(app, settings.trusted_proxies).run([listener])


def check_host(host: str, keys: Keys, *, insecure: bool) -> None:
    """
    Raises:
        InvalidInput: other machines could ask without a key, and *insecure* does not allow it.
    """
    if host not in THIS_MACHINE and not keys.asked_for and not insecure:
        raise InvalidInput(
            f"at {host} anybody who reaches this machine could read and write what is stored: make a key with "
            "'mnemolite key create NAME', or say --insecure"
        )


def names(settings: Settings, *, keyless: bool) -> tuple[str, ...]:
    """By rebinding its name to this machine, a site could have a browser here ask whatever needs no key."""
    return (*THIS_MACHINE, *settings.allowed_hosts) if keyless or settings.allowed_hosts else ()


def runner(app: ASGIApp, trusted_proxies: Sequence[str] = (), **more: Any) -> uvicorn.Server:
    """
    *more* is as uvicorn has it.

    Raises:
        InvalidInput: one of *trusted_proxies* is no address, and would be trusted by nobody.
    """
    for address in trusted_proxies:
        try:
            address == "*" or ip_network(address, strict=False)
        except ValueError as error:
            raise InvalidInput(f"trusted_proxies: {error}; write an address like 10.1.0.7 or 10.1.0.0/16") from error
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_graceful_shutdown=DRAIN_SECONDS,
        **more,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InvalidInput(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error
