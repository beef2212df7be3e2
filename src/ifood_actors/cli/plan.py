"""`ifood-actors plan`: plan a run now, or show when its jobs would start."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from ifood_actors.cli.options import Accounts, Day, DryRun, Json, KindName, Over, Status
from ifood_actors.cli.output import count, document, duration, note, say, table
from ifood_actors.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ifood_actors.planning.cadence import Cadence, Opening
    from ifood_actors.planning.planner import RunPlan

MINUTE = timedelta(minutes=1)
_FARTHEST = timedelta(days=3660)  # a later start is a slip of the finger
# Steps of a timeline: the smallest that gives at most so many lines.
_STEPS = [timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 360, 1440)]
_LINES = 30
_BAR = 40  # characters


def plan(
    kind: Annotated[KindName, typer.Argument(metavar="KIND", help="What to pull.")],
    *,
    day: Day = None,
    starts_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="now, HH:MM or 2026-03-31T08:00, in IFOOD_TIMEZONE."),
    ] = None,
    over: Over = None,
    account: Accounts = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Plan a run now: a job for each account that has none.

    The day is today unless given. Its jobs are spread over the rest of the day's window; when that
    has passed, over a window of the same length that starts now. Called twice, it plans once.
    """
    from ifood_actors.accounts import count_active
    from ifood_actors.cli.caller import operator
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import database_now, transaction
    from ifood_actors.planning import planner
    from ifood_actors.planning.cadence import local_day

    settings = loading.load()
    with open_database(settings) as engine:
        with transaction(engine) as tx:
            now = database_now(tx)
            selected = count_active(tx, account)
        job_day = day or local_day(now, zone=settings.timezone)
        opening = opening_for(
            planner.cadences(settings)[kind],
            job_day,
            now=now,
            zone=settings.timezone,
            starts_at=starts_at,
            over=over,
        )
        wanted = planner.plan_request(opening, settings, only=account)
        if dry_run:
            found = planner.preview(engine, wanted)
        else:
            found = planner.plan_by_hand(engine, wanted, actor=operator())
        cancelled = _cancelled(engine, kind, job_day, account)
    _report(
        found,
        selected=selected,
        cancelled=cancelled,
        dry_run=dry_run,
        json=json,
        zone=settings.timezone,
    )


def opening_for(
    cadence: "Cadence",
    day: date,
    *,
    now: datetime,
    zone: ZoneInfo,
    starts_at: str | None = None,
    over: timedelta | None = None,
) -> "Opening":
    """
    Say over which time a run that a person asks for is spread.

    The window of its day, from now on; when that has passed, or the day has none, as much time
    from now on. `starts_at` says otherwise, and `over`, which alone starts now. Raises UsageError
    for a start in the past.
    """
    from ifood_actors.planning.cadence import Opening, opening_on

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
    if start < now - MINUTE:
        raise UsageError(f"--starts-at: {start:%Y-%m-%d %H:%M} {zone.key} has passed")
    if start > now + _FARTHEST:
        raise UsageError(f"--starts-at: {start:%Y-%m-%d} is more than ten years from now")
    return start


def _cancelled(
    engine: "Engine", kind: KindName, day: date, accounts: Sequence[str] | None
) -> dict[str | None, int]:
    """Count the jobs that stay cancelled, by account if some were named."""
    from ifood_actors.db import transaction
    from ifood_actors.ledger.queries import JobFilter, find_job_ids

    named: Sequence[str | None] = accounts or [None]
    with transaction(engine) as tx:
        return {
            account: len(find_job_ids(tx, JobFilter(kind, [Status.CANCELLED], account, day)))
            for account in named
        }


def _report(
    found: "RunPlan",
    *,
    selected: int,
    cancelled: Mapping[str | None, int],
    dry_run: bool,
    json: bool,
    zone: ZoneInfo,
) -> None:
    jobs = len(found.jobs)
    new = jobs if dry_run else found.new
    if json:
        facts = _facts(found, new=new, selected=selected, dry_run=dry_run)
        document({**facts, "cancelled": sum(cancelled.values())})
        return
    run = found.run
    verb = "would plan" if dry_run else "planned"
    say(
        f"{verb} {count(new, 'job')} of {run.kind} for {run.job_day}; "
        f"{selected - new - len(found.left_out):,} already there"
    )
    if found.left_out:
        say(
            f"left out {count(len(found.left_out), 'idle account')} that answered nothing but 404 "
            f"for 14 days, until {max(found.left_out.values())} at most: "
            "see `ifood-actors accounts idle`; --account NAME asks one now"
        )
    if not selected:
        note("no account is active: see `ifood-actors accounts import`")
    if new:
        start, end = (f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" for at in _window(found))
        say(f"window {start} to {end} {zone.key}, {run.batch_size:,} jobs a minute")
        say(f"data from {run.period_start} to {run.period_end}")
    if new and dry_run:
        _timeline(found, zone=zone)
    for account, stay in cancelled.items():
        if stay:
            of = f" --account {shlex.quote(account)}" if account else ""
            note(
                f"{count(stay, 'job')} of that day stay cancelled; to run them: `ifood-actors "
                f"jobs requeue --kind {run.kind} --day {run.job_day} --status cancelled{of}`"
            )


def _facts(found: "RunPlan", *, new: int, selected: int, dry_run: bool) -> dict[str, object]:
    run = found.run
    slots = [job.slot for job in found.jobs]
    facts = {
        "kind": run.kind,
        "job_day": run.job_day,
        "window_start": run.window_start,
        "window_end": run.window_end,
        "batch_size": run.batch_size,
        "period_start": run.period_start,
        "period_end": run.period_end,
        "dry_run": dry_run,
        "accounts": selected,
        "new": new,
        "already_there": selected - new - len(found.left_out),
        "left_out": len(found.left_out),
        "first_slot": slots[0] if slots else None,
        "last_slot": slots[-1] if slots else None,
    }
    if dry_run:
        facts["per_minute"] = [
            {"at": at, "jobs": jobs}
            for at, jobs in _buckets(slots, start=run.window_start, step=MINUTE)
        ]
    return facts


def _window(found: "RunPlan") -> tuple[datetime, datetime]:
    return found.run.window_start, found.run.window_end


def _timeline(found: "RunPlan", *, zone: ZoneInfo) -> None:
    start, end = _window(found)
    step = next((step for step in _STEPS if (end - start) / step <= _LINES), _STEPS[-1])
    buckets = list(_buckets([job.slot for job in found.jobs], start=start, step=step))
    most = max(jobs for _, jobs in buckets)
    rows = [(at, jobs, "#" * -(-jobs * _BAR // most)) for at, jobs in buckets]
    say(f"first slot {found.jobs[0].slot.astimezone(zone):%H:%M:%S}")
    say(f"last slot  {found.jobs[-1].slot.astimezone(zone):%H:%M:%S}")
    table((f"each {duration(step)} from", "jobs", ""), rows, zone=zone)


def _buckets(
    slots: Sequence[datetime], *, start: datetime, step: timedelta
) -> Iterator[tuple[datetime, int]]:
    counted = Counter((slot - start) // step for slot in slots)
    return (
        (start + number * step, counted[number]) for number in range(max(counted, default=-1) + 1)
    )
