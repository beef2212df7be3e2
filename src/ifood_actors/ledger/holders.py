"""Who holds the running jobs, and whose lifelines are there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from ifood_actors.db import read
from ifood_actors.ledger.bounds import IN_BOUNDS


@dataclass(frozen=True)
class HeldJob:
    """A running job as one tick saw it; `locked_by` is the actor that holds it."""

    id: UUID
    attempts: int
    claim_token: UUID
    lease_expires_at: datetime
    locked_by: str


_RUNNING = f"""
    SELECT id, attempts, claim_token, lease_expires_at, locked_by FROM ifood_jobs
    WHERE status = 'running' AND job_type = ANY(:kinds) AND claim_token IS NOT NULL
      AND lease_expires_at IS NOT NULL AND {IN_BOUNDS}
"""
# Of a key of 64 bits, `classid` is the first half and `objid` the second.
_LIFELINES = text("""
    SELECT CAST(classid AS bigint) << 32 | CAST(objid AS bigint) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")
_LOCK_UNCHANGED = """
    SELECT id, attempts, claim_token, job.lease_expires_at, locked_by
    FROM ifood_jobs AS job
      JOIN unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[]), CAST(:leases AS timestamptz[]))
        AS seen(id, claim_token, lease_expires_at) USING (id, claim_token)
    WHERE status = 'running' AND job.lease_expires_at = seen.lease_expires_at
    FOR UPDATE OF job SKIP LOCKED
"""


def held_jobs(connection: Connection, *, kinds: Collection[str]) -> list[HeldJob]:
    """Give the running jobs of these kinds, except rows out of bounds."""
    return read(HeldJob, connection, _RUNNING, kinds=list(kinds))


def present_lifelines(connection: Connection) -> frozenset[int]:
    """Give the advisory locks that sessions hold in this database; nothing is locked by that."""
    return frozenset(connection.execute(_LIFELINES).scalars())


def lock_unchanged(connection: Connection, seen: Sequence[HeldJob]) -> list[HeldJob]:
    """Lock those that run under the same claim and lease as when they were seen."""
    return read(
        HeldJob,
        connection,
        _LOCK_UNCHANGED,
        ids=[job.id for job in seen],
        tokens=[job.claim_token for job in seen],
        leases=[job.lease_expires_at for job in seen],
    )
