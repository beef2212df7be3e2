"""One exchange over a real socket, with servers that behave badly."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from ifood_actors.errors import ServerFault
from ifood_actors.ifood import http_client
from ifood_actors.ifood import transport as limits
from ifood_actors.ifood.transport import Answer, exchange

OK = b"HTTP/1.1 200 OK\r\n"
GONE = threading.Event()  # never set: a wait that ends by its time-out


@contextmanager
def served(behave: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server that reads one request and then does what it is told."""

    def run() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            connection.recv(65_536)
            behave(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def fetch(url: str, *, total_seconds: float = 5) -> Answer:
    with http_client(threads=1) as http:
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

    assert 0.4 < time.monotonic() - started < 1


def test_a_silent_server_ends_at_the_total_deadline():
    with served(lambda c: c.recv(1)) as url:
        started = time.monotonic()
        with pytest.raises(ServerFault, match="ReadTimeout"):
            fetch(url, total_seconds=0.3)

        assert time.monotonic() - started < 1


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
    "no gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n[1]",
    "endless header": OK + b"X: " + b"x" * 1_000_000,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_a_server_fault(answer):
    with served(lambda c: c.sendall(answer)) as url, pytest.raises(ServerFault):
        fetch(url)


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
