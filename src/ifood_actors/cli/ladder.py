"""RabbitMQ as a process gets it: reachable, and with the queues as this version declares them."""

from typing import TYPE_CHECKING

from ifood_actors.messaging.broker import ladder_broker
from ifood_actors.messaging.orders import KINDS, queue_name

if TYPE_CHECKING:
    from ifood_actors.config import Settings
    from ifood_actors.messaging.broker import LadderBroker


def ladder(settings: "Settings", *, name: str) -> "LadderBroker":
    """
    Make the broker with the queues of all kinds; nothing is connected yet.

    Raises UsageError without a URL.
    """
    broker = ladder_broker(
        settings.require_broker_url(), middleware=[], connection_name=f"ifood-actors {name}"
    )
    for kind in KINDS:
        broker.declare_queue(queue_name(kind))
    return broker
