"""`ifood-actors rejected`: items of iFood that could not be read exactly."""

from dataclasses import asdict
from typing import Annotated

import typer

from ifood_actors.cli.options import MOST, AccountFilter, Json, KindFilter
from ifood_actors.cli.output import document, note, table


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
    from ifood_actors.accounts import require_known
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import transaction
    from ifood_actors.feeds import rejected_items

    settings = loading.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        if account:
            require_known(tx, [account])
        found = rejected_items(tx, kind=kind, account=account, limit=limit + 1)
    facts = [asdict(item) for item in found[:limit]]
    if not raw:
        facts = [{name: fact for name, fact in one.items() if name != "raw"} for one in facts]
    if json:
        document(facts)
    elif facts:
        names = [name.replace("_", " ") for name in facts[0]]
        table(names, [tuple(one.values()) for one in facts], zone=settings.timezone)
    else:
        note("every item that iFood gave was read")
    if len(found) > limit:
        note(f"only the first {limit} are shown: see --limit")
