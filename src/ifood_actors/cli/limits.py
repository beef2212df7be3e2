"""`ifood-actors limits`: how many requests a minute iFood is asked, and what it named itself."""

from operator import attrgetter
from typing import Annotated

import typer

from ifood_actors.cli.options import DryRun, Json, Yes
from ifood_actors.cli.output import NO_APPLICATION, listing

app = typer.Typer(help="The limits of requests a minute.", no_args_is_help=True)

_COLUMNS = ("app", "endpoint", "per minute", "source", "since", "heard at")
_CELLS = attrgetter("app", "endpoint", "per_minute", "source", "since", "heard_at")

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
    from ifood_actors.cli.work import reading

    found, zone = reading.limits(name)
    advice = "" if found else NO_APPLICATION
    listing(found, _COLUMNS, _CELLS, json=json, zone=zone, advice=advice)


@app.command()
def reset(name: App, *, dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """
    Forget the limits that iFood named to an application, and go back to the configured ones.

    All processes obey at their next request; a limit that iFood goes on naming is learned again.
    """
    from ifood_actors.cli.work import apps

    apps.reset_limits(name, dry_run=dry_run, yes=yes, json=json)
