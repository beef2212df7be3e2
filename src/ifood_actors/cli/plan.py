"""`ifood-actors plan`: plan a run now, or show when its jobs would start."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.options import Accounts, Day, DryRun, Json, KindName, Over
from ifood_actors.cli.output import count, document, duration, note, picked, say, table

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from ifood_actors.planning.planner import RunPlan

MINUTE = timedelta(minutes=1)
# Steps of a timeline: the smallest that gives at most so many lines.
_STEPS = [timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 360, 1440)]
_LINES = 30
_BAR = 40  # characters
_RUN = (
    *("kind", "job_day", "window_start", "window_end", "batch_size"),
    *("period_start", "period_end"),
)


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
    from ifood_actors.cli.work import plan

    found, selected, cancelled, zone = plan.plan(
        kind, day=day, starts_at=starts_at, over=over, accounts=account, dry_run=dry_run
    )
    new = len(found.jobs) if dry_run else found.new
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
        start, end = (
            f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" for at in (run.window_start, run.window_end)
        )
        say(f"window {start} to {end} {zone.key}, {run.batch_size:,} jobs a minute")
        say(f"data from {run.period_start} to {run.period_end}")
    if new and dry_run:
        _timeline(found, zone=zone)
    for name, stay in cancelled.items():
        if stay:
            of = f" --account {shlex.quote(name)}" if name else ""
            note(
                f"{count(stay, 'job')} of that day stay cancelled; to run them: `ifood-actors "
                f"jobs requeue --kind {run.kind} --day {run.job_day} --status cancelled{of}`"
            )


def _facts(found: "RunPlan", *, new: int, selected: int, dry_run: bool) -> dict[str, object]:
    run = found.run
    slots = [job.slot for job in found.jobs]
    facts = {
        **picked(run, *_RUN),
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


def _timeline(found: "RunPlan", *, zone: "ZoneInfo") -> None:
    start, end = found.run.window_start, found.run.window_end
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
