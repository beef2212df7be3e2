"""The way that every API request takes: limit, trouble, token, then the resource itself."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from email.utils import formatdate
from time import monotonic, time
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from ifood_simulator import answers
from ifood_simulator.answers import Answer, Refusal
from ifood_simulator.faults import Fault
from ifood_simulator.merchants import Merchant
from ifood_simulator.oauth import Grant
from ifood_simulator.settings import Group
from ifood_simulator.simulation import Simulation
from ifood_simulator.spoiling import instead, spoil
from ifood_simulator.wire import response

_FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class Call:
    """One request on its way through the gate."""

    simulation: Simulation
    request: Request
    resource: str
    group: Group
    client_id: str = ""
    form: dict[str, str] = field(default_factory=dict)
    token: str = ""
    grant: Grant | None = None
    at: float = field(default_factory=monotonic)
    arrived: float = field(default_factory=time)
    fault: Fault | None = None
    trouble: str | None = None

    @property
    def merchant_id(self) -> str | None:
        id_: str | None = self.request.path_params.get("merchant_id")
        return id_

    @property
    def refreshing(self) -> bool:
        return self.form.get("grantType") == "refresh_token"

    @property
    def merchants(self) -> frozenset[str]:
        """The store that is asked about, or those whose authorization is renewed."""
        if self.refreshing:
            return self.simulation.grants.opened_by(self.form.get("refreshToken", ""))
        return frozenset(filter(None, [self.merchant_id]))

    @property
    def today(self) -> date:
        return self.simulation.today

    def suffers(self, fault: str) -> bool:
        return self.fault is not None and self.fault.name == fault

    def merchant(self) -> Merchant:
        """The store that is asked about; raises Refusal when the token does not open it."""
        if self.grant is None:
            raise Refusal(answers.NO_TOKEN)
        if self.group not in self.grant.app.modules:
            raise Refusal(answers.NOT_YOUR_MODULE)
        found = self.simulation.world.roster.find(self.merchant_id or "")
        if found is None:
            raise Refusal(answers.UNKNOWN_MERCHANT)
        if not self.opens(found) or found.revoked:
            raise Refusal(answers.NOT_YOUR_STORE)
        return self._as_served(found)

    def _as_served(self, found: Merchant) -> Merchant:
        if self.fault is None:
            return found
        if self.suffers("silent_empty"):
            return replace(found, empty=self.fault.face)
        return replace(found, **self.fault.habits)

    def opens(self, store: Merchant) -> bool:
        """Whether the token was given for the store, which is linked and has spread."""
        grant = self.grant
        return (
            grant is not None
            and grant.sees(store.id, store.app)
            and self.simulation.links.opens(store.id, issued_at=grant.issued_at, at=self.at)
        )


async def read_call(
    simulation: Simulation, request: Request, *, resource: str, group: Group
) -> Call:
    """
    Read whose request it is: from its form at `oauth`, elsewhere from its token, even if expired.

    A body without the content type of a form has no fields.
    """
    call = Call(simulation, request, resource, group)
    if group == "oauth":
        is_form = request.headers.get("content-type", "").partition(";")[0].strip() == _FORM
        text = (await request.body()).decode(errors="replace") if is_form else ""
        call.form = {name: value for name, value in parse_qsl(text) if value}
        call.client_id = call.form.get("clientId", "")
        return call
    scheme, _, call.token = request.headers.get("authorization", "").partition(" ")
    call.grant = simulation.grants.grant(call.token) if scheme.lower() == "bearer" else None
    call.client_id = "" if call.grant is None else call.grant.app.client_id
    return call


async def pass_through(call: Call, serve: Callable[[Call], Answer]) -> Response:
    """Answer the call, count it and write it down."""
    simulation = call.simulation
    headers: dict[str, str] = {}
    if call.client_id:
        verdict = simulation.limits.ask(call.client_id, call.group, at=call.at)
        headers = verdict.headers()
        if verdict.allowed:
            answer = await _answer(call, serve)
        else:
            answer = Answer(429, answers.THROTTLED.body, headers=_retry_after(call, verdict.reset))
    else:
        answer = await _answer(call, serve)
    sent = response(answer, call.fault)
    sent.headers.update({**headers, **answer.headers})
    _note(call, answer.status)
    return sent


async def _answer(call: Call, serve: Callable[[Call], Answer]) -> Answer:
    is_oauth = call.group == "oauth"
    if not is_oauth and (call.grant is None or call.grant.expires_at <= call.at):
        return answers.NO_TOKEN if call.grant is None else answers.UNAUTHORIZED
    replaced = await _meet_trouble(call)
    if replaced is not None:
        return replaced
    try:
        answer = serve(call)
    except Refusal as refusal:
        return refusal.answer
    return answer if call.fault is None else spoil(call.fault, answer)


async def _meet_trouble(call: Call) -> Answer | None:
    """Wait what must be waited, and give the answer of a fault that replaces the right."""
    simulation = call.simulation
    whose = call.merchant_id or call.client_id
    latency, drawn = simulation.random_faults.draw(whose, call.resource)
    faults = simulation.faults.take(
        merchants=call.merchants,
        resource=call.resource,
        client_id=call.client_id,
        refreshing=call.refreshing,
    )
    if drawn is not None and not faults:
        call.trouble = f"fault.{drawn.name}"
        faults = (drawn,)
    for fault in faults:
        call.trouble = call.trouble or fault.name
        if fault.name == "slow":
            latency += fault.seconds
            continue
        call.fault = fault
    if latency:
        await asyncio.sleep(latency)
    if call.suffers("expired_token"):
        simulation.grants.expire(call.token, at=call.at)
    return None if call.fault is None else instead(call.fault)


def _retry_after(call: Call, reset: int) -> dict[str, str]:
    match call.simulation.settings.retry_after:
        case "none":
            return {}
        case "seconds":
            return {"Retry-After": str(reset)}
        case "date":
            return {"Retry-After": formatdate(call.arrived + reset, usegmt=True)}


def _note(call: Call, status: int) -> None:
    if call.suffers("cut") and call.fault is not None and call.fault.where == "head":
        status = 0
    request, simulation = call.request, call.simulation
    if call.client_id:
        simulation.limits.answered(call.client_id, call.group, status)
    simulation.journal.write(
        at=call.arrived,
        client_id=call.client_id,
        group=call.group,
        merchant=call.merchant_id,
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        status=status,
        trouble=call.trouble,
    )
