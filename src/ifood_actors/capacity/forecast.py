"""The runs of a week as the settings make them: whether each fits beside the others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final

from ifood_actors.capacity.estimate import (
    Capacity,
    Demand,
    Load,
    Resource,
    Supply,
    estimate,
    estimate_among,
)
from ifood_actors.config import Settings
from ifood_actors.kinds import KINDS
from ifood_actors.ledger.job_result import Workload
from ifood_actors.planning.cadence import DAY
from ifood_actors.spans import Period, Window

WEEK: Final = 7 * DAY
# Of one request: a cautious guess, since no figure is published.
ASSUMED_LATENCY: Final = timedelta(seconds=1)

# The last job of a window ends a moment after it, which is no reason to speak of sharing.
_NOTICED = 0.01  # of the window
_SOME_MONDAY = date(2026, 1, 5)


@dataclass(frozen=True)
class Deployment:
    """
    What a forecast needs beside the settings; measured where there is a database.

    `latency` is the time of one request. `busiest_share` of the accounts belong to the application
    that has most; `idle_shares` of them answer nothing but 404, by kind. `measured` is what the
    jobs of a kind have cost.
    """

    accounts: int
    hosts: int = 1
    latency: timedelta = ASSUMED_LATENCY
    busiest_share: float = 1.0
    idle_shares: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    measured: Mapping[str, Workload] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Forecast:
    """
    One run of the week, beside the others.

    `weekdays` (Monday 0) are those on which it is equal. `beside` are the kinds that want
    the limit while it does, and `fits_alone` whether it would fit without them.
    """

    load: Load
    weekdays: tuple[int, ...]
    window: Window
    period_days: int
    beside: tuple[str, ...]
    verdict: Capacity
    fits_alone: bool

    @property
    def kind(self) -> str:
        return self.load.kind

    @property
    def uses(self) -> dict[Resource, float]:
        """The share of the window that it, beside the others, takes of each; it fits up to 1."""
        window = self.load.supply.window
        return {resource: span / window for resource, span in self.verdict.spans.items()}


@dataclass(frozen=True)
class Week:
    """
    All runs of a week.

    `use` is the share of the limit that its requests take, all day and night; above 1 each week
    leaves more behind than the one before, and no `ends_after` means anything.
    """

    forecasts: tuple[Forecast, ...]
    use: float


def forecast(settings: Settings, deployment: Deployment) -> Week:
    """
    Judge every run of a week between two weeks that are the same.

    Clock times only: a day has 24 hours.
    """
    this_week = [load for weekday in range(7) for load in _loads(settings, deployment, weekday)]
    # Of the week before for what it left behind, of the one after for a window over midnight.
    loads = [
        replace(load, start=load.start + shift)
        for shift in (-WEEK, timedelta(), WEEK)
        for load in this_week
    ]
    verdicts = {load: estimate_among(load, loads) for load in loads}
    use = sum((load.spans[Resource.RATE_LIMIT] for load in this_week), timedelta()) / WEEK

    alike: dict[object, list[Forecast]] = {}
    for load in this_week:
        one = _forecast(load, verdicts, settings)
        seconds = one.verdict.ends_after // timedelta(seconds=1) if use <= 1 else None
        alike.setdefault((one.kind, one.period_days, one.beside, seconds), []).append(one)
    forecasts = [
        replace(
            max(group, key=tightness), weekdays=tuple(day for one in group for day in one.weekdays)
        )
        for group in alike.values()
    ]
    forecasts.sort(key=lambda one: (one.window.start, one.kind, one.weekdays))
    return Week(tuple(forecasts), use)


def tightness(one: Forecast) -> list[float]:
    """Give by what runs are compared: the one that fits least is the greatest."""
    return sorted(one.uses.values(), reverse=True)


def _loads(settings: Settings, deployment: Deployment, weekday: int) -> Iterator[Load]:
    for kind in KINDS:
        window = settings.window_of(kind)
        if window.weekday not in (None, weekday):
            continue
        period = KINDS[kind].period(_SOME_MONDAY + weekday * DAY, settings)
        supply = Supply(
            window=window.length,
            batch_size=settings.batch_size,
            rate_limit_per_minute=settings.rate_limit_per_minute,
            concurrency=settings.worker_processes * settings.worker_threads,
            hosts=deployment.hosts,
            busiest_share=deployment.busiest_share,
        )
        start = timedelta(days=weekday, hours=window.start.hour, minutes=window.start.minute)
        yield Load(kind, start, _demand(kind, period, deployment, settings), supply)


def _demand(kind: str, period: Period, deployment: Deployment, settings: Settings) -> Demand:
    measured = deployment.measured.get(kind)
    declared = KINDS[kind]
    blocks = -(-period.days // declared.block_days)
    every = declared.idle_days(settings)
    idle_share = deployment.idle_shares.get(kind, 0.0)
    left_out = round(deployment.accounts * idle_share * (1 - 1 / every)) if every else 0
    a_block = measured.requests_per_block if measured else declared.assumed_requests
    return Demand(
        accounts=deployment.accounts - left_out,
        requests_per_job=blocks * a_block,
        latency=deployment.latency,
        attempts=measured.attempts if measured else 1.0,
    )


def _forecast(load: Load, verdicts: Mapping[Load, Capacity], settings: Settings) -> Forecast:
    weekday = load.start // DAY
    period = KINDS[load.kind].period(_SOME_MONDAY + weekday * DAY, settings)
    ends = load.start + verdicts[load].ends_after
    noticed = load.supply.window * _NOTICED
    beside = {
        other.kind
        for other, verdict in verdicts.items()
        if other != load
        and min(ends, other.start + verdict.ends_after) - max(load.start, other.start) > noticed
    }
    return Forecast(
        load=load,
        weekdays=(weekday,),
        window=settings.window_of(load.kind),
        period_days=period.days,
        beside=tuple(sorted(beside)),
        verdict=verdicts[load],
        fits_alone=estimate(load.demand, load.supply).fits,
    )
