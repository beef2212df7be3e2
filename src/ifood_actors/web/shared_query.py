"""Querying a service that may hang, from an event loop that may not."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedQuery(Generic[T]):
    """
    A query of a service, whose answer all share who want it within a while.

    One thread asks at a time, and its answer, or its error, is kept. So a service that hangs costs
    this process one thread, and requests from outside cannot overload the service. The thread is a
    daemon, which does not delay the end of the process.
    """

    def __init__(self, ask: Callable[[], T], *, holds_for: float) -> None:
        """`ask` may block; its answer is kept for `holds_for` seconds."""
        self._ask = ask
        self._holds_for = holds_for
        self._asked: Future[T] | None = None
        self._holds_until = 0.0

    async def answer(self, *, within: float) -> T:
        """Give the answer. Raises TimeoutError after `within` seconds, and what `ask` raises."""
        asked = self._asked
        if asked is None or (asked.done() and monotonic() > self._holds_until):
            asked = self._asked = Future()
            Thread(target=self._settle, args=(asked,), name="shared-query", daemon=True).start()
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(asked)), within)

    def _settle(self, asked: Future[T]) -> None:
        try:
            answer = self._ask()
        except Exception as error:  # noqa: BLE001 - those who wait get it
            self._holds_until = monotonic() + self._holds_for
            asked.set_exception(error)
        else:
            self._holds_until = monotonic() + self._holds_for
            asked.set_result(answer)
