"""The simulated API as an ASGI application."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ifood_simulator import answers, control
from ifood_simulator.endpoints import ENDPOINTS, NOT_BUILT, Endpoint
from ifood_simulator.gate import pass_through, read_call
from ifood_simulator.oauth import OAuthError
from ifood_simulator.simulation import Simulation
from ifood_simulator.wire import response, with_transport


def create_app(simulation: Simulation) -> ASGIApp:
    """Return an ASGI application for uvicorn, whose connections some faults need."""
    app = Starlette(
        routes=[
            *(_route(simulation, endpoint) for endpoint in ENDPOINTS),
            *(Route(path, _not_built, methods=["GET", "POST"]) for path in NOT_BUILT),
            Route("/apps/code", _portal, methods=["GET"]),
            *control.routes(),
            Route("/{path:path}", _no_route),
        ]
    )
    app.state.simulation = simulation
    return with_transport(app)


def _route(simulation: Simulation, endpoint: Endpoint) -> Route:
    async def serve(request: Request) -> Response:
        call = await read_call(
            simulation, request, resource=endpoint.resource, group=endpoint.group
        )
        return await pass_through(call, endpoint.answer)

    return Route(endpoint.path, serve, methods=[endpoint.method])


async def _portal(request: Request) -> Response:
    """Serve the owner's page: opening it confirms the code, for all stores or each `merchant`."""
    simulation: Simulation = request.app.state.simulation
    merchants = frozenset(request.query_params.getlist("merchant")) or None
    try:
        code = simulation.authorize(request.query_params.get("c", ""), merchants)
    except OAuthError as refused:
        return HTMLResponse(f"<p>{refused.message}</p>", status_code=refused.status)
    return HTMLResponse(f"<p>Authorisation code: <code>{code}</code></p>")


async def _not_built(request: Request) -> Response:  # noqa: ARG001 (Starlette passes it)
    return response(answers.NOT_BUILT)


async def _no_route(request: Request) -> Response:  # noqa: ARG001 (Starlette passes it)
    return response(answers.NO_ROUTE)
