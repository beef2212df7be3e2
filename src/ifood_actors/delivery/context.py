"""
What the thread of a delivery knows of it: the ids for its log lines, and the job that it claims.

Dramatiq's hooks run in the actor's thread, but are given the message alone. What `execute` claims
reaches the hook that settles the job by way of this module, and in no other way.
"""

from contextvars import ContextVar
from uuid import UUID

import structlog

from ifood_actors.ledger import ClaimedJob

_unanswered: ContextVar[tuple[UUID, UUID] | None] = ContextVar("unanswered", default=None)
_claim: ContextVar[ClaimedJob | None] = ContextVar("claim", default=None)


def begin(kind: str, **ids: object) -> None:
    """Forget the delivery before, and bind the kind and the message's ids to every log line."""
    _unanswered.set(None)
    _claim.set(None)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(kind=kind, **ids)


def note_unanswered_claim(job_id: UUID, token: UUID) -> None:
    """
    Note which claim this delivery is about to make, by its token.

    To be called before it is sent, since an interrupt may come right after its commit.
    """
    _unanswered.set((job_id, token))


def note_claim(job: ClaimedJob | None) -> None:
    """Note the job that this delivery has claimed; None when nothing is left to settle."""
    _claim.set(job)
    _unanswered.set(None)
    if job is not None:
        structlog.contextvars.bind_contextvars(
            account_id=str(job.account_id), merchant_id=job.merchant_id, attempt=job.attempts
        )


def noted_claim() -> ClaimedJob | None:
    """Return what this delivery has claimed and not settled."""
    return _claim.get()


def unanswered_claim() -> tuple[UUID, UUID] | None:
    """Return job and token of a claim that may be committed, but whose answer is missing."""
    return _unanswered.get()
