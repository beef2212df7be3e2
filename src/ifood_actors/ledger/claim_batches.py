"""
Claims of several jobs in one statement and one transaction: each guarded, charged and recorded.

A batch waits for no other transaction. A job that is locked, or that does not match, is not among
its answers, and who asked for it claims it alone, by `Ledger.claim`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from ifood_actors.ledger import statements
from ifood_actors.ledger.job_values import ClaimedJob, claimed_job
from ifood_actors.round_trip import Statement, ask_and_commit


@dataclass(frozen=True, slots=True)
class AskedClaim:
    """A claim of a job, by the message of a dispatch; `token` is new for each claim."""

    job_id: UUID
    dispatch_no: int
    token: UUID


def claims_statement(asked: Sequence[AskedClaim], *, actor: str, lease: timedelta) -> Statement:
    """Give the SQL that claims those jobs that can be claimed now; it answers with them."""
    bound = statements.CLAIM.bound(
        actor,
        ids=[claim.job_id for claim in asked],
        dispatch_nos=[claim.dispatch_no for claim in asked],
        claim_tokens=[claim.token for claim in asked],
        after=lease,
    )
    return statements.CLAIM.sql, bound


def claim_each(
    connection: Connection, asked: Sequence[AskedClaim], *, actor: str, lease: timedelta
) -> dict[AskedClaim, ClaimedJob]:
    """
    Claim jobs as `Ledger.claim` does, and commit; return those that were claimed.

    Raises what Postgres says of any of them: then none is claimed.
    """
    [rows] = ask_and_commit(connection, claims_statement(asked, actor=actor, lease=lease))
    jobs = {row["claim_token"]: claimed_job(row) for row in rows}
    return {claim: jobs[claim.token] for claim in asked if claim.token in jobs}
