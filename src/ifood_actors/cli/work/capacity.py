"""
Whether each run fits its window, by the settings and, with a database, the latest runs.

It shows the runs of the week, what would have to change, and how the week grows with accounts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from ifood_actors.accounts import busiest_share, count_active
from ifood_actors.capacity.estimate import Resource
from ifood_actors.capacity.forecast import (
    ASSUMED_LATENCY,
    Deployment,
    Forecast,
    Week,
    forecast,
    tightness,
)
from ifood_actors.cli.output import count, document, duration, note, say, table
from ifood_actors.cli.work.database import opened
from ifood_actors.config import Settings, loading
from ifood_actors.db import transaction
from ifood_actors.delivery.retries import Backoff
from ifood_actors.ifood.request_slots import interval
from ifood_actors.kinds import KINDS
from ifood_actors.ledger.queries.cost import workloads
from ifood_actors.planning.planner import idle_shares
from ifood_actors.spans import WEEKDAYS

_ASSUMED_ACCOUNTS = 1_000
# The sizes that are shown beside the own one.
SIZES = (1_000, 5_000, 20_000, 100_000)

_COLUMNS = (
    *("kind", "days", "window", "requests a job", "from"),
    *("starting", "at the limit", "in the workers", "bottleneck", "ends", "fits"),
)
_SIZE_COLUMNS = (
    *("accounts", "kind", "days", "bottleneck", "ends", "fits"),
    *("needs jobs a minute", "requests a minute", "at the same time"),
)


@dataclass(frozen=True)
class CapacityReport:
    """The week of this deployment, and its growth by accounts; `kind` is the only one to show."""

    settings: Settings
    deployment: Deployment
    week: Week
    growth: dict[int, Week]
    kind: str | None

    def of(self, week: Week) -> list[Forecast]:
        return [one for one in week.forecasts if self.kind in (None, one.kind)]


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
        _show(answer)


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


def _show(answer: CapacityReport) -> None:
    zone = answer.settings.timezone
    _show_conditions(answer)
    table(_COLUMNS, [_row(answer, one) for one in answer.of(answer.week)], zone=zone)
    say()
    _show_sentences(answer)
    rows = [
        (size, one.kind, days_of(one), *_outcome(one, week), *one.verdict.needed.values())
        for size, week in answer.growth.items()
        for one in worst_of_each_kind(answer.of(week))
    ]
    table(_SIZE_COLUMNS, rows, zone=zone)


def _show_conditions(answer: CapacityReport) -> None:
    settings, deployment = answer.settings, answer.deployment
    at_once = settings.worker_processes * settings.worker_threads
    say(
        f"{count(deployment.accounts, 'account')}; "
        f"{count(deployment.hosts, 'worker host')} with {at_once:,} jobs at the same time; "
        f"{duration(deployment.latency)} for a request (--latency)"
    )
    limit, share = settings.rate_limit_per_minute, deployment.busiest_share
    shared = f"; {share:.0%} of the accounts share one" if share < 1 else ""
    say(f"limit of {limit:,} requests a minute, of which {_usable(limit):,.1f} can be used{shared}")
    say()


def _usable(limit: int) -> float:
    return timedelta(minutes=1) / interval(limit)


def _longest_waits(settings: Settings) -> timedelta:
    """Give the sum of the waits of a job that fails until its last attempt."""
    backoff = Backoff(settings.backoff_base, settings.backoff_cap)
    waits = (backoff.wait(n, jitter=1) for n in range(1, settings.worker_max_attempts))
    return sum(waits, timedelta())


def _row(answer: CapacityReport, one: Forecast) -> tuple[object, ...]:
    measured = answer.deployment.measured.get(one.kind)
    return (
        *(one.kind, days_of(one), str(one.window).split()[1]),
        round(one.load.demand.requests_per_job, 1),
        f"{measured.jobs:,} jobs" if measured else "assumed",
        *one.load.spans.values(),
        *_outcome(one, answer.week),
    )


def _outcome(one: Forecast, week: Week) -> tuple[object, ...]:
    verdict = one.verdict
    return verdict.bottleneck.replace("_", " "), ends_of(one, week), verdict.fits


def worst_of_each_kind(forecasts: Iterable[Forecast]) -> list[Forecast]:
    """Give of each kind the days that fit least."""
    worst: dict[str, Forecast] = {}
    for one in forecasts:
        if one.kind not in worst or tightness(one) > tightness(worst[one.kind]):
            worst[one.kind] = one
    return list(worst.values())


def _show_sentences(answer: CapacityReport) -> None:
    shown, use = answer.of(answer.week), answer.week.use
    grows = ": each week leaves more behind than the one before" if use > 1 else ""
    say(f"the runs of a week take {use:.1%} of the limit, day and night{grows}")
    for one in shown:
        if one.beside:
            say(f"{_name(one)} shares limit and workers with {' and '.join(one.beside)}")
    for one in shown:
        for line in _advice(answer, one):
            say(line)
    settings, supply = answer.settings, shown[0].load.supply
    if supply.hosts * supply.concurrency > supply.most_concurrency:
        say(
            f"more than {supply.most_concurrency:,} jobs at the same time are of no use to this "
            "limit: who waits longer than 60 s for it gives up and begins again"
        )
    waits = _longest_waits(settings)
    say(
        f"a job that fails until its last attempt ends up to {duration(waits)} later "
        f"({count(settings.worker_max_attempts, 'attempt')})"
    )
    say()


def _advice(answer: CapacityReport, one: Forecast) -> Iterator[str]:
    """Say what would have to change, a line each; nothing if the run fits."""
    name, settings = _name(one), answer.settings
    yield from (f"{name} does not fit: {line}" for line in one.verdict.advice)
    if one.verdict.fits:
        return
    if one.fits_alone:
        yield f"{name} would fit if its window lay apart from {' and '.join(one.beside)}"
    if setting := KINDS[one.kind].lengthened_by(one.period_days, settings):
        variable = loading.variable(setting)
        yield f"{name} reads {one.period_days} days: {variable} says how many, 0 is none"
    if one.uses[Resource.PACING] > 1 and settings.window_overflow == "refuse":
        yield f"{name} is refused as it is: no job is planned unless IFOOD_WINDOW_OVERFLOW=extend"


def _name(one: Forecast) -> str:
    return f"{one.kind} ({days_of(one)})"


def days_of(one: Forecast) -> str:
    """Give `daily`, `mon`, `mon-sat`, `mon, wed`."""
    days = one.weekdays
    if len(days) == len(WEEKDAYS):
        return "daily"
    if len(days) > 1 and days[-1] - days[0] == len(days) - 1:
        return f"{WEEKDAYS[days[0]]}-{WEEKDAYS[days[-1]]}"
    return ", ".join(WEEKDAYS[day] for day in days)


def ends_of(one: Forecast, week: Week) -> str:
    """Give the clock time, such as `11:59:48` or `02:10:00 +1d`."""
    if week.use > 1:
        return "never"
    since = datetime.combine(date(2000, 1, 1), one.window.start)
    end = since + one.verdict.ends_after
    days = (end.date() - since.date()).days
    return f"{end:%H:%M:%S}" + (f" +{days}d" if days else "")


def _facts(answer: CapacityReport) -> dict[str, object]:
    settings, deployment = answer.settings, answer.deployment
    return {
        "accounts": deployment.accounts,
        "hosts": deployment.hosts,
        "concurrency": settings.worker_processes * settings.worker_threads,
        "latency_seconds": deployment.latency,
        "rate_limit_per_minute": settings.rate_limit_per_minute,
        "usable_per_minute": round(_usable(settings.rate_limit_per_minute), 3),
        "busiest_share": round(deployment.busiest_share, 4),
        "longest_waits_seconds": _longest_waits(settings),
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
        "advice": list(_advice(answer, one)),
    }
