"""`ifood-actors acts`: who had the program change what."""

from dataclasses import asdict
from typing import Annotated

import typer

from ifood_actors.cli.options import MOST, Json, Since
from ifood_actors.cli.output import document, note, table


def acts(
    *,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """
    List what operators had the program change, latest first.

    `login` is the user of Postgres, `actor` the person as far as the host knows. What a job went
    through is told by `jobs show`, also when a person changed it by SQL.
    """
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import transaction
    from ifood_actors.operator_acts import latest

    settings = loading.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        found = latest(tx, since=since, limit=limit + 1)
    if json:
        document(found[:limit])
    elif found:
        rows = [tuple(asdict(each).values()) for each in found[:limit]]
        table(list(asdict(found[0])), rows, zone=settings.timezone)
    else:
        note("no act of an operator is known")
    if len(found) > limit:
        note(f"only the first {limit} are shown: see --limit")
