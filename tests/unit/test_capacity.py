from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.planning.capacity import Demand, Resource, Supply, estimate

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

A_THOUSAND = Demand(accounts=1000, requests_per_job=2, latency=timedelta(seconds=1))
MONDAY = Supply(window=4 * HOUR, batch_size="auto", rate_limit_per_minute=180, concurrency=20)

LONGER_OR_FASTER = (
    "the window must last at least 1,112 minutes, or, if iFood allows so much, "
    "IFOOD_RATE_LIMIT_PER_MINUTE must be at least 834"
)

demands = st.builds(
    Demand,
    accounts=st.integers(0, 200_000),
    requests_per_job=st.floats(0.1, 50),
    latency=st.timedeltas(timedelta(milliseconds=10), timedelta(seconds=60)),
)
supplies = st.builds(
    Supply,
    window=st.timedeltas(MINUTE, 23 * HOUR),
    batch_size=st.just("auto") | st.integers(1, 10_000),
    rate_limit_per_minute=st.integers(1, 10_000),
    concurrency=st.integers(1, 1000),
)


def test_a_thousand_accounts_fit_a_monday():
    verdict = estimate(A_THOUSAND, MONDAY)

    assert verdict.fits
    assert verdict.batch_size == 5
    assert verdict.bottleneck is Resource.PACING
    assert verdict.spans[Resource.RATE_LIMIT] == 2000 / 180 * MINUTE
    assert verdict.spans[Resource.CONCURRENCY] == timedelta(seconds=100)
    assert 4 * HOUR - MINUTE < verdict.ends_after <= 4 * HOUR
    assert verdict.advice == ()


@pytest.mark.parametrize(
    ("demand", "supply", "bottleneck", "advice"),
    [
        (
            A_THOUSAND,
            replace(MONDAY, window=2 * HOUR, batch_size=5),
            Resource.PACING,
            "IFOOD_BATCH_SIZE must be at least 9, or auto",
        ),
        (
            replace(A_THOUSAND, accounts=100_000, latency=timedelta(milliseconds=100)),
            MONDAY,
            Resource.RATE_LIMIT,
            LONGER_OR_FASTER,
        ),
        (
            replace(A_THOUSAND, latency=timedelta(seconds=60)),
            replace(MONDAY, concurrency=8),
            Resource.CONCURRENCY,
            "IFOOD_WORKER_MAX_CONCURRENCY must be at least 9 over all worker hosts together",
        ),
    ],
)
def test_the_bottleneck_is_named_with_the_setting_to_change(demand, supply, bottleneck, advice):
    verdict = estimate(demand, supply)

    assert not verdict.fits
    assert verdict.bottleneck is bottleneck
    assert verdict.advice == (advice,)
    assert verdict.ends_after > supply.window


@given(demands, supplies)
def test_a_run_ends_no_earlier_than_any_resource_allows_and_one_job_after_its_last_start(
    demand, supply
):
    verdict = estimate(demand, supply)

    slowest = max(verdict.spans.values())
    if demand.accounts:
        assert verdict.ends_after >= min(
            slowest, supply.window * (demand.accounts - 1) / demand.accounts
        )
        assert verdict.ends_after <= max(slowest, supply.window) + demand.job_length
    assert verdict.fits == (slowest <= supply.window) == (not verdict.advice)


@given(demands, supplies)
def test_with_a_batch_size_of_auto_the_pace_always_fits(demand, supply):
    verdict = estimate(demand, replace(supply, batch_size="auto"))

    assert verdict.spans[Resource.PACING] <= supply.window


def test_no_accounts_take_no_time():
    verdict = estimate(replace(A_THOUSAND, accounts=0), MONDAY)

    assert verdict.fits
    assert verdict.ends_after == timedelta()


@pytest.mark.parametrize(
    "nothing", [{"window": timedelta()}, {"rate_limit_per_minute": 0}, {"concurrency": 0}]
)
def test_a_supply_of_nothing_is_refused(nothing):
    with pytest.raises(ValueError, match="more than nothing"):
        estimate(A_THOUSAND, replace(MONDAY, **nothing))
