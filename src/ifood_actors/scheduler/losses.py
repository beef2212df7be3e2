"""
Misses messages: RabbitMQ was purged, lost a disk, or obeyed a policy.

The ledger knows whose messages should be in a work queue, and RabbitMQ how many are. When two
comparisons find too few, as many as are missing are sent again. A copy does no harm, but each is
one more for the workers to drop.

A queue without consumers tells nothing. RabbitMQ says "no messages, no consumers" as well of a
quorum queue that did not answer within 250 ms, and no worker would take what was sent again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Protocol

from sqlalchemy import Connection, Engine

from ifood_actors.broker import QueueState
from ifood_actors.broker.topology import LEVEL_NAMES
from ifood_actors.db import repeated
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.ledger import lost_messages as ledger
from ifood_actors.logs import get_logger

log = get_logger(__name__)

EVERY = timedelta(seconds=5)
# How long after its time, and after it was sent, a message may be under way: the ladder's second,
# the relay's commit, a machine that stands still for a moment.
PATIENCE = timedelta(seconds=15)
# Two comparisons are evidence when so far apart, by a monotonic clock.
_APART = (timedelta(seconds=4), timedelta(seconds=60))


class QueueInspector(Protocol):
    """Who knows what the queues hold: `LadderBroker`."""

    def queue_states(self, names: Iterable[str]) -> list[QueueState]:
        """Ask for each queue, in order."""


@dataclass(frozen=True)
class Comparison:
    """What one comparison found: how many are missing, by kind, and how many wait in the ladder."""

    at: float
    missing: Counter[str]
    delayed: int

    def confirms(self, before: "Comparison") -> bool:
        """Return whether it is far enough from `before`, and not too far, for both to count."""
        earliest, latest = _APART
        return earliest <= timedelta(seconds=self.at - before.at) <= latest


class LossDetector:
    """The tick that looks for lost messages; any number of schedulers may have it."""

    def __init__(self, engine: Engine, inspector: QueueInspector, *, threads: int) -> None:
        """`threads` are those of a worker process, which prefetches as many messages of a kind."""
        self._engine = engine
        self._inspector = inspector
        self._threads = threads
        self._before: Comparison | None = None

    def run(self) -> int:
        """Compare once, and wake the jobs whose messages two comparisons miss; return how many."""
        late = repeated(self._engine, lambda tx: ledger.overdue(tx, KINDS, patience=PATIENCE))
        if not late:  # the usual case, at the cost of one question
            self._before = None
            return 0
        # A message moves from the first of these queues to the last, so that none is overlooked.
        names = [*LEVEL_NAMES, *map(queue_name, KINDS)]
        queues = {state.name: state for state in self._inspector.queue_states(names)}
        found, woken = repeated(self._engine, lambda tx: self._compare(tx, queues))
        if woken:
            log.warning("messages.lost", sent_again=dict(woken))
        if self._before is None or found.at - self._before.at >= _APART[0].total_seconds():
            self._before = None if woken else found
        return woken.total()

    def _compare(
        self, tx: Connection, queues: Mapping[str, QueueState]
    ) -> tuple[Comparison, Counter[str]]:
        ledger.in_turn(tx)
        overdue = ledger.overdue(tx, KINDS, patience=PATIENCE)
        found = Comparison(
            at=monotonic(),
            missing=missing(overdue, queues, ledger.busy(tx, threads=self._threads)),
            delayed=sum(queues[level].ready for level in LEVEL_NAMES),
        )
        before, woken = self._before, Counter[str]()
        if before is None or not found.confirms(before):
            return found, woken
        for kind, number in (before.missing & found.missing).items():
            woken[kind] = ledger.wake_overdue(tx, kind, number, patience=PATIENCE)
        # What emptied a work queue may have emptied the ladder, whose jobs can still be in time.
        delayed = max(before.delayed, found.delayed)
        if +woken and (lost := ledger.ahead(tx, KINDS, patience=PATIENCE) - delayed) > 0:
            woken["delayed"] = ledger.wake_ahead(tx, KINDS, lost, patience=PATIENCE)
        return found, +woken


def missing(
    overdue: Mapping[str, int],
    queues: Mapping[str, QueueState],
    busy: Sequence[Counter[str]],
) -> Counter[str]:
    """
    Tell how many messages, by kind, are in no work queue and in no worker's hands.

    A worker prefetches as many messages of a kind as it has threads, those that it runs included.
    They wait for long only while all its threads are `busy`, with other kinds.
    """
    found = Counter[str]()
    for kind, jobs in overdue.items():
        queue = queues[queue_name(kind)]
        in_hands = sum(running.total() - running[kind] for running in busy)
        found[kind] = jobs - queue.ready - in_hands if queue.consumers else 0
    return +found
