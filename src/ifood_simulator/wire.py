"""Answers on their way out, with the tricks that ordinary responses do not know."""

import asyncio

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ifood_simulator.answers import Answer
from ifood_simulator.faults import Fault

TRANSPORT = "ifood_simulator.transport"
_FIRST_FINAL, _BODYLESS = 200, frozenset({204, 304})


def with_transport(app: ASGIApp) -> ASGIApp:
    """Give the application its connection: ASGI alone cannot cut one, or send a lone 1xx."""

    async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
        cycle = getattr(send, "__self__", None)  # uvicorn's request cycle, of which send is part
        scope[TRANSPORT] = getattr(cycle, "transport", None)
        await app(scope, receive, send)

    return with_connection


def response(answer: Answer, fault: Fault | None = None) -> Response:
    """The response that puts the answer on the wire in the way that the fault demands."""
    if answer.status < _FIRST_FINAL:
        return _Lone(answer)
    match fault:
        case Fault(name="cut", where="head"):
            return _Hangup()
        case Fault(name="cut"):
            return _Cut(answer)
        case Fault(name="drip"):
            return _Drip(answer, fault.bytes_per_second)
        case _:
            return _plain(answer)


def _plain(answer: Answer) -> Response:
    body = b"" if answer.status in _BODYLESS else answer.body
    return Response(
        body,
        status_code=answer.status,
        headers=dict(answer.headers),
        media_type=answer.media_type if body else None,
    )


class _Partial(Response):
    """A response that announces its whole length."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(
            answer.body or b" " * 64,
            status_code=answer.status if answer.status not in _BODYLESS else 200,
            headers=dict(answer.headers),
            media_type=answer.media_type,
        )

    async def _head(self, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})

    async def _part(self, send: Send, part: bytes, *, more: bool) -> None:
        await send({"type": "http.response.body", "body": part, "more_body": more})


class _Cut(_Partial):
    """Half of the body; uvicorn closes a connection whose response was left unfinished."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        await self._head(send)
        await self._part(send, bytes(self.body)[: len(self.body) // 2], more=True)


class _Drip(_Partial):
    """The body in ten small parts a second, until it or the client's patience ends."""

    def __init__(self, answer: Answer, bytes_per_second: int) -> None:
        super().__init__(answer)
        self._step = max(1, bytes_per_second // 10)
        self._pause = self._step / bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        await self._head(send)
        gone = asyncio.ensure_future(_disconnected(receive))
        body = bytes(self.body)
        for start in range(0, len(body), self._step):
            await asyncio.wait({gone}, timeout=self._pause)
            if gone.done():
                return
            end = start + self._step
            await self._part(send, body[start:end], more=end < len(body))
        gone.cancel()


class _Hangup(Response):
    """No head, no body: the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        await _end(scope, receive)


class _Lone(Response):
    """An informational status that no final one follows: written raw, since h11 refuses it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(status_code=answer.status)
        lines = [f"HTTP/1.1 {answer.status} Simulated"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        self._raw = ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        transport: asyncio.Transport = scope[TRANSPORT]
        transport.write(self._raw)
        await _end(scope, receive)


async def _end(scope: Scope, receive: Receive) -> None:
    """Close, and wait until the server knows it: else it would answer 500 for us."""
    transport: asyncio.Transport = scope[TRANSPORT]
    transport.close()
    await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
