"""
One pace for all processes: every request to iFood has its own instant, reserved in Postgres.

iFood counts requests per application and endpoint, over all stores and all processes (iFood
rate-limit guide). So the pace is a row per application and endpoint group, moved by the database's
clock: a reservation is one statement that returns the instant at which its caller may send.
See docs/decisions/0005-limiter-by-reservation-in-postgres.md.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from threading import Event
from uuid import UUID

import httpx
from sqlalchemy import Engine, TextClause

from ifood_actors import metrics
from ifood_actors.errors import Throttled
from ifood_actors.ifood import request_slots
from ifood_actors.ifood.http.answers import (
    DEFAULT_PAUSE,
    asked_pause,
    error_text,
    is_served,
    rate_headers,
)
from ifood_actors.ifood.http.transport import Answer
from ifood_actors.ifood.limiter import limit_statements as statements
from ifood_actors.ifood.limiter.named_limits import MOST, NamedLimits
from ifood_actors.ifood.limiter.snapshots import LONGEST_COOLDOWN, RecentSnapshots
from ifood_actors.ifood.request_slots import EndpointGroup, Reservation, Slack, interval
from ifood_actors.ifood.thresholds import BREAKER_OPENS_AFTER, PROBE_EVERY
from ifood_actors.logs import get_logger

log = get_logger(__name__)

LONGEST_WAIT = timedelta(minutes=5)  # no reservation lies further ahead; the next free one may
STEADY = timedelta(minutes=2)  # without need of more slack; longer than any slot's minute
CALM = timedelta(minutes=5)  # after a cooldown; a 429 that says nothing sooner doubles the next

_SLICE = 0.5  # seconds; a thread in one long wait cannot be interrupted by Dramatiq
_PROGRESS_EVERY = 5.0  # seconds


class Limiter:
    """
    Paces the requests of all processes that share one database.

    `rates` are requests per minute for each endpoint group; iFood may name lower ones, and with
    `follow` higher ones. When `stopping` is set, all who wait get Throttled.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        rates: Mapping[EndpointGroup, int],
        follow: bool = False,
        stopping: Event | None = None,
    ) -> None:
        # One statement is one transaction: a process frozen in between would hold the hot row.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.rates = dict(rates)
        self._stopping = stopping or Event()
        self._snapshots = RecentSnapshots(self._engine)
        self._slack = Slack()
        self._named = NamedLimits(self._engine, rates=self.rates, follow=follow)

    def acquire(
        self,
        app_id: UUID,
        group: EndpointGroup,
        *,
        endpoint: str | None = None,
        reserved: Reservation | None = None,
        max_wait: timedelta = timedelta(seconds=60),
        on_progress: Callable[[], None] = lambda: None,
    ) -> Reservation:
        """
        Return at the instant at which one request may be sent; send it at once, and tell `sent`.

        `endpoint` is which one of the group, for its own limit; None when the group is one. The
        slot that is `reserved` already is used, if it is not lost.
        `on_progress` is called every 5 s while waiting, never just before the return.

        Raises Throttled when the instant would be more than `max_wait` ahead; one that is lost,
        since the thread woke up late, does not count.
        """
        asked_at = time.monotonic()
        while True:
            reservation = reserved or self.reserve(
                app_id, group, endpoint=endpoint, max_wait=max_wait
            )
            reserved = None
            if self.wait_for(reservation, on_progress=on_progress):
                waited = time.monotonic() - asked_at
                metrics.LIMITER_WAITS.labels(endpoint=group).observe(waited)
                return reservation

    def reserve(
        self,
        app_id: UUID,
        group: EndpointGroup,
        *,
        endpoint: str | None = None,
        max_wait: timedelta,
    ) -> Reservation:
        """
        Take the next free slot, if it is at most `max_wait` (and 5 minutes) ahead.

        Raises Throttled, with nothing reserved, when it is not.
        """
        lateness = self._slack.lateness
        pace = {
            "endpoint": endpoint or group,
            "configured": self.rates[group],
            "most": MOST if self._named.follow else self.rates[group],
            "window": request_slots.WINDOW,
            "slack": lateness + self._slack.delivery,
            "least": request_slots.LATENESS + request_slots.DELIVERY,
            "calm": STEADY,
            "max_wait": min(max_wait, LONGEST_WAIT),
            "opens_after": BREAKER_OPENS_AFTER,
            "probe_every": PROBE_EVERY,
        }
        row = {"app_id": app_id, "group": group}
        asked_at = time.monotonic()

        with self._engine.connect() as connection:
            slot = connection.execute(statements.RESERVE, row | pace).one_or_none()
            if slot is None:
                bounds = {
                    "longest_wait": LONGEST_WAIT + interval(1),
                    "longest_cooldown": LONGEST_COOLDOWN,
                }
                after = connection.execute(statements.REFUSED, row | bounds).scalar_one()
                raise Throttled(f"no {group} request is free yet", after=max(after, timedelta(0)))
        self._named.use(app_id, endpoint or group, slot.per_minute)

        # The database read its clock at some instant between the two readings of ours: never
        # early counts from the later one, never too late from the earlier one.
        not_after = asked_at + slot.wait + lateness.total_seconds()
        not_before = time.monotonic() + slot.wait
        return Reservation(
            *(app_id, group, not_before, not_after),
            probe=slot.probe,
            endpoint=endpoint,
            lateness=lateness.total_seconds(),
        )

    def wait_for(
        self, reservation: Reservation, *, on_progress: Callable[[], None] = lambda: None
    ) -> bool:
        """
        Wait for the slot; False when it is lost, since the thread woke up late or a cooldown began.

        Late wakers that all sent at once would be a burst, so each must reserve again.
        """
        progress_at = time.monotonic() + _PROGRESS_EVERY
        while (left := reservation.not_before - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _SLICE)):
                raise Throttled("the process is stopping", after=timedelta(0))
            if left > 1 and time.monotonic() > progress_at:
                on_progress()
                progress_at = time.monotonic() + _PROGRESS_EVERY

        now = time.monotonic()
        self._slack.woke(now - reservation.not_after + reservation.lateness)
        # A probe started the cooldown itself, for all others.
        if not reservation.probe and reservation.app_id in self.cooldowns(reservation.group):
            return False
        return time.monotonic() <= reservation.not_after

    def sent(self, reservation: Reservation | None, request: httpx.Request) -> None:
        """
        Note when a request left, and when its answer began; nothing for one that never left.

        One that left too late for its slot, as the process stood still after `wait_for` had looked
        at the clock, pays with a second slot.
        """
        at = request.extensions.get("sent_at")
        if reservation is None or at is None:
            return
        self._slack.answered(request.extensions["answered_at"] - at)
        late = at - reservation.not_after
        if late <= 0:
            return
        log.warning("limiter.late", app_id=str(reservation.app_id), seconds=round(late, 3))
        row = (reservation.app_id, reservation.group)
        with suppress(Throttled):  # then no process sends for minutes
            self.reserve(*row, endpoint=reservation.endpoint, max_wait=LONGEST_WAIT)

    def cool_down(
        self, app_id: UUID, group: EndpointGroup, *, after: timedelta, reason: str
    ) -> None:
        """
        Let no process send for `after` (at most an hour); a longer cooldown is never shortened.

        Slots that others have reserved are given up when they notice, within a second.
        """
        after = min(after, LONGEST_COOLDOWN)
        self._write(statements.COOL_DOWN, app_id, group, after=after, reason=reason)
        self._snapshots.forget(group)

    def cooldowns(self, group: EndpointGroup) -> dict[UUID, timedelta]:
        """Return who is in cooldown, and for how much longer, as known for a second at most."""
        return self._snapshots.of(group).cooldowns()

    def crowded(self, group: EndpointGroup) -> frozenset[UUID]:
        """Return the applications at which jobs have to queue for slots, as known for a second."""
        return self._snapshots.of(group).crowded

    def limit_in_use(self, app_id: UUID, group: EndpointGroup, endpoint: str) -> int:
        """Return the limit a minute under which this process's latest slot there was given."""
        return self._named.in_use(app_id, group, endpoint)

    def heed(
        self, app_id: UUID, group: EndpointGroup, answer: Answer, *, endpoint: str | None = None
    ) -> None:
        """
        Take from an answer what iFood says of the pace, for all processes.

        A 429 starts a cooldown: as long as its headers ask, else 30 s, doubled each time that it
        comes again soon. `X-RateLimit-Remaining: 0` starts one until `X-RateLimit-Reset`, unless
        our next slot is later anyway. An `X-RateLimit-Limit` (per minute, says iFood's rate-limit
        guide) replaces the configured rate of its endpoint for a day: see `NamedLimits`. Any answer
        of iFood itself ends a series of failures.
        """
        told = rate_headers(answer.headers)
        refused = answer.status == HTTPStatus.TOO_MANY_REQUESTS
        self._named.hear(app_id, group, endpoint or group, named=told.limit, refused=refused)
        step = interval(self.limit_in_use(app_id, group, endpoint or group))

        if refused:
            self._throttled(app_id, group, answer)
        elif told.remaining == 0 and told.reset is not None and told.reset > step:
            self.cool_down(app_id, group, after=told.reset, reason="iFood's limit is used up")
        if is_served(answer):
            self._answered(app_id, group)

    def failed(
        self, app_id: UUID, group: EndpointGroup, *, blocked_by: str | None = None
    ) -> timedelta | None:
        """
        Count a delivery that ended in a fault; `blocked_by` is what a gateway said that refuses us.

        Ten in a row, in any processes, open the breaker: one request a minute may try, and
        all others wait until one is answered. Returns the cooldown, None when it is not open.
        """
        values = {
            "opens_after": BREAKER_OPENS_AFTER,
            "probe_every": PROBE_EVERY,
            "longest": LONGEST_COOLDOWN,
            "reason": f"iFood fails; one request in {PROBE_EVERY.total_seconds():.0f} s tries",
        }
        row = {"app_id": app_id, "group": group, "blocked_by": blocked_by}
        with self._engine.connect() as connection:
            found = connection.execute(statements.FAILED, row | values).one()
        self._snapshots.forget(group)

        if found.failures < BREAKER_OPENS_AFTER:
            return None
        if found.failures == BREAKER_OPENS_AFTER:
            log.error("breaker.opened", app_id=str(app_id), group=group, failures=found.failures)
        cooldown: timedelta = found.cooldown
        return cooldown

    def _throttled(self, app_id: UUID, group: EndpointGroup, answer: Answer) -> None:
        after, reason = asked_pause(answer.headers), f"429 {error_text(answer)}".strip()
        if after is not None:
            self.cool_down(app_id, group, after=after, reason=reason)
            return
        bounds = {"calm": CALM, "shortest": DEFAULT_PAUSE, "longest": LONGEST_COOLDOWN}
        self._write(statements.BACK_OFF, app_id, group, reason=reason, **bounds)
        self._snapshots.forget(group)

    def _answered(self, app_id: UUID, group: EndpointGroup) -> None:
        snapshot = self._snapshots.of(group)
        if app_id not in snapshot.failing:  # the usual case, at no cost
            return
        self._write(statements.ANSWERED, app_id, group, opens_after=BREAKER_OPENS_AFTER)
        self._snapshots.forget(group)
        if app_id in snapshot.breaker_open:
            log.warning("breaker.closed", app_id=str(app_id), group=group)

    def _write(
        self, statement: TextClause, app_id: UUID, group: EndpointGroup, **values: object
    ) -> None:
        with self._engine.connect() as connection:
            connection.execute(statement, {"app_id": app_id, "group": group, **values})
