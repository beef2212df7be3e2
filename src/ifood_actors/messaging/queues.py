"""How full queues are and who takes from them, as anybody may ask who can log in."""

from collections.abc import Iterable
from dataclasses import dataclass

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, ChannelClosedByBroker

from ifood_actors.messaging.addresses import connection_parameters, unreachable


@dataclass(frozen=True, slots=True)
class QueueState:
    """Messages that wait in a queue, and consumers; a queue that is not there has neither."""

    name: str
    ready: int
    consumers: int


def queue_states(url: str, names: Iterable[str]) -> list[QueueState]:
    """Ask RabbitMQ for each queue, in order. Raises ServiceUnavailable."""
    parameters = connection_parameters(url, connection_name="ifood-actors alerts")
    try:
        with pika.BlockingConnection(parameters) as connection:
            return [_state(connection, name) for name in names]
    except (AMQPError, AMQPConnectorException, OSError) as error:
        raise unreachable(parameters, error) from None


def _state(connection: pika.BlockingConnection, name: str) -> QueueState:
    channel = connection.channel()  # a queue that is not there closes it
    try:
        found = channel.queue_declare(name, passive=True).method
    except ChannelClosedByBroker:
        return QueueState(name, ready=0, consumers=0)
    channel.close()
    return QueueState(name, ready=found.message_count, consumers=found.consumer_count)
