"""
Does a day fit? Closed formulas, so the answer for 100,000 accounts costs nothing.

Pure. Three things take time, each on its own: starting the jobs at the batch size, sending their
requests under the rate limit, and waiting for the answers in the slots of the concurrency. The
slowest of them is the bottleneck; the run ends one job after it.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import Literal

from ifood_actors.planning.pacing import (
    MINUTE,
    batch_size_for,
    jobs_within,
    length_for,
    resolve_batch_size,
)


class Resource(StrEnum):
    PACING = "pacing"
    RATE_LIMIT = "rate_limit"
    CONCURRENCY = "concurrency"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a run asks for; `latency` is the time of one request."""

    accounts: int
    requests_per_job: float
    latency: timedelta

    @property
    def job_length(self) -> timedelta:
        return self.requests_per_job * self.latency


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is for it; `concurrency` counts jobs at the same time, over all worker hosts."""

    window: timedelta
    batch_size: int | Literal["auto"]
    rate_limit_per_minute: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    The verdict. `spans` is the time that each resource needs if it were the only limit.

    `fits` when every span lies within the window. `ends_after` counts from the window's start;
    it can pass the window's end by up to one job even when all fits. `advice` has one line for
    each resource that is too small, and names its setting.
    """

    fits: bool
    batch_size: int
    spans: dict[Resource, timedelta]
    bottleneck: Resource
    ends_after: timedelta
    advice: tuple[str, ...]


def estimate(demand: Demand, supply: Supply) -> Capacity:
    """Compare a run with its window; raises `ValueError` for a supply of nothing."""
    if min(supply.window / MINUTE, supply.rate_limit_per_minute, supply.concurrency) <= 0:
        raise ValueError("window, rate limit and concurrency must be more than nothing")

    batch_size = resolve_batch_size(
        supply.batch_size, accounts=demand.accounts, length=supply.window
    )
    spans = {
        Resource.PACING: length_for(demand.accounts, batch_size=batch_size),
        Resource.RATE_LIMIT: _requests(demand) / supply.rate_limit_per_minute * MINUTE,
        Resource.CONCURRENCY: demand.accounts * demand.job_length / supply.concurrency,
    }
    last_start = max(spans.values())
    if demand.accounts and jobs_within(supply.window, batch_size=batch_size) >= demand.accounts:
        # Slots are spread over the whole window, however few they are.
        last_slot = supply.window * (demand.accounts - 1) / demand.accounts
        last_start = max(last_slot, spans[Resource.RATE_LIMIT], spans[Resource.CONCURRENCY])

    too_long = [resource for resource, span in spans.items() if span > supply.window]
    return Capacity(
        fits=not too_long,
        batch_size=batch_size,
        spans=spans,
        bottleneck=max(spans, key=lambda resource: spans[resource]),
        ends_after=last_start + demand.job_length if demand.accounts else timedelta(),
        advice=tuple(_advice(resource, demand, supply) for resource in too_long),
    )


def _requests(demand: Demand) -> float:
    return demand.accounts * demand.requests_per_job


def _advice(resource: Resource, demand: Demand, supply: Supply) -> str:
    match resource:
        case Resource.PACING:
            needed = batch_size_for(demand.accounts, length=supply.window)
            return f"IFOOD_BATCH_SIZE must be at least {needed:,}, or auto"
        case Resource.RATE_LIMIT:
            needed = ceil(_requests(demand) / (supply.window / MINUTE))
            minutes = ceil(_requests(demand) / supply.rate_limit_per_minute)
            return (
                f"the window must last at least {minutes:,} minutes, or, if iFood allows so much, "
                f"IFOOD_RATE_LIMIT_PER_MINUTE must be at least {needed:,}"
            )
        case Resource.CONCURRENCY:
            needed = ceil(demand.accounts * demand.job_length / supply.window)
            return (
                f"IFOOD_WORKER_MAX_CONCURRENCY must be at least {needed:,} "
                "over all worker hosts together"
            )
