"""The simulator's own endpoints under `/_simulator/`; they are neither limited nor written down."""

from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import date
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ifood_simulator.merchants import Merchant
from ifood_simulator.oauth import OAuthError
from ifood_simulator.reading import fault_from
from ifood_simulator.settings import GROUPS, Group
from ifood_simulator.simulation import Simulation
from ifood_simulator.truth import summary_of, truth_of
from ifood_simulator.world import dumps

Handler = Callable[[Request], Awaitable[Response]]


def routes() -> list[Route]:
    table: list[tuple[str, str, Handler]] = [
        ("GET", "state", _state),
        ("GET", "merchants", _merchants),
        ("GET", "accounts.csv", _accounts),
        ("GET", "truth/{kind}", _truth),
        ("GET", "truth-summary/{kind}", _truth_summary),
        ("GET", "journal", _journal),
        ("GET", "stats", _stats),
        ("POST", "today", _set_today),
        ("POST", "limits", _set_limits),
        ("POST", "quirks", _add_fault),
        ("DELETE", "quirks", _clear_faults),
        ("POST", "link", _link),
        ("POST", "unlink", _unlink),
        ("POST", "authorize", _authorize),
        ("POST", "reset", _reset),
    ]
    return [
        Route(f"/_simulator/{path}", _guarded(handler), methods=[method])
        for method, path, handler in table
    ]


def _guarded(handler: Handler) -> Handler:
    """The handler with wrong arguments turned into a 400 that says which."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except KeyError as missing:
            return JSONResponse({"error": f"missing or unknown: {missing}"}, status_code=400)
        except (ValueError, OAuthError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return guarded


def _simulation(request: Request) -> Simulation:
    return cast("Simulation", request.app.state.simulation)


def _json(value: object) -> Response:
    return Response(dumps(value), media_type="application/json")


def _span(request: Request) -> tuple[date, date]:
    query = request.query_params
    return date.fromisoformat(query["begin"]), date.fromisoformat(query["end"])


async def _state(request: Request) -> Response:
    return _json(_simulation(request).state())


async def _merchants(request: Request) -> Response:
    hidden = {"zone", "app", "document"}
    names = [field.name for field in fields(Merchant) if field.name not in hidden]
    return _json(
        [
            {name: getattr(merchant, name) for name in names} | {"app": merchant.app.name}
            for merchant in _simulation(request).merchants()
        ]
    )


async def _accounts(request: Request) -> Response:
    return PlainTextResponse(_simulation(request).accounts_csv(), media_type="text/csv")


async def _truth(request: Request) -> Response:
    merchant = request.query_params["merchant"]
    body = truth_of(_simulation(request), request.path_params["kind"], merchant, _span(request))
    return Response(body, media_type="application/json")


async def _truth_summary(request: Request) -> Response:
    kind = request.path_params["kind"]
    return _json(await summary_of(_simulation(request), kind, _span(request)))


async def _journal(request: Request) -> Response:
    since = int(request.query_params.get("since", "0"))
    return _json(_simulation(request).journal_since(since))


async def _stats(request: Request) -> Response:
    return _json(_simulation(request).stats())


async def _set_today(request: Request) -> Response:
    _simulation(request).set_today(date.fromisoformat((await request.json())["today"]))
    return await _state(request)


async def _set_limits(request: Request) -> Response:
    limits: dict[Group, int | None] = await request.json()
    if unknown := set(limits) - set(GROUPS):
        raise ValueError(f"unknown groups {sorted(unknown)}")
    _simulation(request).set_limits(limits)
    return await _state(request)


async def _add_fault(request: Request) -> Response:
    _simulation(request).add_fault(fault_from(await request.json()))
    return await _state(request)


async def _clear_faults(request: Request) -> Response:
    _simulation(request).clear_faults()
    return await _state(request)


async def _link(request: Request) -> Response:
    _simulation(request).link((await request.json())["merchant"])
    return await _state(request)


async def _unlink(request: Request) -> Response:
    _simulation(request).unlink((await request.json())["merchant"])
    return await _state(request)


async def _authorize(request: Request) -> Response:
    document = await request.json()
    merchants = document.get("merchants")
    chosen = None if merchants is None else frozenset(merchants)
    code = _simulation(request).authorize(document["userCode"], chosen)
    return _json({"authorizationCode": code})


async def _reset(request: Request) -> Response:
    _simulation(request).reset()
    return await _state(request)
