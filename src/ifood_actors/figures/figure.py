"""What a figure and an alert rule are, and which alerts fire. No I/O: SQL and PromQL are data."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, Literal

from ifood_actors.config import Settings
from ifood_actors.notation import format_duration

Unit = Literal["count", "seconds", "share", "bytes"]

ALL: Final = "all"  # the subject of what is not one kind's, queue's or application's
MANUAL: Final = "docs/operations.md"

SHORT: Final = timedelta(minutes=5)
LONG: Final = timedelta(minutes=10)
SELDOM: Final = timedelta(minutes=1)

# Of fewer requests, one or two that went wrong would already be a share.
FEW_REQUESTS: Final = 20

_FIRES: Final = {">": operator.gt, "<": operator.lt, ">=": operator.ge}


def fixed(limit: float) -> Callable[[Settings], float]:
    """Give a limit that no setting changes."""
    return lambda _: limit


_ZERO: Final = fixed(0)


@dataclass(frozen=True, slots=True)
class Query:
    """
    A statement that gives the figures: one row for each set of labels, one column for each figure.

    Its other columns are facts for the texts of alerts. `labels` has the values of each label, none
    when they depend on the rows. `/metrics` reads it at most every `every`.
    """

    statement: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    every: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Sample:
    """One number about one subject; `facts` are further columns that a text may show."""

    subject: str
    value: float
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """
    A limit of a number, 0 unless given, and how long it takes until an operator is told.

    The start is told once the rule has fired for `wait`, the end once it has not for `calm`: a
    value that flaps is one alert. `heading` is the one in docs/operations.md.

    `when` is the condition for the manual, with `{limit}`. `says` is the text, with `{number}`,
    `{subject}` and the names of facts; `summary` is Prometheus's, where `says` needs facts.

    The samples are those of the figure, or of the SQL `samples` (columns `subject`, `value` and
    facts), or of RabbitMQ's `queues`, which are `counted` by messages or consumers. With `reported`
    there are also samples that the evaluation itself knows. `promql` is Prometheus's expression,
    by default the figure; it is compared with the limit unless it has `{limit}` or a number.
    """

    name: str
    heading: str
    when: str
    says: str
    limit: Callable[[Settings], float] = _ZERO
    unit: Unit = "count"
    comparison: Literal[">", "<", ">="] = ">"
    wait: timedelta = timedelta()
    calm: timedelta = SHORT
    severity: Literal["critical", "warning"] = "critical"
    samples: str = ""
    queues: tuple[str, ...] = ()
    counted: Literal["ready", "consumers"] = "ready"
    reported: bool = False
    promql: str = ""
    summary: str = ""

    @property
    def rules(self) -> "tuple[AlertRule, ...]":
        """Itself, as a figure gives its rules."""
        return (self,)

    @property
    def manual(self) -> str:
        """Where the heading is: `docs/operations.md#too-many-pending-jobs`."""
        words = "".join(c for c in self.heading.lower() if c.isalnum() or c in " -_")
        return f"{MANUAL}#{words.replace(' ', '-')}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that `/metrics` exports under its `name`, and its alerts if it has some."""

    name: str
    meaning: str
    query: Query
    alerts: tuple[AlertRule, ...]

    @property
    def rules(self) -> tuple[AlertRule, ...]:
        """Its alerts, with where their samples come from."""
        return tuple(
            replace(
                rule,
                samples=rule.samples or ("" if rule.reported else self._samples),
                promql=rule.promql or self.name,
            )
            for rule in self.alerts
        )

    @property
    def _samples(self) -> str:
        labels = ", ".join(f'"{label}"' for label in self.query.labels)  # one is a word of SQL
        subject = f"concat_ws(', ', {labels})" if labels else f"'{ALL}'"
        return (
            f"SELECT {subject} AS subject, {self.name} AS value, figure.*"
            f" FROM ({self.query.statement}) AS figure"
        )


def figure(name: str, meaning: str, query: Query, *alerts: AlertRule) -> Figure:
    """Give a figure with its alerts."""
    return Figure(name, meaning, query, alerts)


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
    limit, fires = rule.limit(settings), _FIRES[rule.comparison]
    return [_alert(rule, sample, limit) for sample in samples if fires(sample.value, limit)]


def shown(value: float, unit: Unit) -> str:
    """Write a number for people: `1,200`, `2m`, `66.67%`, `20.0 GiB`."""
    match unit:
        case "count":
            return f"{value:,.0f}"
        case "seconds":
            return format_duration(timedelta(seconds=max(value, 0)))
        case "share":
            return f"{round(100 * value, 2):g}%"
        case "bytes":
            return f"{value / 2**30:,.1f} GiB"


def _alert(rule: AlertRule, sample: Sample, limit: float) -> FiringAlert:
    number = shown(sample.value, rule.unit)
    facts = {**sample.facts, "number": number, "subject": sample.subject}
    return FiringAlert(
        name=rule.name,
        subject=sample.subject,
        text=rule.says.format_map(facts),
        number=number,
        limit=shown(limit, rule.unit),
        manual=rule.manual,
    )
