"""
Every kind of data that is pulled, declared once.

What is known of a kind before iFood has answered stands in its entry here: settings, commands,
planning, capacity, exports and queues derive from it. How its answers are read and stored stands in
`feeds/`, in the file that is named as its resource. No I/O: the standard library and `spans`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Protocol

from ifood_actors.spans import WEEKDAYS, Period


class PullSettings(Protocol):
    """The settings that say how much a job reads, and how often (docs/configuration.md)."""

    @property
    def settlements_weeks(self) -> int: ...
    @property
    def anticipations_days(self) -> int: ...
    @property
    def anticipations_idle_days(self) -> int: ...
    @property
    def sales_days(self) -> int: ...
    @property
    def sales_deep_days(self) -> int: ...
    @property
    def sales_deep_weekday(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Amount:
    """What the reports call the amount of a pull: the sum of one column of its rows, in BRL."""

    column: str
    only_type: str | None = None  # rows of other types do not count

    def of(self, rows: Iterable[Mapping[str, Any]]) -> Decimal:
        """Add up rows, given as values by column; a row without the column adds nothing."""
        counted = (row for row in rows if self.only_type in (None, row.get("type")))
        return sum((row.get(self.column, Decimal(0)) for row in counted), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of data. Where a number or a rule comes from is in docs/ifood-api.md."""

    # As stored in `ifood_jobs.job_type`; commands, actors and queues take it, too.
    name: str
    # The last part of its endpoint's path. Its feed is in `feeds/`, under this name, `_` for `-`.
    resource: str
    # Where its records are stored.
    table: str
    # The setting that says when its runs open, without prefix, and its default.
    window_setting: str
    window: str
    # The days that a job asks for, by its `job_day`.
    period: Callable[[date, PullSettings], Period]
    # At most so many days are asked for at once.
    block_days: int
    # Requests that a block is assumed to take, before there is a history.
    assumed_requests: int
    # What its days are, as in the view `reporting.kinds`: coverage goes by them.
    day_of: str
    # The column of the day by which a record is exported. Where it is empty, the day on which the
    # record was first seen counts.
    day_column: str
    amount: Amount
    # How many days apart a store is asked that answers nothing but 404; 0 is every day.
    idle_days: Callable[[PullSettings], int] = lambda _: 0
    # The setting, without prefix, that makes a period of so many days longer than usual, if any.
    lengthened_by: Callable[[int, PullSettings], str | None] = lambda _days, _settings: None


def days_before(job_day: date, days: int) -> Period:
    """Give so many days, the last of them the one before `job_day`."""
    return Period(job_day - timedelta(days=days), job_day - timedelta(days=1))


def closed_weeks(job_day: date, weeks: int) -> Period:
    """Give the latest closed weeks, Monday to Sunday: a week is closed once its Sunday is over."""
    days_since_sunday = job_day.isoweekday() % 7 or 7
    last_sunday = job_day - timedelta(days=days_since_sunday)
    return Period(last_sunday - timedelta(weeks=weeks) + timedelta(days=1), last_sunday)


def _sales_days(job_day: date, settings: PullSettings) -> int:
    """Once a week they are more, for what comes late (docs/ifood-api.md, section 7)."""
    if WEEKDAYS[job_day.weekday()] == settings.sales_deep_weekday:
        return max(settings.sales_days, settings.sales_deep_days)
    return settings.sales_days


_ENTRIES = (
    Kind(
        name="settlements_weekly",
        resource="settlements",
        table="ifood_settlements",
        window_setting="settlements_window",
        window="mon 08:00-12:00",
        period=lambda job_day, settings: closed_weeks(job_day, settings.settlements_weeks),
        # iFood answers spans of more than about 31 days with an empty list; 28 keep weeks whole.
        block_days=28,
        assumed_requests=1,  # no pages
        day_of="calculation",
        day_column="calculation_start",
        # The same money stands in titles of other types as well (docs/ifood-api.md, section 4).
        amount=Amount("amount", only_type="REPASSE"),
    ),
    Kind(
        name="anticipations_daily",
        resource="anticipations",
        table="ifood_anticipations",
        window_setting="anticipations_window",
        window="daily 06:00-08:00",
        period=lambda job_day, settings: days_before(job_day, settings.anticipations_days),
        block_days=30,  # of the same 31 days
        assumed_requests=1,  # no pages
        day_of="calculation",
        day_column="calculation_start",
        amount=Amount("anticipated_payment_amount"),  # what the store was paid
        idle_days=lambda settings: settings.anticipations_idle_days,
    ),
    Kind(
        name="sales",
        resource="sales",
        table="ifood_sales",
        window_setting="sales_window",
        window="daily 03:00-06:00",
        # A sale changes for days after it was made.
        period=lambda job_day, settings: days_before(job_day, _sales_days(job_day, settings)),
        block_days=7,  # documented are 90 days; production refuses more than 7 or 8
        assumed_requests=2,  # 100 fit on a page; who sells more than 200 a week is a large store
        day_of="sale",
        day_column="covered_from",  # which is `sale_day`, and has an index
        lengthened_by=lambda days, settings: (
            "sales_deep_days" if days > settings.sales_days else None
        ),
        # The gross value of the bags, as at the moment of the call, cancelled orders included.
        amount=Amount("sale_gross_value_bag"),
    ),
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in _ENTRIES})


def queue_name(kind: str) -> str:
    """Name the work queue of a kind. Raises ValueError for an unknown one."""
    if kind not in KINDS:
        raise ValueError(f"no such kind: {kind!r}, one of {', '.join(KINDS)}")
    return f"ifood.{kind}"
