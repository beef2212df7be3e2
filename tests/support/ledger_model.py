"""What a job must look like after each act, without Postgres: the ledger's promises, once more."""

from dataclasses import dataclass, field
from datetime import datetime

from ifood_actors.ledger.states import Act, JobStatus
from support.builders import GRACE, LEASE

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
