"""
The ledger beside a model of it: any acts, in any order, and both must agree.

The real relay and the real statements on a real Postgres; only its clock is moved by hand.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, text
from support.clock import NOON, StoppedClock
from support.rows import AT_ONCE, GRACE, HORIZON, LEASE, PLENTY, claim, make_app, make_jobs
from support.transitions import ALLOWED

from ifood_actors.db import transaction
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.errors import LeaseLost
from ifood_actors.ledger import ClaimedJob, JobResult, Ledger
from ifood_actors.ledger.states import FINAL, Act, JobStatus
from ifood_actors.scheduler.relay import MovedJobs, Relay

PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING


@dataclass
class Expected:
    """What a job's row must say, and which acts its history must tell."""

    slot: datetime
    wake_at: datetime | None
    status: JobStatus = PENDING
    attempts: int = 0
    lease_no: int = 0
    dispatch_no: int = 0
    dispatched: bool = False
    held: bool = False  # by a worker: a person who changes a job takes it from its own
    next_retry_at: datetime | None = None
    acts: list[Act] = field(default_factory=lambda: [Act.PLAN])

    @property
    def due(self) -> datetime:
        return self.next_retry_at or self.slot

    def awaits(self, dispatch_no: int) -> bool:
        return self.status is PENDING and self.dispatched and self.dispatch_no == dispatch_no

    def wait(self, act: Act, *, wake_at: datetime, until: datetime | None = None) -> None:
        self.acts.append(act)
        self.status, self.dispatched, self.held = PENDING, False, False
        self.next_retry_at, self.wake_at = until, wake_at

    def end(self, act: Act, status: JobStatus) -> None:
        self.acts.append(act)
        self.status, self.next_retry_at, self.wake_at = status, None, None
        self.held = False

    def dispatch(self, now: datetime) -> None:
        self.acts.append(Act.DISPATCH)
        longer = min(now - self.due, 12 * GRACE) if self.dispatched else GRACE
        self.wake_at = max(self.due, now) + max(GRACE, longer)
        self.dispatch_no += not self.dispatched
        self.dispatched = True

    def claim(self, now: datetime) -> None:
        self.acts.append(Act.CLAIM)
        self.status, self.next_retry_at, self.wake_at = RUNNING, None, now + LEASE
        self.attempts += 1
        self.lease_no += 1
        self.held = True


pytestmark = pytest.mark.services

MAX_ATTEMPTS = 3
PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
ROWS = text("SELECT * FROM ifood_jobs WHERE id = ANY(:ids)")
EVENTS = text("SELECT * FROM ifood_job_events WHERE job_id = ANY(:ids) ORDER BY event_no")
WHY: dict[str, Any] = {"error_code": "x", "reason": "x"}
SETTLING = {
    Act.SUCCEED: {"result": JobResult(rows=1)},
    Act.RETRY: WHY,
    Act.SNOOZE: {"reason": "x"},
    Act.FAIL: WHY,
}
settlements = st.sampled_from(list(SETTLING))
waits = st.sampled_from([timedelta(0), SECOND, 10 * MINUTE, 6 * HOUR])


class LedgerMachine(RuleBasedStateMachine):
    jobs = Bundle("jobs")
    leases = Bundle("leases")

    def __init__(self, engine: Engine, clock: StoppedClock) -> None:
        super().__init__()
        self.engine, self.clock = engine, clock
        self.expected: dict[UUID, Expected] = {}
        self.histories: dict[UUID, list[Any]] = {}
        self.sent: list[tuple[UUID, int, timedelta]] = []
        clock.set(NOON)
        with transaction(engine) as tx:  # those of the example before would be relayed, too
            tx.execute(text("DELETE FROM ifood_jobs"))
            tx.execute(text("DELETE FROM accounts"))
            tx.execute(text("DELETE FROM ifood_apps"))
        self.app_id = make_app(engine)

    def act(self, name: str, *args: Any, **values: Any) -> Any:
        with transaction(self.engine) as tx:
            return getattr(Ledger(tx, actor="worker"), name)(*args, **values)

    def by_hand(self, statement: str, **values: Any) -> None:
        with transaction(self.engine) as tx:
            tx.execute(text(statement), values)

    def enqueue_many(self, messages: Any) -> None:
        """Be the relay's publisher."""
        for message, delay_ms in messages:
            ours = JobMessage.from_message(message)
            delay = timedelta(milliseconds=delay_ms or 0)
            self.sent.append((ours.job_id, ours.dispatch_no, delay))

    @initialize(target=jobs)
    def plan_for_now(self) -> UUID:
        return self.planned(timedelta(0))

    @precondition(lambda self: len(self.expected) < 3)
    @rule(target=jobs, ahead=st.sampled_from([-HOUR, timedelta(0), 30 * MINUTE, 6 * HOUR]))
    def plan(self, ahead: timedelta) -> UUID:
        return self.planned(ahead)

    def planned(self, ahead: timedelta) -> UUID:
        now = self.clock.now
        [job] = make_jobs(self.engine, slot=now + ahead, app_id=self.app_id)
        self.expected[job.id] = Expected(now + ahead, max(now, now + ahead - HORIZON))
        return job.id

    @rule(by=st.sampled_from([SECOND, LEASE, GRACE, 2 * HOUR, 10 * HOUR]))
    def time_passes(self, by: timedelta) -> None:
        self.clock.go_on(by)

    @rule()
    def relay(self) -> None:
        now, before = self.clock.now, len(self.sent)
        dispatched, held, rescued, failed = [], 0, 0, 0
        for job_id, job in self.expected.items():
            if job.wake_at is None or job.wake_at > now:
                continue
            if job.status is PENDING and job.due - now > HORIZON:
                job.wake_at = job.due - HORIZON
                held += 1
            elif job.status is PENDING:
                job.dispatch(now)
                dispatched.append((job_id, job.dispatch_no, max(job.due - now, timedelta(0))))
            elif job.attempts < MAX_ATTEMPTS:
                job.wait(Act.RESCUE, wake_at=now)
                rescued += 1
            else:
                job.end(Act.RESCUE, JobStatus.FAILED)
                failed += 1

        relay = Relay(
            self.engine,
            self,
            horizon=HORIZON,
            jitter=AT_ONCE,
            max_attempts=MAX_ATTEMPTS,
            rate=PLENTY,
            actor="relay",
        )
        assert relay.run() == MovedJobs(len(dispatched), held, rescued, failed)
        assert sorted(self.sent[before:]) == sorted(dispatched)

    @rule(target=leases, job_id=jobs, off=st.sampled_from([0, 0, 0, -1, 1]))
    def claim(self, job_id: UUID, off: int) -> Any:
        """Deliver a message: the awaited one, an old one or one that was never sent."""
        job, now = self.expected[job_id], self.clock.now
        number = job.dispatch_no + off
        held = claim(self.engine, job_id, number)

        assert (held is not None) == (job.awaits(number) and job.due <= now)
        if held:
            job.claim(now)
            assert (held.attempts, held.lease_no) == (job.attempts, job.lease_no)
            return held
        if job.awaits(number):
            job.wake_at = job.due
        return multiple()

    @rule(target=leases, job_id=jobs)
    def bring_to_work(self, job_id: UUID) -> Any:
        """Go the usual way at once, which single steps would seldom find."""
        job = self.expected[job_id]
        if job.status in FINAL:
            self.type_a_status(job_id, PENDING, anew=True)
        self.clock.set(max(self.clock.now, job.due))
        self.relay()
        return self.claim(job_id, 0)

    @rule(job_id=jobs)
    def claim_for_a_disabled_account(self, job_id: UUID) -> None:
        job, now = self.expected[job_id], self.clock.now
        self.by_hand("UPDATE accounts SET active = false")
        assert claim(self.engine, job_id, job.dispatch_no) is None
        self.by_hand("UPDATE accounts SET active = true")

        if job.awaits(job.dispatch_no) and job.due <= now:
            job.end(Act.CANCEL, JobStatus.CANCELLED)
        elif job.awaits(job.dispatch_no):
            job.wake_at = job.due

    @rule(job_id=jobs, off=st.sampled_from([0, 0, -1, 1]), after=waits, cooling=st.booleans())
    def snooze_unclaimed(self, job_id: UUID, off: int, after: timedelta, *, cooling: bool) -> None:
        job, now = self.expected[job_id], self.clock.now
        number = job.dispatch_no + off
        cooldowns = {self.app_id: after} if cooling else {}
        sent_away = self.act(
            "snooze_unclaimed", job_id, number, cooldowns=cooldowns, reason="cooldown"
        )

        assert sent_away == (after if cooling and job.awaits(number) else None)
        if sent_away is not None:
            job.wait(Act.SNOOZE, wake_at=now + after, until=now + after)

    @rule(job_id=jobs, off=st.sampled_from([0, 0, -1, 1]))
    def hand_back(self, job_id: UUID, off: int) -> None:
        job, number = self.expected[job_id], self.expected[job_id].dispatch_no + off
        self.act("hand_back", job_id, number)

        if job.awaits(number):
            job.dispatched, job.wake_at = False, self.clock.now

    @rule(job_id=jobs, off=st.sampled_from([0, 0, -1, 1]), after=waits)
    def put_off(self, job_id: UUID, off: int, after: timedelta) -> None:
        job, number = self.expected[job_id], self.expected[job_id].dispatch_no + off
        self.act("put_off", job_id, number, after=after)

        if job.awaits(number):
            assert job.wake_at
            job.wake_at += after

    @rule(lease=leases, act=settlements, after=waits)
    def settle(self, lease: ClaimedJob, act: Act, after: timedelta) -> None:
        """Let a worker end its job, be it one that woke up long after its lease."""
        job, now = self.expected[lease.id], self.clock.now
        values = SETTLING[act] | ({"after": after} if act in {Act.RETRY, Act.SNOOZE} else {})
        if not job.held or lease.lease_no != job.lease_no:
            with pytest.raises(LeaseLost):
                self.act(act, lease, **values)
            return

        self.act(act, lease, **values)
        match act:
            case Act.SUCCEED:
                job.end(act, JobStatus.SUCCESS)
            case Act.FAIL:
                job.end(act, JobStatus.FAILED)
            case Act.SNOOZE:
                job.attempts = max(0, job.attempts - 1)  # a person may have reset it meanwhile
                job.wait(act, wake_at=now, until=now + after)
            case _:
                job.wait(act, wake_at=now, until=now + after)

    @rule(target=leases, job_id=jobs, act=settlements, after=waits)
    def work(self, job_id: UUID, act: Act, after: timedelta) -> Any:
        """Go the usual way to its end; the lease stays with a worker that never heard of it."""
        lease = self.bring_to_work(job_id)
        if isinstance(lease, ClaimedJob):
            self.settle(lease, act, after)
        return lease

    @rule(lease=leases)
    def renew(self, lease: ClaimedJob) -> None:
        job = self.expected[lease.id]
        held = {lease.claim_token} if job.held and lease.lease_no == job.lease_no else set()

        assert self.act("renew", [lease], lease=LEASE) == held
        if held:
            job.wake_at = self.clock.now + LEASE

    @rule(job_id=jobs)
    def cancel(self, job_id: UUID) -> None:
        job = self.expected[job_id]
        was_pending = job.status is PENDING

        assert self.act("cancel", [job_id], reason="x") == [job_id] * was_pending
        if was_pending:
            job.end(Act.CANCEL, JobStatus.CANCELLED)

    @rule(job_id=jobs)
    def requeue(self, job_id: UUID) -> None:
        job = self.expected[job_id]
        had_ended = job.status in {JobStatus.FAILED, JobStatus.CANCELLED}

        assert self.act("requeue", [job_id], reason="x") == [job_id] * had_ended
        if had_ended:
            job.wait(Act.REQUEUE, wake_at=self.clock.now)
            job.attempts = 0

    @rule(job_id=jobs, status=st.sampled_from(JobStatus), anew=st.booleans())
    def type_a_status(self, job_id: UUID, status: JobStatus, *, anew: bool) -> None:
        """Do what an operator does in psql; the second half is part of the known repair."""
        job = self.expected[job_id]
        reset_to = (0, None) if anew else (job.attempts, job.next_retry_at)
        noticed = (status, *reset_to) != (job.status, job.attempts, job.next_retry_at)
        reset = ", attempts = 0, next_retry_at = NULL" if anew else ""
        self.by_hand(
            f"UPDATE ifood_jobs SET status = :status{reset} WHERE id = :id",
            status=status,
            id=job_id,
        )
        job.attempts, job.next_retry_at = reset_to
        if noticed:
            self.notice_manual(job, status)

    @rule(job_id=jobs, by=st.sampled_from([-HOUR, HOUR]))
    def type_a_slot(self, job_id: UUID, by: timedelta) -> None:
        job = self.expected[job_id]
        self.by_hand(
            "UPDATE ifood_jobs SET scheduled_for = scheduled_for + :by WHERE id = :id",
            by=by,
            id=job_id,
        )
        job.slot += by
        self.notice_manual(job, job.status)

    def notice_manual(self, job: Expected, status: JobStatus) -> None:
        job.acts.append(Act.MANUAL)
        job.status, job.dispatched, job.held = status, False, False
        job.wake_at = None if status in FINAL else self.clock.now

    @precondition(lambda self: sum(len(job.acts) for job in self.expected.values()) > 25)
    @rule()
    def let_it_run(self) -> None:
        """Whatever happened before: a relay and workers bring every job to its end."""
        self.clock.go_on(timedelta(days=10))
        self.relay()  # takes jobs from dead workers
        self.relay()
        for job_id, job in self.expected.items():
            if job.status is PENDING:
                self.settle(self.claim(job_id, 0), Act.SUCCEED, SECOND)

        assert {job.status for job in self.expected.values()} <= FINAL

    @invariant()
    def model_and_ledger_agree(self) -> None:
        ids = {"ids": list(self.expected)}
        with transaction(self.engine) as tx:
            rows = tx.execute(ROWS, ids).all()
            events = tx.execute(EVENTS, ids).all()
        by_job = {job_id: [e for e in events if e.job_id == job_id] for job_id in self.expected}

        assert len(rows) == len(self.expected)
        for row in rows:
            self.check_row(row)
            self.check_history(row.id, by_job[row.id])
        self.histories = by_job

    def check_row(self, row: Any) -> None:
        job = self.expected[row.id]
        assert row.status == job.status
        assert row.attempts == job.attempts >= 0
        assert row.lease_no == job.lease_no  # which only a claim changes, upwards
        assert row.dispatch_no == job.dispatch_no
        assert row.wake_at == job.wake_at
        assert (row.wake_at is None) == (row.status in FINAL) == (row.finished_at is not None)
        assert row.next_retry_at == job.next_retry_at
        assert row.event_no == len(job.acts)

    def check_history(self, job_id: UUID, events: list[Any]) -> None:
        job, before = self.expected[job_id], self.histories.get(job_id, [])
        assert events[: len(before)] == before
        assert [event.act for event in events] == job.acts
        assert [event.event_no for event in events] == list(range(1, len(events) + 1))
        assert all(one.to_status == other.from_status for one, other in pairwise(events))
        assert events[-1].to_status == job.status
        for event in events[len(before) :]:
            source = event.from_status and JobStatus(event.from_status)
            assert (Act(event.act), source, JobStatus(event.to_status)) in ALLOWED


def test_the_ledger_does_what_its_model_says(engine):
    clock = StoppedClock(engine)

    run_state_machine_as_test(
        lambda: LedgerMachine(engine, clock),  # type: ignore[arg-type] # a factory will do
        settings=settings(LedgerMachine.TestCase.settings, max_examples=30, stateful_step_count=40),
    )
