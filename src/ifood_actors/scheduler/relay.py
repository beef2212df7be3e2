"""
The relay: one loop over `wake_at` that moves every job which no other process would move.

A pending job whose time is near is handed to RabbitMQ; a running one whose lease has ended is taken
from its dead worker. Jobs of an application that may not send stay in the ledger, as do due
jobs that its limiter cannot serve soon; while its breaker is open, one at a time goes to see
whether iFood is back.

A crash anywhere in here leaves rows whose `wake_at` has passed, and the next round drives them
again: an extra message is dropped by the claim.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import timedelta
from operator import add
from typing import Protocol
from uuid import UUID

from dramatiq import Message
from sqlalchemy import Connection, Engine

from ifood_actors.broker import NotTaken
from ifood_actors.db import repeated
from ifood_actors.delivery.messages import JobMessage, dramatiq_message
from ifood_actors.ifood.limiter import read_limiters
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import DueJob, JobStatus, Ledger
from ifood_actors.logs import get_logger
from ifood_actors.scheduler.slot_budget import RelayRate, SlotBudget, measure_budget

log = get_logger(__name__)

# One transaction: long enough to be fast, short enough that a worker whose message overtakes the
# commit waits for less than half a second.
BATCH = 250
_LEASE_ENDED = "its worker died or froze: the lease ended"
_LAST_LEASE_ENDED = "the lease ended in the last attempt"
# How late a message may be before it is taken for lost, and sent again.
GRACE = timedelta(minutes=5)


class Publisher(Protocol):
    """Where messages leave: the delay ladder, or the in-process broker of the demo."""

    def enqueue_many(self, messages: Iterable[tuple[Message[None], int | None]]) -> object:
        """
        Hand over messages, each with its delay in milliseconds, and wait until all are safe.

        Raises NotTaken for those that RabbitMQ refuses, when all others are.
        """


@dataclass(frozen=True)
class MovedJobs:
    """How many jobs were dispatched, held, rescued and failed."""

    dispatched: int = 0
    held: int = 0
    rescued: int = 0
    failed: int = 0

    def __add__(self, other: "MovedJobs") -> "MovedJobs":
        return MovedJobs(*map(add, astuple(self), astuple(other)))


class Relay:
    """Moves due jobs; any number of them may run, on any number of hosts."""

    def __init__(
        self,
        engine: Engine,
        publisher: Publisher,
        *,
        horizon: timedelta,
        jitter: timedelta,
        max_attempts: int,
        rate: RelayRate,
        actor: str,
    ) -> None:
        """Rescued jobs start within `jitter`, twice as long each time: see `Ledger.rescue`."""
        self._engine = engine
        self._publisher = publisher
        self._horizon = horizon
        self._jitter = jitter
        self._max_attempts = max_attempts
        self._rate = rate
        self._actor = actor

    def run(self) -> MovedJobs:
        """Move everything that is due now and fits the budget, batch by batch."""
        budget = measure_budget(self._engine, self._rate, grace=GRACE, actor=self._actor)
        batch = self._move_batch(budget, may_probe=True)
        total = batch.moved
        while batch.goes_on:
            batch = self._move_batch(batch.budget, may_probe=False)
            total += batch.moved
        if total != MovedJobs():
            log.info("relay.moved", **asdict(total))
        return total

    def _move_batch(self, budget: SlotBudget, *, may_probe: bool) -> "_Batch":
        """
        Publish inside the transaction, before the commit.

        A crash between the two is a second message later on, which is harmless; the other order
        would be a job that is never sent. What is due and does not fit stays as it is, unwritten.
        """
        limiters = read_limiters(self._engine, "financial")
        half_open = limiters.half_open() if may_probe else ()

        def move(tx: Connection) -> _Batch:
            ledger, left = Ledger(tx, actor=self._actor), budget.copy()
            excluded = limiters.cooldowns().keys() | limiters.breaker_open | left.full
            due = ledger.due(limit=BATCH, kinds=KINDS, excluded_apps=excluded)
            probes = [job for app_id in half_open if (job := ledger.probe(app_id, kinds=KINDS))]
            pending = [job for job in due if job.status is JobStatus.PENDING]
            abandoned = [job for job in due if job.status is JobStatus.RUNNING]
            near = [job for job in pending if job.due_in <= self._horizon]
            far = [job for job in pending if job.due_in > self._horizon]
            to_send = [job for job in near if _take_budget(job, left)] + probes
            spent = [job for job in abandoned if job.attempts >= self._max_attempts]
            saved = [job for job in abandoned if job.attempts < self._max_attempts]

            sent = self._send(to_send)
            missed = [job for job in sent if job.missed]
            noted = [
                *ledger.dispatch(_ids(job for job in sent if not job.missed), grace=GRACE),
                *ledger.dispatch(_ids(missed), grace=GRACE, missed=True),
            ]
            ledger.hold(_ids(far), horizon=self._horizon)
            rescued = ledger.rescue(_ids(saved), reason=_LEASE_ENDED, jitter=self._jitter)
            failed = ledger.rescue_as_failed(_ids(spent), reason=_LAST_LEASE_ENDED)
            moved = MovedJobs(len(noted), len(far), len(rescued), len(failed))
            # What RabbitMQ refuses stays due: to look again at once would find the same.
            goes_on = len(due) >= BATCH and len(sent) == len(to_send)
            return _Batch(moved, budget=left, goes_on=goes_on)

        return repeated(self._engine, move)

    def _send(self, jobs: Sequence[DueJob]) -> Sequence[DueJob]:
        """Publish, and return what RabbitMQ has; what it refuses stays due, for the next round."""
        try:
            self._publisher.enqueue_many((_message(job), _delay_ms(job)) for job in jobs)
        except NotTaken as error:
            refused = {JobMessage.from_message(message).job_id for message in error.messages}
            log.warning("relay.not_taken", jobs=len(refused), reason=error.reason)
            return [job for job in jobs if job.id not in refused]
        return jobs


@dataclass(frozen=True)
class _Batch:
    """What one transaction did, which budget it left, and whether there may be more to do."""

    moved: MovedJobs
    budget: SlotBudget
    goes_on: bool


def _take_budget(job: DueJob, budget: SlotBudget) -> bool:
    """Let a job go ahead of its slot, and a due one when its limiter can serve it soon."""
    return job.due_in > timedelta(0) or budget.take(job.app_id, job.kind)


def _message(job: DueJob) -> Message[None]:
    dispatch_no = job.dispatch_no if job.resend else job.dispatch_no + 1
    return dramatiq_message(job.kind, JobMessage(job.id, dispatch_no))


def _delay_ms(job: DueJob) -> int | None:
    milliseconds = -(-job.due_in // timedelta(milliseconds=1))  # rounded up: never early
    return milliseconds if milliseconds > 0 else None


def _ids(jobs: Iterable[DueJob]) -> list[UUID]:
    return [job.id for job in jobs]
