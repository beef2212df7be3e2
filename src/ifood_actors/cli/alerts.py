"""`ifood-actors alerts`: what is wrong now, by the rules that the scheduler watches."""

from typing import TYPE_CHECKING

import typer

from ifood_actors.cli.options import Json
from ifood_actors.cli.output import document, note, table

if TYPE_CHECKING:
    from ifood_actors.config import Settings
    from ifood_actors.figures import FiringAlert

app = typer.Typer(help="Whether anything is wrong.", no_args_is_help=True)


@app.command()
def check(*, json: Json = False) -> None:
    """
    Evaluate the alert rules once; exit 1 if any fires.

    Shows what is true now: how long it has been, and who was told, is the scheduler's business, and
    nothing is sent. docs/operations.md says what to do about each.
    """
    from ifood_actors.config import loading

    settings = loading.load()
    firing = _firing(settings)
    if json:
        document(firing)
    elif firing:
        table(
            ("alert", "about", "what", "limit", "what to do"),
            [(f.name, f.subject, f.text, f.limit, f.manual) for f in firing],
            zone=settings.timezone,
        )
    else:
        note("nothing is wrong")
    if firing:
        raise typer.Exit(1)


def _firing(settings: "Settings") -> "list[FiringAlert]":
    from ifood_actors.alerts import evaluate, query_queues
    from ifood_actors.cli.database import open_database
    from ifood_actors.db import transaction

    with open_database(settings) as engine:
        queues = query_queues(settings)
        with transaction(engine) as tx:
            return evaluate(tx, queues, settings).firing
