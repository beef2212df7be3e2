"""Builds a worker from the settings: the one place that knows every collaborator."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from dramatiq import Broker, Middleware, Worker
from sqlalchemy import Engine

from ifood_actors.config import Settings
from ifood_actors.delivery.actors import declare_actors
from ifood_actors.delivery.admission import Admission
from ifood_actors.delivery.leases import Leases
from ifood_actors.delivery.middleware import middleware
from ifood_actors.delivery.retries import Backoff
from ifood_actors.ifood import IfoodClient, connect_ifood
from ifood_actors.ledger import Role, process_actor
from ifood_actors.logs import get_logger

log = get_logger(__name__)

# How often threads of this process look up from waiting; also the step of an in-process delay.
IDLE_MS = 50

BrokerT = TypeVar("BrokerT", bound=Broker)


def assemble(
    settings: Settings, *, engine: Engine, make_broker: Callable[[list[Middleware]], BrokerT]
) -> BrokerT:
    """Make a broker whose middleware and actors are this project's; nothing is connected yet."""
    actor = process_actor(Role.WORKER)
    ifood = connect_ifood(engine, settings, threads=settings.worker_threads)
    leases = Leases(engine, length=settings.lease, actor=actor)
    broker = make_broker(
        middleware(
            engine,
            limiter=ifood.limiter,
            backoff=Backoff(settings.backoff_base, settings.backoff_cap),
            max_attempts=settings.worker_max_attempts,
            actor=actor,
        )
    )
    admission = Admission(engine, ifood.limiter, actor=actor)
    declare_actors(broker, engine=engine, client=ifood.client, leases=leases, admission=admission)
    broker.add_middleware(_Lifecycle(ifood.client, leases))
    return broker


class _Lifecycle(Middleware):
    def __init__(self, client: IfoodClient, leases: Leases) -> None:
        self._client = client
        self._leases = leases

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        log.info("worker.started", threads=worker.worker_threads)

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        self._leases.stop()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        self._client.close()


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
