"""
Work that a thread of its own does for all others, in batches of what they ask for meanwhile.

No batch waits to be filled: what is asked for while the thread works is its next batch, so an idle
process has batches of one. Dramatiq interrupts the threads of deliveries, never this one; where one
of them waits for its answer, the interrupt is raised after it.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from ifood_actors.db import reason_of
from ifood_actors.logs import get_logger

log = get_logger(__name__)

# Postgres may be silent when a worker stops, which must end in time all the same.
_END_WITHIN = timedelta(seconds=1)

Asked = TypeVar("Asked", bound=Hashable)
Answer = TypeVar("Answer")


class Undecided(Exception):
    """A batch failed: its work is done or not, and who asked must look for its own part."""


class Together(Generic[Asked, Answer]):
    """
    Does in batches what threads ask for, between `start` and `close`.

    `do` is given a batch, and answers for the parts of it that it has done.
    """

    def __init__(
        self, do: Callable[[Sequence[Asked]], Mapping[Asked, Answer]], *, name: str
    ) -> None:
        self._do = do
        self._requests: SimpleQueue[_Request[Asked, Answer] | None] = SimpleQueue()
        self._open = False
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._open = True

    def close(self) -> None:
        """Answer who waits, and end; work that takes longer is left to the end of the process."""
        if self._open:
            self._open = False
            self._requests.put(None)
            self._thread.join(_END_WITHIN.total_seconds())

    def ask(self, asked: Asked) -> Answer | None:
        """
        Have it done, and return the answer; None when it is not done.

        Raises Undecided when the batch failed.
        """
        if not self._open:
            return None
        request: _Request[Asked, Answer] = _Request(asked)
        try:
            self._requests.put(request)
        finally:
            # An interrupt comes after it: no lock is interrupted, and CPython raises only after a
            # call, so what is waited for was asked for.
            request.answered.acquire()
        if request.failed:
            raise Undecided
        return request.answer

    def _run(self) -> None:
        ends = False
        while not ends:
            taken = [self._requests.get()]
            while self._requests.qsize():
                taken.append(self._requests.get())
            ends = None in taken
            if batch := [request for request in taken if request is not None]:
                self._answer(batch)

    def _answer(self, batch: "Sequence[_Request[Asked, Answer]]") -> None:
        try:
            done = self._do([request.asked for request in batch])
            for request in batch:
                request.answer = done.get(request.asked)
        except BaseException as error:  # noqa: BLE001 - who asked looks, and meets it
            for request in batch:
                request.failed = True
            log.warning("batch.failed", size=len(batch), reason=reason_of(error))
        finally:
            for request in batch:
                request.answered.release()


class _Request(Generic[Asked, Answer]):
    """What a thread asks for; `answered` is locked until the rest of it counts."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.answer: Answer | None = None
        self.failed = False
        self.answered = Lock()
        self.answered.acquire()
