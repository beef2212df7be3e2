"""Stores that answer nothing but 404: when they are idle, and on which days they are asked then."""

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.planning.idling import IDLE_AFTER_DAYS, NotFoundStreak, asked_again_on, look_back

DAY = timedelta(days=1)
TODAY = date(2026, 9, 22)
STORE = UUID(int=1)

apart = st.integers(1, 30)
stores = st.uuids()
days = st.dates(date(2026, 1, 1), date(2030, 12, 31))


def streak(first, last, *, store=STORE, asked=None):
    return NotFoundStreak(
        store, TODAY - first * DAY, TODAY - last * DAY, TODAY - (asked or last) * DAY
    )


@pytest.mark.parametrize(
    ("first", "last", "idle"),
    [
        (14, 1, True),
        (13, 1, False),
        (14, 2, False),
        (60, 1, True),
        (1, 1, False),  # one answer proves nothing
        (14, 14, False),  # nor does one of two weeks ago
    ],
)
def test_a_store_is_idle_after_two_weeks_of_404_from_the_first_to_the_last(first, last, idle):
    assert streak(first, last).is_idle is idle


@given(stores, apart, days)
def test_an_idle_store_is_asked_within_the_days_and_then_every_so_many(store, every, start):
    asked = played(store, every=every, start=start, days=100)

    waits = [(later - sooner).days for sooner, later in pairwise(asked)]
    assert (asked[0] - start).days < every
    assert set(waits) == {every}


@given(stores, apart, days)
def test_what_is_looked_back_at_shows_an_idle_store_as_idle_for_ever(store, every, start):
    """Two weeks of every day, then every so many: from the days looked at alone it is idle."""
    daily = [start - n * DAY for n in range(IDLE_AFTER_DAYS, 0, -1)]
    asked = daily + played(store, every=every, start=start, days=100)

    for number in range(100):
        day = start + number * DAY
        seen = [one for one in asked if day - look_back(every) <= one < day]
        assert NotFoundStreak(store, seen[0], seen[-1], seen[-1]).is_idle, day


def test_idle_stores_are_asked_on_days_of_their_own():
    every = 7
    silences = [streak(30, 1, store=uuid4()) for _ in range(1_400)]

    asked = Counter(asked_again_on(each, TODAY, every=every) for each in silences)

    assert set(asked) == {TODAY + n * DAY for n in range(every)}
    assert all(120 < stores < 280 for stores in asked.values())


@given(stores, apart, st.integers(0, 60))
def test_a_store_that_was_not_asked_for_so_long_is_asked_at_once(store, every, more):
    late = streak(90, every + more, store=store)

    assert asked_again_on(late, TODAY, every=every) == TODAY


@given(stores, apart, days)
def test_the_day_that_is_foretold_is_the_day_that_asks(store, every, start):
    waiting = NotFoundStreak(store, start - 30 * DAY, start - DAY, start - DAY)
    foretold = asked_again_on(waiting, start, every=every)

    while (day := asked_again_on(waiting, start, every=every)) != start:
        assert day == foretold
        start += DAY
    assert start == foretold


def played(store, *, every, start, days):
    """Give the days on which the store is asked, its last daily answer the day before `start`."""
    asked, last = [], start - DAY
    for number in range(days):
        day = start + number * DAY
        waiting = NotFoundStreak(store, start - 30 * DAY, last, last)
        if asked_again_on(waiting, day, every=every) == day:
            asked.append(day)
            last = day
    return asked
