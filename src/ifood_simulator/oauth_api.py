"""The two oauth endpoints, and the page on which an owner confirms a userCode."""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ifood_simulator.answers import Answer, error
from ifood_simulator.gate import Call
from ifood_simulator.oauth import OAuthError
from ifood_simulator.settings import Resource
from ifood_simulator.simulation import Simulation
from ifood_simulator.world import dumps

_FORM = "application/x-www-form-urlencoded"
_CODES = {400: "BadRequest", 401: "Unauthorized"}


async def call_with_form(simulation: Simulation, request: Request, resource: Resource) -> Call:
    """A request to an oauth endpoint; another content type has no fields at all."""
    is_form = request.headers.get("content-type", "").partition(";")[0].strip() == _FORM
    text = (await request.body()).decode(errors="replace") if is_form else ""
    form = {name: value for name, value in parse_qsl(text) if value}
    return Call(simulation, request, resource, form.get("clientId", ""), form=form)


def token(call: Call) -> Answer:
    try:
        return Answer(200, dumps(call.simulation.grants.token(call.form, at=call.at)))
    except OAuthError as refused:
        return _refusal(refused)


def user_code(call: Call) -> Answer:
    try:
        code = call.simulation.grants.user_code(call.form, at=call.at)
    except OAuthError as refused:
        return _refusal(refused)
    portal = f"{call.request.base_url}apps/code"
    links = {
        "verificationUrl": portal,
        "verificationUrlComplete": f"{portal}?c={code['userCode']}",
    }
    return Answer(200, dumps({**code, **links}))


async def portal(request: Request) -> Response:
    """The owner's page: opening it confirms the code for all stores, or for each `merchant`."""
    simulation: Simulation = request.app.state.simulation
    merchants = frozenset(request.query_params.getlist("merchant")) or None
    try:
        code = simulation.authorize(request.query_params.get("c", ""), merchants)
    except OAuthError as refused:
        return HTMLResponse(f"<p>{refused.message}</p>", status_code=refused.status)
    return HTMLResponse(f"<p>Authorisation code: <code>{code}</code></p>")


def _refusal(refused: OAuthError) -> Answer:
    return error(refused.status, _CODES[refused.status], refused.message)
