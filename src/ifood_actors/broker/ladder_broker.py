"""
Dramatiq's RabbitMQ broker, with delays that RabbitMQ holds instead of a worker's memory.

It is used as the stock one is; docs/using_the_broker.md says how, and what differs. A delayed
message goes through the ladder of `topology.py` and carries the option `not_before` (epoch
milliseconds) instead of `eta`.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from threading import Event, Lock
from typing import Any, Final, TypeVar

import pika
from dramatiq import Message, Middleware
from dramatiq.broker import Consumer
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.common import current_millis
from dramatiq.errors import ConnectionClosed
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionBlockedTimeout,
    NackError,
    UnroutableError,
)

from ifood_actors.broker import topology
from ifood_actors.broker.addresses import BROKEN, URL_NAME, connection_parameters, unreachable
from ifood_actors.broker.consumer import BODY_MAX, Check, CheckingConsumer
from ifood_actors.broker.declaring import declare
from ifood_actors.broker.publishing import NotTaken, PublishingThreads, confirmed_within
from ifood_actors.broker.queues import QueueState, ask_for
from ifood_actors.broker.topology import Route

T = TypeVar("T")

# Seconds before each further attempt. The first comes at once: a connection died while idle, or a
# queue must be declared again. The others give a restarting RabbitMQ a moment.
PAUSES: Final = (0.0, 0.3, 1.0)

_NOT_FOUND: Final = 404  # a reply code of AMQP 0-9-1


class LadderBroker(RabbitmqBroker):
    """
    A `RabbitmqBroker` whose delayed messages wait in RabbitMQ.

    Made for one or several (`;`) `amqp://` or `amqps://` URLs; it connects on first use.
    `middleware` is as in Dramatiq: None means its default list. `check` raises ValueError for a
    message that must not reach a worker; None lets everything through that Dramatiq can run.
    `connection_name` is what RabbitMQ's lists of connections show, `url_name` what errors call the
    setting that holds the URL.
    Raises UsageError for a URL that cannot be read, without showing it.
    """

    def __init__(
        self,
        url: str,
        *,
        middleware: list[Middleware] | None = None,
        check: Check | None = None,
        connection_name: str = "dramatiq",
        url_name: str = URL_NAME,
    ) -> None:
        parameters = connection_parameters(url, connection_name=connection_name)
        super().__init__(confirm_delivery=True, middleware=middleware)
        self.parameters = parameters
        self._check = check
        self._url_name = url_name
        self._ladder_pending = True
        self._declaring = Lock()
        self._closed = Event()
        self._threads = PublishingThreads(
            connect=lambda: self.channel, rest=self._keep_alive, leave=self._disconnect
        )

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """
        Send a message, to arrive no earlier than `delay` milliseconds from now, at most 1 s later.

        Returns once RabbitMQ has confirmed it. None, zero and less mean at once.
        Raises ValueError for a delay beyond the ladder's reach and for a body that a consumer would
        refuse as too large, ConnectionClosed when RabbitMQ cannot be reached, and its subclass
        NotTaken when RabbitMQ refuses the message. Hooks of middleware run in publishing threads.
        """
        return self._threads.run(lambda: self._send(message, delay))

    def enqueue_many(self, batch: Iterable[tuple[Message[Any], int | None]]) -> None:
        """
        Send each message with its delay in milliseconds, in no particular order.

        Returns once all are confirmed. Raises NotTaken, with those that RabbitMQ refused, when all
        others are; after any other error of `enqueue`, some may have been sent and some not.
        """
        messages = list(batch)
        for message, delay in messages:
            _route(message, delay)  # nothing is sent when any delay is wrong
        self._threads.send(messages, send=self._send)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        self.declare_queue(queue_name, ensure=True)
        # The consumer has its own. This one would sit idle in a worker's thread and miss its
        # heartbeats.
        del self.connection
        return CheckingConsumer(self, queue_name, prefetch, timeout, check=self._check)

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """As in Dramatiq, except that no delay queue is announced, so that no worker holds one."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._persist(lambda: self._ensure(queue_name))

    def declare_all(self) -> None:
        """
        Declare the ladder and every known queue now, whether or not that was done before.

        Raises UsageError when RabbitMQ has one of them with other arguments, or does not let this
        user declare them; ServiceUnavailable when it cannot be reached.
        """
        self._ladder_pending = True
        self.queues_pending |= self.queues
        try:
            self._persist(self._ensure_ladder)
            for queue_name in sorted(self.queues):
                self.declare_queue(queue_name, ensure=True)
        except ConnectionClosed as error:
            raise unreachable(self.parameters, error, url_name=self._url_name) from error
        finally:
            self._disconnect()

    def probe(self) -> None:
        """Log in, open a channel, log out. Raises ServiceUnavailable."""
        try:
            with pika.BlockingConnection(self.parameters) as connection:
                connection.channel()
        except BROKEN as error:
            raise unreachable(self.parameters, error, url_name=self._url_name) from error

    def get_queue_message_counts(self, queue_name: str) -> tuple[int, int, int]:
        """
        Messages that are ready in the queue, in the ladder, and in the dead-letter queue.

        The ladder is shared: its number includes what waits for other queues. So `join` returns
        only when nothing waits at all.
        """
        self.declare_queue(queue_name)
        *levels, queue, dead = self.queue_states(
            [*topology.LEVEL_NAMES, queue_name, topology.dead_letter_name(queue_name)]
        )
        return queue.ready, sum(level.ready for level in levels), dead.ready

    def queue_states(self, names: Iterable[str]) -> list[QueueState]:
        """
        Ask for each queue of this broker, in order; one that is not there is declared again.

        Raises UsageError, and ConnectionClosed when RabbitMQ cannot be reached.
        """
        return self._threads.run(lambda: [self._state(name) for name in names])

    def flush(self, queue_name: str) -> None:
        """Drop what its queue and dead-letter queue hold; what is in the ladder still comes."""
        self.declare_queue(queue_name, ensure=True)
        for name in (queue_name, topology.dead_letter_name(queue_name)):
            self.channel.queue_purge(name)

    def flush_all(self) -> None:
        """Drop all messages, those in the ladder included."""
        self._persist(self._ensure_ladder)
        for name in topology.LEVEL_NAMES:
            self.channel.queue_purge(name)
        super().flush_all()

    def close(self) -> None:
        self._closed.set()
        self._threads.close()
        super().close()

    def _persist(self, act: Callable[[], T]) -> T:
        pauses = iter(PAUSES)
        while True:
            try:
                return act()
            except NackError:  # an answer, over a sound connection
                raise
            except BROKEN as error:
                del self.connection  # the next attempt, or caller, gets a new one
                pause = next(pauses, None)
                # What has taken its full time already is not tried again.
                if pause is None or isinstance(error, ConnectionBlockedTimeout):
                    raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call] # Dramatiq's
            self._closed.wait(pause)

    def _disconnect(self) -> None:
        del self.connection

    def _keep_alive(self) -> None:
        """Answer heartbeats; RabbitMQ closes a connection that is silent for longer than two."""
        if getattr(self.state, "connection", None) is None:
            return
        try:
            self.connection.process_data_events()
        except BROKEN:
            self._disconnect()  # the next message gets a new one

    def _send(self, message: Message[Any], delay: int | None) -> Message[Any]:
        route = _route(message, delay)
        if route.exchange:
            message = message.copy(options={"not_before": current_millis() + (delay or 0)})
        self.declare_queue(message.queue_name)
        self.emit_before("enqueue", message, delay)
        body = message.encode()
        if len(body) > BODY_MAX:
            raise ValueError(f"a message of {len(body)} bytes is larger than {BODY_MAX}")
        try:
            self._persist(lambda: self._publish(route, body, queue_name=message.queue_name))
        except NackError as error:
            raise NotTaken([message], error) from None
        self.emit_after("enqueue", message, delay)
        return message

    def _publish(self, route: Route, body: bytes, *, queue_name: str) -> None:
        self._ensure(queue_name)
        try:
            with confirmed_within(self.parameters[0].blocked_connection_timeout, self.connection):
                self.channel.basic_publish(
                    exchange=route.exchange,
                    routing_key=route.routing_key,
                    body=body,
                    properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent),
                    mandatory=True,
                )
        except (UnroutableError, ChannelClosedByBroker) as error:
            if isinstance(error, UnroutableError) or error.reply_code == _NOT_FOUND:
                self.queues_pending.add(queue_name)
                self._ladder_pending = True
            raise

    def _ensure(self, queue_name: str) -> None:
        self._ensure_ladder()
        with self._declaring:
            if queue_name in self.queues_pending:
                declare(self.channel, topology.work_queue(queue_name))
                self.queues_pending.discard(queue_name)

    def _ensure_ladder(self) -> None:
        with self._declaring:
            if self._ladder_pending:
                declare(self.channel, topology.ladder())
                self._ladder_pending = False

    def _state(self, name: str) -> QueueState:
        def ask() -> QueueState:
            for queue_name in self.queues:
                self._ensure(queue_name)
            try:
                return ask_for(name, self.channel)
            except ChannelClosedByBroker as error:
                if error.reply_code == _NOT_FOUND:
                    self.queues_pending |= self.queues
                    self._ladder_pending = True
                raise

        return self._persist(ask)


def _route(message: Message[Any], delay: int | None) -> Route:
    return topology.route(message.queue_name, delay=timedelta(milliseconds=delay or 0))
