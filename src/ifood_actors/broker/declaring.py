"""Declare a topology on RabbitMQ, and say clearly why it cannot be."""

from typing import Final

from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from ifood_actors.broker.topology import Binding, Exchange, Queue, Topology
from ifood_actors.errors import UsageError

_ACCESS_REFUSED: Final = 403  # reply codes of AMQP 0-9-1
_PRECONDITION_FAILED: Final = 406


def declare(channel: BlockingChannel, topology: Topology) -> None:
    """
    Create what is missing.

    Raises UsageError for an object that exists with other arguments, that this user may not declare
    or that is beyond a limit of the virtual host; pika's errors for a connection that breaks.
    """
    for each in topology.in_order:
        try:
            _declare(channel, each)
        except ChannelClosedByBroker as error:
            if error.reply_code in {_ACCESS_REFUSED, _PRECONDITION_FAILED}:
                raise UsageError(_refusal(each, error)) from error
            raise


def _declare(channel: BlockingChannel, wanted: Exchange | Queue | Binding) -> None:
    match wanted:
        case Exchange(name, kind):
            channel.exchange_declare(name, kind, durable=True, arguments=wanted.arguments)
        case Queue(name):
            channel.queue_declare(name, durable=True, arguments=wanted.arguments)
        case Binding(source, Queue(name), pattern):
            channel.queue_bind(name, source, pattern)
        case Binding(source, Exchange(name), pattern):
            channel.exchange_bind(name, source, pattern)


def _refusal(wanted: Exchange | Queue | Binding, error: ChannelClosedByBroker) -> str:
    name = wanted.source if isinstance(wanted, Binding) else wanted.name
    if error.reply_code == _ACCESS_REFUSED:
        return f"RabbitMQ does not let this user declare {name}: {error.reply_text}"
    if " limit in vhost " in error.reply_text:  # with the same reply code
        return f"RabbitMQ has no room for {name}: {error.reply_text}; raise the limit"
    return (
        f"RabbitMQ has {name} with other arguments than this release declares: let it run empty, "
        f"delete it, start again ({error.reply_text})"
    )
