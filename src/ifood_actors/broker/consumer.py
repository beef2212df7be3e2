"""
A consumer that hands no message to a worker which could harm it.

Dramatiq trusts what it decodes. A body that names another queue ends the worker thread with a
KeyError, one with the option `eta` is held un-acked in memory, one with callbacks or pipes makes
the worker send messages of the forger's choice. A message refused here goes to the dead-letter
queue, and one event tells why.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import structlog
from dramatiq import Message
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import ConnectionClosed, DecodeError
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from ifood_actors.broker.addresses import BROKEN

BODY_MAX: Final = 16 * 1024
"""Bytes of a body: an id, not a document; Dramatiq's own retries add a traceback."""

Delivery = tuple[Any, Any, Any]

Check = Callable[[Message[Any]], object]
"""Raises ValueError for a message that must not reach an actor."""

log = structlog.get_logger(__name__)

_FIELDS: Final[dict[str, type]] = {
    "actor_name": str,
    "kwargs": dict,
    "options": dict,
    "message_id": str,
    "message_timestamp": int,
}


def refusal(body: bytes, *, queue: str, check: Check | None) -> str | None:
    """Why a body that `queue` delivered must not reach a worker; None when it may."""
    if len(body) > BODY_MAX:
        return "larger than any message"
    try:
        message = Message.decode(body)
    except DecodeError:
        return "not a message"
    if message.queue_name != queue:
        return "names another queue"
    if any(not isinstance(getattr(message, name), kind) for name, kind in _FIELDS.items()):
        return "a field has the wrong type"
    if "eta" in message.options:
        return "asks to be held in memory"
    return _checked(message, check) if check else None


def _checked(message: Message[Any], check: Check) -> str | None:
    try:
        check(message)
    except ValueError as error:
        return str(error)
    return None


class CheckingConsumer(_RabbitmqConsumer):
    """Dramatiq's RabbitMQ consumer, which sees only what `refusal` lets through."""

    def __init__(
        self,
        broker: RabbitmqBroker,
        queue_name: str,
        prefetch: int,
        timeout: int,
        *,
        check: Check | None,
    ) -> None:
        """`timeout` in milliseconds. Raises ConnectionClosed when RabbitMQ cannot be reached."""
        try:
            super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call] # Dramatiq's
        # An unknown host and a silent one; the stock class knows neither as a lost connection.
        except (OSError, AMQPConnectorException) as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call] # Dramatiq's
        self._check = check
        self.iterator = self._accepted(self.iterator)

    def close(self) -> None:
        """Close the connection even when RabbitMQ has closed the channel: its queue was gone."""
        try:
            super().close()  # type: ignore[no-untyped-call] # Dramatiq's
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        try:
            if self.connection.is_open:
                self.connection.close()
        except BROKEN as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call] # Dramatiq's

    def _accepted(self, deliveries: Iterator[Delivery]) -> Generator[Delivery, None, None]:
        for delivery in deliveries:
            method, _properties, body = delivery
            reason = method and refusal(body, queue=self.queue_name, check=self._check)
            if not reason:
                yield delivery
                continue
            log.warning("message.refused", queue=self.queue_name, reason=reason, bytes=len(body))
            self._nack(method.delivery_tag)  # type: ignore[no-untyped-call] # Dramatiq's
            yield None, None, None  # to the stock class: nothing came
