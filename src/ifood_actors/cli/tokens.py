"""`ifood-actors apps tokens`: every authorization, and when tokens will be renewed."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.options import Json
from ifood_actors.cli.output import count, document, note, say, table

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

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
    from ifood_actors.cli.work import tokens

    at, held, windows, zone = tokens.outlook(name)
    if json:
        shown = [_facts(each, at=at) for each in held]
        document({"at": at, "authorizations": shown, "windows": windows})
        return
    _show(held, windows, at=at, zone=zone)


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
