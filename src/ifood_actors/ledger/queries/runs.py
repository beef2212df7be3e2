"""How runs are doing, and how fast jobs are done. Only reads."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from ifood_actors.db import read, rows_of
from ifood_actors.ledger.actor import role_of
from ifood_actors.ledger.job_result import result_value
from ifood_actors.ledger.queries.conditions import FIRST_DUE, LATENESS
from ifood_actors.ledger.states import JobStatus

_OPEN = "status IN ('pending', 'running')"
_COUNT_BY_STATUS = ", ".join(
    f"count(*) FILTER (WHERE job.status = '{status}') AS {status}" for status in JobStatus
)


@dataclass(frozen=True)
class Progress:
    """How many jobs of a run have ended, however they did."""

    run_id: UUID
    kind: str
    job_day: date
    planned: int
    finished: int

    @property
    def line(self) -> str:
        return _progress_line(self.finished, self.planned)


@dataclass(frozen=True)
class RunProgress:
    """
    One run, now: `due` jobs should have started, `lateness` is that of first claims.

    In `vanished_stores` of them `vanished` known rows did not come, with most or all others.
    """

    kind: str
    job_day: date
    window_start: datetime
    window_end: datetime
    planned: int
    pending: int
    running: int
    success: int
    failed: int
    cancelled: int
    due: int
    vanished: int
    vanished_stores: int
    lateness_p50: timedelta | None
    lateness_p95: timedelta | None

    @property
    def finished(self) -> int:
        return self.success + self.failed + self.cancelled

    @property
    def progress(self) -> str:
        """The line that operators know, such as `progress: 25% (250/1000)`."""
        return _progress_line(self.finished, self.planned)


@dataclass(frozen=True)
class OutsideRuns:
    """Open jobs of a kind that are in no run, such as those that a person inserted."""

    kind: str
    pending: int
    running: int


@dataclass(frozen=True)
class Throughput:
    """How fast all workers go: jobs and requests of the last minute, and what is waiting."""

    finished_last_minute: int
    requests_last_minute: int
    oldest_due: datetime | None


def open_runs(connection: Connection, *, since: timedelta = timedelta(days=1)) -> list[RunProgress]:
    """Give the runs that still have open jobs or whose window began within `since`."""
    # Their ids in one list: an OR of the two conditions would have Postgres read all jobs.
    vanished = result_value("vanished", column="job.result")
    return read(
        RunProgress,
        connection,
        f"""
        SELECT run.job_type AS kind, run.job_day, run.window_start, run.window_end, run.planned,
          {_COUNT_BY_STATUS},
          count(*) FILTER (WHERE job.scheduled_for <= now()) AS due,
          coalesce(sum({vanished}), 0)::bigint AS vanished,
          count(*) FILTER (WHERE {vanished} > 0) AS vanished_stores,
          percentile_disc(0.5) WITHIN GROUP (ORDER BY late.by) AS lateness_p50,
          percentile_disc(0.95) WITHIN GROUP (ORDER BY late.by) AS lateness_p95
        FROM ifood_runs AS run
        JOIN ifood_jobs AS job ON job.run_id = run.id
        LEFT JOIN LATERAL (
          SELECT {LATENESS} AS by FROM ifood_job_events AS event
          WHERE event.job_id = job.id AND event.act = 'claim' ORDER BY event.event_no LIMIT 1
        ) AS late ON true
        WHERE run.id IN (
          SELECT id FROM ifood_runs WHERE window_start > now() - CAST(:since AS interval)
          UNION ALL SELECT run_id FROM ifood_jobs WHERE {_OPEN})
        GROUP BY run.id ORDER BY run.window_start, run.job_type
        """,
        since=since,
    )


def open_outside_runs(connection: Connection) -> list[OutsideRuns]:
    """Count the open jobs that are in no run."""
    return read(
        OutsideRuns,
        connection,
        f"""
        SELECT job_type AS kind, count(*) FILTER (WHERE status = 'pending') AS pending,
          count(*) FILTER (WHERE status = 'running') AS running
        FROM ifood_jobs WHERE run_id IS NULL AND {_OPEN} GROUP BY job_type ORDER BY job_type
        """,
    )


def throughput(connection: Connection) -> Throughput:
    """
    Count the jobs that ended and the requests that they sent in the last minute, by the history.

    Cancelled jobs do not count, and neither does what a person ended by SQL.
    """
    requests = result_value("requests", column="detail")
    [measured] = read(
        Throughput,
        connection,
        f"""
        SELECT count(*) AS finished_last_minute,
          coalesce(sum({requests}), 0)::bigint AS requests_last_minute,
          (SELECT {FIRST_DUE} FROM ifood_jobs AS job
           WHERE job.status = 'pending' AND job.scheduled_for <= now()) AS oldest_due
        FROM ifood_job_events
        WHERE at > now() - INTERVAL '1 minute' AND to_status IN ('success', 'failed')
          AND act <> 'manual'
        """,
    )
    return measured


def progress_of_runs(
    connection: Connection, *, also: Collection[UUID], planned_since: datetime | None
) -> list[Progress]:
    """
    Give the runs whose window has opened and that have open jobs, and those in `also`.

    Those that were planned since an instant as well: they may have ended meanwhile.
    """
    return read(
        Progress,
        connection,
        """
        SELECT run.id AS run_id, run.job_type AS kind, run.job_day, run.planned, (
          SELECT count(*) FROM ifood_jobs AS job
          WHERE job.run_id = run.id AND job.status IN ('success', 'failed', 'cancelled')
        ) AS finished
        FROM ifood_runs AS run
        WHERE run.id = ANY(CAST(:also AS uuid[])) OR run.window_start <= now() AND (
          run.created_at > :planned_since
          OR run.id IN (SELECT run_id FROM ifood_jobs WHERE wake_at IS NOT NULL))
        ORDER BY run.window_start, run.job_type
        """,
        also=list(also),
        planned_since=planned_since,
    )


def planned_days(connection: Connection, kind: str, *, since: date) -> dict[date, str]:
    """Give the days, from `since` on, for which all accounts were planned, and by which `Role`."""
    rows = rows_of(
        connection,
        f"""
        SELECT job_day, {role_of("created_by")} AS role FROM ifood_runs
        WHERE job_type = :kind AND job_day >= :since AND complete
        """,
        kind=kind,
        since=since,
    )
    return {row["job_day"]: row["role"] for row in rows}


def _progress_line(finished: int, planned: int) -> str:
    """Say it as in `progress: 25% (250/1000)`."""
    percent = 100 * finished // planned if planned else 100
    return f"progress: {percent}% ({finished}/{planned})"
