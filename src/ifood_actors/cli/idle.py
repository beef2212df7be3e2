"""`ifood-actors accounts idle`: the stores that answer nothing but 404."""

from operator import itemgetter
from typing import Annotated

import typer

from ifood_actors.cli.options import MOST, Json, KindFilter
from ifood_actors.cli.output import listing

_COLUMNS = ("account", "merchant_id", "kind", "nothing_since", "last_asked", "asked_again_on")


def idle(
    *,
    kind: KindFilter = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """
    List active accounts that have answered nothing but 404 for 14 days, by kind and name.

    They have no anticipation plan, or sell nothing; one that is listed for every kind may not
    exist. With IFOOD_ANTICIPATIONS_IDLE_DAYS they are asked for anticipations only now and then.
    """
    from ifood_actors.cli.work import reading

    found, zone = reading.idle_accounts(kind)
    columns = [name.replace("_", " ") for name in _COLUMNS]
    listing(found, columns, itemgetter(*_COLUMNS), limit=limit, json=json, zone=zone)
