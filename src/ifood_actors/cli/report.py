"""`ifood-actors report`: what the runs of a day delivered."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from ifood_actors.cli.options import Day, Json
from ifood_actors.cli.output import document, note, picked, say, table, vanished_rows

if TYPE_CHECKING:
    from ifood_actors.ledger.queries.daily import Delivered

N = TypeVar("N", int, Decimal)

_WEEK = timedelta(days=7)
_COUNTS = ("planned", "success", "failed", "cancelled", "open", "rows", "new", "changed", "missing")
_COLUMNS = (*_COUNTS, "rejected", "incomplete", "amount", "requests", "wasted", "retries")
_TIMES = ("duration", "job_p50", "job_p95", "lateness_p50", "lateness_p95")


def report(*, day: Day = None, json: Json = False) -> None:
    """
    Tell what the runs of a day delivered, beside the same weekday before.

    Today's unless given, by kind: jobs by outcome, rows that were read, new, changed or no longer
    there, items that could not be read, pulls that were not complete, the amount in BRL (payouts,
    anticipated payouts, or gross value of bags), requests and those of them that were answered by
    404 (wasted), retries, how long the run and its jobs took, and how late they started.
    """
    from ifood_actors.cli.work import reading

    job_day, found, before, zone = reading.deliveries(day)
    if json:
        document(_facts(job_day, found, before))
        return
    for columns in (_COLUMNS, _TIMES):
        names = ("kind", "day", *(name.replace("_", " ") for name in columns))
        rows = [
            (one.kind, one.job_day, *(getattr(one, column) for column in columns))
            for kind in found
            for one in (found[kind], before.get(kind))
            if one
        ]
        table(names, rows, zone=zone)
        say()
    for line in (*_comparisons(found, before), *_vanished(found)):
        say(line)
    if not found:
        note(f"no run on {job_day}")


def _facts(
    day: date, found: "Mapping[str, Delivered]", before: "Mapping[str, Delivered]"
) -> dict[str, object]:
    return {
        "day": day,
        "compared_with": day - _WEEK,
        "kinds": [
            {**_named(one), "before": _named(before[kind]) if kind in before else None}
            for kind, one in found.items()
        ],
    }


def _named(one: "Delivered") -> dict[str, object]:
    return picked(one, *(field.name for field in fields(one)), seconds=_TIMES)


def _comparisons(
    found: "Mapping[str, Delivered]", before: "Mapping[str, Delivered]"
) -> Iterator[str]:
    for kind, now in found.items():
        if then := before.get(kind):
            yield (
                f"{kind}, against {then.job_day}: rows {_change(now.rows, then.rows)}, "
                f"amount {_change(now.amount, then.amount)}, failed {now.failed - then.failed:+,}"
            )


def _vanished(found: "Mapping[str, Delivered]") -> Iterator[str]:
    for kind, one in found.items():
        if one.vanished_stores:
            yield f"{kind}: {vanished_rows(one.vanished, stores=one.vanished_stores)}"


def _change(now: N, then: N) -> str:
    return f"{100 * (now - then) / abs(then):+.1f} %" if then else f"{now:,} (was 0)"
