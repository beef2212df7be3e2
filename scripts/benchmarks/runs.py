"""Runs of jobs as the benchmarks need them: planned for chosen slots, relayed, counted."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Event

from sqlalchemy import text

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_actors.planning.planner import PlanRequest, RunPlan
from ifood_actors.scheduler.relay import Relay
from ifood_actors.scheduler.slot_budget import LOOK_AHEAD, relay_rate
from scripts.benchmarks.environment import Environment

DAY = date(2026, 9, 21)
KIND = "sales"  # one request a job
# Slots of jobs that are due at once.
_PAST = timedelta(minutes=1)


def request(
    kind: str = KIND,
    *,
    start: datetime,
    length: timedelta,
    only: Sequence[str] | None = None,
) -> PlanRequest:
    """Ask for one job of each account (or of these merchants), spread over `length`."""
    return planner.PlanRequest(Opening(kind, DAY, start, start + length), Settings(), only=only)


def plan_due(on: Environment) -> RunPlan:
    """Plan jobs of all accounts whose slots have all passed."""
    start = datetime.now(UTC) - 2 * _PAST
    return planner.plan(on.engine, request(start=start, length=_PAST), actor="bench")


def relay(on: Environment, *, look_ahead: timedelta = timedelta(hours=1)) -> Relay:
    """Make the scheduler's relay; by default one that hands over all that is due at once."""
    return Relay(
        on.engine,
        on.broker,
        horizon=on.settings.dispatch_horizon,
        jitter=on.settings.lease / 4,
        max_attempts=on.settings.worker_max_attempts,
        rate=replace(relay_rate(on.settings), look_ahead=look_ahead),
        actor="bench",
    )


@contextmanager
def ticking(on: Environment) -> Iterator[None]:
    """Relay as the scheduler does: again and again, no more than the limiter can serve soon."""
    relaying, stop = relay(on, look_ahead=LOOK_AHEAD), Event()

    def tick() -> None:
        while not stop.is_set():
            relaying.run()
            stop.wait(on.settings.poll_interval.total_seconds())

    with ThreadPoolExecutor(1) as thread:
        ticks = thread.submit(tick)
        try:
            yield
        finally:
            stop.set()
        ticks.result()


def count(on: Environment, status: str) -> int:
    """Count the jobs of a status."""
    with transaction(on.engine) as tx:
        number: int = tx.execute(
            text("SELECT count(*) FROM ifood_jobs WHERE status = :status"), {"status": status}
        ).scalar_one()
        return number
