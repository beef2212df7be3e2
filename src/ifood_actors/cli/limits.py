"""`ifood-actors limits`: how many requests a minute iFood is asked, and what it named itself."""

from typing import Annotated

import typer

from ifood_actors.cli.options import DryRun, Json, Yes
from ifood_actors.cli.output import confirm, count, document, note, outcome, table

app = typer.Typer(help="The limits of requests a minute.", no_args_is_help=True)

App = Annotated[str, typer.Argument(metavar="APP", help="An application, by its name.")]


@app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(metavar="APP", help="Only this application.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """
    Show the limit of each application and endpoint, and where it comes from.

    Either the configured one, or one that iFood named in its answers: since when, and when it was
    last heard. A named limit is forgotten a day after that.
    """
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.lookup import require_application
    from ifood_actors.config import loading
    from ifood_actors.db import transaction
    from ifood_actors.ifood import limits_in_use

    settings = loading.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        if name is not None:
            require_application(tx, name)
        limits = [one for one in limits_in_use(tx, settings) if name in (None, one.app)]
    if json:
        document(limits)
        return
    columns = ("app", "endpoint", "per minute", "source", "since", "heard at")
    rows = [
        (each.app, each.endpoint, each.per_minute, each.source, each.since, each.heard_at)
        for each in limits
    ]
    table(columns, rows, zone=settings.timezone)
    if not rows:
        note("no application yet: see `ifood-actors apps add --help`")


@app.command()
def reset(name: App, *, dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """
    Forget the limits that iFood named to an application, and go back to the configured ones.

    All processes obey at their next request; a limit that iFood goes on naming is learned again.
    """
    from ifood_actors import operator_acts
    from ifood_actors.cli.caller import operator
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.lookup import require_application
    from ifood_actors.config import loading
    from ifood_actors.db import transaction
    from ifood_actors.ifood import forget_named_limits, list_named_limits

    with open_database(loading.load()) as engine:
        with transaction(engine) as tx:
            require_application(tx, name)
            known = [one.endpoint for one in list_named_limits(tx) if one.app == name]
        facts = {"dry_run": dry_run, "application": name, "forgotten": known}
        what = f"{count(len(known), 'named limit')} of application {name}"
        if dry_run:
            outcome(f"would forget {what}", facts, json=json)
            return
        if known:
            confirm(f"forget {what}?", yes=yes)
        with transaction(engine) as tx:
            if forget_named_limits(tx, app=name):
                told = operator_acts.few(known)
                operator_acts.note(
                    tx, "limits reset", actor=operator(), subject=name, forgotten=told
                )
    outcome(f"forgot {what}", facts, json=json)
