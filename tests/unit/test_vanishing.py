"""Which rows that a complete read did not bring are gone, and which need a second witness."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.feeds.vanishing import MANY, Known, Sight, judge
from ifood_actors.spans import Period

TODAY = date(2026, 9, 22)
NOON = datetime(2026, 9, 22, 12, tzinfo=UTC)
SIGHT = Sight(TODAY, NOON)
WHOLE = Period(date(2026, 9, 1), date(2026, 9, 14))
WEEKS = tuple(WHOLE.blocks(7))


def rows(count, *, day=WHOLE.start, suspected=None, first=0):
    return [Known(first + n, Period(day, day), suspected) for n in range(count)]


def verdict(known, still, *, new=0, spans=(WHOLE,), sight=SIGHT):
    """Judge a pull that brought the first `still` of the known rows, and some new ones."""
    brought = {row.id for row in known[:still]}
    days = [row.days for row in known[:still]] + [Period(WHOLE.start, WHOLE.start)] * new
    return judge(
        known,
        brought=brought | {10_000 + n for n in range(new)},
        days_brought=days,
        spans=spans,
        sight=sight,
    )


@pytest.mark.parametrize(
    ("known", "still", "new", "believed"),
    [
        (1, 0, 0, False),  # nothing came at all
        (1, 0, 1, True),  # replaced
        (3, 0, 3, True),
        (3, 1, 0, True),
        (MANY - 1, 1, 0, True),
        (MANY, MANY // 2, 0, True),
        (MANY, MANY // 2 - 1, 0, False),
        (MANY, MANY // 2 - 1, 500, False),  # the known ones count, not what is new
        (MANY + 1, MANY // 2, 0, False),
        (1000, 999, 0, True),
        (1000, 499, 0, False),
    ],
)
def test_rows_are_gone_at_once_unless_all_or_most_of_many_are(known, still, new, believed):
    found = verdict(rows(known), still, new=new)

    gone = list(range(still, known))
    assert (found.missing, found.vanished) == ((gone, []) if believed else ([], gone))


def test_a_pull_that_brought_every_known_row_finds_nothing_gone():
    found = verdict(rows(30), 30)

    assert (found.missing, found.vanished) == ([], [])


def test_each_answer_of_a_pull_is_doubted_by_itself():
    known = rows(5, day=WEEKS[0].start) + rows(3, day=WEEKS[1].start, first=5)

    found = verdict(known, 5, spans=(WHOLE, *WEEKS))

    assert found.vanished == [5, 6, 7]


def test_a_row_that_reaches_over_two_answers_is_doubted_with_the_whole():
    astride = Known(9, Period(WEEKS[0].end, WEEKS[1].start), None)
    inside = rows(1)[0]

    found = judge(
        [inside, astride],
        brought={inside.id},
        days_brought=[inside.days],
        spans=(WHOLE, *WEEKS),
        sight=SIGHT,
    )

    assert found.missing == [astride.id]


@pytest.mark.parametrize(
    ("first", "believed"),
    [
        (Sight(TODAY - timedelta(days=1), NOON - timedelta(days=1)), True),
        (Sight(TODAY - timedelta(days=1), NOON - timedelta(seconds=1)), True),
        (Sight(TODAY - timedelta(days=1), NOON), False),
        (Sight(TODAY, NOON - timedelta(days=1)), False),  # the same run, requeued
        (Sight(TODAY, NOON), False),
        (Sight(TODAY + timedelta(days=1), NOON - timedelta(days=1)), True),  # a replay, later
    ],
)
def test_only_a_later_run_of_another_day_is_a_second_witness(first, believed):
    found = verdict(rows(2, suspected=first), 0)

    assert (found.missing, found.vanished) == (([0, 1], []) if believed else ([], [0, 1]))


def test_a_suspected_row_is_gone_when_the_rest_is_back():
    known = rows(9) + rows(1, first=9, suspected=Sight(TODAY, NOON - timedelta(hours=1)))

    assert verdict(known, 9).missing == [9]


sights = st.none() | st.builds(
    lambda days, hours: Sight(TODAY - timedelta(days=days), NOON - timedelta(hours=hours)),
    st.integers(0, 3),
    st.integers(0, 80),
)
stores = st.lists(
    st.builds(
        lambda day, length, suspected, still: (
            Period(WHOLE.start + timedelta(days=day), WHOLE.start + timedelta(days=day + length)),
            suspected,
            still,
        ),
        st.integers(0, 9),
        st.integers(0, 4),
        sights,
        st.booleans(),
    ),
    max_size=60,
)


@given(stores)
def test_every_row_that_was_not_brought_is_judged_once_and_no_other(drawn):
    known = [Known(number, days, suspected) for number, (days, suspected, _) in enumerate(drawn)]
    brought = {number for number, (*_, still) in enumerate(drawn) if still}

    found = judge(
        known,
        brought=brought,
        days_brought=[row.days for row in known if row.id in brought],
        spans=(WHOLE, *WEEKS),
        sight=SIGHT,
    )

    assert sorted(found.missing + found.vanished) == [
        row.id for row in known if row.id not in brought
    ]


@given(stores)
def test_a_pull_that_brings_nothing_marks_only_what_another_day_has_missed_before(drawn):
    known = [Known(number, days, suspected) for number, (days, suspected, _) in enumerate(drawn)]

    found = judge(known, brought=set(), days_brought=[], spans=(WHOLE, *WEEKS), sight=SIGHT)

    assert found.missing == [
        row.id for row in known if row.suspected and SIGHT.confirms(row.suspected)
    ]
