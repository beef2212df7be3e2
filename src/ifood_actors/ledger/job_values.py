"""What the ledger hands out and takes in: plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, RowMapping

from ifood_actors.ledger.states import JobStatus


@dataclass(frozen=True)
class ClaimedJob:
    """
    A job that this worker owns until its lease ends; `lease_no` and `claim_token` are the fence.

    `late` is how long after its slot it was claimed, at least 0. The first claim has the `lease_no`
    1.
    """

    id: UUID
    kind: str
    account_id: UUID
    merchant_id: str
    app_id: UUID | None
    authorization_id: UUID | None
    timezone: str
    job_day: date
    period_start: date
    period_end: date
    attempts: int
    lease_no: int
    claim_token: UUID
    late: timedelta

    @property
    def fence(self) -> dict[str, object]:
        """What the acts of its holder bind."""
        return {"id": self.id, "lease_no": self.lease_no, "claim_token": self.claim_token}


_CLAIMED = [each.name for each in fields(ClaimedJob)]


@dataclass(frozen=True)
class AwaitedJob:
    """
    A dispatched job that is due and not claimed yet.

    `sent_ahead` tells that it was dispatched before it was due, whether its limiter can serve it or
    not.
    """

    kind: str
    app_id: UUID | None
    sent_ahead: bool


@dataclass(frozen=True)
class DueJob:
    """
    A job that the relay has to move: publish it, hold it back, or take it from a dead worker.

    It is a `resend` when its message was sent before, `missed` when that one was found lost.
    """

    id: UUID
    kind: str
    status: JobStatus
    attempts: int
    dispatch_no: int
    resend: bool
    missed: bool
    due_in: timedelta
    app_id: UUID | None


@dataclass(frozen=True)
class NewRun:
    """
    One planning: its kind and day, its window, and the dates whose data is asked for.

    `complete` says that all accounts were asked to take part, not only some chosen by a person.
    """

    kind: str
    job_day: date
    window_start: datetime
    window_end: datetime
    batch_size: int
    period_start: date
    period_end: date
    complete: bool


@dataclass(frozen=True)
class NewJob:
    """One account's place in a run."""

    account_id: UUID
    merchant_id: str
    priority: int
    slot: datetime


def columns(jobs: Sequence[NewJob]) -> dict[str, list[Any]]:
    """Give what `statements.PLAN` binds of them."""
    return {
        "account_ids": [job.account_id for job in jobs],
        "merchant_ids": [job.merchant_id for job in jobs],
        "priorities": [job.priority for job in jobs],
        "slots": [job.slot for job in jobs],
    }


def claimed_job(row: Mapping[str, Any] | RowMapping) -> ClaimedJob:
    """Make it of a row of `statements.LOCK` or `statements.CLAIM`."""
    return ClaimedJob(**{name: row[name] for name in _CLAIMED})


def due_job(row: Row[Any]) -> DueJob:
    return DueJob(**{**row._asdict(), "status": JobStatus(row.status)})
