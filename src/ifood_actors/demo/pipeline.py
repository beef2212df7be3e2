"""The demo: start the parts, plan a Monday, watch it run, compare with the truth."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from threading import Event
from time import monotonic
from typing import Any

from rich.console import Console
from rich.live import Live

from ifood_actors import logs
from ifood_actors.capacity.estimate import (
    Capacity,
    Demand,
    Load,
    Supply,
    estimate,
    estimate_among,
)
from ifood_actors.capacity.forecast import ASSUMED_LATENCY
from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.demo import queue_counts, screen
from ifood_actors.demo.environment import BrokerKind, Environment, start_environment
from ifood_actors.demo.report import KindReport, Report, build_report
from ifood_actors.demo.scale import Scale, latest_monday, openings, scale, window_length
from ifood_actors.demo.screen import Snapshot
from ifood_actors.ledger.queries.runs import open_runs
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import local_day
from ifood_actors.scheduler import Scheduler

# Retries and snoozes may end after the window; a job that has not ended by then is a fault.
_PATIENCE = timedelta(minutes=2)
# Of one request to the simulator, which does not wait.
_LATENCY = timedelta(milliseconds=20)
_LOOK_SECONDS = 0.5
_PLAIN_WIDTH = 120
_LINE_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """What a person may choose."""

    accounts: int = 1000
    seconds: int = 60
    broker: BrokerKind = "embedded"


def run_demo(options: Options, console: Console) -> Report:
    """Run the demo, and say on the console how it goes and what it came to."""
    logs.configure("error")
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    real = Settings()
    scaled = scale(options.seconds, real)
    monday = latest_monday(local_day(datetime.now(UTC), zone=real.timezone))
    console.print(screen.introduction(scaled, accounts=options.accounts))

    began = monotonic()
    with start_environment(options.accounts, scaled, broker=options.broker, monday=monday) as parts:
        console.print(
            f"Postgres from {parts.database}, broker {options.broker}, the simulator for iFood: "
            f"ready in {monotonic() - began:.1f} s"
        )
        started = monotonic()
        for opening in openings(scaled, real, monday=monday, start=datetime.now(UTC)):
            planner.plan(parts.engine, planner.PlanRequest(opening, parts.settings), actor="demo")
        scheduler = Scheduler(parts.settings, engine=parts.engine, publisher=parts.publisher)
        scheduler.start(plan=False)
        seen = _watch(parts, scaled, console)
        scheduler.stop()
        report = build_report(parts, monday=monday, seconds=monotonic() - started)

    screen.show(report, seen, console)
    console.print(screen.comparison(_predicted(report, parts, scaled), report))
    for kind in report.kinds:
        console.print(screen.forecast(kind, _real_day(kind, real, monday=monday)))
    for problem in report.problems:
        console.print(f"DOES NOT ADD UP: {problem}")
    return report


def _watch(parts: Environment, scaled: Scale, console: Console) -> list[Snapshot]:
    """Show the runs until every job has ended, or too long after the windows; give what it saw."""
    give_up = monotonic() + (scaled.length + _PATIENCE).total_seconds()
    seen = []
    if not console.is_terminal:
        for snapshot in _snapshots(parts, every=_LINE_SECONDS, give_up=give_up):
            seen.append(snapshot)
            for text in screen.lines(snapshot):
                console.print(text)
        return seen
    with Live(console=console, auto_refresh=False) as live:
        for snapshot in _snapshots(parts, every=_LOOK_SECONDS, give_up=give_up):
            seen.append(snapshot)
            live.update(screen.progress(snapshot), refresh=True)
    return seen


def _snapshots(parts: Environment, *, every: float, give_up: float) -> Iterator[Snapshot]:
    requests, at = 0, monotonic()
    while True:
        with transaction(parts.engine) as tx:
            runs = open_runs(tx)
        total, now = _requests(parts), monotonic()
        yield Snapshot(
            runs=runs,
            requests_per_minute=(total - requests) / max(now - at, every) * 60,
            limit=parts.settings.rate_limit_per_minute,
            queues=queue_counts.count_queues(parts.management) if parts.management else None,
        )
        requests, at = total, now
        if all(one.finished == one.planned for one in runs) or now > give_up:
            return
        Event().wait(every)


def _requests(parts: Environment) -> int:
    stats: Any = parts.simulator.stats()
    return sum(group["total"] for group in stats["groups"] if group["group"] == "financial")


def _predicted(report: Report, parts: Environment, scaled: Scale) -> timedelta:
    """Tell, by the formulas of `ifood-actors capacity`, when the last of these runs had to end."""
    supply = Supply(
        window=scaled.length,
        batch_size=parts.settings.batch_size,
        rate_limit_per_minute=parts.settings.rate_limit_per_minute,
        concurrency=parts.settings.worker_max_concurrency,
    )
    loads = [
        Load(
            kind.kind,
            timedelta(),
            Demand(kind.planned, kind.requests / kind.planned, latency=_LATENCY),
            supply,
        )
        for kind in report.kinds
    ]
    return max(estimate_among(load, loads).ends_after for load in loads)


def _real_day(kind: KindReport, real: Settings, *, monday: date) -> Capacity:
    """Tell what this run would take at iFood's real pace, with the default settings."""
    demand = Demand(
        accounts=kind.planned,
        requests_per_job=kind.requests / kind.planned,
        latency=ASSUMED_LATENCY,
    )
    supply = Supply(
        window=window_length(kind.kind, real, monday=monday),
        batch_size=real.batch_size,
        rate_limit_per_minute=real.rate_limit_per_minute,
        concurrency=real.worker_max_concurrency,
    )
    return estimate(demand, supply)
