"""`ifood-actors demo`: the whole pipeline on this machine, with nothing to set up."""

from typing import Annotated, Literal

import typer

DemoBroker = Literal["embedded", "rabbitmq"]


def demo(
    *,
    accounts: Annotated[int, typer.Option(min=1, help="How many simulated restaurants.")] = 1000,
    seconds: Annotated[int, typer.Option(min=1, help="Over how long their jobs start.")] = 60,
    broker: Annotated[
        DemoBroker, typer.Option(help="In this process, or a private RabbitMQ.")
    ] = "embedded",
) -> None:
    """Show the whole pipeline at work; needs no server."""
    from rich.console import Console

    from ifood_actors.cli.extras import require_demo

    require_demo()
    from ifood_actors.demo import Options, run

    options = Options(accounts=accounts, seconds=seconds, broker=broker)
    if code := run(options, Console(highlight=False)):
        raise typer.Exit(code)
