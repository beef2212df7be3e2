"""Puts middleware and actors on a broker: all that runs jobs, given what it works with."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from dramatiq import Broker, Middleware, Worker
from sqlalchemy import Engine

from ifood_actors.delivery.actors import declare_actors
from ifood_actors.delivery.admission import Admission
from ifood_actors.delivery.leases import Leases
from ifood_actors.delivery.middleware import middleware
from ifood_actors.delivery.retries import Backoff
from ifood_actors.ifood.http import IfoodClient
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.logs import get_logger

log = get_logger(__name__)

BrokerT = TypeVar("BrokerT", bound=Broker)


def broker_for_jobs(
    make_broker: Callable[[list[Middleware]], BrokerT],
    *,
    engine: Engine,
    client: IfoodClient,
    limiter: Limiter,
    lease: timedelta,
    backoff: Backoff,
    max_attempts: int,
    actor: str,
) -> BrokerT:
    """
    Return the broker that `make_broker` makes of the middleware, with the actor of every feed.

    Nothing is connected yet. `actor` is who the history of jobs names. The client is closed when
    a worker of this broker has stopped.
    """
    leases = Leases(engine, length=lease, actor=actor)
    broker = make_broker(
        middleware(engine, limiter=limiter, backoff=backoff, max_attempts=max_attempts, actor=actor)
    )
    admission = Admission(engine, limiter, actor=actor)
    declare_actors(broker, engine=engine, client=client, leases=leases, admission=admission)
    broker.add_middleware(_Lifecycle(client, leases))
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
