"""What an operator is told of accounts that join while a window is open: they miss it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ifood_actors.cli.output import count

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from ifood_actors.config import Settings


def first_runs(settings: "Settings", *, now: "datetime") -> Iterator[str]:
    """Say of each window that is open when accounts that join now run first."""
    from ifood_actors.planning.cadence import next_opening, opening_at
    from ifood_actors.planning.planner import cadences

    zone = settings.timezone
    for kind, cadence in cadences(settings).items():
        if opening_at(cadence, at=now, zone=zone):
            start = next_opening(cadence, at=now, zone=zone).window_start.astimezone(zone)
            yield (
                f"the window of {kind} is open, and what joins now runs in the next one, "
                f"{start:%Y-%m-%d %H:%M} {zone.key}; to run it now: `ifood-actors plan {kind}`"
            )


def cancelled_meanwhile(tx: "Connection", names: Sequence[str], *, now: "datetime") -> str | None:
    """Say how many jobs of the last 24 hours were cancelled while these accounts were disabled."""
    from ifood_actors.cli.options import ERRORS_SINCE, MOST, Status
    from ifood_actors.ledger.queries import JobFilter, find_jobs

    which = JobFilter(statuses=[Status.CANCELLED], since=now - ERRORS_SINCE)
    cancelled = find_jobs(tx, which, limit=MOST)
    jobs = sum(not {job.account, job.merchant_id}.isdisjoint(names) for job in cancelled)
    if not jobs:
        return None
    return (
        f"{count(jobs, 'job')} of the last 24 hours stay cancelled; to run those of an account: "
        "`ifood-actors jobs requeue --status cancelled --since 24h --account NAME`"
    )
