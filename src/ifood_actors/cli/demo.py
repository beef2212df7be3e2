"""`ifood-actors demo`: the whole pipeline on this machine, with nothing to set up."""

from typing import Annotated, Literal

import typer

from ifood_actors.cli.options import Json
from ifood_actors.cli.output import document

DemoBroker = Literal["embedded", "rabbitmq"]


def demo(
    *,
    accounts: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many simulated restaurants.")
    ] = 1000,
    seconds: Annotated[
        int, typer.Option(min=1, max=86_400, help="Over how long their jobs start.")
    ] = 60,
    broker: Annotated[
        DemoBroker, typer.Option(help="In this process, or a private RabbitMQ.")
    ] = "embedded",
    json: Json = False,
) -> None:
    """Show the whole pipeline at work; needs no server."""
    from rich.console import Console

    from ifood_actors.demo import Options, run_demo

    options = Options(accounts=accounts, seconds=seconds, broker=broker)
    report = run_demo(options, Console(highlight=False, stderr=json))
    if json:
        document(report.facts())
    if report.problems:
        raise typer.Exit(1)
