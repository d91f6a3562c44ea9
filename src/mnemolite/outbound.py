"""Requests that others have us make: only to public addresses, and to the address that was checked."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urljoin, urlsplit

from mnemolite.errors import Forbidden, InvalidInput

MAX_URL = 2000
MAX_REDIRECTS = 3
REDIRECTS = (301, 302, 307, 308)
# Neither private nor reserved to every version of Python: protocol assignments, where a cloud has its metadata; and a
# public address that in another cloud means the host of the virtual machine.
SPECIAL = tuple(ip_network(each) for each in ("192.0.0.0/24", "168.63.129.16/32", "192.88.99.0/24", "64:ff9b:1::/48"))
NAT64 = ip_network("64:ff9b::/96")
HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?\.?", re.ASCII | re.IGNORECASE)

Ip = IPv4Address | IPv6Address


class Unreachable(Exception):
    """There was no answer, or none that counts; says which."""


@dataclass(frozen=True)
class Target:
    """A URL that may be asked, with the addresses its host has just now."""

    parts: SplitResult
    host: str  # without brackets
    port: int
    addresses: tuple[str, ...]

    @property
    def url(self) -> str:
        return self.parts.geturl()


@dataclass(frozen=True)
class Outbound:
    """What may be asked: https at public addresses, http too where *http*, and addresses in *networks*."""

    http: bool = False
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, networks: Sequence[str], *, http: bool) -> Outbound:
        """
        Raises:
            InvalidInput: one of *networks* is none.
        """
        try:
            return cls(http, tuple(ip_network(each) for each in networks))
        except ValueError as error:
            raise InvalidInput(f"outbound_networks: {error}; write a network like 10.1.0.0/16") from error

    def target(self, url: str) -> Target:
        """
        *url*, with its host looked up.

        Raises:
            InvalidInput: it is no URL of the web.
            Forbidden: it is not https, or its host has an address that is not public.
            Unreachable: its host has no address.
        """
        parts, host = self.parts(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{host} has no address: {error}") from error
        addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))
        for address in addresses:
            if not self.allows(address):
                raise Forbidden(f"{host} leads to no public address; outbound_networks can allow it")
        return Target(parts, host, port, addresses)

    def parts(self, url: str) -> tuple[SplitResult, str]:
        """*url*, and its host, as far as they can be checked without a look-up; raises as :meth:`target`."""
        wrong = len(url) > MAX_URL or not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>`{}|^')
        try:
            parts = urlsplit("" if wrong else url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise InvalidInput(f"{url[:200]!r} is no URL: {error}") from error
        if not host or port == 0 or parts.scheme not in ("http", "https"):
            raise InvalidInput(f"{url[:200]!r} is no URL; write it like https://example.com/name")
        if "@" in parts.netloc:
            raise InvalidInput("a URL with a name or password in it is not taken: it would be stored and shown")
        if parts.scheme == "http" and not self.http:
            raise Forbidden(f"{url[:200]!r} is not https; outbound_http allows it")
        if ":" in host:
            return parts, self._literal(host)
        if host.rstrip(".").rpartition(".")[2][:1].isdigit():
            return parts, self._literal(host)  # a name's last part never begins with a digit, and 0x7f.1 is no name
        if not HOST.fullmatch(host):
            raise InvalidInput(f"{host[:200]!r} cannot be the name of a host")
        return parts, host

    def allows(self, address: str) -> bool:
        ip = ip_address(address)
        embedded = _embedded(ip)
        if any(each.version == ip.version and ip in each for each in self.networks):
            return True
        return _is_public(ip) if embedded is None else self.allows(str(embedded))

    def _literal(self, host: str) -> str:
        try:
            ip = ip_address(host)
        except ValueError:
            raise InvalidInput(f"{host[:200]!r} is no address as it is usually written, nor a name") from None
        if not self.allows(str(ip)):
            raise Forbidden(f"{host} is no public address; outbound_networks can allow it")
        return str(ip)


def _embedded(ip: Ip) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(ip, IPv4Address):
        return None
    if ip.ipv4_mapped or ip.sixtofour:
        return ip.ipv4_mapped or ip.sixtofour
    if ip.teredo:
        return ip.teredo[1]
    return IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None


def _is_public(ip: Ip) -> bool:
    special = ip.is_multicast or ip.is_reserved or ip.is_private or ip.is_loopback or ip.is_link_local
    local = isinstance(ip, IPv6Address) and (ip.is_site_local or ip.scope_id is not None)
    return ip.is_global and not special and not local and not any(ip in each for each in SPECIAL)


def post(url: str, body: bytes, headers: Mapping[str, str], outbound: Outbound, seconds: float) -> None:
    """
    Sends *body* to *url*; each place it is redirected to is checked as the first.

    Raises:
        InvalidInput, Forbidden: it may not be asked.
        Unreachable: nobody answered with a status of 2xx within *seconds*.
    """
    until = time.monotonic() + seconds
    for _ in range(MAX_REDIRECTS + 1):
        status, location = _send(outbound.target(url), body, headers, until)
        if 200 <= status < 300:
            return
        if status not in REDIRECTS or not location:
            raise Unreachable(f"answered with status {status}")
        url = urljoin(url, location)
    raise Unreachable(f"redirected more than {MAX_REDIRECTS} times")


def _send(target: Target, body: bytes, headers: Mapping[str, str], until: float) -> tuple[int, str | None]:
    left = until - time.monotonic()
    if left <= 0:
        raise Unreachable("took too long")
    kind = _Https if target.parts.scheme == "https" else _Http
    connection = kind(target, left)
    # a server that sends a byte at a time is never late by a socket's own measure
    watch = threading.Timer(left, _end, [connection])
    watch.daemon = True
    watch.start()
    try:
        path = target.parts.path or "/"
        query = f"?{target.parts.query}" if target.parts.query else ""
        connection.request("POST", path + query, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location")
    except (OSError, HTTPException) as error:
        late = " in time" if time.monotonic() >= until else ""
        raise Unreachable(f"did not answer{late}: {error or type(error).__name__}") from error
    finally:
        watch.cancel()
        connection.close()


def _end(connection: HTTPConnection) -> None:
    with suppress(AttributeError, OSError):  # not connected yet, or no more
        connection.sock.shutdown(socket.SHUT_RDWR)


class _Http(HTTPConnection):
    """Connects to the address that was checked, whatever the name means by now."""

    def __init__(self, target: Target, timeout: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout)
        self._target = target

    def connect(self) -> None:
        self.sock = _connected(self._target, self.timeout)


class _Https(HTTPSConnection):
    def __init__(self, target: Target, timeout: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout)
        self._target = target

    def connect(self) -> None:
        plain = _connected(self._target, self.timeout)
        self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self._target.host.rstrip("."))


def _connected(target: Target, timeout: float | None) -> socket.socket:
    failure: OSError | None = None
    for address in target.addresses:
        try:
            return socket.create_connection((address, target.port), timeout)
        except OSError as error:
            failure = error
    raise failure or OSError("no address")
