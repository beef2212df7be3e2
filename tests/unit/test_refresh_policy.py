"""Which tokens are renewed when: tables for the rules, properties for whole forecasts."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.ifood.request_slots import interval
from ifood_actors.ifood.tokens.store import fresh_for
from ifood_actors.renewal.policy import (
    REFRESH_POLICY,
    UNUSED_AFTER,
    Call,
    Deadline,
    RefreshPolicy,
    TokenState,
    due,
    forecast,
    next_refresh,
)

NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
THREE_HOURS, SIX_HOURS = fresh_for(3 * HOUR), fresh_for(6 * HOUR)
PACE = interval(15)


def standing(number=1, *, until=None, lasts=THREE_HOURS, refreshed_at=None):
    return TokenState(UUID(int=number), until, lasts, refreshed_at)


def sales(*instants):
    return [Deadline(instant, "sales") for instant in instants]


def due_ids(states, deadlines, at=NOON):
    return [refresh.id.int for refresh in due(states, deadlines, at=at)]


@pytest.mark.parametrize(
    ("deadline", "fresh_until", "is_due"),
    [
        (NOON + 3 * HOUR, None, False),  # more than the lead away
        (NOON + 2 * HOUR, None, True),
        (NOON + HOUR, NOON + HOUR + 16 * MINUTE, False),  # the token lives long enough
        (NOON + HOUR, NOON + HOUR + 14 * MINUTE, True),  # not long enough for a late job
        (NOON - 5 * HOUR, None, True),  # the job waits already
        (NOON - 5 * HOUR, NOON - HOUR, True),
        (NOON - 5 * HOUR, NOON + HOUR, False),
    ],
)
def test_a_token_is_renewed_when_it_would_not_live_until_its_need(deadline, fresh_until, is_due):
    held = standing(until=fresh_until)

    assert due_ids([held], {held.id: sales(deadline)}) == ([1] if is_due else [])


def test_a_renewal_waits_until_the_new_token_will_live_at_its_need():
    held = standing(lasts=HOUR)

    refresh = next_refresh(held, sales(NOON + HOUR), at=NOON)

    assert refresh is not None
    assert refresh.useful_from == NOON + 15 * MINUTE  # 1 h of use ends 15 min after the deadline


def test_the_earliest_need_comes_first_and_unused_ones_last():
    unused = standing(3, refreshed_at=NOON - UNUSED_AFTER)
    deadlines = {
        UUID(int=1): sales(NOON + 2 * HOUR, NOON + HOUR),
        UUID(int=2): sales(NOON + MINUTE),
    }

    assert due_ids([unused, standing(1), standing(2)], deadlines) == [2, 1, 3]


def test_an_unused_refresh_token_is_renewed_when_it_is_three_days_old():
    young = standing(1, refreshed_at=NOON - UNUSED_AFTER + SECOND)
    old = standing(2, refreshed_at=NOON - UNUSED_AFTER)

    assert due_ids([young, old], {}) == [2]


def test_a_token_is_renewed_once_for_two_needs_that_it_serves():
    held = standing(lasts=SIX_HOURS)

    calls = forecast([held], {held.id: sales(NOON, NOON + 5 * HOUR)}, at=NOON, interval=PACE)

    assert [call.at for call in calls] == [NOON]


def fleet(accounts, *windows):
    """Make accounts without any token, and slots spread over windows of kind, start and length."""
    states = [standing(number, lasts=windows[0][3]) for number in range(accounts)]
    deadlines = {
        each.id: [
            Deadline(start + length * each.id.int / accounts, kind)
            for kind, start, length, _ in windows
        ]
        for each in states
    }
    return states, deadlines


def calls_in_worst_minute(calls):
    instants = sorted(call.at for call in calls)
    return max(sum(1 for at in instants if first <= at < first + MINUTE) for first in instants)


def least_ahead(calls):
    return min(call.deadline.at - call.at for call in calls)


MIDNIGHT = datetime(2026, 9, 21, tzinfo=UTC)


@pytest.mark.parametrize(("lasts", "expected"), [(THREE_HOURS, 3000), (SIX_HOURS, 2000)])
def test_a_monday_of_a_thousand_expired_authorizations_is_ready_two_hours_ahead(lasts, expected):
    states, deadlines = fleet(
        1000,
        ("sales", MIDNIGHT + 3 * HOUR, 3 * HOUR, lasts),
        ("anticipations_daily", MIDNIGHT + 6 * HOUR, 2 * HOUR, lasts),
        ("settlements_weekly", MIDNIGHT + 8 * HOUR, 4 * HOUR, lasts),
    )

    calls = forecast(states, deadlines, at=MIDNIGHT - 12 * HOUR, interval=PACE)

    assert calls[0].at == MIDNIGHT + HOUR
    assert least_ahead(calls) > HOUR + 55 * MINUTE
    assert calls_in_worst_minute(calls) <= 15
    assert len(calls) == expected  # a token of six hours serves two windows


def test_a_thousand_needs_at_one_instant_are_served_in_68_minutes_of_the_two_hours():
    states, deadlines = fleet(1000, ("sales", MIDNIGHT, timedelta(0), THREE_HOURS))

    calls = forecast(states, deadlines, at=MIDNIGHT - 5 * HOUR, interval=PACE)

    assert calls[0].at == MIDNIGHT - 2 * HOUR
    assert timedelta(minutes=67) < calls[-1].at - calls[0].at < timedelta(minutes=68)
    assert least_ahead(calls) > timedelta(minutes=51)


def test_a_cold_start_is_as_late_as_the_pace_makes_it_and_no_later():
    """The scheduler starts when the window opens, and no token lives."""
    states, deadlines = fleet(1000, ("sales", MIDNIGHT, 3 * HOUR, THREE_HOURS))

    calls = forecast(states, deadlines, at=MIDNIGHT, interval=PACE)

    assert len(calls) == 1000
    late = [call for call in calls if call.at > call.deadline.at]
    assert [call.id.int for call in late] == []  # 14.5 a minute against 5.6 slots


MINUTES = st.integers(min_value=0, max_value=24 * 60).map(lambda n: n * MINUTE)
HELD = st.builds(
    TokenState,
    id=st.uuids(),
    fresh_until=st.none() | MINUTES.map(lambda after: NOON + after),
    fresh_for=st.sampled_from([timedelta(seconds=30), HOUR, THREE_HOURS, SIX_HOURS]),
)
DEADLINES = st.lists(MINUTES.map(lambda after: Deadline(NOON + after, "sales")), max_size=4)
FLEETS = st.lists(st.tuples(HELD, DEADLINES), max_size=8, unique_by=lambda pair: pair[0].id).map(
    lambda pairs: ([held for held, _ in pairs], {held.id: deadlines for held, deadlines in pairs})
)
POLICIES = st.sampled_from([REFRESH_POLICY, RefreshPolicy(lead=MINUTE, margin=SECOND)])


@given(FLEETS, POLICIES)
def test_every_call_of_a_forecast_serves_a_need_at_the_pace(fleet, policy):
    states, deadlines = fleet
    held = {each.id: each for each in states}

    calls = forecast(states, deadlines, at=NOON, interval=PACE, policy=policy)

    for call, following in pairwise(calls):
        assert following.at - call.at >= PACE
    for call in calls:
        assert call.deadline in deadlines[call.id]
        assert call.at >= max(NOON, call.deadline.at - policy.lead)
        assert call.deadline.at < call.at + held[call.id].fresh_for
    assert not _uncovered(calls, held, deadlines)
    per_id = Counter(call.id for call in calls)
    assert all(number <= len(deadlines[id_]) for id_, number in per_id.items())


def _uncovered(calls: list[Call], held, deadlines):
    """Give the deadlines at which no token will live that was there, or was got for it."""
    got = {id_: [(NOON, held[id_].fresh_until or NOON)] for id_ in held}
    for call in calls:
        id_ = call.id
        got[id_].append((call.at, call.at + held[id_].fresh_for))
    late = {(call.id, call.deadline) for call in calls}
    return [
        (id_, deadline)
        for id_, those in deadlines.items()
        for deadline in those
        if (id_, deadline) not in late and not any(deadline.at <= until for _, until in got[id_])
    ]


@given(FLEETS)
def test_what_is_due_now_is_what_a_forecast_begins_with(fleet):
    states, deadlines = fleet

    now = due(states, deadlines, at=NOON)

    calls = forecast(states, deadlines, at=NOON, interval=SECOND)
    begun = [call.id for call in calls if call.at == NOON]
    assert begun == [refresh.id for refresh in now[:1]]


def test_the_page_for_operators_has_the_numbers_of_the_calculation():
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    states, deadlines = fleet(1000, ("sales", MIDNIGHT, timedelta(0), THREE_HOURS))
    calls = forecast(states, deadlines, at=MIDNIGHT - 5 * HOUR, interval=PACE)

    a_minute = MINUTE / PACE
    minutes = (calls[-1].at - calls[0].at) / MINUTE

    assert f"{a_minute:.1f} calls a minute" in page
    assert f"{minutes:.0f} minutes" in page
