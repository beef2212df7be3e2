"""
Whether rows that a complete read did not bring are gone, or need a second witness.

Pure. A row that iFood takes back is gone at once. When all rows are gone at once, the answer may be
a hiccup: they are not gone before a run of another day sees the same (docs/ifood-api.md,
section 7).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple

from ifood_actors.spans import Period

# From so many known rows on, a read that brings fewer than half of them is not believed.
MANY: Final = 20


class Sight(NamedTuple):
    """A read that did not bring a row: the day of its run, and when it was."""

    day: date
    at: datetime

    def confirms(self, first: "Sight") -> bool:
        """Say whether this is a witness of its own for what another sight has seen."""
        return self.day != first.day and self.at > first.at


@dataclass(frozen=True, slots=True)
class Known:
    """
    A row that was known before a pull, and the days that must be read in full to miss it.

    `suspected` is the sight that was the first not to bring it and was not believed.
    """

    id: int
    days: Period
    suspected: Sight | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Rows that are gone: mark `missing` now, `vanished` only after another day's run."""

    missing: list[int]
    vanished: list[int]


def judge(
    known: Sequence[Known],
    *,
    brought: Collection[int],
    days_brought: Iterable[Period],
    spans: Iterable[Period],
    sight: Sight,
) -> Verdict:
    """
    Judge the known rows that a complete pull did not bring.

    `brought` are the ids of all rows that it brought, `days_brought` the days of those rows, and
    `spans` what may be a hiccup by itself: the pull as a whole, and each answer of it.
    """
    gone = [row for row in known if row.id not in brought]
    if not gone:
        return Verdict([], [])
    days_brought = list(days_brought)
    doubtful = [
        span for span in spans if _is_doubtful(span, known, brought=brought, days=days_brought)
    ]
    verdict = Verdict([], [])
    for row in gone:
        doubted = any(_within(row.days, span) for span in doubtful)
        believed = not doubted or (row.suspected is not None and sight.confirms(row.suspected))
        (verdict.missing if believed else verdict.vanished).append(row.id)
    return verdict


def _is_doubtful(
    span: Period, known: Sequence[Known], *, brought: Collection[int], days: Sequence[Period]
) -> bool:
    """Say whether the read of a span brought no row at all, or fewer than half of many."""
    if not any(each.start <= span.end and span.start <= each.end for each in days):
        return True
    inside = [row for row in known if _within(row.days, span)]
    still = sum(row.id in brought for row in inside)
    return len(inside) >= MANY and 2 * still < len(inside)


def _within(days: Period, span: Period) -> bool:
    return span.start <= days.start and days.end <= span.end
