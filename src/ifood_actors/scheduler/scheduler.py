"""The scheduler process. APScheduler only ticks; what is due is read from the ledger each time."""

import os
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event

from apscheduler.schedulers.background import BackgroundScheduler
from dramatiq import BrokerConnectionError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ifood_actors.alerts import Evaluator, Notifier
from ifood_actors.config import Settings
from ifood_actors.db import missing_right, reason_of
from ifood_actors.errors import IfoodActorsError, UsageError
from ifood_actors.figures import RULES, AlertRule
from ifood_actors.ifood.connect import Ifood, connect_ifood
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import Role, process_actor
from ifood_actors.logs import get_logger
from ifood_actors.planning import planner
from ifood_actors.scheduler import deaths, heartbeat, losses, retention
from ifood_actors.scheduler.deaths import DeathDetector
from ifood_actors.scheduler.losses import LossDetector, QueueInspector
from ifood_actors.scheduler.progress_log import ProgressLog
from ifood_actors.scheduler.refresher import AT_A_TIME, EVERY, Refresher
from ifood_actors.scheduler.relay import Publisher, Relay
from ifood_actors.scheduler.slot_budget import relay_rate
from ifood_actors.signal_pipe import SignalPipe

log = get_logger(__name__)

# Transactions at the same time: one a tick, and the refresher's.
POOL_SIZE = 10 + AT_A_TIME
_WATCH_EVERY_TICKS = 6  # of the relay
_WATCH_AT_LEAST_EVERY = timedelta(minutes=1)  # which is also the default
_WATCH = "alerts"
# Seconds; the contract says 30.
STOP_WITHIN = 25


class Scheduler:
    """
    Plans what has opened, relays what is due, refreshes tokens ahead, and watches over all of it.

    Several schedulers do no harm.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        engine: Engine,
        publisher: Publisher,
        inspector: QueueInspector | None = None,
        rules: Sequence[AlertRule] = RULES,
    ) -> None:
        """
        Take the way to RabbitMQ, and who tells what is there; without, no message is missed early.

        Raise UsageError for an address in `IFOOD_ALERT_URLS` that nothing can be sent to.
        """
        self._settings = settings
        self._engine = engine
        self._actor = process_actor(Role.SCHEDULER)
        jitter = settings.lease / 4  # with the lease and a tick, claimed again within 90 s
        self._relay = Relay(
            engine,
            publisher,
            horizon=settings.dispatch_horizon,
            jitter=jitter,
            max_attempts=settings.worker_max_attempts,
            rate=relay_rate(settings),
            actor=self._actor,
        )
        self._deaths = DeathDetector(
            engine, jitter=jitter, max_attempts=settings.worker_max_attempts, actor=self._actor
        )
        self._losses = inspector and LossDetector(
            engine, inspector, threads=settings.worker_threads
        )
        notifier = Notifier(settings.reveal_alert_urls())
        self._denied: dict[str, str] = {}  # ticks, and which right each lacks
        self._evaluator = Evaluator(
            engine, settings, notifier=notifier, rules=rules, denied=self._denied
        )
        self._beating = False
        self._stopping = Event()
        self._ifood: Ifood | None = None
        # A tick that is late is run once, late; a tick that overruns swallows the next ones.
        self._ticks = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(
        self, *, plan: bool = True, give_up: Callable[[str], object] = lambda _: None
    ) -> None:
        """
        Tick in background threads, for the first time at once; `plan` False only relays.

        `give_up` is called with the reason when no one can be told that a right is missing.
        """
        self._give_up = give_up
        often = self._settings.poll_interval
        self._tick("relay", self._relay.run, every=often)
        self._tick("deaths", self._take_over, every=deaths.EVERY)
        if self._losses:
            self._tick("losses", self._losses.run, every=losses.EVERY)
        if plan:
            for kind in KINDS:
                self._tick(f"plan {kind}", partial(self._plan, kind), every=often)
            self._refresh_ahead()
            self._tick("progress", ProgressLog(self._engine).run, every=often)
            old = retention.Retention(self._engine, self._settings, stopping=self._stopping)
            self._tick("retention", old.run, every=retention.EVERY)
            self._keep_watch(every=min(_WATCH_EVERY_TICKS * often, _WATCH_AT_LEAST_EVERY))
        self._ticks.start()

    def stop(self) -> None:
        """Stop ticking; a tick that is under way ends first."""
        self._stopping.set()
        self._ticks.shutdown()
        self._deaths.close()
        if self._ifood:
            self._ifood.close()
        if self._beating:
            self._surviving(partial(heartbeat.end, self._engine), name="heartbeat")()

    def _take_over(self) -> None:
        if self._deaths.run():
            self._relay.run()  # at once: its own tick may be ten seconds away

    def _tick(self, name: str, tick: Callable[[], object], *, every: timedelta) -> None:
        self._ticks.add_job(
            self._surviving(tick, name=name),
            "interval",
            seconds=every.total_seconds(),
            next_run_time=datetime.now(UTC),
        )

    def _refresh_ahead(self) -> None:
        if self._settings.encryption_keys is None:
            log.warning("tokens.not_renewed_ahead", reason="IFOOD_ENCRYPTION_KEYS is not set")
            return
        self._ifood = connect_ifood(
            self._engine, self._settings, threads=AT_A_TIME, stopping=self._stopping
        )
        refresher = Refresher(self._engine, self._settings, tokens=self._ifood.tokens)
        self._tick("tokens", refresher.run, every=EVERY)

    def _keep_watch(self, *, every: timedelta) -> None:
        self._beating = True
        beat = partial(heartbeat.beat, self._engine, file=self._settings.heartbeat_file)
        # Before the first look, which would find a host that was silent until now.
        self._surviving(beat, name="heartbeat")()
        self._tick("heartbeat", beat, every=heartbeat.EVERY)
        self._tick(_WATCH, self._evaluator.run, every=every)

    def _plan(self, kind: str) -> None:
        now = datetime.now(UTC)
        planner.plan_due(self._engine, self._settings, kind=kind, at=now, actor=self._actor)

    def _surviving(self, tick: Callable[[], object], *, name: str) -> Callable[[], None]:
        def survive() -> None:
            try:
                tick()
            except (IfoodActorsError, BrokerConnectionError, DBAPIError, PoolTimeout) as error:
                self._note(error, tick=name)
            else:
                self._denied.pop(name, None)

        return survive

    def _note(self, error: Exception, *, tick: str) -> None:
        if denied := missing_right(error):
            log.error("scheduler.denied", tick=tick, reason=denied)
            self._denied[tick] = denied
            if tick == _WATCH:
                self._give_up(denied)
            return
        # The next tick finds the same rows: nothing is lost by giving this one up.
        log.warning("scheduler.tick_failed", tick=tick, reason=reason_of(error))


def run(
    settings: Settings,
    *,
    engine: Engine,
    publisher: Publisher,
    inspector: QueueInspector | None = None,
) -> None:
    """
    Run until TERM or INT; a second signal ends the process at once.

    A tick that hangs is left behind after 25 s: what it has not committed, the next one finds.
    Raises UsageError when the login may not even watch, so that no one would be told.
    """
    signals = SignalPipe()
    stopping = False
    reasons: list[str] = []

    def give_up(reason: str) -> None:
        reasons.append(reason)
        signals.wake()

    def stop(signum: int, _frame: object) -> None:
        nonlocal stopping
        if stopping:
            os._exit(128 + signum)
        stopping = True

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stop)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    scheduler = Scheduler(settings, engine=engine, publisher=publisher, inspector=inspector)
    scheduler.start(give_up=give_up)
    log.info("scheduler.started", poll_seconds=settings.poll_interval.total_seconds())
    while not stopping and not reasons:
        signals.wait()
    signal.alarm(STOP_WITHIN)
    scheduler.stop()
    log.info("scheduler.stopped")
    if reasons:
        raise UsageError(reasons[0])
