"""What the demo runs on: Postgres, a broker, workers, and the simulator in iFood's place."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from threading import Event
from time import monotonic
from typing import Literal

from cryptography.fernet import Fernet
from sqlalchemy import Engine

from ifood_actors import migrations
from ifood_actors.broker import LadderBroker
from ifood_actors.config import Settings
from ifood_actors.config.loading import child_environment
from ifood_actors.db import connect
from ifood_actors.delivery.job_broker import compose_broker
from ifood_actors.demo.queue_counts import count_queues
from ifood_actors.demo.scale import Scale
from ifood_actors.embedded import Management, seed, services
from ifood_actors.embedded.inprocess import InProcessBroker
from ifood_actors.errors import ServiceUnavailable
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.scheduler import Publisher
from ifood_actors.worker.composition import working
from ifood_simulator import Fault, FaultRates, Simulator, running
from ifood_simulator import Settings as SimulatorSettings

BrokerKind = Literal["embedded", "rabbitmq"]

_START_SECONDS = 60
_STOP_SECONDS = 30
_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Environment:
    """Everything that runs, until the block that made it ends."""

    settings: Settings
    engine: Engine
    publisher: Publisher
    simulator: Simulator
    management: Management | None
    database: str


@contextmanager
def start_environment(
    accounts: int, scaled: Scale, *, broker: BrokerKind, monday: date
) -> Iterator[Environment]:
    """Start all parts, register the application and its accounts, and start the workers."""
    with ExitStack() as parts:
        simulator = parts.enter_context(running(_trouble(accounts, scaled, monday=monday)))
        for fault in _throttling(accounts):
            simulator.add_fault(fault)
        postgres = parts.enter_context(services.postgres(durable=False))
        rabbit = parts.enter_context(services.rabbitmq()) if broker == "rabbitmq" else None
        settings = _settings(
            scaled,
            database_url=postgres.url,
            broker_url=rabbit.url if rabbit else None,
            api_base_url=simulator.url,
        )
        migrations.upgrade(settings.require_database_url())
        engine = connect(
            settings.require_database_url(),
            application_name="ifood-actors demo",
            pool_size=settings.worker_max_concurrency + 6,
        )
        parts.callback(engine.dispose)
        seed(engine, simulator, keys=settings.require_encryption_keys())
        management = rabbit.management if rabbit else None
        workers = _dramatiq(settings, management) if rabbit else _threads(settings, engine)
        publisher = parts.enter_context(workers)
        yield Environment(settings, engine, publisher, simulator, management, postgres.source)


def _trouble(accounts: int, scaled: Scale, *, monday: date) -> SimulatorSettings:
    """Describe the day: most stores have no anticipation plan, some are revoked, the API fails."""
    return SimulatorSettings(
        merchants=accounts,
        today=monday,
        financial_per_minute=scaled.limit,
        revoked_share=0.01,
        faults=FaultRates(server_error=0.01, bad_gateway=0.005, cut=0.003),
    )


def _throttling(accounts: int) -> list[Fault]:
    """Add three 429s on the way; each is a cooldown of two seconds for all processes."""
    return [
        Fault(
            "status",
            resource="sales",
            status=429,
            headers={"Retry-After": "2"},
            times=1,
            after=accounts * part // 4,
        )
        for part in (1, 2, 3)
    ]


def _settings(scaled: Scale, **urls: str | None) -> Settings:
    return Settings.model_validate(
        {
            **urls,
            "api_allow_host": "127.0.0.1",
            "encryption_keys": Fernet.generate_key().decode(),
            "rate_limit_per_minute": scaled.limit,
            "worker_poll_interval_ms": 250,
            "worker_max_attempts": 5,
            "backoff_base": "1s",
            "backoff_cap": "8s",
            "log_level": "error",
        }
    )


@contextmanager
def _threads(settings: Settings, engine: Engine) -> Iterator[Publisher]:
    broker = compose_broker(settings, engine=engine, make_broker=InProcessBroker)
    with working(broker, threads=settings.worker_max_concurrency):
        yield broker


@contextmanager
def _dramatiq(settings: Settings, management: Management | None) -> Iterator[Publisher]:
    broker = LadderBroker(settings.require_broker_url(), connection_name="ifood-actors demo")
    for kind in KINDS:
        broker.declare_queue(queue_name(kind))
    broker.declare_all()
    command = [
        *(sys.executable, "-P", "-m", "dramatiq", "ifood_actors.worker", "--skip-logging"),
        "--path",  # none: no module comes from the current folder
        *("--processes", str(settings.worker_processes)),
        *("--threads", str(settings.worker_threads)),
        *("--worker-shutdown-timeout", "20000"),
    ]
    variables = child_environment(settings)
    workers = subprocess.Popen(command, env=variables, start_new_session=True)  # noqa: S603 - ours
    try:
        _await_consumers(workers, settings, management)
        yield broker
    finally:
        workers.terminate()
        try:
            workers.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            workers.kill()
        broker.close()


def _await_consumers(
    workers: subprocess.Popen[bytes], settings: Settings, management: Management | None
) -> None:
    """Wait until every worker process listens on every queue, so that each slot finds a worker."""
    if management is None:
        return
    expected = settings.worker_processes * len(KINDS)
    give_up = monotonic() + _START_SECONDS
    while count_queues(management).consumers < expected:
        if workers.poll() is not None or monotonic() > give_up:
            raise ServiceUnavailable("the dramatiq workers did not start; see what they printed")
        Event().wait(_LOOK_SECONDS)
