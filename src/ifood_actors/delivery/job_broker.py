"""Composes the broker that runs jobs: middleware and actors, from the settings."""

from collections.abc import Callable
from typing import TypeVar

import dramatiq
from dramatiq import Broker, Middleware, Worker
from dramatiq.middleware import Shutdown, TimeLimitExceeded
from sqlalchemy import Engine

from ifood_actors.config import Settings
from ifood_actors.delivery.admission import Admission
from ifood_actors.delivery.claims import Claims
from ifood_actors.delivery.execute import execute
from ifood_actors.delivery.leases import Leases
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.delivery.middleware import middleware
from ifood_actors.delivery.retries import Backoff
from ifood_actors.errors import JobError
from ifood_actors.ifood.connect import connect_ifood
from ifood_actors.ifood.http import IfoodClient
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.ledger import Role, process_actor
from ifood_actors.logs import get_logger

log = get_logger(__name__)

BrokerT = TypeVar("BrokerT", bound=Broker)


def compose_broker(
    settings: Settings, *, engine: Engine, make_broker: Callable[[list[Middleware]], BrokerT]
) -> BrokerT:
    """
    Return the broker that `make_broker` makes of the middleware, with the actor of every kind.

    Nothing is connected yet. The connections to iFood are closed when a worker of this broker has
    stopped. Raises UsageError when there is no key to read the secrets with.
    """
    actor = process_actor(Role.WORKER)
    ifood = connect_ifood(engine, settings, threads=settings.worker_threads)
    leases = Leases(engine, length=settings.lease, actor=actor)
    claims = Claims(engine, leases)
    admission = Admission(engine, ifood.limiter, actor=actor)
    broker = make_broker(
        middleware(
            engine,
            limiter=ifood.limiter,
            backoff=Backoff(settings.backoff_base, settings.backoff_cap),
            max_attempts=settings.worker_max_attempts,
            actor=actor,
        )
    )

    def actor_of(kind: str) -> Callable[[str, int], None]:
        def run(job_id: str, dispatch_no: int) -> None:
            execute(
                JobMessage.from_kwargs({"job_id": job_id, "dispatch_no": dispatch_no}),
                kind=kind,
                engine=engine,
                client=ifood.client,
                claims=claims,
                leases=leases,
                admission=admission,
            )

        return run

    for kind in KINDS:
        dramatiq.actor(
            actor_name=kind,
            queue_name=queue_name(kind),
            broker=broker,
            # Settled by the ledger: no traceback in Dramatiq's log.
            throws=(JobError, Shutdown, TimeLimitExceeded),
        )(actor_of(kind))
    broker.add_middleware(_Lifecycle(ifood.client, leases, claims))
    return broker


class _Lifecycle(Middleware):
    def __init__(self, client: IfoodClient, leases: Leases, claims: Claims) -> None:
        self._client = client
        self._leases = leases
        self._claims = claims

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        self._leases.start()
        self._claims.start()

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        log.info("worker.started", threads=worker.worker_threads)

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        self._leases.stop()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        self._client.close()
        self._claims.close()
        self._leases.close()
