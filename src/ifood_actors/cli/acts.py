"""`ifood-actors acts`: who had the program change what."""

from operator import attrgetter
from typing import Annotated

import typer

from ifood_actors.cli.options import MOST, Json, Since
from ifood_actors.cli.output import listing

_COLUMNS = ("at", "login", "actor", "act", "subject", "detail")


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
    from ifood_actors.cli.work import reading

    found, zone = reading.acts(since=since, limit=limit + 1)
    empty = "no act of an operator is known"
    listing(found, _COLUMNS, attrgetter(*_COLUMNS), limit=limit, json=json, zone=zone, empty=empty)
