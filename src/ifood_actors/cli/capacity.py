"""`ifood-actors capacity`: does each run fit its window, and what would have to change."""

from typing import Annotated

import typer

from ifood_actors.cli.options import Json, KindName


def capacity(
    *,
    accounts: Annotated[
        int | None,
        typer.Option(min=1, max=10_000_000, help="How many; else those that are active, or 1,000."),
    ] = None,
    kind: Annotated[KindName | None, typer.Option(help="Show this kind only.")] = None,
    hosts: Annotated[int, typer.Option(min=1, max=1_000, help="How many run workers.")] = 1,
    latency: Annotated[
        float | None, typer.Option(min=0.001, max=60, help="Seconds a request takes; else 1.")
    ] = None,
    json: Json = False,
) -> None:
    """
    Say whether each run fits its window, when it ends, and what would have to change.

    With IFOOD_DATABASE_URL, requests and attempts of a job are those of the latest runs; without,
    they are assumed.
    """
    from ifood_actors.cli.work import capacity

    capacity.tell(accounts=accounts, kind=kind, hosts=hosts, latency=latency, json=json)
