"""`ifood-actors errors`: what fails, most common first."""

from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.options import ERRORS_SINCE, MOST, Json, KindFilter, Since
from ifood_actors.cli.output import duration, listing

if TYPE_CHECKING:
    from ifood_actors.ledger.queries.error_groups import ErrorGroup

_COLUMNS = ("jobs", "group", "kind", "code", "message", "first seen", "last seen", "sample")


def errors(
    *,
    since: Since = None,
    kind: KindFilter = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many groups.")] = 50,
    json: Json = False,
) -> None:
    """
    Group failed jobs by error, most common first.

    Those that failed in the last 24h unless given. Messages that differ only in numbers, ids,
    dates, URLs or quoted values are one group; `jobs requeue --error-group` runs it again.
    """
    from ifood_actors.cli.work import reading

    back = since or ERRORS_SINCE
    found, zone = reading.failed_groups(since=back, kind=kind, limit=limit + 1)
    again = f"ifood-actors jobs requeue --error-group GROUP --since {duration(back)}"
    advice = f"to run a group again: {again}" if found else "no job failed in that time"
    listing(found, _COLUMNS, _cells, limit=limit, json=json, zone=zone, advice=advice)


def _cells(group: "ErrorGroup") -> tuple[object, ...]:
    facts = (group.jobs, group.id, group.kind, group.error_code, group.message)
    return (*facts, group.first_seen, group.last_seen, group.sample_jobs[0])
