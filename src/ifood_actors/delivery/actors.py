"""The actors: one a kind, each on the kind's queue, all with the same story."""

from collections.abc import Callable

import dramatiq
from dramatiq import Broker
from dramatiq.middleware import Shutdown, TimeLimitExceeded
from sqlalchemy import Engine

from ifood_actors.delivery.admission import Admission
from ifood_actors.delivery.execute import execute
from ifood_actors.delivery.leases import Leases
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.errors import JobError
from ifood_actors.ifood.http import IfoodClient
from ifood_actors.kinds import KINDS, queue_name

EXPECTED = (JobError, Shutdown, TimeLimitExceeded)


def declare_actors(
    broker: Broker, *, engine: Engine, client: IfoodClient, leases: Leases, admission: Admission
) -> None:
    """Declare the actor of every feed on `broker`."""

    def actor_of(kind: str) -> Callable[[str, int], None]:
        def run(job_id: str, dispatch_no: int) -> None:
            message = JobMessage.from_kwargs({"job_id": job_id, "dispatch_no": dispatch_no})
            execute(
                message,
                kind=kind,
                engine=engine,
                client=client,
                leases=leases,
                admission=admission,
            )

        return run

    for kind in KINDS:
        dramatiq.actor(
            actor_name=kind,
            queue_name=queue_name(kind),
            broker=broker,
            throws=EXPECTED,  # settled by the ledger: no traceback in Dramatiq's log
        )(actor_of(kind))
