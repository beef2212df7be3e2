"""
What surrounds every delivery: the ids in the logs, the figures, the limiter's gate, the retries.

Dramatiq swallows exceptions of hooks, and still runs the actor then. So nothing that must hold
depends on a hook: a failure in here leaves a job whose `wake_at` brings it back.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from datetime import timedelta
from random import random
from time import monotonic

from dramatiq import Broker, MessageProxy, Worker
from dramatiq.middleware import (
    Middleware,
    Shutdown,
    ShutdownNotifications,
    SkipMessage,
    TimeLimit,
    TimeLimitExceeded,
)
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ifood_actors import metrics
from ifood_actors.db import missing_right, repeated, transaction
from ifood_actors.delivery import context
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.delivery.retries import Backoff, Fail, LetGo, Retry, Snooze, decide
from ifood_actors.errors import (
    DatabaseFault,
    GatewayFault,
    JobError,
    LeaseLost,
    RightMissing,
    ServerFault,
    Throttled,
    TimeLimitReached,
    causes,
)
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ledger import ClaimedJob, Ledger
from ifood_actors.logs import get_logger

log = get_logger(__name__)

# HTTP total 60 s < page loop 8 min < this < RabbitMQ's consumer_timeout of 30 min.
JOB_LIMIT = timedelta(minutes=10)

SHORT_COOLDOWN = timedelta(seconds=5)

CLAIM_AGAIN_MS = 10_000


class Prefetch(Middleware):
    """Take no more messages than there are threads: what waits belongs in the queue."""

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        worker.queue_prefetch = worker.worker_threads


class LogContext(Middleware):
    """Bind the ids of a delivery to every log line that it causes."""

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        context.begin(message.actor_name, **message.kwargs)


class Metrics(Middleware):
    """Count deliveries and their duration, by kind and outcome."""

    def __init__(self) -> None:
        self._started: ContextVar[float] = ContextVar("started")

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        self._started.set(monotonic())

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002
        message: MessageProxy,
        *,
        result: object = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        outcome = "done" if exception is None else classify(exception).code
        self._count(message, outcome)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        self._count(message, "skipped")

    def _count(self, message: MessageProxy, outcome: str) -> None:
        seconds = monotonic() - self._started.get()
        metrics.DELIVERIES.labels(kind=message.actor_name, outcome=outcome).observe(seconds)


class RateLimit(Middleware):
    """
    Send a job back, before it is claimed, while its application's limiter is in cooldown.

    A cooldown that ends soon is waited for at the limiter: to send the whole queue away would cost
    two rows of history for each job, and a tick of the relay.
    """

    def __init__(self, engine: Engine, limiter: Limiter, *, actor: str) -> None:
        self._engine = engine
        self._limiter = limiter
        self._actor = actor

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        left = self._limiter.cooldowns("financial")
        long = {app_id: wait for app_id, wait in left.items() if wait > SHORT_COOLDOWN}
        if not long:  # the usual case, at no cost
            return
        ours = JobMessage.from_kwargs(message.kwargs)

        after = repeated(
            self._engine,
            lambda tx: Ledger(tx, actor=self._actor).snooze_unclaimed(
                ours.job_id, ours.dispatch_no, cooldowns=long, reason="the limiter is in cooldown"
            ),
        )
        if after is None:
            return
        log.info("job.snoozed", after_seconds=after.total_seconds(), reason="limiter in cooldown")
        raise SkipMessage("the limiter of its application is in cooldown")


class LedgerRetry(Middleware):
    """Settle what an actor raised: the ledger retries, snoozes or fails, and the relay sends."""

    def __init__(
        self, engine: Engine, limiter: Limiter, *, backoff: Backoff, max_attempts: int, actor: str
    ) -> None:
        self._engine = engine
        self._limiter = limiter
        self._backoff = backoff
        self._max_attempts = max_attempts
        self._actor = actor

    @property
    def actor_options(self) -> set[str]:
        return {"throws"}

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: object = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        if exception is None:
            return
        error = classify(exception)
        settled = False
        if isinstance(error, RightMissing):
            log.error("worker.denied", reason=str(error))
        try:
            job = context.noted_claim() or self._found()
            settled = job is not None and self._settle(job, error)
        finally:
            # The claim found no database or no slot, or was interrupted. The same message again,
            # soon: the relay's grace is longer, and an extra copy does no harm.
            if not settled and isinstance(error, DatabaseFault | Throttled):
                broker.enqueue(message.copy(options={}), delay=_again_in_ms(error))

    def _found(self) -> ClaimedJob | None:
        """Find the job whose claim was sent, and perhaps committed, but not answered."""
        claim = context.unanswered_claim()
        if claim is None:
            return None
        with transaction(self._engine) as tx:  # once: while Postgres is away, the lease decides
            return Ledger(tx, actor=self._actor).held(*claim)

    def _settle(self, job: ClaimedJob, error: JobError) -> bool:
        """Write down what becomes of the job; False when it is not ours, or not claimed at all."""
        if isinstance(error, ServerFault):
            error = self._blame(job, error)
        decision = decide(
            error,
            attempts=job.attempts,
            max_attempts=self._max_attempts,
            backoff=self._backoff,
            jitter=random(),  # noqa: S311 - spreads retries, guards nothing
        )
        reason = str(error)

        def settle(tx: Connection) -> None:
            ledger = Ledger(tx, actor=self._actor)
            ledger.wait_for(job.id)  # an interrupt may have come in the commit of its claim
            match decision:
                case Retry(after, code):
                    ledger.retry(job, after=after, error_code=code, reason=reason)
                case Snooze(after):
                    status = error.status if isinstance(error, Throttled) else None
                    ledger.snooze(job, after=after, reason=reason, http_status=status)
                case Fail(code):
                    ledger.fail(job, error_code=code, reason=reason)

        try:
            if not isinstance(decision, LetGo):
                repeated(self._engine, settle)
        except LeaseLost as lost:
            decision, reason = LetGo(), str(lost)
        log.warning(_EVENTS[type(decision)], error_code=error.code, reason=reason)
        return not isinstance(decision, LetGo)

    def _blame(self, job: ClaimedJob, error: ServerFault) -> JobError:
        """Tell the breaker; what fails while it is open is charged to no job."""
        refused = isinstance(error, GatewayFault) and error.refuses
        try:
            cooldown = job.app_id and self._limiter.failed(
                job.app_id, "financial", blocked_by=str(error) if refused else None
            )
        except SQLAlchemyError:
            return error  # to settle the job matters more, and is tried more than once
        return Throttled(str(error), after=cooldown) if cooldown else error


def _again_in_ms(error: DatabaseFault | Throttled) -> int | None:
    if isinstance(error, DatabaseFault):
        return CLAIM_AGAIN_MS
    return -(-error.after // timedelta(milliseconds=1)) or None  # rounded up: never early


_EVENTS = {
    Retry: "job.retried",
    Snooze: "job.snoozed",
    Fail: "job.failed",
    LetGo: "job.let_go",
}


def classify(exception: BaseException) -> JobError:
    """
    Name what an actor raised in this project's words.

    An interrupt may be hidden behind what it broke, such as a query that was under way. The text of
    an unknown exception may hold anything, so only its type gets into the ledger; the log has the
    traceback.
    """
    interrupts = (one for one in causes(exception) if isinstance(one, Shutdown | TimeLimitExceeded))
    match next(interrupts, exception):
        case JobError() as error:
            return error
        case Shutdown():
            return Throttled("the worker was stopped", after=timedelta(0))
        case TimeLimitExceeded():
            return TimeLimitReached(f"the job ran longer than {JOB_LIMIT}")
        case DBAPIError() if denied := missing_right(exception):
            return RightMissing(denied)
        case DBAPIError() | PoolTimeout():
            return DatabaseFault(f"Postgres: {type(exception).__name__}")
        case _:
            return JobError(f"unexpected {type(exception).__name__}, see the worker's log")


class Interrupts(ShutdownNotifications):
    """Interrupts each thread that has a delivery when its worker stops."""

    def __init__(self) -> None:
        super().__init__(notify_shutdown=True)
        self.manager.notifications = Threads()  # type: ignore[attr-defined] # of the one for threads


class Threads(set[int]):
    """Dramatiq goes through them while they come and go, which a set takes for a fault."""

    def __iter__(self) -> Iterator[int]:
        return iter(frozenset(self))


def middleware(
    engine: Engine, *, limiter: Limiter, backoff: Backoff, max_attempts: int, actor: str
) -> list[Middleware]:
    """Everything around a delivery, in the one order that works."""
    return [  # before-hooks run downward, after-hooks upward
        Prefetch(),
        LogContext(),  # first of those that log
        Metrics(),  # before the gate: its after_skip must have seen a before
        RateLimit(engine, limiter, actor=actor),  # refuses before a claim, so nothing is spent
        LedgerRetry(engine, limiter, backoff=backoff, max_attempts=max_attempts, actor=actor),
        # The two that interrupt are last, so that they interrupt no other's after-hook.
        Interrupts(),  # a stopping worker snoozes its jobs
        TimeLimit(time_limit=JOB_LIMIT.total_seconds() * 1000),
    ]
