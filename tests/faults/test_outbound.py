"""Where others can have us send requests: not into this machine, its network, or the cloud it is in."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mnemolite.errors import Forbidden, InvalidInput
from mnemolite.outbound import MAX_REDIRECTS, Outbound, Unreachable, post

HTTP = Outbound.of([], http=True)
HERE = "127.0.0.9"  # where the receivers of these tests are
LOCAL = Outbound.of([f"{HERE}/32"], http=True)

REFUSED = """
    127.0.0.1 127.1.2.3 127.255.255.255 localhost localhost. LOCALHOST
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255
    100.64.0.1 100.100.100.200 169.254.0.1 169.254.169.254 169.254.170.2 168.63.129.16
    192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    [::] [::1] [::ffff:127.0.0.1] [::ffff:10.0.0.1] [::ffff:169.254.169.254] [::ffff:7f00:1] [::127.0.0.1] [::7f00:1]
    [64:ff9b::7f00:1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::1] [2002:7f00:1::] [2002:a9fe:a9fe::1] [2002:c0a8:1::1]
    [2001:0:53aa:64c:0:fbff:80ff:fffe] [fc00::1] [fd00:ec2::254] [fe80::1] [fe80::1%25lo] [fec0::1] [ff02::1]
    [2001:db8::1] [100::1] [0:0:0:0:0:ffff:192.168.1.1]
    2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 017700000001 127.1 127.0.1 0 127.0.0.1. 127.000.000.001 1.2.3
""".split()
PUBLIC = "1.1.1.1 8.8.8.8 172.32.0.1 192.167.1.1 100.128.0.1 [2606:4700:4700::1111] [::ffff:8.8.8.8] [64:ff9b::808:808]"
NO_URL = (
    "",
    "example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "javascript:alert(1)",
    "https://",
    "https:///path",
    "https://user:password@example.com/",
    "https://example.com@127.0.0.1/",
    "https://exa mple.com/",
    "https://example.com/\r\nHost: other",
    "https://example.com\\@127.0.0.1/",
    "https://example.com:99999/",
    "https://example.com:0/",
    "https://１２７.0.0.1/",
    "https://[::1/",
    "https://-example.com/",
    f"https://example.com/{'x' * 2000}",
)


@contextmanager
def refusal() -> Iterator[None]:
    """It is not even tried; "localhost." is a name that not every machine knows."""
    with pytest.raises((Forbidden, InvalidInput, Unreachable)) as refused:
        yield
    assert not isinstance(refused.value, Unreachable) or "localhost. has no address" in str(refused.value)


def test_the_table_is_long_enough() -> None:
    assert len(set(REFUSED)) >= 60


@pytest.mark.parametrize("host", REFUSED)
def test_no_address_that_is_not_public_is_asked(host: str) -> None:
    for url in (f"http://{host}/hook", f"http://{host}:8080/"):
        with refusal():
            HTTP.target(url)


@pytest.mark.parametrize("host", PUBLIC.split())
def test_public_addresses_may_be_asked_and_by_https_alone(host: str) -> None:
    assert Outbound().target(f"https://{host}/hook?x=1").port == 443
    with pytest.raises(Forbidden, match="is not https"):
        Outbound().target(f"http://{host}/hook")


@pytest.mark.parametrize("url", NO_URL)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        HTTP.target(url)


def test_a_name_with_one_address_that_is_not_public_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("93.184.216.34", "10.1.2.3")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(Forbidden, match=r"rebound\.example leads to no public address"):
        Outbound().target("https://rebound.example/")
    assert Outbound.of(["10.1.0.0/16"], http=False).target("https://rebound.example/").host == "rebound.example"
    with pytest.raises(InvalidInput, match="write a network like"):
        Outbound.of(["10.1.2.3/16"], http=False)


class Receiver(BaseHTTPRequestHandler):
    """Answers as it is told to, and remembers what it was sent."""

    answers: list[tuple[int, str]]  # status and Location, the last one for ever
    received: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.received.append((self.path, self.headers["Host"], body))
        status, location = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def receiver(
    *answers: tuple[int, str], wrap: Callable[[socket.socket], socket.socket] = lambda plain: plain
) -> Iterator[tuple[int, list[tuple[str, str, bytes]]]]:
    received: list[tuple[str, str, bytes]] = []
    handler = type("OfTest", (Receiver,), {"answers": list(answers), "received": received})
    with ThreadingHTTPServer((HERE, 0), handler) as server:
        server.socket = wrap(server.socket)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port, received
        finally:
            server.shutdown()
            thread.join()


def test_a_redirect_is_followed_with_the_body_where_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for status in (301, 302, 307, 308):
        with receiver((status, "/there?x=1"), (204, "")) as (port, received):
            post(f"http://{HERE}:{port}/here", b"{}", {}, LOCAL, 5)
            host = f"{HERE}:{port}"
            assert received == [("/here", host, b"{}"), ("/there?x=1", host, b"{}")]
    with receiver((307, "/again")) as (port, received):
        with pytest.raises(Unreachable, match="redirected more than 3 times"):
            post(f"http://{HERE}:{port}/", b"{}", {}, LOCAL, 5)
        assert len(received) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("host", REFUSED)
def test_no_redirect_leads_where_the_first_request_could_not(host: str) -> None:
    with receiver((307, f"http://{host}/latest/meta-data/")) as (port, received):
        with refusal():
            post(f"http://{HERE}:{port}/", b"{}", {}, LOCAL, 5)
        assert len(received) == 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://a:b@127.0.0.1/", "//[::1]/"])
def test_no_redirect_leads_to_another_kind_of_place(location: str) -> None:
    with receiver((302, location)) as (port, _), pytest.raises((Forbidden, InvalidInput)):
        post(f"http://{HERE}:{port}/", b"{}", {}, LOCAL, 5)


def test_the_address_that_was_checked_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up: Any = socket.getaddrinfo
    meant = {"rebinding.example": [HERE]}  # at first; then the server's own machine

    def rebinding(host: str, *rest: Any, **more: Any) -> Any:
        address = (meant[host].pop() if meant[host] else "127.0.0.1") if host in meant else host
        return look_up(address, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with receiver((200, "")) as (port, received):
        post(f"http://rebinding.example:{port}/hook", b"{}", {}, LOCAL, 5)
        assert received == [("/hook", f"rebinding.example:{port}", b"{}")]
        with pytest.raises(Forbidden):
            post(f"http://rebinding.example:{port}/hook", b"{}", {}, LOCAL, 5)


@pytest.mark.parametrize(
    "answer", [(200, ""), (204, ""), (303, "/"), (304, ""), (400, ""), (410, ""), (500, ""), (307, "")]
)
def test_only_an_answer_of_success_counts(answer: tuple[int, str]) -> None:
    with receiver(answer) as (port, _):
        if answer[0] < 300:
            post(f"http://{HERE}:{port}/", b"{}", {}, LOCAL, 5)
            return
        with pytest.raises(Unreachable, match=f"answered with status {answer[0]}"):
            post(f"http://{HERE}:{port}/", b"{}", {}, LOCAL, 5)


def test_a_server_that_never_answers_is_given_up_even_when_it_says_a_little() -> None:
    with socket.create_server((HERE, 0)) as listener:
        url = f"http://{HERE}:{listener.getsockname()[1]}/"

        def drip() -> None:
            peer, _ = listener.accept()
            with peer:
                while True:
                    try:
                        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    except OSError:
                        return
                    if ended.wait(0.05):
                        return

        ended = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(Unreachable, match="did not answer"):
            post(url, b"{}", {}, LOCAL, 0.5)
        ended.set()
        thread.join()
    with pytest.raises(Unreachable, match="did not answer"):
        post(url, b"{}", {}, LOCAL, 5)


def test_a_certificate_must_be_of_the_name_and_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -addext subjectAltName=DNS:hook.example"
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: look_up(HERE, *rest, **more))
    with receiver((200, ""), wrap=lambda plain: own.wrap_socket(plain, server_side=True)) as (port, received):
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://hook.example:{port}/", b"{}", {}, LOCAL, 5)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://other.example:{port}/", b"{}", {}, LOCAL, 5)
        assert received == []
        post(f"https://hook.example:{port}/", b"{}", {}, LOCAL, 5)
        assert received == [("/", f"hook.example:{port}", b"{}")]
