"""
The ledger: one method for each transition of `states.TRANSITIONS`, and those that are no act.

Nothing else writes its tables; a trigger notices what a person writes by hand.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import simplejson
from sqlalchemy import Connection, Row
from sqlalchemy.exc import DBAPIError

from ifood_actors.errors import LeaseLost
from ifood_actors.ledger import statements
from ifood_actors.ledger.bad_rows import not_planned, park, skipping_bad_rows
from ifood_actors.ledger.claim_batches import AskedClaim, claims_statement
from ifood_actors.ledger.job_result import JobResult
from ifood_actors.ledger.job_values import (
    AwaitedJob,
    ClaimedJob,
    DueJob,
    NewJob,
    NewRun,
    claimed_job,
    columns,
    due_job,
)
from ifood_actors.ledger.statements import ActStatement
from ifood_actors.round_trip import ask_and_commit

_PLAN_BATCH = 5_000
# The release before finds such rows by this text; this one by their detail.
_MISSED = "RabbitMQ lost its message, or delivered it early"


class Ledger:
    """
    The acts on jobs, inside one transaction of the caller's.

    A claim, and the act by which its holder ends it, also commit: they are the last of theirs.
    Every method raises what SQLAlchemy raises. Those that take many ids leave out the jobs that
    are in no status of the act's, and those that the history refuses, and return the ids of the
    others.
    """

    def __init__(self, connection: Connection, *, actor: str) -> None:
        """`actor` is who the history names: a role and a name, as in `actor.py`."""
        self._connection = connection
        self._actor = actor

    def start_run(self, run: NewRun) -> UUID:
        """
        Write the run of a kind and day, or find the one that is there; return its id.

        A second planner waits here until the first has committed, and then sees its jobs. A window
        that ends later than the run's extends it, and a complete run makes it complete.
        """
        values = {**asdict(run), "actor": self._actor}
        run_id: UUID = self._connection.execute(statements.START_RUN, values).scalar_one()
        return run_id

    def plan(self, run_id: UUID, run: NewRun, jobs: Sequence[NewJob], *, horizon: timedelta) -> int:
        """
        Add jobs to a run, 5,000 a statement; return how many were new.

        A job of the same kind, account, merchant and day is left as it is; one that Postgres
        refuses is logged and left out. The relay looks at a job `horizon` before its slot.
        """
        values = {**asdict(run), "run_id": run_id, "horizon": horizon, "actor": self._actor}

        def write(batch: Sequence[NewJob]) -> list[UUID]:
            new = self._connection.execute(statements.PLAN, {**values, **columns(batch)})
            return list(new.scalars())

        planned = 0
        for first in range(0, len(jobs), _PLAN_BATCH):
            batch = jobs[first : first + _PLAN_BATCH]
            planned += len(skipping_bad_rows(self._connection, batch, write, refused=not_planned))
        self._connection.execute(statements.COUNT_PLANNED, {"id": run_id, "planned": planned})
        return planned

    def claim(
        self, job_id: UUID, dispatch_no: int, *, token: UUID, lease: timedelta
    ) -> ClaimedJob | None:
        """
        Take a dispatched job that is due, for the length of a lease, charging one attempt.

        `token` is new for each claim; see `claim_tokens` for what it tells.

        None where there is nothing to take, which is normal: the job runs or has ended, or the
        message is from an earlier dispatch, or forged. A message that is early, as after a clock
        was set back, is sent again when the job is due. A job of a disabled account is cancelled.
        """
        which = {"id": job_id, "dispatch_no": dispatch_no}
        asked = [AskedClaim(job_id, dispatch_no, token)]
        claim = claims_statement(asked, actor=self._actor, lease=lease)
        _, claimed = ask_and_commit(self._connection, (statements.LOCK, which), claim)
        if claimed:
            return claimed_job(claimed[0])
        row = self._lock_awaited(job_id, dispatch_no)  # looked at again: it is another transaction
        if row is not None and row.early:
            self._connection.execute(statements.SEND_WHEN_DUE, {"id": job_id})
        elif row is not None and not row.active:
            self.cancel([job_id], reason="the account is disabled")
        return None

    def held(self, job_id: UUID, token: UUID) -> ClaimedJob | None:
        """
        Return the job if the claim of this token still runs; waits for who is changing it.

        After a connection was lost, or left by an interrupt, that may be the caller's own claim.
        """
        values = {"id": job_id, "dispatch_no": 0}
        row = self._connection.execute(statements.LOCK, values).mappings().one_or_none()
        return claimed_job(row) if row is not None and row["claim_token"] == token else None

    def wait_for(self, job_id: UUID) -> None:
        """
        Wait until a transaction that is changing the job has ended.

        After a connection was lost, or left by an interrupt, that may be the caller's own commit:
        an act whose guard depends on its outcome would not see the row, and not wait.
        """
        self._connection.execute(statements.WAIT, {"id": job_id})

    def renew(self, held: Iterable[ClaimedJob], *, lease: timedelta) -> set[UUID]:
        """Extend leases to `lease` from now; return the claim tokens of those that still hold."""
        jobs = list(held)
        rows = self._connection.execute(
            statements.RENEW,
            {
                "ids": [job.id for job in jobs],
                "lease_nos": [job.lease_no for job in jobs],
                "claim_tokens": [job.claim_token for job in jobs],
                "after": lease,
            },
        )
        return set(rows.scalars())

    def succeed(self, job: ClaimedJob, *, result: JobResult) -> None:
        """End a job in `success`. Raises LeaseLost: then nothing of the transaction is stored."""
        self._settle(statements.SUCCEED, job, detail=_json(result.to_json()))

    def retry(self, job: ClaimedJob, *, after: timedelta, error_code: str, reason: str) -> None:
        """Let a job wait for `after` and run again, the attempt charged. Raises LeaseLost."""
        self._settle(statements.RETRY, job, after=after, error_code=error_code, reason=reason)

    def snooze(
        self, job: ClaimedJob, *, after: timedelta, reason: str, http_status: int | None = None
    ) -> None:
        """
        Let a job wait for `after` and run again, uncharged. Raises LeaseLost.

        `http_status` is that of iFood's answer that asked for it, for the history.
        """
        answer = {} if http_status is None else {"http_status": http_status}
        self._settle(statements.SNOOZE, job, after=after, reason=reason, detail=_json(answer))

    def snooze_unclaimed(
        self, job_id: UUID, dispatch_no: int, *, cooldowns: Mapping[UUID, timedelta], reason: str
    ) -> timedelta | None:
        """
        Snooze a dispatched job before it is claimed, if its application is in cooldown.

        `cooldowns` has the rest of each application's. Return the wait, or None when the delivery
        may go on: there is no cooldown, or the claim will refuse the job anyway.
        """
        row = self._lock_awaited(job_id, dispatch_no)
        after = cooldowns.get(row.app_id) if row else None
        if after is None:
            return None
        snoozed = self._do(statements.SNOOZE_UNCLAIMED, id=job_id, after=after, reason=reason)
        return after if snoozed else None

    def awaited(self, job_id: UUID, dispatch_no: int) -> AwaitedJob | None:
        """Read and lock a dispatched job; None when the claim would refuse it."""
        row = self._lock_awaited(job_id, dispatch_no)
        if row is None or row.early or not row.active:
            return None
        return AwaitedJob(row.kind, row.app_id, sent_ahead=row.sent_ahead)

    def hand_back(self, job_id: UUID, dispatch_no: int) -> None:
        """Let a dispatched job wait in the ledger instead, due at once. No act."""
        if self._lock_awaited(job_id, dispatch_no):
            self._connection.execute(statements.HAND_BACK, {"id": job_id})

    def put_off(self, job_id: UUID, dispatch_no: int, *, after: timedelta) -> None:
        """Note that the message of a dispatched job comes again in `after`. No act."""
        if self._lock_awaited(job_id, dispatch_no):
            self._connection.execute(statements.PUT_OFF, {"id": job_id, "after": after})

    def under_way(self, *, grace: timedelta) -> dict[tuple[UUID, str], int]:
        """Count the due jobs at workers or on their way, by application and kind."""
        rows = self._connection.execute(statements.UNDER_WAY, {"within": 13 * grace})
        return {(row.app_id, row.kind): row.jobs for row in rows}

    def fail(self, job: ClaimedJob, *, error_code: str, reason: str) -> None:
        """End a job in `failed`. Raises LeaseLost."""
        self._settle(statements.FAIL, job, error_code=error_code, reason=reason)

    def due(
        self, *, limit: int, kinds: Collection[str], excluded_apps: Collection[UUID] = ()
    ) -> list[DueJob]:
        """
        Lock up to `limit` jobs of these kinds whose `wake_at` has passed; skip what is locked.

        High priority comes before low, then the oldest slot. They are found by `wake_at`, never
        by "after the last id": rows that commit late are found late, not never. Pending jobs of
        `excluded_apps` are left alone.
        """
        values = {"limit": limit, "kinds": list(kinds), "apps": list(excluded_apps)}
        rows = self._connection.execute(statements.DUE, values)
        return [due_job(row) for row in rows]

    def probe(self, app_id: UUID, *, kinds: Collection[str]) -> DueJob | None:
        """Lock the due job of an application that was looked at longest ago; None without one."""
        values = {"kinds": list(kinds), "apps": [app_id]}
        row = self._connection.execute(statements.PROBE, values).one_or_none()
        return None if row is None else due_job(row)

    def dispatch(
        self, job_ids: Sequence[UUID], *, grace: timedelta, missed: bool = False
    ) -> list[UUID]:
        """
        Note that the messages of jobs were handed to RabbitMQ.

        `missed` marks in the history those that RabbitMQ no longer had, or delivered early.
        A job that is not claimed until it is `grace` late is sent again with the same
        `dispatch_no`, at doubling distances of up to twelve times the grace: a backlog longer than
        the grace must not void its own messages, or double them too often.
        """
        why = {"reason": _MISSED, "detail": _json({"missed": True})} if missed else {}
        return self._do_each(statements.DISPATCH, job_ids, grace=grace, **why)

    def hold(self, job_ids: Sequence[UUID], *, horizon: timedelta) -> None:
        """Let the relay look at jobs again `horizon` before they are due. No act."""
        self._connection.execute(statements.HOLD, {"ids": list(job_ids), "horizon": horizon})

    def rescue(
        self, job_ids: Sequence[UUID], *, reason: str, jitter: timedelta = timedelta(0)
    ) -> list[UUID]:
        """
        Make jobs whose lease ended pending again, each to start within `jitter` of now.

        The time is random and its range doubles with each attempt: one of the jobs may have killed
        their worker, and must not end the others with it again.
        """
        return self._do_each(statements.RESCUE, job_ids, reason=reason, jitter=jitter)

    def rescue_as_failed(self, job_ids: Sequence[UUID], *, reason: str) -> list[UUID]:
        """End jobs whose lease ended in their last attempt, in `failed`."""
        return self._do_each(statements.RESCUE_AS_FAILED, job_ids, reason=reason)

    def cancel(self, job_ids: Sequence[UUID], *, reason: str) -> list[UUID]:
        """End pending jobs in `cancelled`."""
        return self._do_each(statements.CANCEL, job_ids, reason=reason)

    def requeue(self, job_ids: Sequence[UUID], *, reason: str) -> list[UUID]:
        """Make failed or cancelled jobs pending again, with no attempt charged."""
        return self._do_each(statements.REQUEUE, job_ids, reason=reason)

    def _lock_awaited(self, job_id: UUID, dispatch_no: int) -> Row[Any] | None:
        named = {"id": job_id, "dispatch_no": dispatch_no}
        row = self._connection.execute(statements.LOCK, named).one_or_none()
        return row if row is not None and row.awaited else None

    def _settle(self, statement: ActStatement, job: ClaimedJob, **values: object) -> None:
        """Do the last act of a claim, and commit the transaction with it, in one round trip."""
        bound = statement.bound(self._actor, **job.fence, **values)
        try:
            ask_and_commit(self._connection, (statement.sql, bound))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != statements.LEASE_LOST:
                raise
            lost = f"job {job.id} is no longer held with lease {job.lease_no}"
            raise LeaseLost(lost) from None

    def _do_each(
        self, statement: ActStatement, job_ids: Sequence[UUID], **values: object
    ) -> list[UUID]:
        def do(ids: Sequence[UUID]) -> list[UUID]:
            return self._do(statement, ids=list(ids), **values)

        refused = partial(park, self._connection, statement.act)
        return skipping_bad_rows(self._connection, job_ids, do, refused=refused)

    def _do(self, statement: ActStatement, **values: object) -> list[UUID]:
        bound = statement.bound(self._actor, **values)
        return list(self._connection.execute(statement.sql, bound).scalars())


def _json(detail: Mapping[str, Any]) -> str:
    return simplejson.dumps(detail, use_decimal=True)
