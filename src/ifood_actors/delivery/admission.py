"""
Which job is claimed next, where jobs queue for request slots: first the slot, then the claim.

A job that is claimed without a slot would be snoozed, sent, and claimed again, with three rows of
history each time. So a job takes the slot of its first request before it is claimed. When no slot
is near, it stays unclaimed, and the thread is free for other applications.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import random
from typing import TypeVar

from sqlalchemy import Engine

from ifood_actors.db import repeated
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.errors import Throttled
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.request_slots import SOON, Reservation, interval
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import Ledger

T = TypeVar("T")

_FEW = 10  # threads: what a small process has
_AT_ONCE = timedelta(seconds=1)  # the ladder's step


@dataclass(frozen=True)
class Turn:
    """The leave to claim a job, with the reservation of its first request where jobs queue."""

    reservation: Reservation | None = None


class Admission:
    """Gives jobs their turn; `actor` is who the history names."""

    def __init__(self, engine: Engine, limiter: Limiter, *, actor: str) -> None:
        self._engine = engine
        self._limiter = limiter
        self._actor = actor

    def turn(self, message: JobMessage, *, kind: str) -> Turn | None:
        """
        Give the message's job its turn; None when it went back into the ledger.

        Where no jobs queue, it costs nothing. Elsewhere, a message that was sent ahead of its time
        goes back, once: the relay sends it again when the limiter has room for it. One for which
        there was room raises Throttled, and comes again from RabbitMQ a little later.
        """
        if not self._jobs_queue():
            return Turn()

        ids = message.job_id, message.dispatch_no
        job = self._act(lambda ledger: ledger.awaited(*ids))
        if job is None or job.app_id is None:
            return Turn()  # the claim knows what to do
        endpoint = KINDS[kind].resource
        limit = self._limiter.limit_in_use(job.app_id, "financial", endpoint)
        soon = max(SOON, 2 * interval(limit))
        try:
            reservation = self._limiter.reserve(
                job.app_id, "financial", endpoint=endpoint, max_wait=soon
            )
        except Throttled as full:
            if job.sent_ahead:
                self._act(lambda ledger: ledger.hand_back(*ids))
                return None
            # Apart from others that wait, and before the last of the slots ahead is used up.
            early = soon * (1 + random()) / 2  # noqa: S311 - spreads, guards nothing
            after = max(full.after - early, _AT_ONCE)
            self._act(lambda ledger: ledger.put_off(*ids, after=after))
            raise Throttled(str(full), after=after) from None
        return Turn(reservation)

    def _act(self, act: Callable[[Ledger], T]) -> T:
        return repeated(self._engine, lambda tx: act(Ledger(tx, actor=self._actor)))

    def _jobs_queue(self) -> bool:
        """
        Tell, at no cost, whether jobs may have to queue for slots.

        So it is where an application has no slot within 5 s, or had a limit named by iFood, and
        where the limit is so low that a few threads fill these 5 s.
        """
        if self._limiter.crowded("financial"):
            return True
        return _FEW * interval(self._limiter.rates["financial"]) > SOON
