"""A rule and its pure evaluation: `rules.py` has them all, `samples.py` asks for the numbers."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from ifood_actors.config import Settings
from ifood_actors.notation import format_duration

Unit = Literal["count", "seconds", "share", "bytes"]

ALL: Final = "all"  # the subject of what is not one kind's, queue's or application's
MANUAL: Final = "docs/operations.md"

SHORT: Final = timedelta(minutes=5)
LONG: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Sample:
    """One number about one subject; `facts` are further columns that a text may show."""

    subject: str
    value: float
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """
    A number, a limit, and how long it takes until somebody is told.

    `says` is the text, with `{number}`, `{subject}` and the names of facts in it. The start is told
    once the rule has fired for `wait`, the end once it has not for `calm`: a value that flaps is
    one alert. `heading` is the one in docs/operations.md.
    """

    name: str
    heading: str
    says: str
    limit: Callable[[Settings], float]
    unit: Unit = "count"
    fires: Callable[[float, float], bool] = operator.gt
    wait: timedelta = timedelta()
    calm: timedelta = SHORT

    @property
    def manual(self) -> str:
        """Where the heading is: `docs/operations.md#too-many-pending-jobs`."""
        words = "".join(c for c in self.heading.lower() if c.isalnum() or c in " -_")
        return f"{MANUAL}#{words.replace(' ', '-')}"


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """A rule that fires, and about what; `number` and `limit` are texts with their unit."""

    name: str
    subject: str
    text: str
    number: str
    limit: str
    manual: str


def firing_alerts(
    rule: AlertRule, samples: Iterable[Sample], settings: Settings
) -> list[FiringAlert]:
    """Give what fires now, however long it has."""
    limit = rule.limit(settings)
    return [_alert(rule, sample, limit) for sample in samples if rule.fires(sample.value, limit)]


def _alert(rule: AlertRule, sample: Sample, limit: float) -> FiringAlert:
    number = _shown(sample.value, rule.unit)
    return FiringAlert(
        name=rule.name,
        subject=sample.subject,
        text=rule.says.format(number=number, subject=sample.subject, **sample.facts),
        number=number,
        limit=_shown(limit, rule.unit),
        manual=rule.manual,
    )


def _shown(value: float, unit: Unit) -> str:
    match unit:
        case "count":
            return f"{value:,.0f}"
        case "seconds":
            return format_duration(timedelta(seconds=max(value, 0)))
        case "share":
            return f"{round(100 * value, 2):g}%"
        case "bytes":
            return f"{value / 2**30:,.1f} GiB"
