"""The two oauth endpoints."""

from ifood_simulator.answers import Answer, error
from ifood_simulator.gate import Call
from ifood_simulator.oauth import OAuthError
from ifood_simulator.world import dumps

_CODES = {400: "BadRequest", 401: "Unauthorized"}


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


def _refusal(refused: OAuthError) -> Answer:
    return error(refused.status, _CODES[refused.status], refused.message)
