"""
Any processes asking at any time: iFood's own count never passes the limit, and little is wasted.

The real limiter and its SQL; the clock of Postgres and that of the processes are one, and moved by
hand. What iFood counts, and what a limiter could grant at best, are computed by brute force.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, text
from support.clock import NOON, StoppedClock
from support.queueing import Monotonic

from ifood_actors.errors import Throttled
from ifood_actors.ifood.http.transport import Answer
from ifood_actors.ifood.limiter import Limiter, limiter, read_limiters, snapshots
from ifood_actors.ifood.request_slots import (
    DELIVERY,
    LATENESS,
    MOST_DELIVERY,
    MOST_LATENESS,
    WINDOW,
    EndpointGroup,
    Reservation,
)

pytestmark = pytest.mark.services

Row = tuple[UUID, EndpointGroup]
RATES: dict[EndpointGroup, int] = {"financial": 6, "oauth": 2}
SPAN = WINDOW + LATENESS + DELIVERY
LONGEST_SPAN = WINDOW + MOST_LATENESS + MOST_DELIVERY
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
# For slots that floats carried, rounded to the microsecond; one for each step of the pace.
NEARLY = timedelta(microseconds=500)

rows = st.integers(0, 3)
processes = st.integers(0, 2)
# By how many seconds threads wake up late; the last two are too late to send at first, and make the
# fleet allow for more.
lateness = st.lists(st.sampled_from([0.0, 0.05, 0.149, 0.4, 1.5]), min_size=1, max_size=10)


@dataclass(frozen=True)
class Waiting:
    slot: datetime
    wakes_at: datetime
    row: Row
    process: Limiter
    reservation: Reservation
    limit: int


class LimiterMachine(RuleBasedStateMachine):
    def __init__(self, engine: Engine, clock: StoppedClock) -> None:
        super().__init__()
        self.engine, self.clock = engine, clock
        clock.set(NOON)
        self.rows: list[Row] = [(app, group) for app in (uuid4(), uuid4()) for group in RATES]
        self.fleet = [Limiter(engine, rates=RATES) for _ in range(3)]
        self.waiting: list[Waiting] = []
        # Each with the limit that it was granted under.
        self.slots: dict[Row, list[tuple[datetime, int]]] = defaultdict(list)
        self.sent: dict[Row, list[tuple[datetime, int]]] = defaultdict(list)
        self.best: dict[Row, list[datetime]] = defaultdict(list)
        self.told: set[Row] = set()
        self.slack: dict[Row, list[tuple[datetime, timedelta]]] = defaultdict(list)
        self.cooling: dict[Row, tuple[datetime, datetime]] = {}

    @rule(
        row=rows,
        process=processes,
        each=lateness,
        max_wait=st.sampled_from([timedelta(0), 15 * SECOND, 5 * MINUTE]),
    )
    def reserve(self, row: int, process: int, each: list[float], max_wait: timedelta) -> None:
        for late in each:
            self.reserve_one(self.rows[row], self.fleet[process], late, max_wait)

    def reserve_one(self, row: Row, process: Limiter, late: float, max_wait: timedelta) -> None:
        now, best = self.clock.now, self.best_slot(row)
        slack = timedelta(seconds=process._slack.total.total_seconds())
        try:
            reservation = process.reserve(*row, max_wait=max_wait)
        except Throttled as refused:
            self.check_refusal(row, refused.after, max_wait, best)
            return

        slot = NOON + timedelta(seconds=reservation.not_before)
        assert now <= slot <= now + max_wait
        # Evenly paced, it may come a window later than from who sends all at once; never more.
        assert self.is_slowed(row) or slot <= best + SPAN + NEARLY
        if self.slots[row] and now >= max(
            self.slots[row][-1][0] + LONGEST_SPAN, self.cools_until(row)
        ):
            assert slot == now
        limit = self.limit_of(row)
        self.slots[row].append((slot, limit))
        self.slack[row].append((slot, slack))
        self.best[row].append(best)
        wakes_at = slot + timedelta(seconds=late, microseconds=1)
        self.waiting.append(Waiting(slot, wakes_at, row, process, reservation, limit))

    def check_refusal(
        self, row: Row, after: timedelta, max_wait: timedelta, best: datetime
    ) -> None:
        assert after > max_wait
        assert self.is_slowed(row) or after <= best + SPAN + NEARLY - self.clock.now

    def is_slowed(self, row: Row) -> bool:
        return row in self.told or any(s > LATENESS + DELIVERY for _, s in self.slack[row])

    @rule(by=st.sampled_from([0.4, 2.0, 11.0, 30.0, 61.0, 300.0, 25 * 3600.0]))
    def time_passes(self, by: float) -> None:
        """Let everybody wake up whose time has come, in order."""
        until = self.clock.now + timedelta(seconds=by)
        self.waiting.sort(key=lambda one: one.wakes_at)
        while self.waiting and self.waiting[0].wakes_at <= until:
            self.wake(self.waiting.pop(0))
        self.clock.set(until)

    def wake(self, one: Waiting) -> None:
        now = max(self.clock.now, one.wakes_at)
        self.clock.set(now)
        if not one.process.wait_for(one.reservation):
            return
        assert now <= one.slot + timedelta(seconds=one.reservation.lateness) + NEARLY
        since, until = self.cooling.get(one.row, (NOON, NOON))
        assert not since + SECOND < now < until  # a cooldown is noticed within a second
        self.sent[one.row].append((now, one.limit))

    @rule(row=rows, process=processes, seconds=st.sampled_from([None, 5, 90]))
    def is_refused(self, row: int, process: int, seconds: int | None) -> None:
        """Answer 429, with or without the pause."""
        now, one = self.clock.now, self.rows[row]
        if not self.slots[one]:
            return
        headers = {} if seconds is None else {"Retry-After": str(seconds)}
        self.fleet[process].heed(*one, Answer(429, httpx.Headers(headers), b""))

        since, until = self.cooling.get(one, (now, now))
        if seconds is None and now < until:
            return  # of all that were refused together, the first counts
        since = since if now < until else now
        self.cooling[one] = (since, max(until, now + timedelta(seconds=seconds or 30)))

    @rule(row=rows, process=processes, limit=st.integers(1, 7))
    def is_told_a_limit(self, row: int, process: int, limit: int) -> None:
        one = self.rows[row]
        if not self.slots[one]:
            return
        headers = httpx.Headers({"X-RateLimit-Limit": str(limit)})
        self.fleet[process].heed(*one, Answer(200, headers, b"[]"))
        self.told.add(one)

    def limit_of(self, row: Row) -> int:
        """Read which limit is in use; that the right one is, `test_limiter_heeds.py` shows."""
        with self.engine.connect() as connection:
            statement = text(
                "SELECT per_minute FROM ifood_named_limits WHERE app_id = :app_id"
                " AND endpoint = :endpoint AND heard_at >= :since"
            )
            since = self.clock.now - timedelta(days=1)
            values = {"app_id": row[0], "endpoint": row[1], "since": since}
            named = connection.execute(statement, values).scalar()
        return min(named or RATES[row[1]], RATES[row[1]])

    def cools_until(self, row: Row) -> datetime:
        app, group = row
        return self.clock.now + read_limiters(self.engine, group).cooldowns().get(app, timedelta(0))

    def best_slot(self, row: Row) -> datetime:
        """Give the first instant from which iFood could not count too many, however late each."""
        earliest, slots = max(self.clock.now, self.cools_until(row)), self.best[row]
        ends = (slot + SPAN for slot in slots)
        return min(
            at
            for at in (earliest, *ends)
            if at >= earliest and sum(at - SPAN < slot for slot in slots) < RATES[row[1]]
        )

    @invariant()
    def ifood_counts_no_more_than_it_allows(self) -> None:
        """However late each is sent and delivered, any 60 s of iFood's hold no more."""
        for row, limit in ((row, limit) for row in self.rows for limit in range(1, 7)):
            if limit <= RATES[row[1]]:
                assert most_in(SPAN, self.slots[row], limit) <= limit
        for row in self.rows:
            for at, slack in self.slack[row]:
                within = [one for one, _ in self.slots[row] if at <= one <= at + WINDOW + slack]
                assert len(within) <= RATES[row[1]]
                assert most_in(WINDOW + DELIVERY, self.sent[row], limit) <= limit


def most_in(span: timedelta, instants: list[tuple[datetime, int]], limit: int) -> int:
    """Count the most that any closed span holds of those that were granted under a limit."""
    under_it = [at for at, granted_under in instants if granted_under <= limit]
    return max((sum(at <= other <= at + span for other in under_it) for at in under_it), default=0)


def test_the_limiter_keeps_any_limit_and_wastes_little(engine, monkeypatch):
    clock = StoppedClock(engine)
    for module in (limiter, snapshots):
        monkeypatch.setattr(module, "time", Monotonic(clock))

    run_state_machine_as_test(
        lambda: LimiterMachine(engine, clock),  # type: ignore[arg-type] # a factory will do
        settings=settings(
            LimiterMachine.TestCase.settings, max_examples=25, stateful_step_count=25
        ),
    )
