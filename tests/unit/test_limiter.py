"""The arithmetic of the pace."""

from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ifood_actors.ifood.request_slots import (
    DELIVERY,
    LATENESS,
    MOST_DELIVERY,
    MOST_LATENESS,
    WINDOW,
    Slack,
    interval,
)

SLACK = (LATENESS + DELIVERY).total_seconds()
SPAN = WINDOW.total_seconds() + SLACK


@given(limit=st.integers(1, 100_000))
def test_no_minute_holds_more_than_the_limit_however_late_each_request_is(limit):
    slots_in_reach = (WINDOW + LATENESS + DELIVERY) // interval(limit) + 1

    assert slots_in_reach <= limit


@pytest.mark.parametrize("limit", [1, 15, 20, 180, 300, 1000])
def test_at_least_98_percent_of_a_limit_can_be_used(limit):
    assert timedelta(minutes=1) / interval(limit) >= 0.985 * limit
    assert WINDOW / (WINDOW + LATENESS + MOST_DELIVERY) >= 0.98  # with the slowest answers, too


@given(
    limit=st.integers(1, 30),
    delays=st.lists(st.floats(0, SLACK), min_size=200, max_size=200),
    start=st.floats(0, 60),
)
def test_a_server_that_counts_any_minute_never_counts_more(limit, delays, start):
    distance = interval(limit).total_seconds()
    arrivals = [slot * distance + delay for slot, delay in enumerate(delays)]

    assert sum(start <= arrival < start + 60 for arrival in arrivals) <= limit


@given(
    limit=st.integers(1, 30),
    ahead=st.floats(0, 25),
    frozen=st.dictionaries(st.integers(0, 120), st.floats(SLACK, 30), max_size=12),
    delays=st.lists(st.floats(0, SLACK), min_size=200, max_size=200),
)
def test_who_leaves_too_late_pays_with_a_slot_and_no_minute_holds_more(
    limit, ahead, frozen, delays
):
    """Each process freezes between its last look at the clock and the socket, then pays."""
    distance = interval(limit).total_seconds()
    leaves = {number: number * distance + late for number, late in frozen.items()}
    paid: set[int] = set()
    for number, left in sorted(leaves.items(), key=lambda one: one[1]):
        # The first slot that nobody holds: others have reserved `ahead`.
        slot = int((left + ahead) / distance) + 1
        while slot in paid or slot in leaves:
            slot += 1
        assume((slot - number) * distance <= SPAN)
        paid.add(slot)

    arrivals = [
        leaves.get(number, number * distance + delay)
        for number, delay in enumerate(delays)
        if number not in paid
    ]
    for start in arrivals:
        assert sum(start <= arrival < start + 60 for arrival in arrivals) <= limit


def test_the_slack_starts_small_and_one_outlier_in_a_hundred_changes_nothing():
    slack = Slack()
    for number in range(300):
        slack.woke(4.0 if number % 150 == 149 else 0.01)
        slack.answered(20.0 if number % 150 == 149 else 1.2)

    assert (slack.lateness, slack.delivery) == (LATENESS, DELIVERY)
    assert slack.total <= timedelta(seconds=1.2)


def test_a_machine_that_stalls_is_given_more_time_and_loses_it_again():
    slack = Slack()
    for _ in range(10):
        slack.woke(1.0)
    stalled = slack.lateness
    for _ in range(100):
        slack.woke(0.01)

    assert (stalled, slack.lateness) == (timedelta(seconds=2), LATENESS)
    slack.woke(1e6)
    slack.woke(1e6)
    assert slack.lateness == MOST_LATENESS


def test_answers_that_waver_are_allowed_for_up_to_a_bound():
    slack = Slack()
    for took in (0.1, 0.3, 0.8):
        slack.answered(took)
    wavering = slack.delivery
    slack.answered(15.0)

    assert wavering == pytest.approx(timedelta(seconds=0.7), abs=timedelta(microseconds=1))
    assert slack.delivery == MOST_DELIVERY
    assert slack.total == timedelta(seconds=1.2)
