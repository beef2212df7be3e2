"""`ifood-actors apps`: the applications registered at iFood."""

from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.options import DryRun, Json, Yes
from ifood_actors.cli.output import (
    NO_APPLICATION,
    count,
    document,
    listing,
    note,
    picked,
    say,
    table,
)

if TYPE_CHECKING:
    from ifood_actors.renewal.token_states import AuthorizationState

app = typer.Typer(help="The applications registered at iFood.", no_args_is_help=True)

_COLUMNS = (
    *("name", "kind", "client_id", "authorizations", "needs_authorization"),
    *("created_at", "updated_at"),
)
_TOKENS = ("app", "authorization", "accounts", "state", "token until", "refresh until")
_WINDOWS = ("kind", "opens at", "calls", "first", "last", "per minute", "least ahead")


@app.command()
def authorize(
    name: Annotated[str, typer.Argument(help="A distributed application.")],
    *,
    label: Annotated[
        str | None,
        typer.Option(
            help="What to call the authorization, such as the owner's name; "
            "one that exists is replaced. Without it, the code's name."
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """
    Walk an owner through the authorization of one or several stores.

    Prints an address and a code for the owner, who confirms them in iFood's portal within ten
    minutes and is shown another code; that one is read from the terminal or from stdin. The
    accounts of the stores are linked with the authorization. One of the same label that works is
    replaced on a terminal's word or with --yes only, which is settled before any code is asked for;
    its accounts that the new one does not cover are linked no more.
    """
    from ifood_actors.cli.work import authorize as work

    work.authorize(name, label=label, yes=yes, json=json)


@app.command()
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
    rows = [
        (
            *(each.app, each.label, each.accounts, _state(each, at=at)),
            *(each.expires_at, each.refresh_expires_at),
        )
        for each in held
    ]
    table(_TOKENS, rows, zone=zone)
    if not held:
        note("no authorization yet; a centralised application gets its own when it is first used")
        return
    say()
    table(_WINDOWS, [tuple(window.values()) for window in windows], zone=zone)
    needing = sum(each.needs_authorization_since is not None for each in held)
    if needing:
        note(
            f"{count(needing, 'authorization')} to be confirmed again by the owner: see "
            "`ifood-actors apps authorize --help`"
        )


@app.command()
def retry(
    name: Annotated[str, typer.Argument(metavar="APP", help="An application, by its name.")],
    label: Annotated[
        str,
        typer.Argument(help="An authorization, as `apps tokens` calls it; * if it is centralised."),
    ] = "*",
    *,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Ask iFood now for a token of one authorization, whatever was refused before.

    If iFood grants it, the authorization works again, and needs no owner. If not, nothing is worse
    than before, and the exit code is 1. Jobs that had failed are requeued by `jobs requeue`.
    """
    from ifood_actors.cli.work import apps

    apps.retry(name, label, dry_run=dry_run, json=json)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Its name here, as in the column `app` of accounts.")],
    *,
    client_id: Annotated[str, typer.Option(help="The client id that iFood gave it.")],
    kind: Annotated[str, typer.Option(help="`centralized` or `distributed`.")],
    client_secret_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Where the secret stands."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """
    Store an application, or its new credentials.

    The secret comes from --client-secret-file, IFOOD_CLIENT_SECRET or stdin, never from an
    argument, and is stored encrypted with the first of IFOOD_ENCRYPTION_KEYS.
    """
    from ifood_actors.cli.work import apps

    apps.add(
        name,
        client_id=client_id,
        kind=kind,
        client_secret_file=client_secret_file,
        dry_run=dry_run,
        yes=yes,
        json=json,
    )


@app.command("list")
def list_(*, json: Json = False) -> None:
    """
    List the applications; secrets are never shown.

    With the number of their authorizations, and of those that only the owner can renew.
    """
    from ifood_actors.cli.work import apps

    found, zone = apps.known()
    advice = "" if found else NO_APPLICATION
    listing(found, _COLUMNS, itemgetter(*_COLUMNS), json=json, zone=zone, advice=advice)


def _state(held: "AuthorizationState", *, at: datetime) -> str:
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
        "state": _state(held, at=at),
        **picked(held, "renewed_at", "expires_at", "refresh_expires_at"),
        "needs_authorization_since": held.needs_authorization_since,
    }
