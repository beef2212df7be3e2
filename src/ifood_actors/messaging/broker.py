"""
Dramatiq's RabbitMQ broker, with delays that RabbitMQ holds instead of a worker's memory.

It is used as the stock one is: given to `dramatiq.set_broker` or to `@dramatiq.actor(broker=...)`,
with workers run by the `dramatiq` command. What differs:

* `enqueue(message, delay=...)` goes through the delay ladder of `topology.py`. The message carries
  the option `not_before` (epoch milliseconds) instead of `eta`, and no `.DQ` queue exists.
* Every publish is confirmed. All queues are quorum queues, which know no priorities.
* `enqueue_many` publishes a batch over several connections.
* Workers get no message that `consumer.refusal` or the given `check` refuses.
* Queues that exist with other arguments are a UsageError that says what to do.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from threading import Event, Lock
from typing import Any, Final, TypeVar

import pika
from dramatiq import Message, Middleware
from dramatiq.broker import Consumer
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.common import current_millis
from dramatiq.errors import ConnectionClosed
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import (
    AMQPChannelError,
    AMQPConnectionError,
    ChannelClosedByBroker,
    ConnectionBlockedTimeout,
    UnroutableError,
)

from ifood_actors.messaging import topology
from ifood_actors.messaging.addresses import connection_parameters, unreachable
from ifood_actors.messaging.consumer import BODY_MAX, Check, CheckingConsumer
from ifood_actors.messaging.declaring import declare
from ifood_actors.messaging.orders import Order
from ifood_actors.messaging.topology import Route

T = TypeVar("T")

# Seconds before each further attempt. The first comes at once: a connection died while idle, or a
# queue must be declared again. The others give a restarting RabbitMQ a moment.
PAUSES: Final = (0.0, 0.3, 1.0)
PUBLISHERS: Final = 8  # threads, each with a connection; measured in docs/decisions/0002

_BROKEN: Final = (AMQPConnectionError, AMQPChannelError, AMQPConnectorException, OSError)
_NOT_FOUND: Final = 404  # a reply code of AMQP 0-9-1


def ladder_broker(
    url: str,
    *,
    middleware: list[Middleware] | None = None,
    check: Check | None = Order.from_message,
    connection_name: str = "ifood-actors",
) -> "LadderBroker":
    """
    A broker for one or several (`;`) `amqp://` or `amqps://` URLs; connects on first use.

    `middleware` as in Dramatiq: None means its default list. Nothing but orders reaches a worker,
    unless `check` is None (anything that Dramatiq can run) or another function that raises
    ValueError.
    Raises UsageError for a URL that cannot be read, without showing it.
    """
    parameters = connection_parameters(url, connection_name=connection_name)
    return LadderBroker(parameters, middleware=middleware, check=check)


class LadderBroker(RabbitmqBroker):
    """A `RabbitmqBroker` whose delayed messages wait in RabbitMQ; see the module's text."""

    def __init__(
        self,
        parameters: list[pika.URLParameters],
        *,
        middleware: list[Middleware] | None = None,
        check: Check | None = None,
    ) -> None:
        super().__init__(confirm_delivery=True, middleware=middleware)
        self.parameters = parameters
        self.check = check
        self._ladder_pending = True
        self._declaring = Lock()
        self._closed = Event()
        self._publishers = ThreadPoolExecutor(PUBLISHERS, thread_name_prefix="publisher")

    @property
    def consumer_class(self) -> type[CheckingConsumer]:
        return CheckingConsumer

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """
        Send a message, to arrive no earlier than `delay` milliseconds from now, at most 1 s later.

        Returns once RabbitMQ has confirmed it. None, zero and less mean at once.
        Raises ValueError for a delay beyond the ladder's reach and for a body that a consumer would
        refuse as too large, ConnectionClosed when RabbitMQ cannot be reached or does not accept it.
        """
        route = _route(message, delay)
        if route.exchange:
            message = message.copy(options={"not_before": current_millis() + (delay or 0)})
        self.declare_queue(message.queue_name)
        self.emit_before("enqueue", message, delay)
        body = message.encode()
        if len(body) > BODY_MAX:
            raise ValueError(f"a message of {len(body)} bytes is larger than {BODY_MAX}")
        self._persist(lambda: self._publish(route, body, queue_name=message.queue_name))
        self.emit_after("enqueue", message, delay)
        return message

    def enqueue_many(self, batch: Iterable[tuple[Message[Any], int | None]]) -> None:
        """
        Send each message with its delay in milliseconds, in no particular order.

        Returns once all are confirmed. Raises what `enqueue` raises when any is not: then some may
        have been sent and some not. Hooks of middleware run in publishing threads.
        """
        messages = list(batch)
        for message, delay in messages:
            _route(message, delay)  # nothing is sent when any delay is wrong
        failed = Event()

        def publish(share: list[tuple[Message[Any], int | None]]) -> None:
            try:
                for message, delay in share:
                    if failed.is_set():
                        return
                    self.enqueue(message, delay=delay)
            except BaseException:
                failed.set()
                raise

        shares = [messages[start::PUBLISHERS] for start in range(min(PUBLISHERS, len(messages)))]
        sent = [self._publishers.submit(publish, share) for share in shares]
        wait(sent)
        for each in sent:
            each.result()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        self.declare_queue(queue_name, ensure=True)
        # The consumer has its own. This one would sit idle in a worker's thread and miss its
        # heartbeats.
        del self.connection
        return self.consumer_class(self, queue_name, prefetch, timeout)

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
            raise unreachable(self.parameters, error) from error

    def probe(self) -> None:
        """Log in, open a channel, log out. Raises ServiceUnavailable."""
        try:
            connection = pika.BlockingConnection(self.parameters)
            connection.channel()
            connection.close()
        except _BROKEN as error:
            raise unreachable(self.parameters, error) from error

    def get_queue_message_counts(self, queue_name: str) -> tuple[int, int, int]:
        """
        Messages that are ready in the queue, in the ladder, and in the dead-letter queue.

        The ladder is shared: its number includes what waits for other queues. So `join` returns
        only when nothing waits at all.
        """
        self.declare_queue(queue_name, ensure=True)
        levels = map(topology.level_name, range(topology.LEVELS))
        return (
            self._count(queue_name),
            sum(map(self._count, levels)),
            self._count(topology.dead_letter_name(queue_name)),
        )

    def flush(self, queue_name: str) -> None:
        """Drop what its queue and dead-letter queue hold; what is in the ladder still comes."""
        self.declare_queue(queue_name, ensure=True)
        for name in (queue_name, topology.dead_letter_name(queue_name)):
            self.channel.queue_purge(name)

    def flush_all(self) -> None:
        """Drop all messages, those in the ladder included."""
        self._persist(self._ensure_ladder)
        for level in range(topology.LEVELS):
            self.channel.queue_purge(topology.level_name(level))
        super().flush_all()

    def close(self) -> None:
        self._closed.set()
        self._publishers.shutdown()
        super().close()

    def _persist(self, act: Callable[[], T]) -> T:
        pauses = iter(PAUSES)
        while True:
            try:
                return act()
            except _BROKEN as error:
                del self.connection  # the next attempt, or caller, gets a new one
                pause = next(pauses, None)
                # What has taken its full time already is not tried again.
                if pause is None or isinstance(error, ConnectionBlockedTimeout):
                    raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call] # Dramatiq's
            self._closed.wait(pause)

    def _publish(self, route: Route, body: bytes, *, queue_name: str) -> None:
        self._ensure(queue_name)
        try:
            with self._confirm_timeout():
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

    @contextmanager
    def _confirm_timeout(self) -> Iterator[None]:
        # A quorum queue that has lost its majority neither confirms nor refuses, and pika would
        # wait for ever. Its own time-outs end a connection in this way too, but none is for this.
        # ruff: disable[SLF001] - the public connection runs no timers while it waits for a confirm
        connection = self.connection._impl
        seconds = self.parameters[0].blocked_connection_timeout
        late = ConnectionBlockedTimeout(f"no confirm within {seconds} s")
        timer = connection._adapter_call_later(seconds, partial(connection._terminate_stream, late))
        try:
            yield
        finally:
            connection._adapter_remove_timeout(timer)
        # ruff: enable[SLF001]

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

    def _count(self, queue_name: str) -> int:
        def count() -> int:
            return int(self.channel.queue_declare(queue_name, passive=True).method.message_count)

        return self._persist(count)


def _route(message: Message[Any], delay: int | None) -> Route:
    return topology.route(message.queue_name, delay=timedelta(milliseconds=delay or 0))
