"""
A broker in this process's memory: no server, for the demo and for tests of actors.

Its limits: workers must be threads of the same process, and what was not yet run is gone when the
process ends. The ledger lives with both, since it sends again what is unclaimed. Dramatiq's hooks
around `enqueue` run twice for a delayed message, and delays are held by the worker's own threads:
a `dramatiq.Worker` of `worker_timeout=50` (milliseconds) runs them less than 0.1 s late.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from dramatiq import Message, Middleware
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.stub import StubBroker

_EVERYTHING = sys.maxsize


class _Forgotten(list[MessageProxy]):
    """Keeps no dead letter: with each goes the exception, its traceback and all their variables."""

    def append(self, _: MessageProxy) -> None:
        return


class InProcessBroker(StubBroker):
    """Dramatiq's broker for tests, able to run for long and to take batches."""

    def __init__(self, middleware: list[Middleware] | None = None) -> None:
        super().__init__(middleware, fail_fast_default=False)
        self.dead_letters_by_queue = defaultdict(_Forgotten)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> Consumer:
        """
        Let a delay queue's consumer take everything.

        A worker gives it the prefetch of an ordinary queue here, twice its threads, and a message
        that is due would then wait for earlier ones that are not.
        """
        if queue_name in self.delay_queues:
            prefetch = _EVERYTHING
        return super().consume(queue_name, prefetch, timeout)

    def enqueue_many(self, batch: Iterable[tuple[Message[Any], int | None]]) -> None:
        """Send each message with its delay in milliseconds, as `LadderBroker` does."""
        for message, delay in batch:
            self.enqueue(message, delay=delay)
