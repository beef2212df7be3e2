"""A run that a person asks for: over which time, of which accounts, planned or only shown."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from ifood_actors.accounts import count_active
from ifood_actors.cli.options import KindName, Status
from ifood_actors.cli.work.caller import operator
from ifood_actors.cli.work.database import opened
from ifood_actors.db import database_now
from ifood_actors.errors import UsageError
from ifood_actors.ledger.queries.jobs import JobFilter, find_job_ids
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Cadence, Opening, local_day, opening_on
from ifood_actors.planning.planner import RunPlan

_FARTHEST = timedelta(days=3660)  # a later start is a slip of the finger


def plan(
    kind: KindName,
    *,
    day: date | None,
    starts_at: str | None,
    over: timedelta | None,
    accounts: Sequence[str] | None,
    dry_run: bool,
) -> tuple[RunPlan, int, dict[str | None, int], ZoneInfo]:
    """
    Plan a run, or say how it would be; raises UsageError for a start that cannot be.

    Gives the plan, the number of accounts selected, of its jobs those that stay cancelled, by
    account if accounts are named, and the zone to show it in.
    """
    with opened() as command:
        settings, zone = command.settings, command.settings.timezone
        now = command.read(database_now)
        selected = command.read(count_active, accounts)
        job_day = day or local_day(now, zone=zone)
        cadence = planner.cadences(settings)[kind]
        opening = opening_for(cadence, job_day, now=now, zone=zone, starts_at=starts_at, over=over)
        wanted = planner.PlanRequest(opening, settings, only=accounts)
        if dry_run:
            found = planner.preview(command.engine, wanted)
        else:
            found = planner.plan_by_hand(command.engine, wanted, actor=operator())
        return found, selected, command.read(_cancelled, kind, job_day, accounts), zone


def opening_for(
    cadence: Cadence,
    day: date,
    *,
    now: datetime,
    zone: ZoneInfo,
    starts_at: str | None = None,
    over: timedelta | None = None,
) -> Opening:
    """
    Say over which time a run that a person asks for is spread.

    The window of its day, from now on; when that has passed, or the day has none, as much time
    from now on. `starts_at` says otherwise, and `over`, which alone starts now. Raises UsageError
    for a start in the past.
    """
    window = opening_on(cadence, day, zone=zone)
    length = window.window_end - window.window_start if window else cadence.window.length
    start, end = now, now + length
    if window and window.window_end > now:
        start, end = max(now, window.window_start), window.window_end
    if starts_at is not None:
        start = _start(starts_at, day=day, now=now, zone=zone)
        end = start + length
    if over:
        start = now if starts_at is None else start
        end = start + over
    return Opening(cadence.kind, day, start.astimezone(UTC), end.astimezone(UTC))


def _start(text: str, *, day: date, now: datetime, zone: ZoneInfo) -> datetime:
    if text == "now":
        return now
    try:
        if re.fullmatch(r"[0-9]{2}:[0-9]{2}", text):
            today = now.astimezone(zone).date()
            start = datetime.combine(max(day, today), time.fromisoformat(text), tzinfo=zone)
        else:
            start = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--starts-at: expected now, HH:MM or 2026-03-31T08:00, not {text!r}"
        ) from None
    if start.tzinfo is None:
        start = start.replace(tzinfo=zone)
    if start < now - timedelta(minutes=1):
        raise UsageError(f"--starts-at: {start:%Y-%m-%d %H:%M} {zone.key} has passed")
    if start > now + _FARTHEST:
        raise UsageError(f"--starts-at: {start:%Y-%m-%d} is more than ten years from now")
    return start


def _cancelled(
    tx: Connection, kind: KindName, day: date, accounts: Sequence[str] | None
) -> dict[str | None, int]:
    named: Sequence[str | None] = accounts or [None]
    return {
        account: len(find_job_ids(tx, JobFilter(kind, [Status.CANCELLED], account, day)))
        for account in named
    }
