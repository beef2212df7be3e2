"""Jobs by filter, and one job with its whole history. Every list has a limit."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from ifood_actors.db import read, rows_of
from ifood_actors.ledger.queries.error_groups import GROUP_ID


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
    """One line of a job's history; `login` is None in those of earlier releases."""

    at: datetime
    act: str
    from_status: str | None
    to_status: str
    attempt: int
    actor: str
    login: str | None
    reason: str | None
    detail: dict[str, Any] | None


# By the field of the filter.
_CONDITIONS: Final = {
    "kind": "job.job_type = :kind",
    "statuses": "job.status = ANY(:statuses)",
    "account": "(account.name = :account OR account.ifood_merchant_id = :account)",
    "day": "job.job_day = :day",
    "error_code": "job.error_code = :error_code",
    "error_group": f"{GROUP_ID} = :error_group",
    "since": "job.created_at >= :since",
    "ended_since": "job.finished_at >= :ended_since",
}


@dataclass(frozen=True)
class JobFilter:
    """
    Which jobs; empty fields match all. `account` is a name or a merchant id.

    `since` is when they were planned, `ended_since` when they ended.
    """

    kind: str | None = None
    statuses: Sequence[str] = ()
    account: str | None = None
    day: date | None = None
    error_code: str | None = None
    error_group: str | None = None
    since: datetime | None = None
    ended_since: datetime | None = None

    def sql(self) -> tuple[str, dict[str, object]]:
        """Give the condition, on `job` and `account`, and its values."""
        given = {name: value for name, value in asdict(self).items() if value}
        if self.statuses:
            given["statuses"] = list(self.statuses)
        return " AND ".join(_CONDITIONS[name] for name in given) or "true", given


def find_jobs(connection: Connection, which: JobFilter, *, limit: int) -> list[JobRow]:
    """List jobs, latest planned first."""
    condition, values = which.sql()
    return read(
        JobRow,
        connection,
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


def find_job_ids(
    connection: Connection, which: JobFilter, *, limit: int | None = None
) -> list[UUID]:
    """Give the ids of all jobs that match, oldest slot first."""
    condition, values = which.sql()
    rows = rows_of(
        connection,
        f"""
        SELECT job.id FROM ifood_jobs AS job JOIN accounts AS account ON account.id = job.account_id
        WHERE {condition} ORDER BY job.scheduled_for, job.id LIMIT CAST(:limit AS bigint)
        """,
        limit=limit,
        **values,
    )
    return [row["id"] for row in rows]


def job_facts(connection: Connection, job_id: UUID) -> Mapping[str, Any] | None:
    """Give every column of one job, and its account's name; None if there is no such job."""
    rows = rows_of(
        connection,
        """
        SELECT job.*, account.name AS account
        FROM ifood_jobs AS job JOIN accounts AS account ON account.id = job.account_id
        WHERE job.id = :id
        """,
        id=job_id,
    )
    return rows[0] if rows else None


def history(connection: Connection, job_id: UUID) -> list[EventRow]:
    """Give all rows of a job's history, oldest first."""
    return read(
        EventRow,
        connection,
        """
        SELECT at, act, from_status, to_status, attempt, actor, login, reason, detail
        FROM ifood_job_events WHERE job_id = :id ORDER BY event_no
        """,
        id=job_id,
    )
