"""What commands only look up; each function gives the zone to show it in as well."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from ifood_actors import operator_acts
from ifood_actors.accounts import names_of, require_known
from ifood_actors.alerts import evaluate, query_queues
from ifood_actors.cli.work.database import opened, read, require_application
from ifood_actors.config import Settings
from ifood_actors.db import database_now
from ifood_actors.feeds import rejected_items
from ifood_actors.figures import FiringAlert
from ifood_actors.ifood.limiter.usage import LimitInUse, limits_in_use
from ifood_actors.kinds import KINDS
from ifood_actors.ledger.queries.daily import Delivered, delivered
from ifood_actors.ledger.queries.error_groups import ErrorGroup, error_groups
from ifood_actors.planning.cadence import local_day
from ifood_actors.planning.idling import asked_again_on, look_back
from ifood_actors.planning.planner import not_found_streaks

_WEEK = timedelta(days=7)

Facts = dict[str, object]


def acts(*, since: timedelta | None, limit: int) -> tuple[list[operator_acts.ActRow], ZoneInfo]:
    """Give what operators had the program change, latest first."""
    return read(operator_acts.latest, since=since, limit=limit)


def failed_groups(
    *, since: timedelta, kind: str | None, limit: int
) -> tuple[Sequence[ErrorGroup], ZoneInfo]:
    """Give the failed jobs, grouped by error, most common first."""
    return read(error_groups, since=since, kind=kind, limit=limit)


def firing_alerts() -> tuple[Sequence[FiringAlert], ZoneInfo]:
    """Evaluate the alert rules once."""
    with opened() as command:
        queues = query_queues(command.settings)
        found = command.read(evaluate, queues, command.settings)
        return found.firing, command.settings.timezone


def limits(app: str | None) -> tuple[list[LimitInUse], ZoneInfo]:
    """Give the limits of every application, or of one."""
    with opened() as command:
        if app is not None:
            command.read(require_application, app)
        found = command.read(limits_in_use, command.settings)
        return [one for one in found if app in (None, one.app)], command.settings.timezone


def deliveries(
    day: date | None,
) -> tuple[date, Mapping[str, Delivered], Mapping[str, Delivered], ZoneInfo]:
    """Give a day, today unless given, what its runs delivered, and those of the week before."""
    with opened() as command:
        zone = command.settings.timezone
        day = day or local_day(command.read(database_now), zone=zone)
        found, before = (command.read(delivered, one, kinds=KINDS) for one in (day, day - _WEEK))
        return day, found, before, zone


def unreadable_items(
    *, kind: str | None, account: str | None, limit: int, raw: bool
) -> tuple[list[Facts], ZoneInfo]:
    """Give the items that could not be read, latest seen first; themselves only with `raw`."""

    def found(tx: Connection) -> list[Facts]:
        if account:
            require_known(tx, [account])
        items = map(asdict, rejected_items(tx, kind=kind, account=account, limit=limit))
        return [{k: v for k, v in item.items() if raw or k != "raw"} for item in items]

    return read(found)


def idle_accounts(kind: str | None) -> tuple[list[Facts], ZoneInfo]:
    """Give the accounts that answer nothing but 404, by kind and name."""
    with opened() as command:
        settings = command.settings
        today = local_day(command.read(database_now), zone=settings.timezone)
        found = [
            row
            for each in ([kind] if kind else list(KINDS))
            for row in command.read(_idle, each, settings, today=today)
        ]
        return found, settings.timezone


def _idle(tx: Connection, kind: str, settings: Settings, *, today: date) -> list[Facts]:
    every = KINDS[kind].idle_days(settings)
    usual = 1 if settings.window_of(kind).weekday is None else 7
    found = not_found_streaks(tx, kind, since=today - look_back(max(every, usual)))
    idle = {id_: streak for id_, streak in found.items() if streak.is_idle}
    rows: list[Facts] = []
    for id_, (name, merchant_id) in names_of(tx, list(idle)).items():
        streak = idle[id_]
        tomorrow = max(today, streak.asked + timedelta(days=1))
        again = asked_again_on(streak, tomorrow, every=every) if every else None
        rows.append(
            {
                "account": name,
                "merchant_id": merchant_id,
                "kind": str(kind),
                "nothing_since": streak.first,
                "last_asked": streak.asked,
                "asked_again_on": again,
            }
        )
    return rows
