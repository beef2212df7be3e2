"""The routes, and the server that answers them."""

import asyncio
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ifood_actors.config import Settings
from ifood_actors.logs import get_logger
from ifood_actors.plain_text import first_line
from ifood_actors.web.collector import LedgerGauges, ledger_up
from ifood_actors.web.health import OK, Check
from ifood_actors.web.server import Server, listen, url_of
from ifood_actors.web.shared_query import SharedQuery

log = get_logger(__name__)

SCRAPE_SECONDS = 8.0  # Prometheus gives up after 10
# A page that needs more asks for it, by itself and in one place.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def serve(
    settings: Settings,
    *,
    engine: Engine,
    probe_broker: Callable[[], object],
    host: str,
    port: int,
) -> None:
    """
    Serve until TERM or INT; a second signal stops at once.

    Starts also while Postgres or RabbitMQ is away, since `/readyz` has to say so. Raises UsageError
    when it cannot listen on the address.
    """
    gauges = LedgerGauges(engine, settings)
    checks = [Check("postgres", lambda: _probe(engine)), Check("rabbitmq", probe_broker)]
    app = create_app(checks=checks, read_ledger=gauges.read)
    listener = listen(host, port)
    url = url_of(listener)
    server = Server(app, ready=lambda: log.info("web.started", url=url))
    server.run_until_told(listener)
    log.info("web.stopped")


def create_app(*, checks: Sequence[Check], read_ledger: Callable[[], list[Metric]]) -> ASGIApp:
    """Give the routes. `read_ledger` may block and fail: it is called by a thread of its own."""
    ledger = SharedQuery(read_ledger, holds_for=5.0)
    process = ProcessCollector(registry=None)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        verdicts = await asyncio.gather(*(check.verdict() for check in checks))
        found = {check.service: said for check, said in zip(checks, verdicts, strict=True)}
        ready = all(verdict == OK for verdict in verdicts)
        return JSONResponse({"ready": ready, **found}, status_code=200 if ready else 503)

    async def metrics(request: Request) -> Response:
        try:
            figures = await ledger.answer(within=SCRAPE_SECONDS)
        except Exception as error:  # noqa: BLE001 - the process's own figures are still served
            log.warning("gauges.unreadable", reason=first_line(error))
            figures = [ledger_up(whole=False)]
        registry = CollectorRegistry()
        registry.register(_ReadFigures(figures))
        registry.register(process)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)

    app = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )
    return _with_headers(app)


class _ReadFigures(Collector):
    def __init__(self, figures: list[Metric]) -> None:
        self._figures = figures

    def collect(self) -> list[Metric]:
        return self._figures


def _with_headers(app: ASGIApp) -> ASGIApp:
    """Add the headers to every answer, those that Starlette makes of errors included."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await app(scope, receive, send_on)

    return answer


def _probe(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
