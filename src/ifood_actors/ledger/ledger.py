"""
The ledger: one method an act.

Nobody else writes its tables; whoever does so by hand is noticed by a trigger.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import simplejson
from sqlalchemy import Connection, Row

from ifood_actors.errors import LeaseLost
from ifood_actors.ledger import statements
from ifood_actors.ledger.bad_rows import not_planned, park, skipping_bad_rows
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
from ifood_actors.plain_text import one_line

_PLAN_BATCH = 5_000
# What a person reads of an error; more would only swell the row.
_REASON_LENGTH = 500


class Ledger:
    """The acts, inside one transaction of the caller's; `actor` is who the history names."""

    def __init__(self, connection: Connection, *, actor: str) -> None:
        self._connection = connection
        self._actor = actor

    def start_run(self, run: NewRun) -> UUID:
        """
        Open the run of a kind and day, or find the one that is there.

        A second planner waits here until the first has committed, and then sees its jobs.
        """
        values = {**asdict(run), "actor": self._actor}
        run_id: UUID = self._connection.execute(statements.START_RUN, values).scalar_one()
        return run_id

    def plan(self, run_id: UUID, run: NewRun, jobs: Iterable[NewJob], *, horizon: timedelta) -> int:
        """
        Add jobs to a run, a batch a statement; returns how many were new.

        A job of the same kind, account, merchant and day is left as it is. The relay first looks
        at a job `horizon` before its slot.
        """
        values = {**asdict(run), "run_id": run_id, "horizon": horizon, "actor": self._actor}

        def write(batch: Sequence[NewJob]) -> list[UUID]:
            new = self._connection.execute(statements.PLAN, {**values, **columns(batch)})
            return list(new.scalars())

        planned = 0
        for batch in _batches(jobs, _PLAN_BATCH):
            planned += len(skipping_bad_rows(self._connection, batch, write, refused=not_planned))
        self._connection.execute(statements.COUNT_PLANNED, {"id": run_id, "planned": planned})
        return planned

    def claim(self, job_id: UUID, dispatch_no: int, *, lease: timedelta) -> ClaimedJob | None:
        """
        Take a dispatched job whose time has come, charging one attempt; None if it is not to be.

        Not to be: it runs or has ended, or the message is from an earlier dispatch, or forged. All
        of that is normal. A message that is early, as after a clock was set back, is sent again
        once its time has come. A job of a disabled account is cancelled instead.
        """
        row = self._lock_awaited(job_id, dispatch_no)
        if row is None:
            return None
        if row.early:
            self._connection.execute(statements.SEND_WHEN_DUE, {"id": job_id})
            return None
        if not row.active:
            self.cancel([job_id], reason="the account is disabled")
            return None
        token = uuid4()
        slot = {"slot": row.slot.isoformat()}
        self._do(statements.CLAIM, detail=slot, id=job_id, claim_token=token, after=lease)
        return claimed_job(row, token)

    def wait_for(self, job_id: UUID) -> None:
        """
        Wait until whoever is changing the job in this moment has committed, or given up.

        After a connection was lost, or left by an interrupt, that may be the caller's own commit:
        until it is done, acts that are guarded by its outcome would not see the row and not wait.
        """
        self._connection.execute(statements.WAIT, {"id": job_id})

    def renew(self, held: Iterable[ClaimedJob], *, lease: timedelta) -> set[UUID]:
        """Renew leases; gives the claim tokens of those that still hold, the others are lost."""
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
        """End a job in `success`; raises LeaseLost, and nothing may then be stored."""
        self._settle(statements.SUCCEED, job, detail=result.to_json())

    def retry(self, job: ClaimedJob, *, after: timedelta, error_code: str, reason: str) -> None:
        """Try again `after` a while; the attempt stays charged. Raises LeaseLost."""
        self._settle(statements.RETRY, job, after=after, error_code=error_code, reason=reason)

    def snooze(
        self, job: ClaimedJob, *, after: timedelta, reason: str, http_status: int | None = None
    ) -> None:
        """Wait and come back, uncharged; `http_status` is what iFood answered. Raises LeaseLost."""
        detail = {"http_status": http_status}
        self._settle(statements.SNOOZE, job, after=after, reason=reason, detail=detail)

    def snooze_unclaimed(
        self, job_id: UUID, dispatch_no: int, *, cooldowns: Mapping[UUID, timedelta], reason: str
    ) -> timedelta | None:
        """
        Snooze a dispatched job, before anybody claims it, if its application is in cooldown.

        `cooldowns` tells for how much longer each application is. Gives the wait, or None when the
        delivery may go on: the application is in none, or the claim will refuse the job anyway.
        """
        row = self._lock_awaited(job_id, dispatch_no)
        after = cooldowns.get(row.app_id) if row else None
        if after is not None:
            self._do(statements.SNOOZE_UNCLAIMED, id=job_id, after=after, reason=reason)
        return after

    def awaited(self, job_id: UUID, dispatch_no: int) -> AwaitedJob | None:
        """Look at a dispatched job before it is claimed; None when the claim will refuse it."""
        row = self._lock_awaited(job_id, dispatch_no)
        if row is None or row.early or not row.active:
            return None
        return AwaitedJob(row.kind, row.app_id, sent_ahead=row.sent_ahead)

    def hand_back(self, job_id: UUID, dispatch_no: int) -> None:
        """Let a dispatched job wait in the ledger instead, as `hold` does: due, and no act."""
        if self._lock_awaited(job_id, dispatch_no):
            self._connection.execute(statements.HAND_BACK, {"id": job_id})

    def put_off(self, job_id: UUID, dispatch_no: int, *, after: timedelta) -> None:
        """Note that the message of a dispatched job comes again `after` a while; no act either."""
        if self._lock_awaited(job_id, dispatch_no):
            self._connection.execute(statements.PUT_OFF, {"id": job_id, "after": after})

    def under_way(self, *, grace: timedelta) -> dict[tuple[UUID, str], int]:
        """Count the due jobs that workers have or will have, by application and kind."""
        rows = self._connection.execute(statements.UNDER_WAY, {"within": 13 * grace})
        return {(row.app_id, row.kind): row.jobs for row in rows}

    def fail(self, job: ClaimedJob, *, error_code: str, reason: str) -> None:
        """End a job in `failed`. Raises LeaseLost."""
        self._settle(statements.FAIL, job, error_code=error_code, reason=reason)

    def due(
        self, *, limit: int, kinds: Collection[str], excluded_apps: Collection[UUID] = ()
    ) -> list[DueJob]:
        """
        Lock the jobs of these kinds whose `wake_at` has passed; two relays never see the same.

        High priority comes before low, then the oldest slot. They are found by `wake_at`, never
        by "after the last id": rows that commit late are found late, not never. Pending jobs of
        applications that are excluded stay where they are, unwritten, until they are not.
        """
        values = {"limit": limit, "kinds": list(kinds), "apps": list(excluded_apps)}
        rows = self._connection.execute(statements.DUE, values)
        return [due_job(row) for row in rows]

    def probe(self, app_id: UUID, *, kinds: Collection[str]) -> DueJob | None:
        """Lock one due job of an application, another one each time as long as there are some."""
        values = {"kinds": list(kinds), "apps": [app_id]}
        row = self._connection.execute(statements.PROBE, values).one_or_none()
        return None if row is None else due_job(row)

    def dispatch(
        self, job_ids: Sequence[UUID], *, grace: timedelta, reason: str | None = None
    ) -> list[UUID]:
        """
        Note that messages were handed to RabbitMQ; returns the jobs of which it could be noted.

        A job that nobody claims until it is `grace` late is sent again with the same `dispatch_no`,
        at doubling distances of up to twelve times the grace: a backlog longer than the grace must
        not void its own messages, nor double them too often.
        """
        return self._do_each(statements.DISPATCH, job_ids, grace=grace, reason=reason)

    def hold(self, job_ids: Sequence[UUID], *, horizon: timedelta) -> None:
        """Leave jobs whose time is beyond the horizon until they come within it."""
        self._connection.execute(statements.HOLD, {"ids": list(job_ids), "horizon": horizon})

    def rescue(
        self, job_ids: Sequence[UUID], *, reason: str, jitter: timedelta = timedelta(0)
    ) -> list[UUID]:
        """
        Give jobs whose lease ended back to the relay, each to start within `jitter` of now.

        The time is drawn, and doubles with each attempt: one of them may have killed their worker,
        and must not take the others along again.
        """
        return self._do_each(statements.RESCUE, job_ids, reason=reason, jitter=jitter)

    def rescue_as_failed(self, job_ids: Sequence[UUID], *, reason: str) -> list[UUID]:
        """End jobs whose lease ended in their last attempt, such as one that kills its worker."""
        return self._do_each(statements.RESCUE_AS_FAILED, job_ids, reason=reason)

    def cancel(self, job_ids: Sequence[UUID], *, reason: str) -> list[UUID]:
        """Take pending jobs out; returns those that were still pending."""
        return self._do_each(statements.CANCEL, job_ids, reason=reason)

    def requeue(self, job_ids: Sequence[UUID], *, reason: str) -> list[UUID]:
        """Run failed or cancelled jobs anew, attempts from zero; returns those that were so."""
        return self._do_each(statements.REQUEUE, job_ids, reason=reason)

    def _lock_awaited(self, job_id: UUID, dispatch_no: int) -> Row[Any] | None:
        named = {"id": job_id, "dispatch_no": dispatch_no}
        row = self._connection.execute(statements.LOCK, named).one_or_none()
        return row if row is not None and row.awaited else None

    def _settle(
        self,
        statement: ActStatement,
        job: ClaimedJob,
        *,
        reason: str | None = None,
        detail: dict[str, Any] | None = None,
        **values: object,
    ) -> None:
        fence = {"id": job.id, "lease_no": job.lease_no, "claim_token": job.claim_token}
        if not self._do(statement, reason=reason, detail=detail, **fence, **values):
            raise LeaseLost(f"job {job.id} is no longer held with lease {job.lease_no}")

    def _do_each(
        self,
        statement: ActStatement,
        job_ids: Sequence[UUID],
        *,
        reason: str | None,
        **values: object,
    ) -> list[UUID]:
        def do(ids: Sequence[UUID]) -> list[UUID]:
            return self._do(statement, reason=reason, detail=None, ids=list(ids), **values)

        refused = partial(park, self._connection, statement.act)
        return skipping_bad_rows(self._connection, job_ids, do, refused=refused)

    def _do(
        self,
        statement: ActStatement,
        *,
        reason: str | None = None,
        detail: dict[str, Any] | None = None,
        **values: object,
    ) -> list[UUID]:
        rows = self._connection.execute(
            statement.sql,
            {
                **values,
                "act": statement.act,
                "actor": self._actor,
                "reason": reason and one_line(reason.replace("\0", ""), most=_REASON_LENGTH),
                "detail": None if detail is None else simplejson.dumps(detail, use_decimal=True),
            },
        )
        return list(rows.scalars())


def _batches(jobs: Iterable[NewJob], size: int) -> Iterator[list[NewJob]]:
    rest = iter(jobs)
    while batch := list(islice(rest, size)):
        yield batch
