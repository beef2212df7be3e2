"""
One pace for the whole fleet: every request to iFood has its own instant, reserved in Postgres.

iFood counts requests per application and endpoint, over all stores and all processes (iFood
rate-limit guide). So the pace is a row per application and endpoint group, moved by the database's
clock: a reservation is one statement that returns the instant at which its caller may send.
See docs/decisions/0005-limiter-by-reservation-in-postgres.md.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from typing import Literal
from uuid import UUID

from sqlalchemy import Engine, text

from ifood_actors.errors import Throttled

EndpointGroup = Literal["financial", "merchant", "oauth"]

WINDOW = timedelta(seconds=60)  # iFood's limits are per minute
LATENESS = timedelta(seconds=1)  # of a sender that wakes up late; a later one gives its slot up
DELIVERY = timedelta(seconds=1)  # by which the way to iFood may differ between two requests

LONGEST_WAIT = timedelta(minutes=5)  # no reservation lies further ahead
LONGEST_CLOSURE = timedelta(hours=1)

_CLOSURES_KEPT = 1.0  # seconds for which a process believes what it read about closures
_SLICE = 0.5  # seconds; a thread in one long wait cannot be interrupted by Dramatiq
_PROGRESS_EVERY = 5.0  # seconds

_RESERVE = text("""
    INSERT INTO ifood_limits AS l (app_id, endpoint_group, next_free_at)
    VALUES (:app_id, :group, clock_timestamp() + :interval)
    ON CONFLICT (app_id, endpoint_group) DO UPDATE
    SET next_free_at = greatest(l.next_free_at, l.closed_until, clock_timestamp()) + :interval
    WHERE greatest(l.next_free_at, l.closed_until) <= clock_timestamp() + :max_wait
    RETURNING extract(epoch FROM next_free_at - :interval - clock_timestamp())::float8 AS wait
""")

# An instant beyond what can be reserved is left from a clock that has been set back since.
_REFUSED = text("""
    UPDATE ifood_limits
    SET next_free_at = least(next_free_at, clock_timestamp() + :longest_wait),
        closed_until = CASE WHEN closed_until IS NOT NULL  -- least() would make one of NULL
            THEN least(closed_until, clock_timestamp() + :longest_closure) END
    WHERE app_id = :app_id AND endpoint_group = :group
    RETURNING greatest(next_free_at, closed_until) - clock_timestamp() AS wait
""")

_CLOSE = text("""
    INSERT INTO ifood_limits AS l
        (app_id, endpoint_group, next_free_at, closed_until, closed_reason)
    VALUES (:app_id, :group, clock_timestamp(), clock_timestamp() + :after, :reason)
    ON CONFLICT (app_id, endpoint_group) DO UPDATE
    SET closed_until = excluded.closed_until, closed_reason = excluded.closed_reason
    WHERE l.closed_until IS NULL OR l.closed_until < excluded.closed_until
""")

_CLOSED = text("""
    SELECT app_id, extract(epoch FROM closed_until - clock_timestamp())::float8 AS remaining
    FROM ifood_limits
    WHERE endpoint_group = :group AND closed_until > clock_timestamp()
""")


def interval(limit: int) -> timedelta:
    """
    Give the distance between two slots for `limit` requests per minute.

    A request reaches iFood up to LATENESS + DELIVERY after its slot, so those that iFood counts in
    one window have slots within W = 62 s. Slots T apart put at most floor(W / T) + 1 into a closed
    span W; with T just above W / limit that is `limit`. (As GCRA with rate r = 1 / T and burst
    B = 1: r * W + B - 1 <= limit.) Of a limit, 60 / 62 = 96.8 % can be used.
    """
    span = WINDOW + LATENESS + DELIVERY
    return span / limit + timedelta(microseconds=1)


@dataclass(frozen=True)
class Reservation:
    """The right to send one request, on this process's monotonic clock (seconds)."""

    app_id: UUID
    group: EndpointGroup
    not_before: float
    not_after: float


class Limiter:
    """
    Paces the requests of all processes that share one database.

    `rates` are requests per minute for each endpoint group. When `stopping` is set, whoever waits
    is thrown out with Throttled.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        rates: Mapping[EndpointGroup, int],
        stopping: Event | None = None,
    ) -> None:
        # One statement is one transaction: a process frozen in between would hold the hot row.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._intervals = {group: interval(rate) for group, rate in rates.items()}
        self._stopping = stopping or Event()
        self._closures: dict[EndpointGroup, _Closures] = {}

    def acquire(
        self,
        app_id: UUID,
        group: EndpointGroup,
        *,
        max_wait: timedelta = timedelta(seconds=30),
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Return at the instant at which one request may be sent; send it at once.

        `on_progress` is called every 5 s while waiting, never just before the return.

        Raises Throttled when the instant would be more than `max_wait` ahead.
        """
        give_up = time.monotonic() + max_wait.total_seconds()
        while True:
            left = timedelta(seconds=max(0.0, give_up - time.monotonic()))
            reservation = self.reserve(app_id, group, max_wait=left)
            if self.wait_for(reservation, on_progress=on_progress):
                return

    def reserve(self, app_id: UUID, group: EndpointGroup, *, max_wait: timedelta) -> Reservation:
        """
        Take the next free slot, if it is at most `max_wait` (and 5 minutes) ahead.

        Raises Throttled, with nothing reserved, when it is not.
        """
        row = {"app_id": app_id, "group": group}
        pace = {"interval": self._intervals[group], "max_wait": min(max_wait, LONGEST_WAIT)}
        asked_at = time.monotonic()

        with self._engine.connect() as connection:
            wait = connection.execute(_RESERVE, row | pace).scalar_one_or_none()
            if wait is None:
                bounds = {"longest_wait": LONGEST_WAIT, "longest_closure": LONGEST_CLOSURE}
                after = connection.execute(_REFUSED, row | bounds).scalar_one()
                raise Throttled(f"no {group} request is free yet", after=max(after, timedelta(0)))

        # The database read its clock at some instant between the two readings of ours: never
        # early counts from the later one, never too late from the earlier one.
        not_after = asked_at + wait + LATENESS.total_seconds()
        return Reservation(app_id, group, time.monotonic() + wait, not_after)

    def wait_for(
        self, reservation: Reservation, *, on_progress: Callable[[], None] = lambda: None
    ) -> bool:
        """
        Wait for the slot; False when it is lost, since the thread woke up late or the row closed.

        Late wakers that all sent at once would be a burst, so each must reserve again.
        """
        progress_at = time.monotonic() + _PROGRESS_EVERY
        while (left := reservation.not_before - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _SLICE)):
                raise Throttled("the process is stopping", after=timedelta(0))
            if left > 1 and time.monotonic() > progress_at:
                on_progress()
                progress_at = time.monotonic() + _PROGRESS_EVERY

        if reservation.app_id in self.closed(reservation.group):
            return False
        return time.monotonic() <= reservation.not_after

    def close(self, app_id: UUID, group: EndpointGroup, *, after: timedelta, reason: str) -> None:
        """
        Let nobody send for `after` (at most an hour); a longer closure is never shortened.

        Slots that others hold already are given up when they notice, within a second.
        """
        after = min(after, LONGEST_CLOSURE)
        values = {"app_id": app_id, "group": group, "after": after, "reason": reason}
        with self._engine.connect() as connection:
            connection.execute(_CLOSE, values)
        self._closures.pop(group, None)

    def closed(self, group: EndpointGroup) -> dict[UUID, timedelta]:
        """
        Give the applications that are closed, and for how much longer.

        It is read at most once a second by a process. Durations, so that no two clocks are
        compared.
        """
        kept = self._closures.get(group)
        if kept is None or time.monotonic() - kept.read_at > _CLOSURES_KEPT:
            kept = self._closures[group] = self._read_closures(group)

        age = time.monotonic() - kept.read_at
        left = {app_id: seconds - age for app_id, seconds in kept.remaining.items()}
        return {app_id: timedelta(seconds=s) for app_id, s in left.items() if s > 0}

    def _read_closures(self, group: EndpointGroup) -> "_Closures":
        read_at = time.monotonic()
        with self._engine.connect() as connection:
            rows = connection.execute(_CLOSED, {"group": group})
            return _Closures(read_at, {row.app_id: row.remaining for row in rows})


@dataclass(frozen=True)
class _Closures:
    read_at: float
    remaining: dict[UUID, float]
