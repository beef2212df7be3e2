"""The arithmetic of the pace."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.ifood.limiter import DELIVERY, LATENESS, WINDOW, interval


@given(limit=st.integers(1, 100_000))
def test_no_minute_holds_more_than_the_limit_however_late_each_request_is(limit):
    slots_in_reach = (WINDOW + LATENESS + DELIVERY) // interval(limit) + 1

    assert slots_in_reach <= limit


@pytest.mark.parametrize("limit", [1, 15, 20, 180, 300, 1000])
def test_at_least_95_percent_of_a_limit_can_be_used(limit):
    assert timedelta(minutes=1) / interval(limit) >= 0.95 * limit


@given(
    limit=st.integers(1, 30),
    delays=st.lists(st.floats(0, 2), min_size=200, max_size=200),
    start=st.floats(0, 60),
)
def test_a_server_that_counts_any_minute_never_counts_more(limit, delays, start):
    distance = interval(limit).total_seconds()
    arrivals = [slot * distance + delay for slot, delay in enumerate(delays)]

    assert sum(start <= arrival < start + 60 for arrival in arrivals) <= limit
