"""What `ifood-actors capacity` shows: the runs of the week, what to change, and how it grows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ifood_actors.capacity.estimate import Resource
from ifood_actors.capacity.forecast import Deployment, Forecast, Week, tightness
from ifood_actors.cli.output import count, duration, say, table
from ifood_actors.config import Settings
from ifood_actors.delivery.retries import Backoff
from ifood_actors.ifood.slots import interval
from ifood_actors.spans import WEEKDAYS

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


def show(answer: CapacityReport) -> None:
    """Print it for a person."""
    zone = answer.settings.timezone
    for line in _conditions(answer):
        say(line)
    say()
    table(_COLUMNS, [_row(answer, one) for one in answer.of(answer.week)], zone=zone)
    say()
    for line in _sentences(answer):
        say(line)
    say()
    rows = [
        _size_row(size, one, week)
        for size, week in answer.growth.items()
        for one in worst_of_each_kind(answer.of(week))
    ]
    table(_SIZE_COLUMNS, rows, zone=zone)


def _conditions(answer: CapacityReport) -> Iterator[str]:
    settings, deployment = answer.settings, answer.deployment
    at_once = settings.worker_processes * settings.worker_threads
    yield (
        f"{count(deployment.accounts, 'account')}; "
        f"{count(deployment.hosts, 'worker host')} with {at_once:,} jobs at the same time; "
        f"{duration(deployment.latency)} for a request (--latency)"
    )
    limit = settings.rate_limit_per_minute
    yield f"limit of {limit:,} requests a minute, of which {usable(limit):,.1f} can be used" + (
        f"; {deployment.busiest_share:.0%} of the accounts share one"
        if deployment.busiest_share < 1
        else ""
    )


def usable(limit: int) -> float:
    """Give the requests a minute that the limiter lets through."""
    return timedelta(minutes=1) / interval(limit)


def longest_waits(settings: Settings) -> timedelta:
    """Give the waits of a job that fails until its last attempt."""
    backoff = Backoff(settings.backoff_base, settings.backoff_cap)
    waits = (backoff.wait(n, jitter=1) for n in range(1, settings.worker_max_attempts))
    return sum(waits, timedelta())


def _row(answer: CapacityReport, one: Forecast) -> tuple[object, ...]:
    verdict = one.verdict
    return (
        *(one.kind, days_of(one), str(one.window).split()[1]),
        *(round(one.load.demand.requests_per_job, 1), _origin(answer, one)),
        *one.load.spans.values(),
        verdict.bottleneck.replace("_", " "),
        ends_of(one, answer.week),
        verdict.fits,
    )


def _origin(answer: CapacityReport, one: Forecast) -> str:
    measured = answer.deployment.measured.get(one.kind)
    return f"{measured.jobs:,} jobs" if measured else "assumed"


def _size_row(size: int, one: Forecast, week: Week) -> tuple[object, ...]:
    verdict = one.verdict
    return (
        *(size, one.kind, days_of(one), verdict.bottleneck.replace("_", " ")),
        *(ends_of(one, week), verdict.fits),
        *verdict.needed.values(),
    )


def worst_of_each_kind(forecasts: Iterable[Forecast]) -> list[Forecast]:
    """Give of each kind the days that fit least."""
    worst: dict[str, Forecast] = {}
    for one in forecasts:
        if one.kind not in worst or tightness(one) > tightness(worst[one.kind]):
            worst[one.kind] = one
    return list(worst.values())


def _sentences(answer: CapacityReport) -> Iterator[str]:
    shown = answer.of(answer.week)
    yield f"the runs of a week take {answer.week.use:.1%} of the limit, day and night" + (
        ": each week leaves more behind than the one before" if answer.week.use > 1 else ""
    )
    for one in shown:
        if one.beside:
            yield f"{_name(one)} shares limit and workers with {' and '.join(one.beside)}"
    for one in shown:
        yield from advice(answer, one)
    settings, supply = answer.settings, shown[0].load.supply
    if supply.hosts * supply.concurrency > supply.most_concurrency:
        yield (
            f"more than {supply.most_concurrency:,} jobs at the same time are of no use to this "
            "limit: who waits longer than 60 s for it gives up and begins anew"
        )
    waits = longest_waits(settings)
    yield (
        f"a job that fails until its last attempt ends up to {duration(waits)} later "
        f"({count(settings.worker_max_attempts, 'attempt')})"
    )


def advice(answer: CapacityReport, one: Forecast) -> Iterator[str]:
    """Say what would have to change, a line each; nothing if the run fits."""
    name, settings = _name(one), answer.settings
    yield from (f"{name} does not fit: {line}" for line in one.verdict.advice)
    if one.verdict.fits:
        return
    if one.fits_alone:
        yield f"{name} would fit if its window lay apart from {' and '.join(one.beside)}"
    if one.kind == "sales" and one.period_days > settings.sales_days:
        yield f"{name} reads {one.period_days} days: IFOOD_SALES_DEEP_DAYS says how many, 0 is none"
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
