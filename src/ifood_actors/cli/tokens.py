"""`ifood-actors apps tokens`: every authorization, and when tokens will be renewed."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.options import Json
from ifood_actors.cli.output import count, document, note, say, table

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from sqlalchemy import Engine

    from ifood_actors.config import Settings
    from ifood_actors.renewal.policy import Call
    from ifood_actors.renewal.token_states import AuthorizationState

_COLUMNS = ("app", "authorization", "accounts", "state", "token until", "refresh until")
_WINDOWS = ("kind", "opens at", "calls", "first", "last", "per minute", "least ahead")


def tokens(
    name: Annotated[str | None, typer.Argument(help="Only this application.")] = None,
    *,
    json: Json = False,
) -> None:
    """
    Show every authorization, and which token calls the next windows will cost.

    The second table is a calculation: for the next window of each kind, how many tokens have to be
    renewed, when that starts and ends at the limiter's pace, and how long before its job the latest
    of them is there. Nobody is asked for anything.
    """
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.lookup import require_application
    from ifood_actors.config import loading
    from ifood_actors.db import database_now, transaction
    from ifood_actors.renewal import token_states

    settings = loading.load()
    with open_database(settings) as engine:
        with transaction(engine) as tx:
            if name is not None:
                require_application(tx, name)
            at = database_now(tx)
        held = token_states.authorization_states(engine, app=name)
        windows = list(_windows(engine, settings, held, at=at))
    if json:
        shown = [_facts(each, at=at) for each in held]
        document({"at": at, "authorizations": shown, "windows": windows})
        return
    _show(held, windows, at=at, zone=settings.timezone)


def _show(
    held: "Sequence[AuthorizationState]",
    windows: Sequence[dict[str, object]],
    *,
    at: datetime,
    zone: "ZoneInfo",
) -> None:
    rows = [
        (
            *(each.app, each.label, each.accounts, state(each, at=at)),
            *(each.expires_at, each.refresh_expires_at),
        )
        for each in held
    ]
    table(_COLUMNS, rows, zone=zone)
    if not held:
        note("no authorization yet; a centralised application gets its own when it is first used")
        return
    say()
    table(_WINDOWS, [tuple(window.values()) for window in windows], zone=zone)
    needing = sum(each.needs_authorization_since is not None for each in held)
    if needing:
        note(
            f"{count(needing, 'authorization')} to be confirmed anew by the owner: see "
            "`ifood-actors apps authorize --help`"
        )


def state(held: "AuthorizationState", *, at: datetime) -> str:
    """Say in words how an authorization stands."""
    if held.needs_authorization_since is not None or held.spent:
        return "needs authorization"
    if held.refused_reason is not None:
        return f"refused: {held.refused_reason}"
    if held.fresh_until is None or held.expires_at is None or held.expires_at <= at:
        return "no token"
    return "fresh" if held.fresh_until > at else "to be renewed"


def _facts(held: "AuthorizationState", *, at: datetime) -> dict[str, object]:
    return {
        "app": held.app,
        "authorization": held.label,
        "accounts": held.accounts,
        "state": state(held, at=at),
        "renewed_at": held.renewed_at,
        "expires_at": held.expires_at,
        "refresh_expires_at": held.refresh_expires_at,
        "needs_authorization_since": held.needs_authorization_since,
    }


def _windows(
    engine: "Engine", settings: "Settings", held: "Sequence[AuthorizationState]", *, at: datetime
) -> Iterator[dict[str, object]]:
    from ifood_actors.ifood.slots import interval
    from ifood_actors.renewal import token_states
    from ifood_actors.renewal.policy import forecast

    # One application after the other: each has a limit of its own.
    openings = sorted(token_states.openings(settings, at=at), key=lambda each: each.window_start)
    last = max(opening.window_end for opening in openings)
    deadlines = token_states.deadlines(engine, settings, at=at, until=last)
    pace = interval(settings.rate_limit_oauth_per_minute)
    calls: list[Call] = []
    for app_id in {each.app_id for each in held}:
        mine = [each.token_state() for each in held if each.app_id == app_id and each.refreshable]
        calls += forecast(mine, deadlines, at=at, interval=pace)
    for opening in openings:
        yield _window(opening.kind, opening.window_start, calls)


def _window(kind: str, opens_at: datetime, calls: "Sequence[Call]") -> dict[str, object]:
    its = [(call.at, call.deadline.at) for call in calls if call.deadline.kind == kind]
    made = sorted(at for at, _ in its)
    minutes = max((made[-1] - made[0]) / timedelta(minutes=1), 1) if made else 1
    return {
        "kind": kind,
        "opens_at": opens_at,
        "calls": len(made),
        "first_at": made[0] if made else None,
        "last_at": made[-1] if made else None,
        "calls_per_minute": round(len(made) / minutes, 1),
        "least_ahead": min((deadline - at for at, deadline in its), default=None),
    }
