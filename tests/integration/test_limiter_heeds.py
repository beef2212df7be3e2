"""What iFood's answers do to the pace of the fleet: 429, limits that it names, and failures."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Engine, event, text
from support.api import CUT, OF_A_GATEWAY, PAGE

from ifood_actors.errors import Throttled
from ifood_actors.ifood.http.transport import Answer
from ifood_actors.ifood.limiter import Limiter, snapshots
from ifood_actors.ifood.limiter.snapshots import read_limiters
from ifood_actors.ifood.request_slots import EndpointGroup, Reservation, interval
from ifood_actors.ifood.thresholds import BREAKER_OPENS_AFTER, PROBE_EVERY

pytestmark = pytest.mark.services

RATES: dict[EndpointGroup, int] = {"financial": 1200}
NO_WAIT = timedelta(0)
SOON = timedelta(seconds=5)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
STALL = 30  # seconds that a machine may stand still
NEARLY = timedelta(microseconds=2)  # Postgres and Python round differently


@pytest.fixture
def app_id() -> UUID:
    return uuid4()


@pytest.fixture
def limiter(engine: Engine, app_id: UUID) -> Limiter:
    """Make a limiter at which one request has been sent, as there is before any answer."""
    limiter = Limiter(engine, rates=RATES)
    limiter.reserve(app_id, "financial", max_wait=NO_WAIT)
    return limiter


def answer(
    status: int = 200, headers: dict[str, str] | None = None, *, body: bytes = b"[]"
) -> Answer:
    return Answer(status, httpx.Headers(headers), body)


def limit(value: str) -> Answer:
    return answer(headers={"X-RateLimit-Limit": value})


def shift(engine: Engine, app_id: UUID, by: timedelta, *columns: str) -> None:
    """Move instants of the row, as if time went by, or the database's clock was set."""
    changes = ", ".join(f"{column} = {column} + :by" for column in columns)
    with engine.begin() as connection:
        connection.execute(
            text(f"UPDATE ifood_limits SET {changes} WHERE app_id = :app_id"),
            {"by": by, "app_id": app_id},
        )


def cooldown_left(engine: Engine, app_id: UUID) -> float:
    """Seconds, as another process sees it; 0 when it is open."""
    return read_limiters(engine, "financial").cooldowns().get(app_id, NO_WAIT).total_seconds()


def length(engine: Engine, app_id: UUID) -> float:
    """Seconds from the start of the cooldown to its end, however much of them is over."""
    lasts: timedelta = column(engine, app_id, "closed_until - closed_at")
    return lasts.total_seconds()


def step(engine: Engine, app_id: UUID, **how: Any) -> timedelta:
    """Measure the distance of two slots when another process takes the first, by Postgres."""
    with engine.begin() as connection:  # a slot that is over would count from now
        soon = "UPDATE ifood_limits SET next_free_at = clock_timestamp() + INTERVAL '1 min'"
        connection.execute(text(soon))
    first: datetime = column(engine, app_id, "next_free_at")
    process = Limiter(engine, rates=RATES, follow=how.pop("follow", False))
    process.reserve(app_id, "financial", max_wait=5 * MINUTE, **how)
    second: datetime = column(engine, app_id, "next_free_at")
    return second - first


def column(engine: Engine, app_id: UUID, expression: str) -> Any:
    with engine.connect() as connection:
        statement = text(f"SELECT {expression} FROM ifood_limits WHERE app_id = :app_id")
        return connection.execute(statement, {"app_id": app_id}).scalar_one()


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements that the block sends."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def in_seconds(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def after(value: str, reset: str = "90") -> dict[str, str]:
    return {"Retry-After": value, "X-RateLimit-Reset": reset}


PAUSES = {
    "seconds": (after("7"), 7),
    "garbage": (after("soon"), 90),
    "huge": (after("9" * 30), 3600),
    "zero": (after("0"), 1),
    "negative": (after("-3"), 90),
    "a date long past": (after("Wed, 21 Oct 2015 07:28:00 GMT"), 90),
    "a date far ahead": (after("Fri, 31 Dec 9999 23:59:59 GMT"), 3600),
    "no seconds, but the reset": ({"X-RateLimit-Reset": "45"}, 45),
    "nothing": ({}, 30),
}


@pytest.mark.parametrize("case", PAUSES)
def test_a_429_is_a_cooldown_of_the_application_for_everybody_as_long_as_it_asks(
    engine, limiter, app_id, case
):
    headers, seconds = PAUSES[case]

    limiter.heed(app_id, "financial", answer(429, headers))

    assert length(engine, app_id) == pytest.approx(seconds, abs=0.1)
    shift(engine, app_id, MINUTE, "closed_until")  # so that a second is not over yet
    with pytest.raises(Throttled):
        Limiter(engine, rates=RATES).reserve(app_id, "financial", max_wait=SOON)


def test_a_429_may_name_a_date(engine, limiter, app_id):
    limiter.heed(app_id, "financial", answer(429, {"Retry-After": in_seconds(600)}))

    assert cooldown_left(engine, app_id) == pytest.approx(600, abs=STALL)


def test_a_429_that_does_not_say_how_long_doubles_the_pause_when_it_comes_again(
    engine, limiter, app_id
):
    pauses = []
    for _ in range(9):
        for _request in range(3):  # that were under way together
            limiter.heed(app_id, "financial", answer(429))
        pauses.append(length(engine, app_id))
        shift(engine, app_id, -timedelta(seconds=pauses[-1] + 5), "closed_at", "closed_until")
    shift(engine, app_id, -timedelta(minutes=5), "closed_at", "closed_until")
    limiter.heed(app_id, "financial", answer(429))

    assert pauses == pytest.approx([30, 60, 120, 240, 480, 960, 1920, 3600, 3600], abs=0.1)
    assert length(engine, app_id) == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize(("remaining", "seconds"), [("0", 200), ("1", 0), ("none", 0)])
def test_a_limit_that_is_used_up_is_a_cooldown_until_its_reset(
    engine, limiter, app_id, remaining, seconds
):
    headers = {"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": "200"}

    limiter.heed(app_id, "financial", answer(headers=headers))

    assert cooldown_left(engine, app_id) == pytest.approx(seconds, rel=0.2)


@pytest.mark.parametrize(("reset", "cools"), [("12", False), ("13", True)])
def test_a_limit_that_our_own_pace_uses_up_is_no_cooldown(engine, app_id, reset, cools):
    """At five a minute slots are 12.16 s apart: a cooldown until then would lose one."""
    slow = Limiter(engine, rates={"financial": 5})
    slow.reserve(app_id, "financial", max_wait=NO_WAIT)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}

    slow.heed(app_id, "financial", answer(headers=headers))

    assert (app_id in slow.cooldowns("financial")) is cools


@pytest.mark.parametrize("value", ["600", "900"])
def test_a_limit_lower_than_ours_slows_every_process_down(engine, limiter, app_id, value):
    limiter.heed(app_id, "financial", limit(value))

    assert step(engine, app_id) == pytest.approx(interval(int(value)), abs=NEARLY)


@pytest.mark.parametrize("value", ["1200", "5000", "0", "-1", "300, 300;w=60", "many", "9" * 30])
def test_other_limits_change_nothing(engine, limiter, app_id, value):
    with counted(engine) as statements:
        for _ in range(5):
            limiter.heed(app_id, "financial", limit(value))

    assert not [statement for statement in statements if "INTO ifood_named_limits" in statement]
    assert step(engine, app_id) == pytest.approx(interval(1200), abs=NEARLY)


def test_two_odd_headers_do_not_slow_a_fleet_down(engine, limiter, app_id):
    for value in ("900", "10", "900", "10", "10", "900"):
        limiter.heed(app_id, "financial", limit(value))

    assert step(engine, app_id) == pytest.approx(interval(900), abs=NEARLY)


def test_a_limit_under_half_of_ours_is_believed_when_three_answers_in_a_row_say_it(
    engine, limiter, app_id
):
    steps = []
    for _ in range(3):
        limiter.heed(app_id, "financial", limit("599"))
        steps.append(step(engine, app_id))

    assert steps == pytest.approx([interval(1200), interval(1200), interval(599)], abs=NEARLY)


def test_an_answer_that_names_no_limit_confirms_none(engine, limiter, app_id):
    for _ in range(3):
        limiter.heed(app_id, "financial", limit("10"))
        limiter.heed(app_id, "financial", answer())
    limiter.heed(app_id, "financial", answer(429, {"Retry-After": "1"}))

    shift(engine, app_id, -MINUTE, "closed_until")
    assert step(engine, app_id) == pytest.approx(interval(1200), abs=NEARLY)


@pytest.mark.parametrize("refusal", [{"X-RateLimit-Limit": "10"}, {}], ids=["named", "silent"])
def test_a_429_confirms_a_very_low_limit_at_once(engine, limiter, app_id, refusal):
    limiter.heed(app_id, "financial", limit("10"))

    limiter.heed(app_id, "financial", answer(429, {"Retry-After": "1", **refusal}))

    shift(engine, app_id, -MINUTE, "closed_until")
    assert step(engine, app_id) == pytest.approx(interval(10), abs=NEARLY)


def test_the_newest_limit_counts_and_rises_to_ours_but_not_above(engine, limiter, app_id):
    steps = []
    for value in ("700", "1000", "650", "1200", "900", "5000"):
        limiter.heed(app_id, "financial", limit(value))
        steps.append(step(engine, app_id))

    limits = (700, 1000, 650, 1200, 900, 1200)
    assert steps == pytest.approx([interval(each) for each in limits], abs=NEARLY)


def test_another_process_raises_what_this_one_was_told(engine, limiter, app_id):
    other = Limiter(engine, rates=RATES)
    for _ in range(3):
        limiter.heed(app_id, "financial", limit("10"))

    other.reserve(app_id, "financial", max_wait=5 * MINUTE)  # shows it the limit that is in use
    other.heed(app_id, "financial", limit("1200"))

    assert step(engine, app_id) == pytest.approx(interval(1200), abs=NEARLY)


def test_a_limit_above_ours_is_followed_when_that_is_wanted(engine, app_id):
    eager = Limiter(engine, rates=RATES, follow=True)
    eager.reserve(app_id, "financial", max_wait=NO_WAIT)

    eager.heed(app_id, "financial", limit("6000"))

    assert step(engine, app_id, follow=True) == pytest.approx(interval(6000), abs=NEARLY)
    assert step(engine, app_id) == pytest.approx(interval(1200), abs=NEARLY)


def test_each_endpoint_keeps_to_its_own_limit(engine, limiter, app_id):
    limiter.heed(app_id, "financial", limit("600"), endpoint="settlements")

    endpoints = ("sales", "settlements", "anticipations")
    steps = {endpoint: step(engine, app_id, endpoint=endpoint) for endpoint in endpoints}

    assert steps["settlements"] == pytest.approx(interval(600), abs=NEARLY)
    assert steps["sales"] == steps["anticipations"] == pytest.approx(interval(1200), abs=NEARLY)


@pytest.mark.parametrize("by", [-DAY, timedelta(days=30)], ids=["a day later", "clock set back"])
def test_a_named_limit_is_forgotten(engine, limiter, app_id, by):
    limiter.heed(app_id, "financial", limit("600"))

    with engine.begin() as connection:
        statement = text("UPDATE ifood_named_limits SET heard_at = heard_at + :by")
        connection.execute(statement, {"by": by})

    assert step(engine, app_id) == pytest.approx(interval(1200), abs=NEARLY)


def test_the_same_limit_on_every_answer_is_written_once(engine, limiter, app_id):
    with counted(engine) as statements:
        for _ in range(5):
            limiter.heed(app_id, "financial", limit("600"))

    assert len([one for one in statements if "INTO ifood_named_limits" in one]) == 1


def test_a_request_costs_one_statement(engine, limiter, app_id, monkeypatch):
    monkeypatch.setattr(snapshots, "KEPT_SECONDS", 60)  # seconds, for a slow machine
    limiter.heed(app_id, "financial", answer())  # reads the snapshot

    with counted(engine) as statements:
        for _ in range(5):
            limiter.reserve(app_id, "financial", max_wait=SOON)
            limiter.heed(app_id, "financial", limit("5000"))

    assert len(statements) == 5


def open_breaker(limiter: Limiter, app_id: UUID) -> None:
    for _ in range(BREAKER_OPENS_AFTER):
        limiter.failed(app_id, "financial")


def test_ten_failures_in_a_row_open_the_breaker_for_the_fleet(engine, limiter, app_id):
    fleet = [limiter, Limiter(engine, rates=RATES)]
    outcomes = [fleet[turn % 2].failed(app_id, "financial") for turn in range(BREAKER_OPENS_AFTER)]

    assert outcomes[:-1] == [None] * (BREAKER_OPENS_AFTER - 1)
    assert outcomes[-1] == pytest.approx(PROBE_EVERY, abs=timedelta(seconds=1))
    assert cooldown_left(engine, app_id) == pytest.approx(60, abs=STALL)
    with pytest.raises(Throttled):
        limiter.reserve(app_id, "financial", max_wait=timedelta(seconds=30))


def test_an_application_that_no_request_was_sent_for_can_fail(engine, limiter):
    never_asked = uuid4()

    open_breaker(limiter, never_asked)

    assert never_asked in read_limiters(engine, "financial").breaker_open
    assert cooldown_left(engine, never_asked) == pytest.approx(60, abs=STALL)


def test_what_a_gateway_said_is_kept_until_another_fault_or_an_answer(engine, limiter, app_id):
    def fail(said: str | None) -> str | None:
        limiter.failed(app_id, "financial", blocked_by=said)
        return blocked_by(engine, app_id)

    said = [fail("403 one"), fail("403 two"), fail(None), fail("403 three")]
    limiter.heed(app_id, "financial", answer(403, body=PAGE))
    still = blocked_by(engine, app_id)
    limiter.heed(app_id, "financial", answer(403))

    assert said == ["403 one", "403 two", None, "403 three"]
    assert (still, blocked_by(engine, app_id)) == ("403 three", None)


def blocked_by(engine: Engine, app_id: UUID) -> str | None:
    with engine.connect() as connection:
        statement = text("SELECT blocked_by FROM ifood_limits WHERE app_id = :app_id")
        said: str | None = connection.execute(statement, {"app_id": app_id}).scalar_one()
    return said


@pytest.mark.parametrize("status", [200, 204, 400, 403, 404])
def test_an_answer_ends_the_series(engine, limiter, app_id, status):
    for _ in range(3):
        for _ in range(BREAKER_OPENS_AFTER - 1):
            assert limiter.failed(app_id, "financial") is None
        limiter.heed(app_id, "financial", answer(status))

    assert cooldown_left(engine, app_id) == 0


def test_one_request_a_minute_is_let_through_an_open_breaker(engine, limiter, app_id):
    open_breaker(limiter, app_id)
    start = threading.Barrier(8)

    def reserve(_thread: int) -> Reservation | None:
        start.wait()
        try:
            return Limiter(engine, rates=RATES).reserve(app_id, "financial", max_wait=NO_WAIT)
        except Throttled:
            return None

    for _minute in range(3):
        shift(engine, app_id, -PROBE_EVERY, "closed_until", "next_free_at")
        assert app_id in read_limiters(engine, "financial").half_open()
        with ThreadPoolExecutor(8) as pool:
            passed = [slot for slot in pool.map(reserve, range(8)) if slot]

        assert [slot.probe for slot in passed] == [True]
        assert limiter.wait_for(replace(passed[0], not_after=passed[0].not_after + STALL))
        assert cooldown_left(engine, app_id) == pytest.approx(60, abs=STALL)


def test_a_probe_that_fails_keeps_the_breaker_open_and_one_that_is_answered_closes_it(
    engine, limiter, app_id
):
    open_breaker(limiter, app_id)
    shift(engine, app_id, -PROBE_EVERY, "closed_until")
    limiter.reserve(app_id, "financial", max_wait=SOON)
    waits = limiter.failed(app_id, "financial")
    assert waits == pytest.approx(PROBE_EVERY, abs=timedelta(seconds=1))

    shift(engine, app_id, -PROBE_EVERY, "closed_until")
    limiter.reserve(app_id, "financial", max_wait=SOON)
    limiter.heed(app_id, "financial", answer())

    assert cooldown_left(engine, app_id) == 0
    assert step(engine, app_id) == pytest.approx(interval(1200), abs=NEARLY)


NOT_OF_IFOOD = [
    answer(503),
    *(answer(status, body=body) for status in (200, 403, 404) for body in OF_A_GATEWAY),
    *(answer(status, body=body) for status in (200, 403, 404) for body in CUT),
    answer(429),
    answer(302),
]


@pytest.mark.parametrize("fault", NOT_OF_IFOOD)
def test_what_is_no_answer_of_ifood_does_not_close_the_breaker(engine, limiter, app_id, fault):
    open_breaker(limiter, app_id)

    limiter.heed(app_id, "financial", fault)

    assert app_id in read_limiters(engine, "financial").breaker_open


def test_the_end_of_a_series_does_not_end_a_429(engine, limiter, app_id):
    limiter.failed(app_id, "financial")
    limiter.heed(app_id, "financial", answer(429, {"Retry-After": "600"}))

    limiter.heed(app_id, "financial", answer())  # was under way

    assert cooldown_left(engine, app_id) == pytest.approx(600, abs=STALL)


def test_applications_and_groups_fail_by_themselves(engine, limiter, app_id):
    open_breaker(limiter, app_id)

    assert limiter.failed(uuid4(), "financial") is None
    limiter.reserve(uuid4(), "financial", max_wait=NO_WAIT)
    assert not read_limiters(engine, "merchant").breaker_open


def test_a_cooldown_from_before_the_clock_was_set_back_is_not_believed(engine, limiter, app_id):
    open_breaker(limiter, app_id)

    shift(engine, app_id, timedelta(days=30), "closed_until", "closed_at")

    assert cooldown_left(engine, app_id) == 0
    assert limiter.failed(app_id, "financial") <= timedelta(hours=1)
