"""`ifood-actors accounts idle`: the stores that answer nothing but 404."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.options import MOST, Json, KindFilter
from ifood_actors.cli.output import document, note, table
from ifood_actors.kinds import KINDS

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection

    from ifood_actors.config import Settings

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
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import database_now, transaction
    from ifood_actors.planning.cadence import local_day

    settings = loading.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        today = local_day(database_now(tx), zone=settings.timezone)
        kinds = [kind] if kind else list(KINDS)
        found = [row for each in kinds for row in _idle(tx, each, settings, today=today)]
    if json:
        document(found[:limit])
    else:
        rows = [[row[column] for column in _COLUMNS] for row in found[:limit]]
        table([column.replace("_", " ") for column in _COLUMNS], rows, zone=settings.timezone)
    if len(found) > limit:
        note(f"only the first {limit} are shown: see --limit")


def _idle(
    tx: "Connection", kind: str, settings: "Settings", *, today: "date"
) -> list[dict[str, object]]:
    from ifood_actors.accounts import names_of
    from ifood_actors.planning.idle_accounts import not_found_streaks
    from ifood_actors.planning.idling import asked_again_on, look_back

    every = KINDS[kind].idle_days(settings)
    usual = 1 if settings.window_of(kind).weekday is None else 7
    found = not_found_streaks(tx, kind, since=today - look_back(max(every, usual)))
    idle = {id_: streak for id_, streak in found.items() if streak.is_idle}
    rows: list[dict[str, object]] = []
    for id_, (name, merchant_id) in names_of(tx, list(idle)).items():
        streak = idle[id_]
        tomorrow = max(today, streak.asked + timedelta(days=1))
        again = asked_again_on(streak, tomorrow, every=every) if every else None
        values = (name, merchant_id, str(kind), streak.first, streak.asked, again)
        rows.append(dict(zip(_COLUMNS, values, strict=True)))
    return rows
