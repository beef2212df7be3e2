from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.errors import UsageError
from ifood_actors.planning.pacing import (
    Candidate,
    DoesNotFit,
    Pacing,
    batch_size_for,
    jobs_within,
    spread,
)

START = datetime(2026, 3, 2, 11, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)

lengths = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(hours=23))
candidates = st.lists(
    st.builds(Candidate, st.uuids(), st.integers(-2, 2)),
    max_size=60,
    unique_by=lambda candidate: candidate.account_id,
)


def numbered(count: int) -> list[Candidate]:
    return [Candidate(UUID(int=number), 0) for number in range(count)]


def auto(accounts: Sequence[Candidate], length: timedelta) -> Pacing:
    return spread(accounts, START, START + length, batch_size="auto")


@given(candidates, lengths)
def test_every_account_gets_one_slot_inside_the_window(accounts, length):
    slots = dict(auto(accounts, length))

    assert slots.keys() == {candidate.account_id for candidate in accounts}
    assert all(START <= slot < START + length for slot in slots.values())


@given(candidates, lengths)
def test_slots_are_equally_spaced_over_the_whole_window(accounts, length):
    slots = [slot for _, slot in auto(accounts, length)]

    gaps = [
        after - before for before, after in zip(slots, [*slots[1:], START + length], strict=False)
    ]
    assert not gaps or max(gaps) - min(gaps) <= MICROSECOND
    assert not slots or slots[0] == START


@given(st.integers(1, 200), lengths, st.integers(1, 50) | st.just("auto"))
def test_no_minute_starts_more_jobs_than_the_batch_size(count, length, batch_size):
    pacing = spread(
        numbered(count), START, START + length, batch_size=batch_size, overflow="extend"
    )

    slots = [slot for _, slot in pacing]

    pairs = zip(slots, slots[pacing.batch_size :], strict=False)
    assert all(later - slot >= MINUTE for slot, later in pairs)
    assert slots[-1] < pacing.window_end


@given(candidates.filter(bool), lengths, st.data())
def test_a_removed_account_moves_the_others_by_at_most_one_slot(accounts, length, data):
    removed = data.draw(st.sampled_from(accounts))
    rest = [candidate for candidate in accounts if candidate != removed]

    before, after = dict(auto(accounts, length)), dict(auto(rest, length))

    width = length / max(1, len(rest))
    assert all(abs(after[one] - before[one]) <= width + MICROSECOND for one in after)


@given(candidates)
def test_a_higher_priority_runs_earlier(accounts):
    priority = {candidate.account_id: candidate.priority for candidate in accounts}

    order = [priority[account_id] for account_id, _ in auto(accounts, MINUTE)]

    assert order == sorted(order, reverse=True)


@given(candidates, st.randoms(use_true_random=False))
def test_the_order_depends_on_nothing_but_the_accounts(accounts, random):
    shuffled = random.sample(accounts, len(accounts))

    assert list(auto(shuffled, MINUTE)) == list(auto(accounts, MINUTE))


def test_the_order_is_the_same_in_every_process():
    order = [account_id.int for account_id, _ in auto(numbered(6), MINUTE)]

    assert order == [2, 0, 3, 5, 1, 4]


@pytest.mark.parametrize(
    ("count", "minutes", "batch_size"),
    [(0, 120, 5), (10, 120, 5), (600, 120, 5), (601, 120, 6), (1000, 120, 9), (1000, 1, 1000)],
)
def test_auto_is_the_smallest_batch_that_fits_and_never_below_five(count, minutes, batch_size):
    pacing = auto(numbered(count), minutes * MINUTE)

    assert pacing.batch_size == batch_size
    assert pacing.window_end == START + minutes * MINUTE


def test_a_batch_that_cannot_fit_is_refused_with_the_numbers():
    with pytest.raises(DoesNotFit) as caught:
        spread(numbered(1000), START, START + 120 * MINUTE, batch_size=5)

    assert isinstance(caught.value, UsageError)
    assert str(caught.value) == (
        "5 a minute over 120 minutes is 600 jobs, but 1,000 accounts are active; "
        "IFOOD_BATCH_SIZE must be at least 9"
    )
    assert spread(numbered(1000), START, START + 120 * MINUTE, batch_size=9).batch_size == 9


@given(st.integers(1, 200), lengths)
def test_the_batch_that_is_asked_for_is_the_smallest_that_fits(count, length):
    needed = batch_size_for(count, length=length)

    assert spread(numbered(count), START, START + length, batch_size=needed).batch_size == needed
    if needed > 1:
        with pytest.raises(DoesNotFit) as caught:
            spread(numbered(count), START, START + length, batch_size=needed - 1)
        assert caught.value.needed == needed


@given(st.integers(1, 200), lengths, st.integers(1, 50))
def test_a_window_is_extended_no_further_than_it_must_be(count, length, batch_size):
    pacing = spread(
        numbered(count), START, START + length, batch_size=batch_size, overflow="extend"
    )

    used = pacing.window_end - START
    assert jobs_within(used, batch_size=batch_size) >= count
    assert used == length or jobs_within(used - MICROSECOND, batch_size=batch_size) < count


def test_a_window_may_be_extended_at_its_end_instead():
    pacing = spread(numbered(1000), START, START + 120 * MINUTE, batch_size=5, overflow="extend")

    assert (pacing.window_start, pacing.window_end) == (START, START + 200 * MINUTE)
    assert pacing.slot(1) == START + timedelta(seconds=12)


def test_a_window_in_local_time_is_spread_over_its_elapsed_time():
    lisbon = ZoneInfo("Europe/Lisbon")
    start = datetime(2026, 3, 29, 0, 0, tzinfo=lisbon)  # clocks go from 01:00 to 02:00
    end = datetime(2026, 3, 29, 3, 0, tzinfo=lisbon)

    pacing = spread(numbered(2), start, end, batch_size="auto")

    assert pacing.slot(1) - pacing.slot(0) == timedelta(hours=1)


def test_a_window_that_does_not_last_is_refused():
    with pytest.raises(ValueError, match="ends after it starts"):
        spread(numbered(1), START, START, batch_size="auto")


def test_a_hundred_thousand_accounts_are_spread_without_a_list_of_slots():
    pacing = auto(numbered(100_000), timedelta(hours=4))

    assert len(pacing) == 100_000
    assert pacing.slot(99_999) < START + timedelta(hours=4)


@given(lengths, st.integers(1, 1000))
def test_jobs_within_a_window_is_rounded_down(length, batch_size):
    jobs = jobs_within(length, batch_size=batch_size)

    assert jobs <= batch_size * (length / MINUTE) + 1e-6
    assert jobs + 1 > batch_size * (length / MINUTE) - 1e-6
