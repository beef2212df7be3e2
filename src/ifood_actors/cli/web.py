"""`web`: the process that answers over HTTP."""

from typing import Annotated

import typer


def web(
    *,
    host: Annotated[str, typer.Option(help="An address of loopback.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
) -> None:
    """
    Serve /healthz, /readyz and /metrics.

    It listens on loopback only, since nobody signs in. Starts also while Postgres or RabbitMQ is
    away: /readyz says which.
    """
    from ifood_actors.cli.work import web

    web.serve(host, port)
