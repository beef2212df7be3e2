"""The routes of the simulated API."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ifood_simulator import answers, control, financial, merchant_api, oauth_api
from ifood_simulator.gate import Serve, call_with_token, pass_through
from ifood_simulator.settings import Resource
from ifood_simulator.simulation import Simulation
from ifood_simulator.wire import response, with_transport

Endpoint = Callable[[Request], Awaitable[Response]]

_FINANCIAL = "/financial/v3.0/merchants/{merchant_id}"
_MERCHANT = "/merchant/v1.0/merchants"
_OAUTH = "/authentication/v1.0/oauth"
_ABSENT = ("financial-events", "reconciliation", "reconciliation/{rest:path}")
"""What iFood has and nobody here asks for."""


def create_app(simulation: Simulation) -> ASGIApp:
    """An ASGI application for uvicorn, whose connections some faults need."""

    def read(path: str, resource: Resource, serve: Serve) -> Route:
        async def endpoint(request: Request) -> Response:
            return await pass_through(call_with_token(simulation, request, resource), serve)

        return Route(path, endpoint, methods=["GET"])

    def form(path: str, resource: Resource, serve: Serve) -> Route:
        async def endpoint(request: Request) -> Response:
            call = await oauth_api.call_with_form(simulation, request, resource)
            return await pass_through(call, serve)

        return Route(path, endpoint, methods=["POST"])

    app = Starlette(
        routes=[
            read(f"{_FINANCIAL}/sales", "sales", financial.sales),
            read(f"{_FINANCIAL}/anticipations", "anticipations", financial.anticipations),
            read(f"{_FINANCIAL}/settlements", "settlements", financial.settlements),
            read(_MERCHANT, "merchants", merchant_api.listing),
            read(f"{_MERCHANT}/{{merchant_id}}", "merchants", merchant_api.details),
            form(f"{_OAUTH}/token", "token", oauth_api.token),
            form(f"{_OAUTH}/userCode", "userCode", oauth_api.user_code),
            *[
                Route(f"{_FINANCIAL}/{path}", _not_built, methods=["GET", "POST"])
                for path in _ABSENT
            ],
            Route("/apps/code", oauth_api.portal, methods=["GET"]),
            *control.routes(),
            Route("/{path:path}", _no_route),
        ]
    )
    app.state.simulation = simulation
    return with_transport(app)


async def _not_built(request: Request) -> Response:  # noqa: ARG001 (Starlette passes it)
    return response(answers.NOT_BUILT)


async def _no_route(request: Request) -> Response:  # noqa: ARG001 (Starlette passes it)
    return response(answers.NO_ROUTE)
