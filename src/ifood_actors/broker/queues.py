"""How full queues are and who takes from them, as any user who can log in may ask."""

from collections.abc import Iterable
from dataclasses import dataclass

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from ifood_actors.broker.addresses import BROKEN, URL_NAME, connection_parameters, unreachable


@dataclass(frozen=True, slots=True)
class QueueState:
    """
    Messages that wait in a queue, and consumers; a queue that is not there has neither.

    In RabbitMQ's answer, a quorum queue whose leader is silent for 250 ms has neither.
    """

    name: str
    ready: int
    consumers: int


def queue_states(
    url: str, names: Iterable[str], *, connection_name: str, url_name: str = URL_NAME
) -> list[QueueState]:
    """Ask RabbitMQ for each queue, in order, over a new connection. Raises ServiceUnavailable."""
    parameters = connection_parameters(url, connection_name=connection_name)
    try:
        with pika.BlockingConnection(parameters) as connection:
            return [_state(connection, name) for name in names]
    except BROKEN as error:
        raise unreachable(parameters, error, url_name=url_name) from None


def ask_for(name: str, channel: BlockingChannel) -> QueueState:
    """Ask for one queue; a queue that is not there closes the channel."""
    found = channel.queue_declare(name, passive=True).method
    return QueueState(name, ready=found.message_count, consumers=found.consumer_count)


def _state(connection: pika.BlockingConnection, name: str) -> QueueState:
    channel = connection.channel()
    try:
        state = ask_for(name, channel)
    except ChannelClosedByBroker:
        return QueueState(name, ready=0, consumers=0)
    channel.close()
    return state
