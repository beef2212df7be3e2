"""
Takes the jobs of worker processes that have died, within seconds instead of after their leases.

A worker process holds an advisory lock, its lifeline, for as long as it lives, and its claims name
it (`delivery.lifeline`). A process that has only lost its connection is without it, too, until it
has another one, over which it renews its leases at once. So a job is taken when two ticks, some
seconds apart, find its lifeline absent and its lease unchanged; it is locked and compared again.

All sessions end when Postgres restarts or another server takes over. So each tick reads over one
session of the detector's own: when that has to be opened again, what was seen before counts no
more, and for some time nothing is concluded.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from ifood_actors.db import beside, repeated
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import Ledger
from ifood_actors.ledger.claim_tokens import lifeline_of
from ifood_actors.ledger.holders import HeldJob, held_jobs, lock_unchanged, present_lifelines
from ifood_actors.logs import get_logger

log = get_logger(__name__)

EVERY = timedelta(seconds=1)
# A living worker notices within a second that its session is gone, and tries each second.
ABSENT_FOR = timedelta(seconds=5)
# A server that has just started has many sessions to open.
SETTLED_AFTER = timedelta(seconds=20)
# Jobs that lose their worker in their first attempt start within so long of each other: one of them
# may have killed it. Those that lose a second one are spread as after a lease.
FIRST_JITTER = timedelta(seconds=4)

_DIED = "its worker died: its session ended"
_DIED_IN_LAST = "its worker died in the last attempt: its session ended"


@dataclass(frozen=True)
class Suspicion:
    """Since when (monotonic) the lifeline of a job is absent, and its lease at that time."""

    since: float
    lease_expires_at: datetime


@dataclass
class Suspicions:
    """What the ticks so far have seen: jobs whose lifelines are absent, by their claim tokens."""

    held: dict[UUID, Suspicion] = field(default_factory=dict)

    def compare(
        self, jobs: Collection[HeldJob], lifelines: Collection[int], *, at: float
    ) -> list[HeldJob]:
        """
        Compare the running jobs with the lifelines that were present after they were read.

        Return those whose lifeline was absent at every tick for `ABSENT_FOR`, with an unchanged
        lease. Jobs that name no lifeline are not suspected. `at` is monotonic, in seconds.
        """
        before, self.held = self.held, {}
        for job in jobs:
            lifeline = lifeline_of(job.claim_token)
            if lifeline is None or lifeline in lifelines:
                continue
            suspicion = before.get(job.claim_token)
            if suspicion is None or suspicion.lease_expires_at != job.lease_expires_at:
                suspicion = Suspicion(at, job.lease_expires_at)
            self.held[job.claim_token] = suspicion
        earliest = at - ABSENT_FOR.total_seconds()
        certain = {token for token, suspicion in self.held.items() if suspicion.since <= earliest}
        return [job for job in jobs if job.claim_token in certain]


class DeathDetector:
    """The tick that looks for dead workers; any number of schedulers may have it."""

    def __init__(self, engine: Engine, *, jitter: timedelta, max_attempts: int, actor: str) -> None:
        """`jitter` is for jobs that are rescued not for the first time: see `Ledger.rescue`."""
        self._engine = engine
        self._beside = beside(engine)
        self._jitter = jitter
        self._max_attempts = max_attempts
        self._actor = actor
        self._session: Connection | None = None
        self._settled_at = 0.0
        self._suspicions = Suspicions()

    def run(self) -> int:
        """Compare once, and take the jobs of workers that are dead; return how many."""
        try:
            abandoned = self._abandoned()
        except SQLAlchemyError:
            self.close()
            raise
        if not abandoned or monotonic() < self._settled_at:
            return 0
        taken = repeated(self._engine, lambda tx: self._take(tx, abandoned))
        if taken:
            workers = sorted({job.locked_by for job in taken})
            log.warning("workers.died", workers=workers, jobs=len(taken))
        return len(taken)

    def close(self) -> None:
        """Forget all that was seen, and end the session."""
        if self._session is not None:
            self._session.invalidate()
            self._session.close()
        self._session = None

    def _abandoned(self) -> list[HeldJob]:
        if self._session is None:
            opened = self._beside.connect()
            self._session = opened.execution_options(isolation_level="AUTOCOMMIT")
            self._settled_at = monotonic() + SETTLED_AFTER.total_seconds()
            self._suspicions = Suspicions()
        # In this order: the holder of a job that was read has taken its lifeline before.
        jobs = held_jobs(self._session, kinds=KINDS)
        lifelines = present_lifelines(self._session) if jobs else frozenset()
        return self._suspicions.compare(jobs, lifelines, at=monotonic())

    def _take(self, tx: Connection, abandoned: Sequence[HeldJob]) -> list[HeldJob]:
        ledger = Ledger(tx, actor=self._actor)
        jobs = lock_unchanged(tx, abandoned)
        spent = [job for job in jobs if job.attempts >= self._max_attempts]
        saved = [job for job in jobs if job.attempts < self._max_attempts]
        first = [job.id for job in saved if job.attempts == 1]
        again = [job.id for job in saved if job.attempts > 1]
        taken = {
            *ledger.rescue(first, reason=_DIED, jitter=min(FIRST_JITTER, self._jitter)),
            *ledger.rescue(again, reason=_DIED, jitter=self._jitter),
            *ledger.rescue_as_failed([job.id for job in spent], reason=_DIED_IN_LAST),
        }
        return [job for job in jobs if job.id in taken]
