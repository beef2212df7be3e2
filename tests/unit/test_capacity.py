import inspect
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from heapq import heapify, heappop, heappush
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.capacity.estimate import (
    PATIENCE,
    Demand,
    Load,
    Resource,
    Supply,
    estimate,
    estimate_among,
)
from ifood_actors.ifood.limiter.limiter import Limiter
from ifood_actors.ifood.request_slots import interval

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)

A_THOUSAND = Demand(accounts=1000, requests_per_job=2, latency=SECOND)
MONDAY = Supply(window=4 * HOUR, batch_size="auto", rate_limit_per_minute=180, concurrency=20)

LONGER_OR_FASTER = (
    "the window must last at least 1,126 minutes, or, if iFood allows so much, "
    "IFOOD_RATE_LIMIT_PER_MINUTE must be at least 845"
)
MORE_WORKERS = (
    "IFOOD_WORKER_MAX_CONCURRENCY must be at least 9 on each host, or there must be 2 hosts"
)

demands = st.builds(
    Demand,
    accounts=st.integers(0, 200_000),
    requests_per_job=st.floats(0.1, 50),
    latency=st.timedeltas(timedelta(milliseconds=10), timedelta(seconds=60)),
    attempts=st.floats(1, 3),
)
supplies = st.builds(
    Supply,
    window=st.timedeltas(MINUTE, 23 * HOUR),
    batch_size=st.just("auto") | st.integers(1, 10_000),
    rate_limit_per_minute=st.integers(1, 10_000),
    concurrency=st.integers(1, 1000),
    hosts=st.integers(1, 20),
    busiest_share=st.floats(0.1, 1),
)


@st.composite
def days(draw: st.DrawFn, *, most: int = 3) -> list[Load]:
    """Draw some runs of one fleet, close together, of which many are too large for it."""
    latency = draw(st.sampled_from([0.05, 0.5, 3])) * SECOND
    limit, threads = draw(st.sampled_from([20, 60, 3000])), draw(st.sampled_from([1, 4, 20]))
    loads = []
    for number in range(draw(st.integers(1, most))):
        demand = Demand(
            accounts=draw(st.integers(1, 60)),
            requests_per_job=draw(st.sampled_from([1, 2, 5])),
            latency=latency,
        )
        supply = Supply(
            window=draw(st.sampled_from([1, 2, 10])) * MINUTE,
            batch_size=draw(st.sampled_from(["auto", 5, 50])),
            rate_limit_per_minute=limit,
            concurrency=threads,
        )
        loads.append(Load(str(number), draw(st.integers(0, 10)) * MINUTE, demand, supply))
    return loads


def test_a_thousand_accounts_fit_a_monday():
    verdict = estimate(A_THOUSAND, MONDAY)

    assert verdict.fits
    assert verdict.batch_size == 5
    assert verdict.bottleneck is Resource.PACING
    assert verdict.spans[Resource.RATE_LIMIT] == 2000 * interval(180)
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
            MORE_WORKERS,
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
        one_more = verdict.spans[Resource.RATE_LIMIT] + verdict.spans[Resource.CONCURRENCY]
        assert verdict.ends_after <= (
            max(slowest, supply.window) + one_more / demand.accounts + demand.job_length
        )
    assert verdict.fits == (slowest <= supply.window) == (not verdict.advice)


@given(days())
def test_the_formulas_agree_with_runs_played_event_by_event(loads):
    supply = loads[0].supply
    ends = play(loads, request_every=supply.request_every, threads=supply.concurrency)

    foretold = [load.start + estimate_among(load, loads).ends_after for load in loads]

    # One job of each run: the formulas take work for a fluid. Who shares the workers with others
    # gets its last answers up to a round of all of them later.
    requests = max(load.demand.requests_per_job for load in loads) * len(loads)
    of_one = requests * (loads[0].demand.latency + supply.request_every)
    of_a_round = requests * (loads[0].demand.latency + supply.concurrency * supply.request_every)
    assert abs(max(ends) - max(foretold)) <= of_one
    for end, told in zip(ends, foretold, strict=True):
        assert abs(end - told) <= of_a_round


@given(days(most=1))
def test_a_run_alone_ends_at_most_a_job_before_it_was_foretold_and_never_later(loads):
    [load], supply = loads, loads[0].supply
    [end] = play(loads, request_every=supply.request_every, threads=supply.concurrency)

    foretold = load.start + estimate(load.demand, supply).ends_after

    one_job = load.demand.requests_per_job * (load.demand.latency + supply.request_every)
    assert timedelta(milliseconds=-1) <= foretold - end <= one_job


@given(demands, supplies)
def test_what_is_needed_is_enough_and_nothing_less_is(demand, supply):
    needed = estimate(demand, supply).needed
    enough = replace(
        supply,
        batch_size=needed[Resource.PACING],
        rate_limit_per_minute=needed[Resource.RATE_LIMIT],
        concurrency=needed[Resource.CONCURRENCY],
    )

    spans = estimate(demand, enough).spans

    rounding = (2 * demand.requests + 1) * timedelta(microseconds=1)
    assert max(spans.values()) <= supply.window + rounding
    for field, resource in (
        ("batch_size", Resource.PACING),
        ("rate_limit_per_minute", Resource.RATE_LIMIT),
        ("concurrency", Resource.CONCURRENCY),
    ):
        if needed[resource] > 1:
            less = replace(enough, **{field: needed[resource] - 1})
            assert estimate(demand, less).spans[resource] > supply.window - rounding


def test_a_neighbour_that_takes_the_limit_makes_a_run_late():
    sales = Load("sales", 0 * HOUR, replace(A_THOUSAND, requests_per_job=20), MONDAY)
    beside = Load("settlements_weekly", 3 * HOUR, replace(A_THOUSAND, requests_per_job=20), MONDAY)
    apart = replace(beside, start=5 * HOUR)
    hurried = replace(beside, supply=replace(MONDAY, window=2 * HOUR))

    assert estimate(hurried.demand, hurried.supply).fits
    assert estimate_among(apart, [sales, apart]).fits
    assert not estimate_among(hurried, [sales, hurried]).fits
    assert estimate_among(beside, [sales, beside]).ends_after > 4 * HOUR - MINUTE


@given(demands, supplies)
def test_who_comes_later_takes_nothing_from_a_run_that_fits(demand, supply):
    run = Load("first", timedelta(), demand, supply)
    later = Load("later", run.length, demand, supply)

    alone = estimate(demand, supply)
    both = estimate_among(run, [run, later])

    assert both.ends_after == alone.ends_after
    assert not alone.fits or both.spans == alone.spans


@given(demands, supplies)
def test_with_a_batch_size_of_auto_the_pace_always_fits(demand, supply):
    verdict = estimate(demand, replace(supply, batch_size="auto"))

    assert verdict.spans[Resource.PACING] <= supply.window


def test_an_attempt_costs_its_requests_and_hosts_and_applications_share_them():
    twice = estimate(replace(A_THOUSAND, attempts=2), MONDAY)
    halves = estimate(A_THOUSAND, replace(MONDAY, busiest_share=0.5, hosts=2))

    assert twice.spans[Resource.RATE_LIMIT] == 4000 * interval(180)
    assert twice.spans[Resource.CONCURRENCY] == timedelta(seconds=200)
    assert halves.spans[Resource.RATE_LIMIT] == 1000 * interval(180)
    assert halves.spans[Resource.CONCURRENCY] == timedelta(seconds=50)


def test_a_job_waits_for_the_limiter_as_long_as_it_is_said_to():
    assert inspect.signature(Limiter.acquire).parameters["max_wait"].default == PATIENCE
    assert MONDAY.most_concurrency == 177


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


@dataclass
class _Job:
    load: int
    slot: float
    requests: int


def play(loads: Sequence[Load], *, request_every: timedelta, threads: int) -> list[timedelta]:
    """
    Give the instant at which the last job of each run ends.

    A job waits for its slot, then for a thread, in order of the slots; with each of its requests
    for the limiter, in order of asking; and then for the answer.
    """
    numbers = count()
    # A job comes, or wants its next request: whoever asks first is served first.
    events = [(job.slot, next(numbers), job, False) for job in _jobs(loads)]
    heapify(events)
    ends = [load.start.total_seconds() for load in loads]
    waiting: deque[_Job] = deque()
    free, next_free = threads, 0.0
    while events:
        at, _, job, running = heappop(events)
        if not running and not free:
            waiting.append(job)
            continue
        if not running:
            free -= 1
        if not job.requests:
            ends[job.load] = max(ends[job.load], at)
            if not waiting:
                free += 1
                continue
            job = waiting.popleft()
        sent = max(at, next_free)
        next_free = sent + request_every.total_seconds()
        job.requests -= 1
        answered = sent + loads[job.load].demand.latency.total_seconds()
        heappush(events, (answered, next(numbers), job, True))
    return [timedelta(seconds=end) for end in ends]


def _jobs(loads: Sequence[Load]) -> Iterator[_Job]:
    for number, load in enumerate(loads):
        accounts = load.demand.accounts
        for rank in range(accounts):
            slot = load.start + load.length * rank / accounts
            yield _Job(number, slot.total_seconds(), round(load.demand.requests_per_job))
