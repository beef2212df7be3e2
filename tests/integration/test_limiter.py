"""The fleet's pace, on a real Postgres and its clock."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Engine, text

from ifood_actors.errors import Throttled
from ifood_actors.ifood.limiter import Limiter, snapshots
from ifood_actors.ifood.limiter import limiter as limiter_module
from ifood_actors.ifood.request_slots import (
    DELIVERY,
    LATENESS,
    WINDOW,
    EndpointGroup,
    Reservation,
    interval,
)

pytestmark = pytest.mark.services

RATES: dict[EndpointGroup, int] = {"financial": 1200, "merchant": 1, "oauth": 15}
LONG = timedelta(minutes=5)
NO_WAIT = timedelta(0)


@pytest.fixture
def limiter(engine: Engine) -> Limiter:
    return Limiter(engine, rates=RATES)


def shift(engine: Engine, app_id: UUID, column: str, by: timedelta) -> None:
    """Move an instant of the row, as if the database's clock had gone the other way."""
    with engine.begin() as connection:
        connection.execute(
            text(f"UPDATE ifood_limits SET {column} = {column} + :by WHERE app_id = :app_id"),
            {"by": by, "app_id": app_id},
        )


def next_free_at(engine: Engine, app_id: UUID) -> datetime:
    with engine.connect() as connection:
        statement = text("SELECT next_free_at FROM ifood_limits WHERE app_id = :app_id")
        instant: datetime = connection.execute(statement, {"app_id": app_id}).scalar_one()
        return instant


def test_slots_of_many_threads_and_processes_are_one_interval_apart(engine):
    app_id, fleet = uuid4(), [Limiter(engine, rates=RATES) for _ in range(4)]
    fleet[0].reserve(app_id, "financial", max_wait=NO_WAIT)
    shift(engine, app_id, "next_free_at", timedelta(minutes=1))  # however slow the threads are
    first = next_free_at(engine, app_id)
    start = threading.Barrier(4)

    def reserve(limiter: Limiter) -> list[Reservation]:
        start.wait()
        return [limiter.reserve(app_id, "financial", max_wait=LONG) for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        slots = [slot for mine in pool.map(reserve, fleet) for slot in mine]

    assert next_free_at(engine, app_id) - first == 200 * interval(1200)
    # Each process knows its slots as well as the statement's way there and back is fast.
    earliest = [slot.not_after - LATENESS.total_seconds() for slot in slots]
    latest = [slot.not_before for slot in slots]
    whole = 199 * interval(1200).total_seconds()
    assert max(earliest) - min(latest) <= whole <= max(latest) - min(earliest)


@pytest.mark.alone
def test_requests_come_no_faster_than_the_rate_and_use_it_up(limiter):
    app_id, sent = uuid4(), []
    started = time.monotonic()

    def send() -> None:
        for _ in range(14):
            limiter.acquire(app_id, "financial")
            sent.append(time.monotonic())

    with ThreadPoolExecutor(5) as pool:
        for future in [pool.submit(send) for _ in range(5)]:
            future.result()

    every = interval(1200).total_seconds()
    assert all(at - started >= number * every for number, at in enumerate(sorted(sent)))
    gaps = sorted(later - at for at, later in pairwise(sorted(sent)))
    # But for the longest: a machine may stand still.
    assert sum(gaps[:-3]) <= len(gaps) * every / 0.75


def test_the_pace_survives_a_restart(engine, limiter):
    app_id = uuid4()
    limiter.reserve(app_id, "merchant", max_wait=NO_WAIT)

    with pytest.raises(Throttled):
        Limiter(engine, rates=RATES).reserve(app_id, "merchant", max_wait=NO_WAIT)


def test_applications_and_groups_do_not_wait_for_each_other(limiter):
    app_id = uuid4()

    limiter.reserve(app_id, "oauth", max_wait=NO_WAIT)
    limiter.reserve(app_id, "merchant", max_wait=NO_WAIT)
    limiter.reserve(uuid4(), "oauth", max_wait=NO_WAIT)


def test_a_wait_that_is_too_long_reserves_nothing(limiter):
    app_id = uuid4()
    limiter.reserve(app_id, "merchant", max_wait=NO_WAIT)

    for _ in range(10):
        with pytest.raises(Throttled) as raised:
            limiter.reserve(app_id, "merchant", max_wait=timedelta(seconds=1))

    assert timedelta(seconds=30) < raised.value.after <= interval(1)


def test_a_refusal_brings_the_next_slot_no_nearer(engine, limiter):
    app_id = uuid4()
    limiter.reserve(app_id, "merchant", max_wait=NO_WAIT)
    shift(engine, app_id, "next_free_at", LONG - timedelta(seconds=2))  # then it is 360 s ahead

    for _ in range(2):
        with pytest.raises(Throttled):
            limiter.reserve(app_id, "merchant", max_wait=LONG)


def test_idle_time_is_not_saved_up(engine, limiter):
    app_id = uuid4()
    limiter.reserve(app_id, "merchant", max_wait=NO_WAIT)
    shift(engine, app_id, "next_free_at", -timedelta(hours=1))

    limiter.reserve(app_id, "merchant", max_wait=NO_WAIT)

    with pytest.raises(Throttled):
        limiter.reserve(app_id, "merchant", max_wait=NO_WAIT)


def test_an_application_in_cooldown_sends_nothing_until_it_ends(engine, limiter):
    app_id = uuid4()
    started = time.monotonic()

    limiter.cool_down(app_id, "financial", after=timedelta(minutes=1), reason="429")

    cooling = limiter.cooldowns("financial")
    assert timedelta(0) < cooling[app_id] <= timedelta(minutes=1)
    with pytest.raises(Throttled):
        limiter.reserve(app_id, "financial", max_wait=timedelta(seconds=0.1))
    shift(engine, app_id, "closed_until", timedelta(seconds=2) - timedelta(minutes=1))
    limiter.acquire(app_id, "financial")
    assert 2 <= time.monotonic() - started < 30
    assert app_id not in limiter.cooldowns("financial")


def test_opening_lets_them_out_one_by_one(engine, limiter):
    app_id = uuid4()
    limiter.cool_down(app_id, "merchant", after=timedelta(minutes=1), reason="429")

    free = []
    for _ in range(3):
        limiter.reserve(app_id, "merchant", max_wait=LONG)
        free.append(next_free_at(engine, app_id))

    assert [later - slot for slot, later in pairwise(free)] == [interval(1)] * 2


def test_a_cooldown_is_lengthened_but_never_shortened(limiter):
    app_id = uuid4()

    for seconds, left in [(600, 600), (5, 600), (900, 900)]:
        limiter.cool_down(app_id, "financial", after=timedelta(seconds=seconds), reason="429")

        remaining = limiter.cooldowns("financial")[app_id].total_seconds()
        assert remaining == pytest.approx(left, abs=60)


def test_a_cooldown_lasts_an_hour_at_most(limiter):
    app_id = uuid4()

    limiter.cool_down(app_id, "financial", after=timedelta(days=300), reason="429")

    assert limiter.cooldowns("financial")[app_id] <= timedelta(hours=1)


def test_who_holds_a_slot_when_a_cooldown_begins_gives_it_up(limiter):
    app_id = uuid4()
    held = limiter.reserve(app_id, "financial", max_wait=LONG)

    limiter.cool_down(app_id, "financial", after=timedelta(seconds=30), reason="429")

    assert not limiter.wait_for(held)


def test_another_process_notices_a_cooldown_within_a_second(engine, limiter):
    app_id, other = uuid4(), Limiter(engine, rates=RATES)
    assert app_id not in other.cooldowns("financial")

    limiter.cool_down(app_id, "financial", after=timedelta(seconds=30), reason="429")

    threading.Event().wait(1.1)
    assert app_id in other.cooldowns("financial")


def test_who_wakes_up_late_gives_the_slot_up(limiter):
    now = time.monotonic()
    late = Reservation(uuid4(), "financial", not_before=now - 2, not_after=now - 1)

    assert not limiter.wait_for(late)


@pytest.mark.parametrize("late", [True, False])
def test_a_request_that_left_too_late_takes_another_slot(engine, limiter, late):
    app_id = uuid4()
    held = limiter.reserve(app_id, "financial", max_wait=NO_WAIT)
    shift(engine, app_id, "next_free_at", timedelta(minutes=1))
    before = next_free_at(engine, app_id)
    request = httpx.Request("GET", "https://ifood.test")
    request.extensions["sent_at"] = held.not_after + (0.001 if late else -0.001)
    request.extensions["answered_at"] = held.not_after + 0.1

    limiter.sent(held, request)

    taken = next_free_at(engine, app_id) - before
    assert taken == (interval(1200) if late else timedelta(0))


@pytest.mark.alone
def test_a_process_that_stalls_is_given_more_time_by_the_whole_fleet(engine, limiter):
    app_id, other = uuid4(), Limiter(engine, rates=RATES)
    stalled = time.monotonic() - 2
    for _ in range(2):
        late = Reservation(app_id, "financial", not_before=stalled, not_after=stalled + 0.3)
        assert not limiter.wait_for(late)

    mine = limiter.reserve(app_id, "financial", max_wait=LONG)
    steps = [step_of(engine, other, app_id)]
    shift(engine, app_id, "slack_at", -timedelta(minutes=3))
    steps.append(step_of(engine, other, app_id))

    assert 4 <= mine.lateness <= 5
    wide = WINDOW + timedelta(seconds=mine.lateness) + DELIVERY
    assert steps[0] == pytest.approx(wide / 1200, abs=timedelta(microseconds=3))
    assert steps[1] == interval(1200)


def step_of(engine: Engine, limiter: Limiter, app_id: UUID) -> timedelta:
    shift(engine, app_id, "next_free_at", timedelta(minutes=1))
    before = next_free_at(engine, app_id)
    limiter.reserve(app_id, "financial", max_wait=LONG)
    return next_free_at(engine, app_id) - before


class Clock(threading.Event):
    """Stands for the module `time`, and goes on as often as somebody waits."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0
        return False


def test_a_long_wait_keeps_its_caller_alive_but_not_at_the_last_moment(engine, monkeypatch):
    clock, calls = Clock(), []
    for module in (limiter_module, snapshots):
        monkeypatch.setattr(module, "time", clock)
    slot = Reservation(uuid4(), "financial", not_before=17, not_after=18)

    limiter = Limiter(engine, rates=RATES, stopping=clock)
    assert limiter.wait_for(slot, on_progress=lambda: calls.append(clock.now))

    assert calls == [5.5, 11]


def test_a_stopping_process_does_not_wait(engine):
    stopping = threading.Event()
    limiter, app_id = Limiter(engine, rates=RATES, stopping=stopping), uuid4()
    limiter.reserve(app_id, "merchant", max_wait=NO_WAIT)
    threading.Timer(0.2, stopping.set).start()
    started = time.monotonic()

    with pytest.raises(Throttled, match="stopping"):
        limiter.acquire(app_id, "merchant", max_wait=LONG)

    assert time.monotonic() - started < 30


@pytest.mark.parametrize("column", ["next_free_at", "closed_until"])
def test_a_clock_that_was_set_back_does_not_hold_the_fleet_for_long(engine, limiter, column):
    app_id = uuid4()
    limiter.cool_down(app_id, "financial", after=timedelta(seconds=1), reason="429")
    shift(engine, app_id, column, timedelta(days=30))

    waits = []
    for _ in range(2):
        with pytest.raises(Throttled) as raised:
            limiter.reserve(app_id, "financial", max_wait=timedelta(seconds=30))
        waits.append(raised.value.after)

    assert waits[1] < waits[0] <= timedelta(hours=1)
