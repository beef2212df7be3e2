from dataclasses import replace
from datetime import timedelta

import pytest

from ifood_actors.capacity.estimate import Resource
from ifood_actors.capacity.forecast import Deployment, Forecast, Week, forecast
from ifood_actors.config import Settings
from ifood_actors.ledger.job_result import Workload

HOUR = timedelta(hours=1)
ALL_DAYS = (0, 1, 2, 3, 4, 5, 6)
MONDAY, SUNDAY = (0,), (6,)

A_THOUSAND = Deployment(accounts=1000)
MONDAY_MORNING = {
    "settlements_window": "mon 08:00-12:00",
    "anticipations_window": "daily 08:00-10:00",
    "sales_window": "daily 07:00-10:00",
}


def settings(**changes: object) -> Settings:
    return Settings.model_validate(changes)


def run(week: Week, kind: str, weekday: int) -> Forecast:
    return next(one for one in week.forecasts if one.kind == kind and weekday in one.weekdays)


def test_the_default_windows_hold_a_thousand_accounts_side_by_side():
    week = forecast(settings(), A_THOUSAND)

    assert [(one.kind, one.weekdays, one.beside) for one in week.forecasts] == [
        ("sales", (0, 1, 2, 3, 4, 5), ()),
        ("sales", SUNDAY, ()),
        ("anticipations_daily", ALL_DAYS, ()),
        ("settlements_weekly", MONDAY, ()),
    ]
    assert all(one.verdict.fits for one in week.forecasts)
    assert 0.01 < week.use < 0.02


def test_the_deep_reading_of_sales_asks_five_times_as_much():
    week = forecast(settings(), A_THOUSAND)

    deep, usual = run(week, "sales", 6), run(week, "sales", 5)
    assert (deep.period_days, usual.period_days) == (35, 7)
    assert deep.load.demand.requests == 5 * usual.load.demand.requests


def test_idle_accounts_count_by_how_often_they_are_asked():
    fleet = replace(A_THOUSAND, idle_shares={"anticipations_daily": 0.7})

    asked_daily = forecast(settings(), fleet)
    asked_weekly = forecast(settings(anticipations_idle_days=7), fleet)

    assert run(asked_daily, "anticipations_daily", 1).load.demand.accounts == 1000
    assert run(asked_weekly, "anticipations_daily", 1).load.demand.accounts == 1000 - 600
    assert run(asked_weekly, "sales", 1).load.demand.accounts == 1000


def test_kinds_whose_windows_overlap_share_the_limit_on_the_days_on_which_they_do():
    week = forecast(settings(**MONDAY_MORNING), A_THOUSAND)

    assert run(week, "settlements_weekly", 0).beside == ("anticipations_daily", "sales")
    assert run(week, "anticipations_daily", 0).beside == ("sales", "settlements_weekly")
    assert run(week, "anticipations_daily", 1).beside == ("sales",)


def test_a_run_that_fits_alone_may_not_fit_beside_others():
    fleet = replace(A_THOUSAND, accounts=12_000)
    together, apart = (
        forecast(settings(**changes), fleet) for changes in (MONDAY_MORNING, {"sales_deep_days": 0})
    )

    crowded, lonely = (run(week, "anticipations_daily", 0) for week in (together, apart))
    assert crowded.fits_alone
    assert not crowded.verdict.fits
    assert crowded.verdict.bottleneck is Resource.RATE_LIMIT
    assert crowded.verdict.ends_after > lonely.verdict.ends_after
    assert lonely.verdict.fits


def test_what_is_left_of_one_window_is_done_in_the_next():
    week = forecast(settings(), replace(A_THOUSAND, accounts=5000))

    sales, anticipations = run(week, "sales", 6), run(week, "anticipations_daily", 6)
    assert sales.verdict.ends_after > 3 * HOUR
    assert anticipations.beside == ("sales",)
    assert anticipations.fits_alone
    assert not anticipations.verdict.fits
    assert run(week, "anticipations_daily", 5).verdict.fits


def test_a_week_that_asks_for_more_than_a_week_allows_is_seen_as_such():
    week = forecast(settings(), replace(A_THOUSAND, accounts=100_000))

    assert week.use > 1
    assert not any(one.verdict.fits for one in week.forecasts)


def test_what_was_measured_takes_the_place_of_what_is_assumed():
    measured = {"sales": Workload(jobs=300, requests_per_block=3.5, attempts=1.2)}

    week = forecast(settings(), replace(A_THOUSAND, measured=measured))

    assert run(week, "sales", 0).load.demand.requests == pytest.approx(1000 * 3.5 * 1.2)
    assert run(week, "sales", 6).load.demand.requests == pytest.approx(5 * 1000 * 3.5 * 1.2)
    assert run(week, "settlements_weekly", 0).load.demand.requests == 1000 * 2


def test_a_window_over_midnight_is_as_long_as_it_says():
    week = forecast(settings(sales_window="daily 22:30-02:00"), A_THOUSAND)

    assert run(week, "sales", 0).load.supply.window == 3.5 * HOUR


def test_a_window_over_midnight_meets_the_runs_of_the_next_day_on_sundays_too():
    fleet = replace(A_THOUSAND, accounts=11_000)
    over_midnight = {"sales_window": "daily 23:00-03:00", "sales_deep_days": 0}
    monday, sunday = (
        forecast(settings(settlements_window=window, **over_midnight), fleet)
        for window in ("tue 00:00-04:00", "mon 00:00-04:00")
    )

    alike = run(monday, "sales", 0), run(sunday, "sales", 6)
    assert [one.weekdays for one in alike] == [MONDAY, SUNDAY]
    for one in alike:
        assert one.beside == ("settlements_weekly",)
        assert one.fits_alone
        assert not one.verdict.fits
    assert alike[1].uses == alike[0].uses
    assert sunday.use == monday.use


def test_a_fleet_of_nobody_is_no_trouble():
    week = forecast(settings(), replace(A_THOUSAND, accounts=0))

    assert all(one.verdict.fits for one in week.forecasts)
    assert week.use == 0
