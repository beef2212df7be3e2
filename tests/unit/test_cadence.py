from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.kinds import closed_weeks, days_before
from ifood_actors.planning.cadence import (
    CATCH_UP_LIMIT,
    Cadence,
    Opening,
    due_openings,
    local_day,
    next_opening,
    opening_at,
    opening_on,
)
from ifood_actors.spans import Period, Window

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
LISBON = ZoneInfo("Europe/Lisbon")
APIA = ZoneInfo("Pacific/Apia")
ZONES = (SAO_PAULO, LISBON, APIA, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC"))
EVERY_ZONE = sorted(available_timezones())
DAY = timedelta(days=1)

SETTLEMENTS = Cadence("settlements_weekly", Window.parse("mon 08:00-12:00"))
SALES = Cadence("sales", Window.parse("daily 03:00-06:00"))
NIGHT = Cadence("sales", Window.parse("daily 22:00-02:00"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days_of(openings: list[Opening]) -> list[date]:
    return [opening.job_day for opening in openings]


def local(opening: Opening | None, zone: ZoneInfo) -> tuple[str, str]:
    assert opening is not None
    ends = (opening.window_start, opening.window_end)
    start, end = (f"{at.astimezone(zone):%Y-%m-%d %H:%M}" for at in ends)
    return start, end


windows = st.builds(
    Window,
    weekday=st.none() | st.integers(0, 6),
    start=st.times().map(lambda t: t.replace(second=0, microsecond=0, fold=0)),
    end=st.times().map(lambda t: t.replace(second=0, microsecond=0, fold=0)),
).filter(lambda window: window.start != window.end)

SPECIAL_DAYS = [
    date(2018, 2, 17),  # Sao Paulo: 23:00 to 24:00 comes twice
    date(2018, 11, 4),  # Sao Paulo: 00:00 to 01:00 does not exist
    date(2024, 2, 29),
    date(2026, 3, 29),  # Lisbon: 01:00 to 02:00 does not exist
    date(2026, 10, 25),  # Lisbon: 01:00 to 02:00 comes twice
    date(2020, 12, 31),  # in ISO week 53
    date(2011, 12, 30),  # Apia: the whole day does not exist
]
# Before, some zones were off by seconds.
dates = st.dates(date(1973, 1, 1), date(2037, 12, 31))


@cache
def jumps(zone: ZoneInfo, year: int) -> list[date]:
    """Give the days of a year on which the clocks of a zone jump."""
    midnights = [datetime(year, 1, 1, tzinfo=UTC) + n * DAY for n in range(366)]
    offsets = [at.astimezone(zone).utcoffset() for at in midnights]
    changes = zip(midnights, pairwise(offsets), strict=False)
    return [at.astimezone(zone).date() for at, (old, new) in changes if old != new]


@st.composite
def places(draw: st.DrawFn) -> tuple[date, ZoneInfo]:
    """Draw a day in a zone: around jumps of clocks, leap days and year ends, and then anywhere."""
    zone = draw(st.sampled_from(ZONES) | st.sampled_from(EVERY_ZONE).map(ZoneInfo))
    day = draw(st.sampled_from(SPECIAL_DAYS) | dates)
    return draw(st.sampled_from([day, *jumps(zone, day.year)])), zone


def first_at(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Look, minute by minute, for the first instant at which clocks show this time or a later."""
    wall = datetime.combine(day, clock)
    at = wall.replace(tzinfo=UTC) - timedelta(hours=15)
    while at.astimezone(zone).replace(tzinfo=None) < wall:
        at += timedelta(minutes=1)
    return at


@given(windows, places())
def test_a_window_lasts_until_clocks_first_show_its_end(window, place):
    day, zone = place
    opening = opening_on(Cadence("sales", window), day, zone=zone)
    if opening is None:
        return

    start = first_at(day, window.start, zone)
    end = first_at(day + DAY if window.ends_next_day else day, window.end, zone)
    assert opening.window_start == start
    assert end in {opening.window_end, start}  # it is the start if all of it lies in a jump


@given(windows, places(), st.integers(-2 * 86400, 2 * 86400))
def test_every_instant_belongs_to_at_most_one_window_of_a_kind(window, place, offset):
    day, zone = place
    cadence = Cadence("sales", window)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(seconds=offset)

    nearby = (opening_on(cadence, day + n * DAY, zone=zone) for n in range(-5, 6))
    containing = [o for o in nearby if o and o.window_start <= at < o.window_end]

    assert len(containing) <= 1
    assert opening_at(cadence, at=at, zone=zone) == next(iter(containing), None)


@given(windows, places())
def test_windows_of_a_kind_follow_each_other_and_none_is_empty(window, place):
    day, zone = place
    cadence = Cadence("sales", window)

    nearby = (opening_on(cadence, day + n * DAY, zone=zone) for n in range(-8, 9))
    found = [opening for opening in nearby if opening]

    assert found
    assert all(opening.window_start < opening.window_end for opening in found)
    assert all(one.window_end <= other.window_start for one, other in pairwise(found))


@given(windows, places())
def test_job_day_is_the_local_date_on_which_the_window_opens(window, place):
    day, zone = place
    opening = opening_on(Cadence("sales", window), day, zone=zone)

    if opening:
        assert opening.job_day == opening.window_start.astimezone(zone).date() == day


@given(places())
def test_a_daily_kind_has_one_job_day_for_every_day_of_the_zone(place):
    day, zone = place
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)  # Nuuk skips some midnights
    skipped_by_zone = noon.astimezone(UTC).astimezone(zone).date() != day

    found = opening_on(SALES, day, zone=zone)

    assert (found is None) == skipped_by_zone


@pytest.mark.parametrize(
    ("window", "day", "zone", "expected"),
    [
        ("daily 00:30-03:00", date(2018, 11, 4), SAO_PAULO, ("2018-11-04 01:00", "03:00")),
        ("daily 00:15-00:45", date(2018, 11, 4), SAO_PAULO, ("2018-11-04 01:00", "01:30")),
        ("daily 22:00-00:30", date(2018, 11, 3), SAO_PAULO, ("2018-11-03 22:00", "01:00")),
        ("daily 01:30-05:00", date(2026, 3, 29), LISBON, ("2026-03-29 02:00", "05:00")),
        ("daily 08:00-12:00", date(2026, 3, 29), LISBON, ("2026-03-29 08:00", "12:00")),
    ],
)
def test_a_time_that_clocks_skip_is_the_instant_of_the_jump(window, day, zone, expected):
    opening = opening_on(Cadence("sales", Window.parse(window)), day, zone=zone)

    start, end = local(opening, zone)
    assert (start, end[-5:]) == expected


def test_a_time_that_comes_twice_is_the_first_of_the_two():
    window = Window.parse("daily 23:30-00:30")

    opening = opening_on(Cadence("sales", window), date(2018, 2, 17), zone=SAO_PAULO)

    assert opening is not None
    assert opening.window_start == utc("2018-02-18T01:30")
    assert opening.window_end - opening.window_start == timedelta(hours=2)


def test_a_day_that_the_zone_skipped_has_no_window():
    assert opening_on(SALES, date(2011, 12, 30), zone=APIA) is None


def test_a_window_that_opens_is_due_at_once_with_its_own_times():
    at = utc("2026-03-02T11:00")  # Monday 08:00 in Sao Paulo

    assert due_openings(SETTLEMENTS, since=date(2026, 2, 24), at=at, zone=SAO_PAULO) == [
        Opening("settlements_weekly", date(2026, 3, 2), at, at + timedelta(hours=4))
    ]


@pytest.mark.parametrize("at", ["2026-03-02T10:59:59", "2026-03-01T11:30"])
def test_a_window_that_has_not_opened_is_not_due(at):
    assert due_openings(SETTLEMENTS, since=date(2026, 2, 24), at=utc(at), zone=SAO_PAULO) == []


@pytest.mark.parametrize(("late", "moved"), [(60, False), (61, True), (3 * 3600, True)])
def test_an_opening_noticed_too_late_moves_its_whole_window(late, moved):
    opens = utc("2026-03-02T11:00")
    at = opens + timedelta(seconds=late)

    (opening,) = due_openings(SETTLEMENTS, since=date(2026, 3, 2), at=at, zone=SAO_PAULO)

    assert opening.window_start == (at if moved else opens)
    assert opening.window_end - opening.window_start == timedelta(hours=4)


def test_after_downtime_all_missed_runs_are_due_now_oldest_first():
    at = utc("2026-03-05T15:00")

    openings = due_openings(SALES, since=date(2026, 3, 2), at=at, zone=SAO_PAULO)

    assert days_of(openings) == [date(2026, 3, day) for day in (2, 3, 4, 5)]
    assert {opening.window_start for opening in openings} == {at}
    assert {opening.window_end for opening in openings} == {at + timedelta(hours=3)}


def test_a_run_already_planned_is_not_due_again():
    at = utc("2026-03-05T15:00")

    assert due_openings(SALES, since=date(2026, 3, 6), at=at, zone=SAO_PAULO) == []


def test_a_window_over_midnight_is_due_for_the_day_on_which_it_opened():
    at = utc("2026-03-05T04:00")  # 01:00 in Sao Paulo

    openings = due_openings(NIGHT, since=date(2026, 3, 4), at=at, zone=SAO_PAULO)

    assert days_of(openings) == [date(2026, 3, 4)]


@given(windows, places(), st.lists(st.integers(1, 5 * 86400), min_size=1, max_size=9))
def test_whoever_looks_now_and_then_finds_each_opening_once_and_in_order(window, place, gaps):
    (day, zone), cadence = place, Cadence("sales", window)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    first = since = local_day(at, zone=zone)

    found: list[date] = []
    for gap in gaps:
        at += timedelta(seconds=gap)
        found += days_of(due_openings(cadence, since=since, at=at, zone=zone))
        since = found[-1] + DAY if found else since

    days = (first + n * DAY for n in range(60))
    openings = (opening_on(cadence, day, zone=zone) for day in days)
    assert found == days_of([one for one in openings if one and one.window_start <= at])


def test_catching_up_gives_up_at_its_limit():
    at = utc("2026-03-05T15:00")

    openings = due_openings(SALES, since=date(2020, 1, 1), at=at, zone=SAO_PAULO)

    assert openings[0].job_day == date(2026, 3, 5) - CATCH_UP_LIMIT
    assert len(openings) == CATCH_UP_LIMIT.days + 1


def test_a_new_installation_starts_today():
    at = utc("2026-03-05T15:00")

    assert days_of(due_openings(SALES, since=None, at=at, zone=SAO_PAULO)) == [date(2026, 3, 5)]
    assert due_openings(SETTLEMENTS, since=None, at=at, zone=SAO_PAULO) == []


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        due_openings(SALES, since=None, at=datetime(2026, 3, 5), zone=SAO_PAULO)  # noqa: DTZ001 - the mistake


@pytest.mark.parametrize(
    ("cadence", "at", "job_day"),
    [
        (SALES, "2026-03-05T15:00", date(2026, 3, 6)),
        (SALES, "2026-03-05T05:59", date(2026, 3, 5)),
        (SALES, "2026-03-05T06:00", date(2026, 3, 6)),
        (SETTLEMENTS, "2026-12-31T12:00", date(2027, 1, 4)),
    ],
)
def test_the_next_opening_is_after_the_instant(cadence, at, job_day):
    assert next_opening(cadence, at=utc(at), zone=SAO_PAULO).job_day == job_day


@given(windows, places(), st.integers(-86400, 86400))
def test_no_opening_lies_before_the_next_one(window, place, offset):
    (day, zone), cadence = place, Cadence("sales", window)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(seconds=offset)

    nearby = (opening_on(cadence, day + n * DAY, zone=zone) for n in range(-3, 18))
    later = [opening for opening in nearby if opening and opening.window_start > at]
    assert next_opening(cadence, at=at, zone=zone) == later[0]


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (days_before(date(2024, 3, 1), 7), date(2024, 2, 23), date(2024, 2, 29)),
        (days_before(date(2026, 1, 3), 3), date(2025, 12, 31), date(2026, 1, 2)),
        (days_before(date(2026, 3, 1), 30), date(2026, 1, 30), date(2026, 2, 28)),
        (closed_weeks(date(2026, 3, 2), 8), date(2026, 1, 5), date(2026, 3, 1)),
        (closed_weeks(date(2026, 3, 8), 8), date(2026, 1, 5), date(2026, 3, 1)),
        (closed_weeks(date(2021, 1, 4), 1), date(2020, 12, 28), date(2021, 1, 3)),
    ],
)
def test_periods_by_example(period, start, end):
    assert period == Period(start, end)


@given(dates, st.integers(1, 53))
def test_a_settlements_period_is_whole_weeks_and_the_latest_closed_ones(job_day, weeks):
    period = closed_weeks(job_day, weeks)

    assert period.start.isoweekday() == 1
    assert period.end.isoweekday() == 7
    assert period.days == 7 * weeks
    assert timedelta(days=1) <= job_day - period.end <= timedelta(days=7)


@given(dates, st.integers(0, 400), st.integers(1, 40))
def test_blocks_cover_a_period_once_and_never_pass_their_limit(start, extra, max_days):
    period = Period(start, start + timedelta(days=extra))

    blocks = list(period.blocks(max_days))

    covered = [block.start + n * DAY for block in blocks for n in range(block.days)]
    assert covered == [start + n * DAY for n in range(period.days)]
    assert all(block.days <= max_days for block in blocks)


def test_a_period_that_ends_before_it_starts_and_a_block_without_days_are_refused():
    period = Period(date(2026, 3, 1), date(2026, 3, 1))

    with pytest.raises(ValueError, match="cannot end"):
        Period(date(2026, 3, 2), date(2026, 3, 1))
    with pytest.raises(ValueError, match="at least one day"):
        list(period.blocks(0))
