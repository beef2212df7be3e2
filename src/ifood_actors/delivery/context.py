"""
What the thread of a delivery knows of it: the ids for its log lines, and the job that it claimed.

Dramatiq's hooks run in the actor's thread, but are given the message alone. What `execute` claims
reaches the hook that settles the job by way of this module, and in no other way.
"""

from contextvars import ContextVar

import structlog

from ifood_actors.ledger import ClaimedJob

_claim: ContextVar[ClaimedJob | None] = ContextVar("claim", default=None)


def begin(kind: str, **ids: object) -> None:
    """Forget the delivery before, and bind the kind and the message's ids to every log line."""
    _claim.set(None)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(kind=kind, **ids)


def note_claim(job: ClaimedJob | None) -> None:
    """
    Note the job that this delivery claims; None when there is nothing to settle any more.

    To be called before the claim is committed, since an interrupt may come right after the commit.
    """
    _claim.set(job)
    if job is not None:
        structlog.contextvars.bind_contextvars(
            account_id=str(job.account_id), merchant_id=job.merchant_id, attempt=job.attempts
        )


def noted_claim() -> ClaimedJob | None:
    """Return what was noted last in this delivery; its claim may not be committed."""
    return _claim.get()
