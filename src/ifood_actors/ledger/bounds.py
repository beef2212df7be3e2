"""
What a row of the ledger may hold, so that no reader's arithmetic or cast can fail at it.

Constraints of the tables refuse anything else since migration 0019. An older row may still hold
it: statements on many jobs leave such rows out, by `IN_BOUNDS`.
"""

from collections.abc import Iterable
from typing import Final

from ifood_actors.ledger import job_result

_FIRST, _LAST = "2000-01-01", "2200-01-01"
_YEARS: Final = f"'{_FIRST} 00:00+00' AND '{_LAST} 00:00+00'"
_COUNTS: Final = ("attempts", "dispatch_no", "lease_no", "event_no")
_INSTANTS: Final = (
    *("scheduled_for", "next_retry_at", "wake_at", "lease_expires_at", "dispatched_at"),
    *("locked_at", "finished_at", "created_at", "updated_at"),
)
_DAYS: Final = ("job_day", "period_start", "period_end")


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions)


def _whole(column: str, name: str) -> str:
    return f"{column} ->> '{name}' ~ '^[0-9]{{1,9}}$'"


def _each(columns: Iterable[str], least: str, most: str) -> str:
    """
    Say that each of the columns is between two values, or NULL.

    In few words: Postgres reads the condition again for every statement that writes a row.
    """
    names = ", ".join(columns)
    return f"least({names}) >= {least} AND greatest({names}) <= {most}"


COUNTS: Final = _each(_COUNTS, "0", "1000000")
INSTANTS: Final = _all(
    [
        _each(_INSTANTS, f"'{_FIRST} 00:00+00'", f"'{_LAST} 00:00+00'"),
        _each(_DAYS, f"'{_FIRST}'", f"'{_LAST}'"),
    ]
)
RESULT: Final = _all(
    [
        "jsonb_typeof(result) = 'object'",
        *(_whole("result", name) for name in job_result.COUNTS),
        "result ->> 'complete' IN ('true', 'false')",
        r"result ->> 'amount' ~ '^-?[0-9]{1,40}(\.[0-9]{1,40})?(E[+-]?[0-9]{1,2})?$'",
    ]
)
# The readers' own cast: what it cannot read is refused when it is written.
DETAIL: Final = _all(
    [
        *(_whole("detail", name) for name in ("requests", "wasted")),
        f"CAST(detail ->> 'slot' AS timestamptz) BETWEEN {_YEARS}",
    ]
)

# Of the rows of `ifood_jobs`. As in a constraint, what is not there is in bounds.
IN_BOUNDS: Final = f"(({COUNTS} AND {INSTANTS} AND {RESULT}) IS NOT FALSE)"
