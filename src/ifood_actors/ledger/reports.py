"""What the ledger tells its readers. Only reads; every list has a limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlmodel import Session

_OPEN = "status IN ('pending', 'running')"
# Numbers, ids and hashes differ from one failure to the next; what is left is the error's kind.
_NORMALISED = (
    "regexp_replace(regexp_replace(coalesce(last_error, ''),"
    " '[0-9a-f]{8}-[0-9a-f-]{27}', '<id>', 'g'), '[0-9]+', '<n>', 'g')"
)


@dataclass(frozen=True)
class RunProgress:
    """One run, now: `due` jobs should have started, `lateness` is that of first claims."""

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
    lateness_p50: timedelta | None
    lateness_p95: timedelta | None

    @property
    def finished(self) -> int:
        return self.success + self.failed + self.cancelled

    @property
    def progress(self) -> str:
        """The line that operators know, such as `progress: 25% (250/1000)`."""
        percent = 100 * self.finished // self.planned if self.planned else 100
        return f"progress: {percent}% ({self.finished}/{self.planned})"


@dataclass(frozen=True)
class Pace:
    """How fast the fleet goes: jobs and requests of the last minute, and what is waiting."""

    finished_last_minute: int
    requests_last_minute: int
    oldest_due: datetime | None


@dataclass(frozen=True)
class LimitUse:
    """One limiter row: reservations reach so far ahead, and why it is closed, if it is."""

    app: str
    endpoint_group: str
    reserved_ahead: timedelta
    closed_for: timedelta | None
    closed_reason: str | None


@dataclass(frozen=True)
class ErrorGroup:
    """Failed jobs with the same kind, code and normalised message."""

    kind: str
    error_code: str | None
    message: str
    jobs: int
    first_seen: datetime
    last_seen: datetime
    sample_job: UUID


@dataclass(frozen=True)
class JobRow:
    """A job as a list shows it."""

    id: UUID
    kind: str
    account: str
    merchant_id: str
    job_day: date
    status: str
    scheduled_for: datetime
    attempts: int
    next_retry_at: datetime | None
    error_code: str | None
    last_error: str | None
    finished_at: datetime | None


@dataclass(frozen=True)
class EventRow:
    """One line of a job's history."""

    at: datetime
    act: str
    from_status: str | None
    to_status: str
    attempt: int
    actor: str
    reason: str | None
    detail: dict[str, Any] | None


@dataclass(frozen=True)
class JobFilter:
    """Which jobs; empty fields match all. `account` is a name or a merchant id."""

    kind: str | None = None
    statuses: Sequence[str] = ()
    account: str | None = None
    error_code: str | None = None
    since: datetime | None = None

    def sql(self) -> tuple[str, dict[str, object]]:
        """Give the condition, on `job` and `account`, and its values."""
        conditions = {
            "job.job_type = :kind": self.kind,
            "job.status = ANY(:statuses)": list(self.statuses),
            "(account.name = :account OR account.ifood_merchant_id = :account)": self.account,
            "job.error_code = :error_code": self.error_code,
            "job.created_at >= :since": self.since,
        }
        values = {
            "kind": self.kind,
            "statuses": list(self.statuses),
            "account": self.account,
            "error_code": self.error_code,
            "since": self.since,
        }
        chosen = [condition for condition, value in conditions.items() if value]
        return " AND ".join(chosen) or "true", {k: v for k, v in values.items() if v}


def open_runs(session: Session, *, since: timedelta = timedelta(days=1)) -> list[RunProgress]:
    """Give the runs that still have open jobs or whose window began within `since`."""
    rows = _rows(
        session,
        f"""
        SELECT run.job_type AS kind, run.job_day, run.window_start, run.window_end, run.planned,
          {_count_by_status()},
          count(*) FILTER (WHERE job.scheduled_for <= now()) AS due,
          percentile_disc(0.5) WITHIN GROUP (ORDER BY late.by) AS lateness_p50,
          percentile_disc(0.95) WITHIN GROUP (ORDER BY late.by) AS lateness_p95
        FROM ifood_runs AS run
        JOIN ifood_jobs AS job ON job.run_id = run.id
        LEFT JOIN LATERAL (
          SELECT event.at - job.scheduled_for AS by FROM ifood_job_events AS event
          WHERE event.job_id = job.id AND event.act = 'claim' ORDER BY event.event_no LIMIT 1
        ) AS late ON true
        WHERE run.window_start > now() - CAST(:since AS interval) OR EXISTS (
          SELECT FROM ifood_jobs WHERE run_id = run.id AND {_OPEN})
        GROUP BY run.id ORDER BY run.window_start, run.job_type
        """,
        since=since,
    )
    return [RunProgress(**row) for row in rows]


def pace(session: Session) -> Pace:
    """Measure the last minute."""
    row = _rows(
        session,
        """
        SELECT count(*) AS finished_last_minute,
          coalesce(sum((detail ->> 'requests')::int), 0) AS requests_last_minute,
          (SELECT min(scheduled_for) FROM ifood_jobs
           WHERE status = 'pending' AND scheduled_for <= now()) AS oldest_due
        FROM ifood_job_events
        WHERE at > now() - INTERVAL '1 minute' AND to_status IN ('success', 'failed')
          AND act <> 'manual'
        """,
    )
    return Pace(**row[0])


def limits(session: Session) -> list[LimitUse]:
    """Show every limiter row that has been used."""
    rows = _rows(
        session,
        """
        SELECT app.name AS app, l.endpoint_group,
          greatest(l.next_free_at - now(), INTERVAL '0') AS reserved_ahead,
          CASE WHEN l.closed_until > now() THEN l.closed_until - now() END AS closed_for,
          CASE WHEN l.closed_until > now() THEN l.closed_reason END AS closed_reason
        FROM ifood_limits AS l JOIN ifood_apps AS app ON app.id = l.app_id
        ORDER BY app.name, l.endpoint_group
        """,
    )
    return [LimitUse(**row) for row in rows]


def error_groups(session: Session, *, since: timedelta, limit: int = 50) -> list[ErrorGroup]:
    """Group failed jobs by kind, code and normalised message, most common first."""
    rows = _rows(
        session,
        f"""
        SELECT job_type AS kind, error_code, {_NORMALISED} AS message, count(*) AS jobs,
          min(finished_at) AS first_seen, max(finished_at) AS last_seen,
          (array_agg(id ORDER BY finished_at DESC))[1] AS sample_job
        FROM ifood_jobs
        WHERE status = 'failed' AND finished_at > now() - CAST(:since AS interval)
        GROUP BY 1, 2, 3 ORDER BY jobs DESC, last_seen DESC LIMIT :limit
        """,
        since=since,
        limit=limit,
    )
    return [ErrorGroup(**row) for row in rows]


def find_jobs(session: Session, which: JobFilter, *, limit: int) -> list[JobRow]:
    """List jobs, latest planned first."""
    condition, values = which.sql()
    rows = _rows(
        session,
        f"""
        SELECT job.id, job.job_type AS kind, account.name AS account, job.merchant_id, job.job_day,
          job.status, job.scheduled_for, job.attempts, job.next_retry_at, job.error_code,
          job.last_error, job.finished_at
        FROM ifood_jobs AS job JOIN accounts AS account ON account.id = job.account_id
        WHERE {condition} ORDER BY job.created_at DESC, job.scheduled_for DESC, job.id LIMIT :limit
        """,
        limit=limit,
        **values,
    )
    return [JobRow(**row) for row in rows]


def find_job_ids(session: Session, which: JobFilter, *, limit: int | None = None) -> list[UUID]:
    """Give the ids of all jobs that match, oldest slot first."""
    condition, values = which.sql()
    rows = _rows(
        session,
        f"""
        SELECT job.id FROM ifood_jobs AS job JOIN accounts AS account ON account.id = job.account_id
        WHERE {condition} ORDER BY job.scheduled_for, job.id LIMIT CAST(:limit AS bigint)
        """,
        limit=limit,
        **values,
    )
    return [row["id"] for row in rows]


def job_facts(session: Session, job_id: UUID) -> Mapping[str, Any] | None:
    """Give every column of one job, and its account's name; None if there is no such job."""
    rows = _rows(
        session,
        """
        SELECT job.*, account.name AS account
        FROM ifood_jobs AS job JOIN accounts AS account ON account.id = job.account_id
        WHERE job.id = :id
        """,
        id=job_id,
    )
    return rows[0] if rows else None


def history(session: Session, job_id: UUID) -> list[EventRow]:
    """Tell a job's whole story, from planning on."""
    rows = _rows(
        session,
        """
        SELECT at, act, from_status, to_status, attempt, actor, reason, detail
        FROM ifood_job_events WHERE job_id = :id ORDER BY event_no
        """,
        id=job_id,
    )
    return [EventRow(**row) for row in rows]


def planned_days(session: Session, kind: str, *, since: date) -> set[date]:
    """Give the days, from `since` on, for which all accounts were planned."""
    rows = _rows(
        session,
        """
        SELECT job_day FROM ifood_runs
        WHERE job_type = :kind AND job_day >= :since AND complete
        """,
        kind=kind,
        since=since,
    )
    return {row["job_day"] for row in rows}


def _count_by_status() -> str:
    return ", ".join(
        f"count(*) FILTER (WHERE job.status = '{status}') AS {status}"
        for status in ("pending", "running", "success", "failed", "cancelled")
    )


def _rows(session: Session, statement: str, **values: object) -> list[dict[str, Any]]:
    prepared: TextClause = text(statement)
    return [dict(row) for row in session.execute(prepared, values).mappings()]
