"""
A fleet in one thread, event by event: more jobs than slots, and nothing but counts to look at.

The relay, the limiter, the admission and the ledger are the real ones, on a Postgres whose clock
stands still until the next event. RabbitMQ is a list of instants, iFood answers after a third of a
second.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from math import ceil
from uuid import UUID, uuid4

from dramatiq import Message
from sqlalchemy import Engine, text

from ifood_actors.db import transaction
from ifood_actors.delivery.admission import Admission
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.errors import Throttled
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.request_slots import Reservation
from ifood_actors.ledger import ClaimedJob, JobResult, Ledger
from ifood_actors.scheduler.slot_budget import RelayRate
from support.clock import NOON, StoppedClock
from support.rows import LEASE, make_relay

LATENCY = timedelta(seconds=0.3)
TICK = timedelta(seconds=10)


class Monotonic:
    """Stands for the module `time` in every process, in step with Postgres."""

    def __init__(self, clock: StoppedClock) -> None:
        self._clock = clock

    def monotonic(self) -> float:
        return (self._clock.now - NOON).total_seconds()


@dataclass
class Work:
    """A claimed job in a thread, and how many requests it still has to make."""

    job: ClaimedJob
    process: int
    left: int


@dataclass
class Hosts:
    """Hosts of `threads` in all, in two processes; each job makes `requests`."""

    engine: Engine
    clock: StoppedClock
    per_minute: int
    threads: int = 20
    requests: int = 1
    sent: list[datetime] = field(default_factory=list)
    finished: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        rates = {"financial": self.per_minute}
        self.limiters = [Limiter(self.engine, rates=rates) for _ in range(2)]  # type: ignore[arg-type] # the one group
        self.admissions = [Admission(self.engine, one, actor="worker") for one in self.limiters]
        self.relay = make_relay(self.engine, self, rate=RelayRate(self.per_minute))
        self.free = [number % 2 for number in range(self.threads)]  # their processes
        self.queue: deque[JobMessage] = deque()
        self._numbers = count()
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []

    def run(self, length: timedelta) -> None:
        until = self.clock.now + length
        self.tick()
        while self._events and self._events[0][0] <= until:
            at, _, act = heapq.heappop(self._events)
            if at > self.clock.now:
                self.clock.set(at)
            act()

    def tick(self) -> None:
        self.relay.run()
        self.later(TICK, self.tick)

    def later(self, after: timedelta, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.clock.now + after, next(self._numbers), act))

    def enqueue_many(self, messages: Iterable[tuple[Message[None], int | None]]) -> None:
        """Take what the relay publishes: whole seconds in the ladder, then the queue."""
        for message, delay in messages:
            self.send(JobMessage.from_message(message), timedelta(milliseconds=delay or 0))

    def send(self, message: JobMessage, delay: timedelta) -> None:
        self.later(timedelta(seconds=ceil(delay.total_seconds())), partial(self.arrive, message))

    def arrive(self, message: JobMessage) -> None:
        self.queue.append(message)
        self.work()

    def work(self) -> None:
        while self.queue and self.free:
            self.deliver(self.queue.popleft(), self.free.pop(0))

    def deliver(self, message: JobMessage, process: int) -> None:
        try:
            turn = self.admissions[process].turn(message, kind="sales")
        except Throttled as full:
            self.free.append(process)
            self.send(message, full.after)
            return
        with transaction(self.engine) as tx:
            ledger = Ledger(tx, actor="worker")
            job = turn and ledger.claim(
                message.job_id, message.dispatch_no, token=uuid4(), lease=10 * LEASE
            )
        if not turn or not job:
            self.free.append(process)
            return
        self.ask(Work(job, process, self.requests), turn.reservation)

    def ask(self, work: Work, slot: Reservation | None = None) -> None:
        limiter = self.limiters[work.process]
        try:
            slot = slot or limiter.reserve(
                self.app_of(work), "financial", endpoint="sales", max_wait=timedelta(seconds=60)
            )
        except Throttled as full:
            with transaction(self.engine) as tx:
                Ledger(tx, actor="worker").snooze(work.job, after=full.after, reason=str(full))
            self.leave(work)
            return
        wait = timedelta(seconds=slot.not_before) - (self.clock.now - NOON)
        nearly = timedelta(microseconds=2)  # a float carried the slot
        self.later(max(wait, timedelta(0)) + nearly, partial(self.request, work, slot))

    def request(self, work: Work, slot: Reservation) -> None:
        if not self.limiters[work.process].wait_for(slot):
            self.ask(work)
            return
        self.sent.append(self.clock.now)
        work.left -= 1
        self.later(LATENCY, partial(self.ask if work.left else self.finish, work))

    def finish(self, work: Work) -> None:
        with transaction(self.engine) as tx:
            Ledger(tx, actor="worker").succeed(work.job, result=JobResult())
        self.finished.append(work.job.id)
        self.leave(work)

    def leave(self, work: Work) -> None:
        self.free.append(work.process)
        self.work()

    def app_of(self, work: Work) -> UUID:
        assert work.job.app_id
        return work.job.app_id

    def acts(self) -> dict[str, int]:
        """Count the rows of history, by act, of the jobs that have ended."""
        with transaction(self.engine) as tx:
            rows = tx.execute(
                text(
                    "SELECT act, count(*) AS number FROM ifood_job_events"
                    " WHERE job_id = ANY(:ids) GROUP BY act"
                ),
                {"ids": self.finished},
            )
            return {row.act: row.number for row in rows}

    def snoozes(self) -> int:
        with transaction(self.engine) as tx:
            counted = "SELECT count(*) FROM ifood_job_events WHERE act = 'snooze'"
            number: int = tx.execute(text(counted)).scalar_one()
            return number
