"""
HTTP with a limit on everything: one request, one answer, or one of our errors.

httpx limits each wait, not their sum, and no size. A server that sends a byte every 19 s would
hold a thread without end, so the total is enforced below httpx, at every read of the socket.
"""

import re
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from typing import cast

import httpcore
import httpx

from ifood_actors import metrics
from ifood_actors.errors import ServerFault, causes
from ifood_actors.ifood.http.decoding import ASKED_FOR, Undecodable, decoded
from ifood_actors.masking import mask
from ifood_actors.plain_text import one_line

TOTAL = timedelta(seconds=60)  # one request, from the connection to the last byte
CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0  # other clients wait 20 s to 60 s: docs/ifood-api.md, section 8
MAX_BODY_BYTES = 16 * 1024 * 1024  # before and after decoding; 100 sales are about 0.3 MB

_READ_BYTES = 16 * 1024
_TEXT_LENGTH = 200
# Of a text that may be megabytes long, what is masked for those 200.
_LOOKED_AT = 20 * _TEXT_LENGTH
_CERTIFICATE_ADVICE = "correct the address, or name its authority in IFOOD_API_CA_FILE"


@dataclass(frozen=True)
class Answer:
    """A whole answer. `secrets` were sent with the request and never appear in `clean` text."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def clean(self, text: str) -> str:
        """Make the server's text fit for a log: one line, 200 characters, no secrets."""
        return one_line(mask(text[:_LOOKED_AT], self.secrets), most=_TEXT_LENGTH)


def http_client(
    *, threads: int, ca_file: str | None = None, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """
    Make the client that all threads of a process share; they never wait for a connection.

    The authorities in `ca_file` (PEM) are trusted, else those that come with httpx.

    It follows no redirect, keeps no cookie (applications share it) and reads neither proxies nor
    passwords from the environment. Close it at the end, or use it in a `with` block.
    """
    limits = httpx.Limits(max_connections=threads, max_keepalive_connections=threads)
    return httpx.Client(
        transport=transport or _LimitedTransport(limits, ca_file),
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        headers={
            "User-Agent": f"ifood-actors/{version('ifood-actors')}",
            "Accept": "application/json",
            "Accept-Encoding": ASKED_FOR,
        },
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )


def exchange(
    http: httpx.Client,
    request: httpx.Request,
    *,
    secrets: Sequence[str] = (),
    total: timedelta = TOTAL,
) -> Answer:
    """
    Send a request and read its answer, with any status, within `total` and 16 MiB.

    Interim answers (1xx) are passed over, as HTTP has it. Raises ServerFault, without a status,
    for everything that goes wrong on the way (docs/ifood-api.md, section 8), and for a body that
    cannot be decoded: the connection is dropped with what is left of it.
    """
    deadline = time.monotonic() + total.total_seconds()
    request.extensions["deadline"] = deadline
    where = f"{request.method} {request.url.path}"
    try:
        response = http.send(request, stream=True)
        try:
            body = _read(response, deadline)
        finally:
            response.close()
    except httpx.HTTPError as error:
        raise ServerFault(
            f"{where}: no answer ({one_line(_reason(error), most=_TEXT_LENGTH)})"
        ) from None
    except Undecodable as error:
        if response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            raise ServerFault(f"{where}: {error}") from None
        body = b""  # a 429 counts without its body
    return Answer(response.status_code, response.headers, body, tuple(secrets))


def counted_exchange(
    http: httpx.Client, request: httpx.Request, *, endpoint: str, secrets: Sequence[str]
) -> Answer:
    """Do as `exchange`, and count it for an endpoint group, with how long it took."""
    started = time.monotonic()
    outcome = "no_answer"
    try:
        answer = exchange(http, request, secrets=secrets)
        too_many = answer.status == HTTPStatus.TOO_MANY_REQUESTS
        outcome = str(answer.status) if too_many else f"{answer.status // 100}xx"
    finally:
        metrics.REQUEST_TIMES.labels(endpoint=endpoint).observe(time.monotonic() - started)
        metrics.REQUESTS.labels(endpoint=endpoint, outcome=outcome).inc()
    return answer


def _reason(error: BaseException) -> str:
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            what = cause.verify_message.rstrip(".")
            return f"the certificate is refused, {what}: {_CERTIFICATE_ADVICE}"
    # h11 shows the bytes that it cannot read, which may be those of a token.
    text = re.sub(r"(illegal [a-z ]+):.*", r"\1", str(error), flags=re.DOTALL)
    return f"{type(error).__name__}: {text}"


def _read(response: httpx.Response, deadline: float) -> bytes:
    encoding = response.headers.get("Content-Encoding", "")  # of all its lines
    stream = cast("httpx.SyncByteStream", response.stream)  # as it comes: httpx would decode
    return decoded(_until(deadline, stream), encoding, most=MAX_BODY_BYTES)


def _until(deadline: float, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if time.monotonic() > deadline:
            raise Undecodable("the answer took too long")
        yield chunk


class _LimitedTransport(httpx.HTTPTransport):
    """
    httpx's transport on a pool whose sockets know the deadline of the request they serve.

    httpx has no place for a network backend, so the pool that it would make is made here.
    """

    def __init__(self, limits: httpx.Limits, ca_file: str | None) -> None:
        verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._clock = _Clock()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(verify, trust_env=False),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_LimitedNetwork(self._clock),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._clock.deadline = request.extensions["deadline"]
        self._clock.sent_at = None
        try:
            return super().handle_request(request)
        finally:
            request.extensions["sent_at"] = self._clock.sent_at
            request.extensions["answered_at"] = time.monotonic()


class _Clock(threading.local):
    """
    The request that this thread is in, one at a time, in monotonic seconds.

    Its deadline, and when its latest bytes were handed to the kernel: None before the first.
    """

    deadline = float("inf")
    sent_at: float | None = None

    def left(self, timeout: float | None, error: type[Exception]) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise error("the request took too long")
        return left if timeout is None else min(timeout, left)


class _LimitedNetwork(httpcore.NetworkBackend):
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = self._clock.left(timeout, httpcore.ConnectTimeout)
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _LimitedStream(stream, self._clock)


class _LimitedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, clock: _Clock) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        timeout = self._clock.left(timeout, httpcore.ReadTimeout)
        return self._stream.read(min(max_bytes, _READ_BYTES), timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.left(timeout, httpcore.WriteTimeout))
        self._clock.sent_at = time.monotonic()

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        timeout = self._clock.left(timeout, httpcore.ConnectTimeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _LimitedStream(stream, self._clock)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
