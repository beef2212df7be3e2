"""
The arithmetic of the pace: how far apart slots are, how late a request may come. Without I/O.

Two bounds make that slack, for each process. LATENESS is kept by the sender: a thread that wakes up
later gives its slot up. DELIVERY is by how much the ways of two requests to iFood may differ.
Both start small and grow with what is measured: a machine that stalls would lose every slot, a
network that wavers would bring requests together.
"""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Literal
from uuid import UUID

# Endpoints that share one limit of ours; iFood counts each endpoint by itself.
EndpointGroup = Literal["financial", "merchant", "oauth"]

SOON = timedelta(seconds=5)  # a slot that is further ahead than that is worth queueing for

WINDOW = timedelta(seconds=60)  # iFood's limits are per minute

LATENESS = timedelta(seconds=0.3)
DELIVERY = timedelta(seconds=0.5)
MOST_LATENESS = timedelta(seconds=5)  # of a machine that stalls; a later thread loses its slot
# An answer's time is mostly iFood's own work: how much of its spread may be the way is bounded,
# so that slow answers do not slow everybody down. With LATENESS, 1.2 s.
MOST_DELIVERY = timedelta(seconds=0.9)

_SAMPLES = 100
_MARGIN = 2  # times the measured lateness: the next one may be worse


def interval(limit: int) -> timedelta:
    """
    Return the distance between two slots for `limit` requests per minute.

    A request reaches iFood at most S after its slot, its slack. So those that iFood counts in one
    window have slots in a closed span W = 60 s + S. Slots T apart put at most floor(W / T) + 1 into
    it; with T just above W / limit that is `limit`. (As GCRA with rate r = 1 / T and burst B = 1:
    r * W + B - 1 <= limit.) Of a limit, 60 / W can be used: 98.7 % with the least S, 0.8 s.

    S is what the processes measure: see `Slack`. It grows with the reservation that needs more, and
    falls when none has needed it for two minutes: so all steps of the minute after a slot are as
    long as that slot needs.

    A request that nevertheless left too late has paid with a second slot P, after it left, no later
    than W after its own. A window that counts it has one of the two in its span W: to hold neither,
    the span would have to lie between them. So there is a slot of its own for each that is counted.
    """
    return (WINDOW + LATENESS + DELIVERY) / limit + timedelta(microseconds=1)


@dataclass(frozen=True)
class Reservation:
    """
    The right to send one request, on this process's monotonic clock (seconds).

    `lateness` (seconds) is how much of its slack a sender may use up. A `probe` is the one request
    that is let through an open breaker.
    """

    app_id: UUID
    group: EndpointGroup
    not_before: float
    not_after: float
    probe: bool = False
    endpoint: str | None = None
    lateness: float = LATENESS.total_seconds()


class Slack:
    """What a process has measured lately; safe for threads."""

    def __init__(self) -> None:
        self._wakes: deque[float] = deque(maxlen=_SAMPLES)
        self._answers: deque[float] = deque(maxlen=_SAMPLES)
        self._lock = Lock()
        self.lateness = LATENESS
        self.delivery = DELIVERY

    @property
    def total(self) -> timedelta:
        return self.lateness + self.delivery

    def woke(self, late: float) -> None:
        """Note by how many seconds a thread looked at the clock after its slot, at the most."""
        with self._lock:
            self._wakes.append(late)
            worst = timedelta(seconds=_MARGIN * _usual_worst(self._wakes))
            self.lateness = min(max(worst, LATENESS), MOST_LATENESS)

    def answered(self, took: float) -> None:
        """Note how many seconds passed from the last byte sent to the answer's head."""
        with self._lock:
            self._answers.append(took)
            spread = timedelta(seconds=_usual_worst(self._answers) - min(self._answers))
            self.delivery = min(max(spread, DELIVERY), MOST_DELIVERY)


def _usual_worst(samples: deque[float]) -> float:
    """Return the worst but one in a hundred: one outlier costs one slot and changes nothing."""
    return sorted(samples)[-1 - len(samples) // _SAMPLES]
