"""One exchange over a real socket, with servers that behave badly."""

import gzip
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ifood_actors.errors import ServerFault
from ifood_actors.ifood.http import transport as limits
from ifood_actors.ifood.http.transport import Answer, exchange, http_client

OK = b"HTTP/1.1 200 OK\r\n"
GONE = threading.Event()  # never set: a wait that ends by its time-out


@contextmanager
def served(behave: Callable[[socket.socket], object], *, reads: bool = True) -> Iterator[str]:
    """A server that reads one request (or not) and then does what it is told."""

    def run() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            if reads:
                connection.recv(65_536)
            behave(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def fetch(url: str, *, total_seconds: float = 60, ca_file: str | None = None) -> Answer:
    with http_client(threads=1, ca_file=ca_file) as http:
        return exchange(
            http, http.build_request("GET", url), total=timedelta(seconds=total_seconds)
        )


def drip(connection: socket.socket, head: bytes) -> None:
    connection.sendall(head)
    while not GONE.wait(0.05):
        connection.sendall(b"x")


DRIPS = {
    "header": OK + b"X-Endless: ",
    "body": OK + b"Content-Length: 100000\r\n\r\n",
    "body without length": OK + b"\r\n",
}


@pytest.mark.parametrize("head", DRIPS.values(), ids=DRIPS)
def test_a_dripping_answer_ends_at_the_total_deadline(head):
    started = time.monotonic()

    with served(lambda c: drip(c, head)) as url, pytest.raises(ServerFault):
        fetch(url, total_seconds=0.5)

    assert 0.4 < time.monotonic() - started < limits.READ_SECONDS


def test_a_silent_server_ends_at_the_total_deadline():
    with served(lambda c: c.recv(1)) as url:
        started = time.monotonic()
        with pytest.raises(ServerFault, match="ReadTimeout"):
            fetch(url, total_seconds=0.3)

        assert time.monotonic() - started < limits.READ_SECONDS


def test_a_gigantic_answer_is_given_up_while_it_comes(monkeypatch):
    monkeypatch.setattr(limits, "MAX_BODY_BYTES", 100_000)

    def flood(connection: socket.socket) -> None:
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with served(flood) as url, pytest.raises(ServerFault, match="larger than"):
        fetch(url)


BROKEN = {
    "cut": OK + b"Content-Length: 100\r\n\r\n[1",
    "cut chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n20\r\n[1",
    "no http": b"220 mail.example.com ESMTP\r\n",
    "nothing": b"",
    "interim only": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\0\0",
    "no gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n[1]",
    "half a gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"[1]")[:-9],
    "endless header": OK + b"X: " + b"x" * 1_000_000,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_a_server_fault(answer):
    with served(lambda c: c.sendall(answer)) as url, pytest.raises(ServerFault):
        fetch(url)


@pytest.mark.parametrize(
    "head", [b"", OK + b"Transfer-Encoding: chunked\r\n\r\n", OK + b"Content-Length: 9\r\n"]
)
def test_bytes_that_are_no_http_are_not_shown(head):
    """They may be those of a token: a proxy that loses a head sends the body in its place."""
    token = b'{"refreshToken": "the-only-one"}\r\n\r\n'

    with (
        served(lambda connection: connection.sendall(head + token)) as url,
        pytest.raises(ServerFault) as raised,
    ):
        fetch(url)

    assert "refreshToken" not in str(raised.value)


CODED = {
    "twice, on one line": b"Content-Encoding: gzip, gzip\r\n",
    "twice, on two lines": b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n",
    "by two codings": b"Content-Encoding: deflate, gzip\r\n",
}


@pytest.mark.parametrize("coding", CODED.values(), ids=CODED)
def test_an_answer_that_is_coded_twice_is_given_up_before_it_fills_the_memory(coding):
    bomb = gzip.compress(gzip.compress(b"\0" * 300_000_000))
    tracemalloc.start()

    try:
        with (
            served(lambda c: c.sendall(OK + coding + b"\r\n" + bomb)) as url,
            pytest.raises(ServerFault, match="another way than by one gzip"),
        ):
            fetch(url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < limits.MAX_BODY_BYTES


def test_the_connection_of_an_answer_that_cannot_be_read_is_dropped():
    dropped = threading.Event()

    def behave(connection: socket.socket) -> None:
        body = b"Content-Encoding: br\r\nContent-Length: 9\r\n\r\n{"
        connection.sendall(OK + b"Connection: keep-alive\r\n" + body)
        connection.settimeout(5)
        if connection.recv(1) == b"":
            dropped.set()

    with served(behave) as url, pytest.raises(ServerFault):
        fetch(url)

    assert dropped.wait(5)


def test_a_429_is_heeded_although_its_body_cannot_be_read():
    head = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Encoding: br\r\n\r\n\x8b\x01"

    with served(lambda c: c.sendall(head)) as url:
        answer = fetch(url)

    assert (answer.status, answer.headers["Retry-After"], answer.body) == (429, "7", b"")


def test_nobody_at_the_address_is_a_server_fault():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(ServerFault, match="ConnectError"):
        fetch(f"http://127.0.0.1:{port}/")


def test_a_whole_answer_comes_back_with_any_status():
    reply = b"HTTP/1.1 418 I'm a teapot\r\nX-One: 1\r\nContent-Length: 3\r\n\r\n[1]"

    with served(lambda c: c.sendall(reply)) as url:
        answer = fetch(url)

    assert (answer.status, answer.headers["X-One"], answer.body) == (418, "1", b"[1]")


def test_interim_answers_are_passed_over_until_the_final_one():
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

    with served(lambda c: c.sendall(interim + OK + b"Content-Length: 3\r\n\r\n[1]")) as url:
        answer = fetch(url)

    assert (answer.status, answer.body) == (200, b"[1]")


def test_interim_answers_without_an_end_end_at_the_total_deadline():
    def hint(connection: socket.socket) -> None:
        while not GONE.wait(0.05):
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")

    started = time.monotonic()

    with served(hint) as url, pytest.raises(ServerFault):
        fetch(url, total_seconds=0.5)

    assert time.monotonic() - started < limits.READ_SECONDS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def over_tls(
    certificate: Path, behave: Callable[[socket.socket], object]
) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def run(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65_536)
            behave(secure)

    return run


def test_a_server_without_a_trusted_certificate_gets_no_request(certificate):
    got: list[bytes] = []
    behave = over_tls(certificate, lambda c: got.append(c.recv(1)))

    with (
        served(behave, reads=False) as url,
        pytest.raises(ServerFault, match="certificate is refused"),
    ):
        fetch(url.replace("http:", "https:"))

    assert got == []


def test_the_deadline_holds_within_tls(certificate):
    behave = over_tls(certificate, lambda c: drip(c, DRIPS["body"]))
    started = time.monotonic()

    with served(behave, reads=False) as url, pytest.raises(ServerFault, match="ReadTimeout"):
        fetch(url.replace("http:", "https:"), total_seconds=0.5, ca_file=str(certificate))

    assert 0.4 < time.monotonic() - started < limits.READ_SECONDS
