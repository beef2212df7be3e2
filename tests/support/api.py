"""What iFood answers, written down beforehand: items, whole answers on the wire, and bodies."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import simplejson

from ifood_actors.ifood.http.answers import JsonValue, parse
from ifood_actors.ifood.http.client import MerchantApi
from ifood_actors.ifood.http.transport import Answer

Scripted = Mapping[str, Any] | list[Any] | bytes | Exception | None


MERCHANT = "merchant-1"


class ScriptedApi(MerchantApi):
    """
    Gives its answers in order, then nothing without end; `asked` is what it was asked.

    Answers take the way of real ones, through JSON text, so that money is as exact as there.
    """

    def __init__(self, *answers: Scripted, always: Callable[[], Scripted] = lambda: None) -> None:
        self.merchant_id = MERCHANT
        self.answers = list(answers)
        self.always = always
        self.asked: list[tuple[str, dict[str, str]]] = []

    def get(self, resource: str, params: Mapping[str, str]) -> JsonValue | None:
        self.asked.append((resource, dict(params)))
        answer = self.answers.pop(0) if self.answers else self.always()
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, bytes):
            answer = simplejson.dumps(answer, use_decimal=True).encode()
        return parse(Answer(200, httpx.Headers(), answer))


def a_sale(sale_id: Any = "sale-1", /, **fields: Any) -> dict[str, Any]:
    return {"id": sale_id, "createdAt": "2026-09-20T15:00:00Z"} | fields


def sales_page(*sales: Mapping[str, Any], pages: int | None = 1, **fields: Any) -> dict[str, Any]:
    return {"pageCount": pages, "sales": list(sales)} | fields


def a_title(title_id: str | None = "7", /, **fields: Any) -> dict[str, Any]:
    identity = {} if title_id is None else {"id": title_id}
    return identity | {"type": "REPASSE", "amount": 10, "status": "PENDING"} | fields


def an_anticipation(**fields: Any) -> dict[str, Any]:
    return {
        "type": "REPASSE_ANTECIPADO_DIARIO",
        "originalPaymentAmount": 100,
        "anticipatedPaymentAmount": Decimal("98.50"),
        "originalPaymentDate": "2026-10-14",
        "anticipatedPaymentDate": "2026-09-16",
    } | fields


def a_week(*items: Any, start: str = "2026-09-14", end: str | None = "2026-09-20") -> Any:
    return {
        "startDateCalculation": start,
        "endDateCalculation": end,
        "closingItems": list(items),
    }


def closing(*elements: Any, **fields: Any) -> dict[str, Any]:
    """Give an envelope of settlements or anticipations."""
    return {"settlements": list(elements)} | fields


BODYLESS = {*range(100, 200), 204, 304}


@dataclass(frozen=True)
class Reply:
    """One answer on the wire; `cut` closes the connection after half of the body."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False

    def head(self, length: int) -> bytes:
        headers = dict(self.headers)
        if self.status not in BODYLESS:
            headers["Content-Length"] = str(length)
        lines = [f"HTTP/1.1 {self.status} Any", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    def content(self) -> bytes:
        if self.status in BODYLESS:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return simplejson.dumps(self.body, use_decimal=True).encode()


class Script(ThreadingHTTPServer):
    """Answers the financial endpoints in order, the last reply without end; gives tokens away."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: deque[Reply] = deque()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.tokens_given = 0
        self.token_seconds = 10_800
        self.token: Reply | None = None  # instead of tokens

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def read(self, *replies: Reply) -> None:
        """Give these from now on, and forget what was asked."""
        self.replies = deque(replies)
        self.asked = []

    def next(self, path: str) -> Reply:
        parts = urlsplit(path)
        self.asked.append((parts.path.rsplit("/", 1)[1], dict(parse_qsl(parts.query))))
        return self.replies.popleft() if len(self.replies) > 1 else self.replies[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Script

    def do_GET(self) -> None:
        self._send(self.server.next(self.path))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.token is not None:
            self._send(self.server.token)
            return
        self.server.tokens_given += 1
        token = f"token-{self.server.tokens_given}"
        self._send(Reply(200, {"accessToken": token, "expiresIn": self.server.token_seconds}))

    def _send(self, reply: Reply) -> None:
        body = reply.content()
        sent = body[: len(body) // 2] if reply.cut else body
        self.wfile.write(reply.head(len(body)) + sent)
        # After a lone 1xx a client would wait for the final answer.
        self.close_connection = reply.cut or reply.status < 200

    def log_message(self, *_args: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def script() -> Iterator[Script]:
    with Script() as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(5)


PAGE = b"<!DOCTYPE html>\n<html><head><title>Attention Required! | Cloudflare</title></head></html>"
OF_IFOOD = [
    b"",
    b" \r\n",
    b"null",
    b"[]",
    b"{}",
    b'{"sales": []}',
    b'\xef\xbb\xbf{"error": {"code": "404", "message": "No sales found"}}',
    b'{"message": "user is forbidden to access merchant"}',
    b'{"message": "Unauthorized"}',
    b'{"error": {"message": "no Route matched with those values"}}',
    b'{"sales": [' + b"1, " * 5_000 + b"1]}",
    b'{"a": NaN}',
]
NOTES = [
    "no Route matched with those values",
    "An invalid response was received from the upstream server",
    "The upstream server is currently unavailable",
    "The upstream server is timing out",
    "failure to get a peer from the ring-balancer",
    "name resolution failed",
    "Your IP address is not allowed",
]
OF_A_GATEWAY = [
    PAGE,
    b"\xef\xbb\xbf  <html>",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    b"Forbidden",
    b"404 page not found",
    b"no healthy upstream",
    b'"Not Found"',
    b"\x00\x01",
    *(b'{"message":"%s"}' % note.encode() for note in NOTES),
    *(b'{\n  "message":"%s",\n  "request_id":"1579e"\n}' % note.encode() for note in NOTES),
]
CUT = [
    b'{"error": {"code": "404", "mess',
    b'{"message":"no Route matched with tho',
    b"[{",
    b"[WAF] blocked",
    b'{"sales": [' + b'{"id": 1}, ' * 5_000 + b'{"id',
    b'{"a": "\xff"}',
]
