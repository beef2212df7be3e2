"""
Whether a run fits its window, when it will end, and what would have to change.

Pure, and closed formulas, so the answer for 100,000 accounts costs nothing. Three things take time,
each on its own: starting the jobs at the batch size, sending their requests at the limiter's pace,
and waiting for the answers in the threads of the workers. Jobs arrive evenly over the window and
are served in the order of their slots, so each of limiter and workers is a queue whose last job
leaves by Reich's formula: counted from any earlier instant, all that arrived since has to be done;
the latest of these ends is the true one. Runs that overlap are served by the same two queues.
docs/capacity.md says what that leaves out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from math import ceil
from typing import Literal

from ifood_actors.ifood.request_slots import interval
from ifood_actors.planning.pacing import (
    MICROSECOND,
    MINUTE,
    batch_size_for,
    jobs_within,
    length_for,
    resolve_batch_size,
)

# How long a job waits for its turn at the limiter before it gives up and comes back later
# (Limiter.acquire); what it had read until then is read again.
PATIENCE = timedelta(seconds=60)


class Resource(StrEnum):
    PACING = "pacing"
    RATE_LIMIT = "rate_limit"
    CONCURRENCY = "concurrency"


@dataclass(frozen=True, slots=True)
class Demand:
    """
    What a run asks for.

    `requests_per_job` are those of one attempt, `attempts` those that a job needs on average;
    `latency` is the time of one request.
    """

    accounts: int
    requests_per_job: float
    latency: timedelta
    attempts: float = 1.0

    @property
    def requests(self) -> float:
        return self.accounts * self.attempts * self.requests_per_job

    @property
    def job_length(self) -> timedelta:
        return self.requests_per_job * self.latency


@dataclass(frozen=True, slots=True)
class Supply:
    """
    What there is for it.

    `concurrency` counts the jobs that run at the same time on each of `hosts`. The limit is per
    application: `busiest_share` of the accounts belong to the one that has most.
    """

    window: timedelta
    batch_size: int | Literal["auto"]
    rate_limit_per_minute: int
    concurrency: int
    hosts: int = 1
    busiest_share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a supply of nothing with ValueError."""
        counts = (self.rate_limit_per_minute, self.concurrency, self.hosts, self.busiest_share)
        if min(*counts, self.window / MINUTE) <= 0:
            raise ValueError("window, rate limit and concurrency must be more than nothing")

    @property
    def request_every(self) -> timedelta:
        """The time that each request takes of its application's limiter."""
        return interval(self.rate_limit_per_minute)

    @property
    def most_concurrency(self) -> int:
        """How many jobs may wait for the limiter, over all hosts, before the last gives up."""
        return int(PATIENCE / self.request_every / self.busiest_share)


@dataclass(frozen=True)
class Load:
    """A run beside others; its window opens `start` after an instant that all count from."""

    kind: str
    start: timedelta
    demand: Demand
    supply: Supply

    @property
    def end(self) -> timedelta:
        return self.start + self.supply.window

    @cached_property
    def batch_size(self) -> int:
        accounts, window = self.demand.accounts, self.supply.window
        return resolve_batch_size(self.supply.batch_size, accounts=accounts, length=window)

    @cached_property
    def length(self) -> timedelta:
        """The time over which its slots are spread: the window, or more where that must grow."""
        accounts, window = self.demand.accounts, self.supply.window
        if jobs_within(window, batch_size=self.batch_size) >= accounts:
            return window
        return length_for(accounts, batch_size=self.batch_size)

    @cached_property
    def spans(self) -> dict[Resource, timedelta]:
        """The time that it takes of each resource, if that never has to wait for jobs."""
        demand, supply = self.demand, self.supply
        threads = supply.concurrency * supply.hosts
        return {
            Resource.PACING: length_for(demand.accounts, batch_size=self.batch_size),
            Resource.RATE_LIMIT: demand.requests * supply.busiest_share * supply.request_every,
            Resource.CONCURRENCY: demand.requests * demand.latency / threads,
        }

    def share_between(self, since: timedelta, until: timedelta) -> float:
        """Give the share of its jobs whose slots lie between two instants."""
        inside = min(until, self.start + self.length) - max(since, self.start)
        return max(0.0, inside / self.length)


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    The verdict on a run.

    `spans` is the time that each resource needs for it, and for what others want of it meanwhile;
    `fits` when every span lies within the window, and `bottleneck` is the longest. `ends_after`
    counts from the window's start; it can pass the window's end by up to one job even when all
    fits. `needed` is the smallest value of each resource's setting that fits; `advice` has one line
    for each resource that is too small.
    """

    fits: bool
    batch_size: int
    spans: dict[Resource, timedelta]
    bottleneck: Resource
    ends_after: timedelta
    needed: dict[Resource, int]
    advice: tuple[str, ...]


def estimate(demand: Demand, supply: Supply) -> Capacity:
    """Compare a run with its window, as if it were the only one."""
    alone = Load("", timedelta(), demand, supply)
    return estimate_among(alone, [alone])


def estimate_among(load: Load, loads: Sequence[Load]) -> Capacity:
    """Compare a run with its window, beside all `loads` of its week; it is one of them."""
    window = load.supply.window
    # However slowly its jobs start: the window must hold the work of all of them.
    punctual = replace(load, supply=replace(load.supply, batch_size="auto"))
    all_punctual = [punctual if other is load else other for other in loads]
    spans = {
        Resource.PACING: load.spans[Resource.PACING],
        Resource.RATE_LIMIT: _span(Resource.RATE_LIMIT, punctual, all_punctual),
        Resource.CONCURRENCY: _span(Resource.CONCURRENCY, punctual, all_punctual),
    }
    needed = {resource: _needed(resource, load, span) for resource, span in spans.items()}
    too_long = [resource for resource, span in spans.items() if span > window]
    return Capacity(
        fits=not too_long,
        batch_size=load.batch_size,
        spans=spans,
        bottleneck=max(spans, key=lambda resource: spans[resource]),
        ends_after=_finish(load, loads) - load.start,
        needed=needed,
        advice=tuple(
            _advice(resource, load.supply, span=spans[resource], needed=needed[resource])
            for resource in too_long
        ),
    )


def _finish(load: Load, loads: Sequence[Load]) -> timedelta:
    """Say when the last job ends: it has waited for the slower queue, and then it runs."""
    accounts = load.demand.accounts
    if not accounts:
        return load.start
    last = load.start + load.length * (accounts - 1) / accounts
    queues = (Resource.RATE_LIMIT, Resource.CONCURRENCY)
    left = max(
        since
        + _arrived(resource, loads, since, last)
        + load.spans[resource] / accounts  # the last job itself
        for resource in queues
        for since in (*_edges(loads, before=last), last)
    )
    return left + load.demand.job_length


def _span(resource: Resource, load: Load, loads: Sequence[Load]) -> timedelta:
    """Give the window in which the resource would be done, with the others grown in proportion."""
    window = load.supply.window
    return max(
        _arrived(resource, loads, since, load.end) * (window / (load.end - since))
        for since in _edges(loads, before=load.end)
    )


def _arrived(
    resource: Resource, loads: Sequence[Load], since: timedelta, until: timedelta
) -> timedelta:
    """Give the time that the resource needs for all jobs with slots between two instants."""
    shares = ((other, other.share_between(since, until)) for other in loads)
    return sum((other.spans[resource] * share for other, share in shares if share), timedelta())


def _edges(loads: Sequence[Load], *, before: timedelta) -> set[timedelta]:
    """Give the instants at which more or fewer jobs begin to arrive: maxima lie nowhere else."""
    edges = {edge for load in loads for edge in (load.start, load.start + load.length)}
    return {edge for edge in edges if edge < before}


def _needed(resource: Resource, load: Load, span: timedelta) -> int:
    supply = load.supply
    if not span:
        return 1
    match resource:
        case Resource.PACING:
            return batch_size_for(load.demand.accounts, length=supply.window)
        case Resource.RATE_LIMIT:
            # interval(limit) is interval(1) / limit, but for the microsecond that each adds.
            every = interval(supply.rate_limit_per_minute) * (supply.window / span) - MICROSECOND
            return ceil((interval(1) - MICROSECOND) / max(every, MICROSECOND))
        case Resource.CONCURRENCY:
            return ceil(supply.concurrency * (span / supply.window))


def _advice(resource: Resource, supply: Supply, *, span: timedelta, needed: int) -> str:
    match resource:
        case Resource.PACING:
            return f"IFOOD_BATCH_SIZE must be at least {needed:,}, or auto"
        case Resource.RATE_LIMIT:
            return (
                f"the window must last at least {ceil(span / MINUTE):,} minutes, or, if iFood "
                f"allows so much, IFOOD_RATE_LIMIT_PER_MINUTE must be at least {needed:,}"
            )
        case Resource.CONCURRENCY:
            hosts = ceil(supply.hosts * span / supply.window)
            return (
                f"IFOOD_WORKER_MAX_CONCURRENCY must be at least {needed:,} on each host, "
                f"or there must be {hosts:,} hosts"
            )
