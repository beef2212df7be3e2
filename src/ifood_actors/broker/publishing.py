"""
Threads that publish, each over a connection of its own.

One connection confirms a third of the messages that eight do, but a shared RabbitMQ may count
connections. So a batch gets as many as it is worth, does without those that are refused, and those
that it does not need are closed. The first stays open.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from threading import Event, Lock
from typing import Any, Final, TypeVar

import pika
import structlog
from dramatiq import Message
from dramatiq.errors import ConnectionClosed
from pika.exceptions import ConnectionBlockedTimeout

from ifood_actors.broker.addresses import BROKEN, reason

T = TypeVar("T")
Send = Callable[[Message[Any], int | None], object]

MOST_CONNECTIONS: Final = 8  # measured in docs/decisions/0002
WORTH: Final = 25  # messages: about as many are sent while one more connection opens

log = structlog.get_logger(__name__)


class NotTaken(ConnectionClosed):
    """RabbitMQ refused `messages`, as a full queue does, and took all others."""

    def __init__(self, messages: Iterable[Message[Any]], error: BaseException) -> None:
        super().__init__(error)  # type: ignore[no-untyped-call] # Dramatiq's
        self.messages = list(messages)
        self.error = error

    @property
    def reason(self) -> str:
        """Why RabbitMQ refused, without user or password."""
        return reason(self.error)


class PublishingThreads:
    """What a broker does over connections that its callers' threads do not have to care for."""

    def __init__(
        self, *, connect: Callable[[], object], rest: Callable[[], None], leave: Callable[[], None]
    ) -> None:
        """
        Take what a thread does with its own connection.

        `connect` opens it unless it is open, `rest` keeps it alive, `leave` closes it.
        """
        self._connect = connect
        self._rest = rest
        self._leave = leave
        self._threads = [
            ThreadPoolExecutor(1, thread_name_prefix=f"publisher-{number}")
            for number in range(MOST_CONNECTIONS)
        ]
        self._open = 1
        self._one_batch = Lock()

    def run(self, act: Callable[[], T]) -> T:
        """Do something over the connection that stays open."""
        return self._threads[0].submit(act).result()

    def send(self, batch: Iterable[tuple[Message[Any], int | None]], *, send: Send) -> None:
        """
        Send each message with its delay, in no particular order.

        Raises NotTaken when all others are sent; another error of `send` ends the batch.
        """
        shared = _SharedBatch(batch, send)
        wanted = min(MOST_CONNECTIONS, -(-len(shared.rest) // WORTH))
        with self._one_batch:
            for thread in self._threads[max(wanted, 1) : self._open]:
                thread.submit(self._leave)
            self._open = max(wanted, 1)
            if not wanted:
                self.run(self._rest)
                return
            if wanted > 1:  # before the others, which could take the last one
                self.run(self._try_to_connect)
            helpers = [each.submit(self._help, shared) for each in self._threads[1:wanted]]
            sent = [self._threads[0].submit(shared.send), *helpers]
            wait(sent)
        for each in sent:
            each.result()
        if shared.refusals:
            messages = [message for refusal in shared.refusals for message in refusal.messages]
            raise NotTaken(messages, shared.refusals[0].error)

    def close(self) -> None:
        """Wait for what is being sent, and end the threads."""
        for thread in self._threads:
            thread.shutdown()

    def _help(self, batch: "_SharedBatch") -> None:
        if self._try_to_connect():
            batch.send()

    def _try_to_connect(self) -> bool:
        try:
            self._connect()
        except BROKEN as error:
            log.info("publisher.not_connected", reason=reason(error))
            return False
        return True


class _SharedBatch:
    """A batch from which each publisher takes one message at a time."""

    def __init__(self, batch: Iterable[tuple[Message[Any], int | None]], send: Send) -> None:
        self.rest = deque(batch)
        self.refusals: list[NotTaken] = []
        self._send = send
        self._failed = Event()

    def send(self) -> None:
        try:
            while not self._failed.is_set() and (one := self._next()):
                self._send_one(*one)
        except BaseException:
            self._failed.set()
            raise

    def _next(self) -> tuple[Message[Any], int | None] | None:
        try:
            return self.rest.popleft()
        except IndexError:  # another one has taken the last
            return None

    def _send_one(self, message: Message[Any], delay: int | None) -> None:
        try:
            self._send(message, delay)
        except NotTaken as error:
            self.refusals.append(error)


@contextmanager
def confirmed_within(seconds: float | None, connection: pika.BlockingConnection) -> Iterator[None]:
    """
    End a connection that waits for a confirm for longer.

    A quorum queue that has lost its majority neither confirms nor refuses, and pika would wait
    without end. Its own time-outs end a connection in this way too, but none is for this.
    """
    # ruff: disable[SLF001] - the public connection runs no timers while it waits for a confirm
    inner = connection._impl  # type: ignore[attr-defined] # the same
    late = ConnectionBlockedTimeout(f"no confirm within {seconds} s")
    timer = inner._adapter_call_later(seconds, partial(inner._terminate_stream, late))
    try:
        yield
    finally:
        inner._adapter_remove_timeout(timer)
    # ruff: enable[SLF001]
