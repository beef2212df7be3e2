"""Whether each run fits its window, by the settings and, with a database, the latest runs."""

from dataclasses import replace
from datetime import timedelta

from ifood_actors.accounts import busiest_share, count_active
from ifood_actors.capacity.forecast import ASSUMED_LATENCY, Deployment, Forecast, Week, forecast
from ifood_actors.cli.output import document, note
from ifood_actors.cli.work.capacity_screen import (
    SIZES,
    CapacityReport,
    advice,
    longest_waits,
    show,
    usable,
)
from ifood_actors.cli.work.database import opened
from ifood_actors.config import Settings, loading
from ifood_actors.db import transaction
from ifood_actors.kinds import KINDS
from ifood_actors.ledger.queries.cost import workloads
from ifood_actors.planning.planner import idle_shares
from ifood_actors.spans import WEEKDAYS

_ASSUMED_ACCOUNTS = 1_000


def tell(
    *, accounts: int | None, kind: str | None, hosts: int, latency: float | None, json: bool
) -> None:
    """Calculate, and print it as a document or for a person."""
    settings = loading.load()
    length = timedelta(seconds=latency) if latency else ASSUMED_LATENCY
    deployment = _deployment(settings, accounts=accounts, hosts=hosts, latency=length)
    growth = {size: forecast(settings, replace(deployment, accounts=size)) for size in SIZES}
    answer = CapacityReport(settings, deployment, forecast(settings, deployment), growth, kind)
    if json:
        document(_facts(answer))
    else:
        show(answer)


def _deployment(
    settings: Settings, *, accounts: int | None, hosts: int, latency: timedelta
) -> Deployment:
    if settings.database_url is None:
        note("IFOOD_DATABASE_URL is not set: without a history, requests are assumed")
        return Deployment(accounts or _ASSUMED_ACCOUNTS, hosts=hosts, latency=latency)

    with opened(settings) as command, transaction(command.engine) as tx:
        known = accounts or count_active(tx)
        if not known:
            note(f"no account is active: {_ASSUMED_ACCOUNTS:,} are assumed")
        return Deployment(
            accounts=known or _ASSUMED_ACCOUNTS,
            hosts=hosts,
            latency=latency,
            busiest_share=busiest_share(tx),
            idle_shares=idle_shares(tx, settings),
            measured=workloads(tx, {kind: declared.block_days for kind, declared in KINDS.items()}),
        )


def _facts(answer: CapacityReport) -> dict[str, object]:
    settings, deployment = answer.settings, answer.deployment
    return {
        "accounts": deployment.accounts,
        "hosts": deployment.hosts,
        "concurrency": settings.worker_processes * settings.worker_threads,
        "latency_seconds": deployment.latency,
        "rate_limit_per_minute": settings.rate_limit_per_minute,
        "usable_per_minute": round(usable(settings.rate_limit_per_minute), 3),
        "busiest_share": round(deployment.busiest_share, 4),
        "longest_waits_seconds": longest_waits(settings),
        **_week_facts(answer, answer.week),
        "sizes": [
            {"accounts": size, **_week_facts(answer, week)} for size, week in answer.growth.items()
        ],
    }


def _week_facts(answer: CapacityReport, week: Week) -> dict[str, object]:
    return {
        "use_of_the_week": round(week.use, 4),
        "fits": all(one.verdict.fits for one in answer.of(week)),
        "runs": [_run_facts(answer, one, week) for one in answer.of(week)],
    }


def _run_facts(answer: CapacityReport, one: Forecast, week: Week) -> dict[str, object]:
    verdict, measured = one.verdict, answer.deployment.measured.get(one.kind)
    return {
        "kind": one.kind,
        "accounts": one.load.demand.accounts,
        "days": [WEEKDAYS[day] for day in one.weekdays],
        "window": str(one.window),
        "period_days": one.period_days,
        "requests_per_job": round(one.load.demand.requests_per_job, 3),
        "attempts": round(one.load.demand.attempts, 3),
        "measured_jobs": measured.jobs if measured else 0,
        "batch_size": verdict.batch_size,
        "fits": verdict.fits,
        "fits_alone": one.fits_alone,
        "beside": one.beside,
        "bottleneck": verdict.bottleneck,
        "ends_after_seconds": verdict.ends_after if week.use <= 1 else None,
        "own_seconds": one.load.spans,
        "use": {resource: round(use, 4) for resource, use in one.uses.items()},
        "needed": verdict.needed,
        "advice": list(advice(answer, one)),
    }
