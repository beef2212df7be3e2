"""The ledger's tables. Only `ledger/` writes them; a trigger notices what a person writes."""

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from ifood_actors.db import instant, random_id
from ifood_actors.ledger import bounds
from ifood_actors.ledger.states import TRANSITIONS, Act, JobStatus


def _count() -> Column[int]:
    return Column(Integer, nullable=False, server_default="0")


def _one_of(column: str, words: type[JobStatus] | type[Act]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


class Run(SQLModel, table=True):
    """One planning of one kind for one day."""

    __tablename__ = "ifood_runs"
    __table_args__ = (UniqueConstraint("job_type", "job_day"),)

    id: UUID = Field(default_factory=uuid4, sa_column=Column(Uuid, primary_key=True))
    # The kind, and the local day on which its window opens.
    job_type: str = Field(sa_column=Column(Text, nullable=False))
    job_day: date = Field(sa_column=Column(Date, nullable=False))
    # Its slots lie from here up to, and not including, `window_end`.
    window_start: datetime = Field(sa_column=instant(nullable=False))
    window_end: datetime = Field(sa_column=instant(nullable=False))
    # Jobs that start in a minute, at most.
    batch_size: int = Field(sa_column=Column(Integer, nullable=False))
    # Jobs that were written.
    planned: int = Field(sa_column=_count())
    # False when a person planned only some accounts: the day is then still to be planned.
    complete: bool = Field(sa_column=Column(Boolean, nullable=False))
    created_at: datetime = Field(sa_column=instant(nullable=False, now=True))
    # The actor that planned it; for a complete run, the one that made it so.
    created_by: str = Field(sa_column=Column(Text, nullable=False))


class Job(SQLModel, table=True):
    """One kind, one account, one day."""

    __tablename__ = "ifood_jobs"
    __table_args__ = (
        UniqueConstraint("job_type", "account_id", "merchant_id", "job_day"),
        CheckConstraint(_one_of("status", JobStatus), name="status"),
        # Nothing can be stuck: a job that has not ended has an instant at which the relay looks.
        CheckConstraint(
            "(status IN ('pending', 'running')) = (wake_at IS NOT NULL)", name="wake_at"
        ),
        CheckConstraint("isfinite(scheduled_for) AND isfinite(next_retry_at)", name="finite"),
        CheckConstraint(bounds.COUNTS, name="counts", postgresql_not_valid=True),
        CheckConstraint(bounds.INSTANTS, name="instants", postgresql_not_valid=True),
        CheckConstraint(bounds.RESULT, name="result", postgresql_not_valid=True),
        Index("idx_jobs_pending", "job_type", "status", "scheduled_for"),
        Index("idx_jobs_day", "job_type", "job_day"),
        Index("idx_jobs_wake_at", "wake_at", postgresql_where=text("wake_at IS NOT NULL")),
        Index("idx_jobs_run", "run_id", "status"),
    )

    id: UUID = Field(default_factory=uuid4, sa_column=random_id())
    # The kind.
    job_type: str = Field(sa_column=Column(Text, nullable=False))
    account_id: UUID = Field(sa_column=Column(ForeignKey("accounts.id"), nullable=False))
    # As it was when the job was planned.
    merchant_id: str = Field(sa_column=Column(Text, nullable=False))
    # Its run's day: the local date on which the window opens.
    job_day: date = Field(sa_column=Column(Date, nullable=False))
    # A `JobStatus`.
    status: str = Field(
        sa_column=Column(Text, nullable=False, server_default=TRANSITIONS["plan"].target)
    )
    # The slot: not before this instant.
    scheduled_for: datetime = Field(sa_column=instant(nullable=False))
    # Since when, and by which actor, it runs; NULL unless it does.
    locked_at: datetime | None = Field(sa_column=instant())
    locked_by: str | None = Field(sa_column=Column(Text))
    # Claims that were charged.
    attempts: int = Field(sa_column=_count())
    # Not before this instant, in place of the slot; NULL when no wait was decided.
    next_retry_at: datetime | None = Field(sa_column=instant())
    # What the last error said, on one line, at most 500 characters.
    last_error: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=instant(nullable=False, now=True))
    updated_at: datetime = Field(sa_column=instant(nullable=False, now=True))

    # The run that planned it; NULL for a job that a person inserted.
    run_id: UUID | None = Field(sa_column=Column(ForeignKey("ifood_runs.id")))
    # The account's, when the job was planned: higher ones go first.
    priority: int = Field(sa_column=_count())
    # The days that are asked for, both included.
    period_start: date = Field(sa_column=Column(Date, nullable=False))
    period_end: date = Field(sa_column=Column(Date, nullable=False))
    # When its message was handed to RabbitMQ; NULL when none is on its way.
    dispatched_at: datetime | None = Field(sa_column=instant())
    # The number that a message must have to be taken; a message that is sent again keeps it.
    dispatch_no: int = Field(sa_column=_count())
    # Counts claims, and never falls: half of the fence.
    lease_no: int = Field(sa_column=_count())
    # A random id of the claim that runs: the other half. See `claim_tokens` for what it tells.
    claim_token: UUID | None = Field(sa_column=Column(Uuid))
    # Until when the claim holds unless it is renewed.
    lease_expires_at: datetime | None = Field(sa_column=instant())
    # When the relay must look at it; NULL once it has ended.
    wake_at: datetime | None = Field(sa_column=instant(now=True))
    # When it ended; NULL until then.
    finished_at: datetime | None = Field(sa_column=instant())
    # The class of the last error: see docs/operations.md.
    error_code: str | None = Field(sa_column=Column(Text))
    # Of a success: a `JobResult` as JSON.
    result: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    # The number of the job's last history row. An UPDATE that changes the status and leaves this
    # alone was made by hand: so the trigger knows.
    event_no: int = Field(sa_column=_count())


class LeftOut(SQLModel, table=True):
    """
    Why the latest run of a kind left an account out, and the run that will ask it again.

    It counts for as long as that day lies ahead.
    """

    __tablename__ = "ifood_left_out"

    account_id: UUID = Field(sa_column=Column(ForeignKey("accounts.id"), primary_key=True))
    job_type: str = Field(sa_column=Column(Text, primary_key=True))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    job_day: date = Field(sa_column=Column(Date, nullable=False))
    asked_again_on: date = Field(sa_column=Column(Date, nullable=False))


class JobEvent(SQLModel, table=True):
    """One act on one job. Append-only: triggers refuse a change, and to delete what is young."""

    __tablename__ = "ifood_job_events"
    __table_args__ = (
        # A gap or a fork in a job's history is impossible, not merely unlikely. No foreign key:
        # the history outlives a job that is deleted by hand, and costs one index, not three.
        UniqueConstraint("job_id", "event_no"),
        Index("idx_job_events_at", "at", postgresql_using="brin"),  # rows arrive in this order
        CheckConstraint(_one_of("act", Act), name="act"),
        CheckConstraint(bounds.DETAIL, name="detail", postgresql_not_valid=True),
        CheckConstraint(
            "length(actor) BETWEEN 1 AND 200 AND length(reason) <= 2000"
            " AND length(detail::text) <= 20000",
            name="bounded",
            postgresql_not_valid=True,
        ),
        CheckConstraint(
            "concat(actor, reason) !~ '[[:cntrl:]]'", name="printable", postgresql_not_valid=True
        ),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(), primary_key=True))
    job_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    # Counts the acts of a job, from 1 without a gap.
    event_no: int = Field(sa_column=Column(Integer, nullable=False))
    at: datetime = Field(sa_column=instant(nullable=False))
    # An `Act`; the status before it, NULL of a new job, and after it.
    act: str = Field(sa_column=Column(Text, nullable=False))
    from_status: str | None = Field(sa_column=Column(Text))
    to_status: str = Field(sa_column=Column(Text, nullable=False))
    # The job's attempts after the act.
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    # Who, as the process says of itself; why; and facts of the act, such as a result.
    actor: str = Field(sa_column=Column(Text, nullable=False))
    reason: str | None = Field(sa_column=Column(Text))
    detail: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    # What `actor` says, a process says of itself; this is what Postgres knows.
    login: str | None = Field(sa_column=Column(Text, server_default=text("session_user")))
