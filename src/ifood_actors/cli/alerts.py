"""`ifood-actors alerts`: what is wrong now, by the rules that the scheduler watches."""

from operator import attrgetter

import typer

from ifood_actors.cli.options import Json
from ifood_actors.cli.output import listing

app = typer.Typer(help="Whether anything is wrong.", no_args_is_help=True)

_COLUMNS = ("alert", "about", "what", "limit", "what to do")
_CELLS = attrgetter("name", "subject", "text", "limit", "manual")


@app.command()
def check(*, json: Json = False) -> None:
    """
    Evaluate the alert rules once; exit 1 if any fires.

    Shows what is true now: how long it has been, and who was told, is the scheduler's business, and
    nothing is sent. docs/operations.md says what to do about each.
    """
    from ifood_actors.cli.work import reading

    firing, zone = reading.firing_alerts()
    listing(firing, _COLUMNS, _CELLS, json=json, zone=zone, empty="nothing is wrong")
    if firing:
        raise typer.Exit(1)
