"""`ifood-actors alerts`: what is wrong now, by the rules that the scheduler watches."""

from typing import TYPE_CHECKING

import typer

from ifood_actors.cli.options import Json
from ifood_actors.cli.output import document, note, table

if TYPE_CHECKING:
    from ifood_actors.alerts import Finding
    from ifood_actors.config import Settings

app = typer.Typer(help="Whether anything is wrong.", no_args_is_help=True)


@app.command()
def check(*, json: Json = False) -> None:
    """
    Evaluate the alert rules once; exit 1 if any fires.

    Shows what is true now: how long it has been, and who was told, is the scheduler's business, and
    nothing is sent. docs/operations.md says what to do about each.
    """
    from ifood_actors import config

    settings = config.load()
    findings = _look(settings)
    if json:
        document(findings)
    elif findings:
        table(
            ("alert", "about", "what", "limit", "what to do"),
            [(f.name, f.subject, f.text, f.limit, f.manual) for f in findings],
            zone=settings.timezone,
        )
    else:
        note("nothing is wrong")
    if findings:
        raise typer.Exit(1)


def _look(settings: "Settings") -> "list[Finding]":
    from ifood_actors.alerts import look, look_at_queues
    from ifood_actors.cli.database import open_database
    from ifood_actors.db import transaction

    with open_database(settings) as engine:
        queues = look_at_queues(settings)
        with transaction(engine) as tx:
            return look(tx, queues, settings).findings
