"""Connects a worker to Postgres and RabbitMQ by the settings."""

from collections.abc import Iterator
from contextlib import contextmanager

from dramatiq import Broker, Worker

from ifood_actors.broker import LadderBroker
from ifood_actors.config import Settings
from ifood_actors.db import connect, require_reachable
from ifood_actors.delivery.job_broker import compose_broker
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.ifood.tokens import Cipher
from ifood_actors.ifood.tokens.rotation import require_readable
from ifood_actors.migrations import require_current

# How often threads of this process look up from waiting; also the step of an in-process delay.
IDLE_MS = 50


def connect_worker(settings: Settings) -> Broker:
    """
    Return a broker with all that runs jobs, whose queues RabbitMQ has.

    Raises UsageError for settings, a schema or a key that a worker cannot work with, and
    ServiceUnavailable when Postgres or RabbitMQ cannot be reached.
    """
    engine = connect(
        settings.require_database_url(),
        application_name="ifood-actors worker",
        pool_size=settings.worker_threads + 2,
        schema=settings.database_schema,
    )
    require_reachable(engine)
    with engine.connect() as connection:
        require_current(connection)
    require_readable(engine, Cipher(settings.require_encryption_keys()))
    url = settings.require_broker_url()
    broker = compose_broker(
        settings,
        engine=engine,
        make_broker=lambda chain: LadderBroker(
            url,
            middleware=chain,
            check=JobMessage.from_message,  # nothing else reaches a worker
            connection_name="ifood-actors worker",
            url_name="IFOOD_BROKER_URL",
        ),
    )
    broker.declare_all()
    return broker


@contextmanager
def working(broker: Broker, *, threads: int) -> Iterator[None]:
    """Run a broker's jobs in threads of this process for the length of the block."""
    broker.emit_after("process_boot")  # what the command does in a new process
    worker = Worker(broker, worker_timeout=IDLE_MS, worker_threads=threads)
    worker.start()
    try:
        yield
    finally:
        worker.stop()
