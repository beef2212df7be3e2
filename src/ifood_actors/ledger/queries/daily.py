"""What the runs of one day delivered. Only reads."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from ifood_actors.db import rows_of
from ifood_actors.ledger.job_result import result_value
from ifood_actors.ledger.queries.conditions import LATENESS


@dataclass(frozen=True)
class Delivered:
    """
    What the jobs of one kind brought on one day.

    `rows`, `new`, `changed`, `missing`, `vanished`, `amount` (BRL) and `requests` are those of
    successful jobs, `wasted` requests those that were answered by 404; what the amount is, each
    feed says. In `vanished_stores` of them `vanished` known rows did not come, with most or all
    others, and are not marked yet. `incomplete` jobs succeeded without a complete pull, `rejected`
    counts items that could not be read. `duration` is from the first claim to the last end so far,
    `job_p50` and `job_p95` the time of one successful job, and lateness that of first claims.
    """

    kind: str
    job_day: date
    planned: int
    success: int
    failed: int
    cancelled: int
    open: int
    rows: int
    new: int
    changed: int
    missing: int
    vanished: int
    vanished_stores: int
    incomplete: int
    rejected: int
    amount: Decimal
    requests: int
    wasted: int
    retries: int
    started_at: datetime | None
    finished_at: datetime | None
    duration: timedelta | None
    job_p50: timedelta | None
    job_p95: timedelta | None
    lateness_p50: timedelta | None
    lateness_p95: timedelta | None


def delivered(connection: Connection, day: date, *, kinds: Iterable[str]) -> dict[str, Delivered]:
    """Tell what the runs of a day brought, by kind; kinds without a job that day are left out."""
    found = rows_of(
        connection,
        f"""
        WITH job AS (
          SELECT id, job_type AS kind, status, scheduled_for, finished_at,
            CASE WHEN status = 'success' THEN result END AS result
          FROM ifood_jobs
          WHERE job_type = ANY(:kinds) AND job_day = :day),
        story AS (
          SELECT event.job_id, min(event.at) FILTER (WHERE act = 'claim') AS first_claim,
            max(event.at) FILTER (WHERE act = 'claim') AS last_claim,
            (array_agg({LATENESS} ORDER BY event.event_no) FILTER (WHERE act = 'claim'))[1] AS late,
            count(*) FILTER (WHERE act = 'retry') AS retries
          FROM ifood_job_events AS event JOIN job ON job.id = event.job_id GROUP BY event.job_id)
        SELECT job.kind, CAST(:day AS date) AS job_day, count(*) AS planned,
          count(*) FILTER (WHERE status = 'success') AS success,
          count(*) FILTER (WHERE status = 'failed') AS failed,
          count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
          count(*) FILTER (WHERE status IN ('pending', 'running')) AS open,
          {_sums("rows", "new", "changed", "missing", "vanished", "rejected")},
          {_sums("requests", "wasted")},
          count(*) FILTER (WHERE {result_value("complete")} IS FALSE) AS incomplete,
          count(*) FILTER (WHERE {result_value("vanished")} > 0) AS vanished_stores,
          coalesce(sum({result_value("amount")}), 0.00) AS amount,
          coalesce(sum(story.retries), 0)::bigint AS retries,
          min(story.first_claim) AS started_at, max(finished_at) AS finished_at,
          greatest(max(finished_at), min(story.first_claim)) - min(story.first_claim) AS duration,
          {_percentiles("job", "finished_at - story.last_claim", "status = 'success'")},
          {_percentiles("lateness", "story.late", "true")}
        FROM job LEFT JOIN story ON story.job_id = job.id GROUP BY job.kind ORDER BY job.kind
        """,
        day=day,
        kinds=list(kinds),
    )
    return {row["kind"]: Delivered(**row) for row in found}


def _sums(*names: str) -> str:
    return ", ".join(f"coalesce(sum({result_value(name)}), 0)::bigint AS {name}" for name in names)


def _percentiles(name: str, length: str, which: str) -> str:
    return ", ".join(
        f"percentile_disc({share}) WITHIN GROUP (ORDER BY {length}) FILTER (WHERE {which})"
        f" AS {name}_{called}"
        for share, called in ((0.5, "p50"), (0.95, "p95"))
    )
