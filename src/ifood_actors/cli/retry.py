"""`ifood-actors apps retry`: ask iFood once more for an authorization that it has refused."""

from typing import Annotated

import typer

from ifood_actors.cli.options import DryRun, Json


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
    from ifood_actors.cli.work import apps

    apps.retry(name, label, dry_run=dry_run, json=json)
