"""Runs played through event by event: what the closed formulas of `capacity` must agree with."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from heapq import heapify, heappop, heappush
from itertools import count

from ifood_actors.capacity.estimate import Load


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
