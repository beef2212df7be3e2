"""RabbitMQ as a process gets it: reachable, and with the queues as this version declares them."""

from ifood_actors.broker import LadderBroker
from ifood_actors.config import Settings
from ifood_actors.kinds import KINDS, queue_name


def ladder(settings: Settings, *, name: str) -> LadderBroker:
    """
    Make the broker with the queues of all kinds; nothing is connected yet.

    Raises UsageError without a URL.
    """
    broker = LadderBroker(
        settings.require_broker_url(),
        middleware=[],
        connection_name=f"ifood-actors {name}",
        url_name="IFOOD_BROKER_URL",
    )
    for kind in KINDS:
        broker.declare_queue(queue_name(kind))
    return broker
