"""`ifood-actors apps retry`: ask iFood once more for an authorization that it has refused."""

from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.options import DryRun, Json
from ifood_actors.cli.output import outcome
from ifood_actors.errors import UsageError
from ifood_actors.plain_text import printable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ifood_actors.ifood import ApiIdentity


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
    from ifood_actors import operator_acts
    from ifood_actors.cli.caller import operator
    from ifood_actors.cli.calls import ifood
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import transaction

    facts = {"dry_run": dry_run, "application": name, "authorization": label}
    what = f"authorization {printable(label)} of application {name}"
    settings = loading.load()
    with open_database(settings) as engine:
        with transaction(engine) as tx:
            identity = _found(tx, name, label)
        if dry_run:
            outcome(f"would ask iFood for a token of {what}", facts, json=json)
            return
        with ifood(engine, settings) as asked:
            asked.tokens.retry(identity)
        with transaction(engine) as tx:
            operator_acts.note(tx, "apps retry", actor=operator(), subject=name, label=label)
    outcome(f"iFood has given a token: {what} works", facts, json=json)


def _found(connection: "Connection", name: str, label: str) -> "ApiIdentity":
    from sqlalchemy import text

    from ifood_actors.cli.lookup import require_application
    from ifood_actors.ifood import ApiIdentity, AppKind

    require_application(connection, name)
    wanted = text("""
        SELECT app.id AS app_id, app.kind, held.id FROM ifood_apps AS app
        LEFT JOIN ifood_authorizations AS held ON held.app_id = app.id AND held.name = :label
        WHERE app.name = :name
    """)
    row = connection.execute(wanted, {"name": name, "label": label}).one()
    # That of a centralised application is made when it is first used.
    if row.id is None and (row.kind, label) != (AppKind.CENTRALIZED, "*"):
        raise UsageError(
            f"application {name} has no authorization {label!r}; see `ifood-actors apps tokens`"
        )
    return ApiIdentity(row.app_id, row.id)
