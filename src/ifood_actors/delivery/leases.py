"""Leases of the jobs in work: one thread renews them all, as long as each makes progress."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Lock, Thread
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from ifood_actors.db import transaction
from ifood_actors.delivery.lifeline import EVERY, Lifeline
from ifood_actors.errors import LeaseLost, Throttled, TimeLimitReached
from ifood_actors.ledger import ClaimedJob, Ledger
from ifood_actors.logs import get_logger

log = get_logger(__name__)

# Longer than anything a healthy job does between two signs of life; one HTTP exchange takes 60 s.
STALLED_AFTER = timedelta(minutes=2)
# From the claim to the last page. It ends a job in good order where JOB_LIMIT would interrupt it.
LONGEST_READING = timedelta(minutes=8)
_RENEWALS_PER_LEASE = 4


class Lease:
    """One job's lease, as the job sees it."""

    def __init__(self, job: ClaimedJob, *, stopping: Event) -> None:
        self.job = job
        self.lost = False
        self._stopping = stopping
        self._started = self._last_progress = time.monotonic()

    def note_progress(self) -> None:
        """
        Show that the job goes on.

        Raises LeaseLost as soon as the job is known to be another's, Throttled when the worker
        stops, and TimeLimitReached after 8 minutes.
        """
        if self.lost:
            raise LeaseLost(f"job {self.job.id} was taken over while it was in work")
        if self._stopping.is_set():
            raise Throttled("the worker was stopped", after=timedelta(0))
        self._last_progress = time.monotonic()
        if self._last_progress - self._started > LONGEST_READING.total_seconds():
            raise TimeLimitReached(f"iFood was not read to the end within {LONGEST_READING}")

    def stalled(self) -> bool:
        """Return whether the last sign of life is more than 2 minutes old."""
        return time.monotonic() - self._last_progress > STALLED_AFTER.total_seconds()


class Leases:
    """
    The leases that this process holds; the renewing thread starts with the first of them.

    Between `start` and `close` there is a lifeline as well, by which schedulers know at once that
    the process has died. Without it, only the end of a lease tells.
    """

    def __init__(self, engine: Engine, *, length: timedelta, actor: str) -> None:
        self.length = length
        self._engine = engine
        self.actor = actor
        self._held: set[Lease] = set()
        self._stopping = Event()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._lifeline = Lifeline(engine, opened=self._reconnected)

    def start(self) -> None:
        """Show from now on that this process lives."""
        self._lifeline.start()

    def close(self) -> None:
        """End the sign of life; jobs that this process should still hold are taken from it."""
        self._lifeline.close()

    def claim_token(self) -> UUID:
        """Draw the token of a claim of this process."""
        return self._lifeline.claim_token()

    @contextmanager
    def hold(self, job: ClaimedJob) -> Iterator[Lease]:
        """Keep a claimed job's lease alive for the length of the block."""
        lease = Lease(job, stopping=self._stopping)
        with self._lock:
            self._held.add(lease)
            if self._thread is None:
                self._thread = Thread(target=self._renew_for_ever, name="leases", daemon=True)
                self._thread.start()
        try:
            yield lease
        finally:
            with self._lock:
                self._held.discard(lease)

    def stop(self) -> None:
        """
        Have each job end at its next sign of life.

        Dramatiq interrupts what runs, but not a job that is about to start, or one whose
        interrupt was swallowed.
        """
        self._stopping.set()

    def renew(self) -> None:
        """Renew every lease whose job makes progress, in one statement."""
        if self._alive():
            with transaction(self._engine) as tx:
                self._renew_over(tx)

    def _alive(self) -> list[Lease]:
        with self._lock:
            return [lease for lease in self._held if not lease.lost and not lease.stalled()]

    def _renew_over(self, connection: Connection) -> None:
        alive = self._alive()
        if not alive:
            return
        jobs = [lease.job for lease in alive]
        renewed = Ledger(connection, actor=self.actor).renew(jobs, lease=self.length)
        for lease in alive:
            lease.lost = lease.job.claim_token not in renewed

    def _renew_for_ever(self) -> None:
        """
        Renew four times a lease, and each second while the lifeline is broken.

        A scheduler that misses the lifeline takes no job whose lease is renewed meanwhile.
        """
        pause = self.length.total_seconds() / _RENEWALS_PER_LEASE
        never, due = Event(), time.monotonic() + pause
        while not never.wait(min(pause, EVERY.total_seconds())):
            regular = time.monotonic() >= due
            if not regular and not self._lifeline.broken:
                continue
            due = time.monotonic() + pause if regular else due
            with _surviving():
                self.renew()

    def _reconnected(self, connection: Connection) -> None:
        """Show that the process lives, over what is known to work."""
        with _surviving():
            self._renew_over(connection)


@contextmanager
def _surviving() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:  # also a pool that has no connection to give
        log.warning("leases.not_renewed", error=str(getattr(error, "orig", error)))
