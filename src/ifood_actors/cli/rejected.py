"""`ifood-actors rejected`: items of iFood that could not be read exactly."""

from typing import Annotated

import typer

from ifood_actors.cli.options import MOST, AccountFilter, Json, KindFilter
from ifood_actors.cli.output import listing


def rejected(
    *,
    kind: KindFilter = None,
    account: AccountFilter = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 50,
    raw: Annotated[
        bool, typer.Option("--raw", help="With the items themselves, personal data included.")
    ] = False,
    json: Json = False,
) -> None:
    """
    List items that could not be read exactly, latest seen first.

    Their amounts are in no report and no export. Each pull tries them again; what it reads leaves.
    """
    from ifood_actors.cli.work import reading

    found, zone = reading.unreadable_items(kind=kind, account=account, limit=limit + 1, raw=raw)
    names = [name.replace("_", " ") for name in found[0]] if found else ()
    empty = "every item that iFood gave was read"
    listing(found, names, dict.values, limit=limit, json=json, zone=zone, empty=empty)
