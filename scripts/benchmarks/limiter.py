"""The limiter: how fast it decides, and how much of a limit whole workers use, never above it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from threading import Event
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from ifood_actors.config.loading import child_environment
from ifood_actors.db import connect
from ifood_actors.embedded import seed
from ifood_actors.ifood.limiter import Limiter
from ifood_simulator import Settings as SimulatorSettings
from ifood_simulator import Simulator, running
from scripts.benchmarks import queueing, runs
from scripts.benchmarks.environment import MOST_PER_MINUTE, Services, start_environment
from scripts.benchmarks.report import Figure, amount, at_least, at_most
from scripts.benchmarks.sizes import Sizes
from scripts.benchmarks.worker_processes import REAL, WorkerProcesses, run_workers, wait_until

_PROCESSES = (1, 2, 4)
_KILLED = "2 hosts, one killed (-9) and started again"
_THREADS = 10
_DECIDING_SECONDS = 3.0
# What iFood is said to allow the Financial endpoints; second-hand.
_LIMIT = 1_000
_LEAST_USE = 98.0  # percent
_STEADY_AFTER = 20  # requests
_PATIENCE_SECONDS = 60.0
# What the first group may pull before the last one runs.
_HEAD_START_SECONDS = 60


@dataclass(frozen=True)
class _Pull:
    """Hosts that pull from one simulator; `kill_one` is a power cut and a new start of one."""

    api: Simulator
    kill_one: Callable[[], None]


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    """
    Let groups of one, two and four processes run side by side, each in its own environment.

    Then two hosts of one process each, of which one is killed in the middle.
    """
    undisturbed = {f"{n} x {_THREADS} threads": [n] for n in _PROCESSES}
    return [
        *_decisions(on),
        *_watch(on, undisturbed, seconds=sizes.limiter_seconds),
        *_watch(on, {_KILLED: [1, 1]}, seconds=sizes.limiter_seconds),
        *queueing.measure(on, sizes),
    ]


def _watch(on: Services, hosts: Mapping[str, Sequence[int]], *, seconds: int) -> Iterator[Figure]:
    with ExitStack() as parts:
        pulls = {
            name: parts.enter_context(_pulling(on, processes, seconds=seconds))
            for name, processes in hosts.items()
        }
        before = {name: _counted(pull.api)["total"] for name, pull in pulls.items()}
        started = monotonic()
        Event().wait(seconds / 2)
        if _KILLED in pulls:
            pulls[_KILLED].kill_one()
        Event().wait(max(0, started + seconds - monotonic()))
        counted = {name: _counted(pull.api) for name, pull in pulls.items()}
        elapsed = monotonic() - started
    for name, seen in counted.items():
        per_minute = 60 * (seen["total"] - before[name]) / elapsed
        yield from _figures(name, seen, use=100 * per_minute / _LIMIT)


def _figures(name: str, seen: Any, *, use: float) -> Iterator[Figure]:  # noqa: ANN401 - JSON
    refused = seen["by_status"].get("429", 0)
    yield at_least(f"use of {_LIMIT:,}/min, {name}", use, _LEAST_USE, unit="%")
    yield at_most("  most in any 60 s (simulator)", seen["worst"], _LIMIT, unit="requests")
    yield at_most("  answered by 429", refused, 0, unit="requests")


def _decisions(on: Services) -> Iterator[Figure]:
    """Let processes reserve from one row as fast as they can."""
    with start_environment(on) as here:
        url = here.settings.require_database_url()
        for processes in _PROCESSES:
            decide = partial(_decide, url, str(uuid4()))
            with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
                rates = pool.map(decide, range(processes))
                yield Figure(
                    f"decisions on one row, {processes} x {_THREADS} threads",
                    amount(sum(rates), "/s"),
                )


def _decide(url: str, app_id: str, _number: int) -> float:
    """Run in a child: give its decisions per second."""
    engine = connect(url, application_name="bench limiter", pool_size=_THREADS)
    limiter = Limiter(engine, rates={"financial": MOST_PER_MINUTE})
    started = monotonic()

    def reserve(_thread: int) -> int:
        made = 0
        while monotonic() - started < _DECIDING_SECONDS:
            limiter.reserve(UUID(app_id), "financial", max_wait=timedelta(minutes=5))
            made += 1
        return made

    with ThreadPoolExecutor(_THREADS) as threads:
        made = sum(threads.map(reserve, range(_THREADS)))
    return made / (monotonic() - started)


@contextmanager
def _pulling(on: Services, hosts: Sequence[int], *, seconds: int) -> Iterator[_Pull]:
    """
    Lend a simulator from which real workers pull, with more jobs than its limit lets pass.

    `hosts` are the numbers of their processes.
    """
    processes = sum(hosts)
    jobs = int(_LIMIT * (seconds + _HEAD_START_SECONDS) / 60)
    world = SimulatorSettings(merchants=jobs, today=runs.DAY, financial_per_minute=_LIMIT)
    chosen: dict[str, object] = {
        "rate_limit_per_minute": _LIMIT,
        "worker_processes": processes,
        "worker_max_concurrency": processes * _THREADS,
    }
    with running(world) as api, start_environment(on, api_base_url=api.url, **chosen) as here:
        seed(here.engine, api, keys=here.settings.require_encryption_keys())
        runs.plan_due(here)
        variables = child_environment(here.settings)
        with ExitStack() as started:

            def start(processes: int) -> WorkerProcesses:
                return started.enter_context(
                    run_workers(REAL, variables, processes=processes, threads=_THREADS)
                )

            def kill_one() -> None:
                groups[0].kill()
                groups[0] = start(hosts[0])

            started.enter_context(runs.ticking(here))
            groups = [start(processes) for processes in hosts]
            wait_until(
                lambda: _counted(api)["total"] >= _STEADY_AFTER,
                within=_PATIENCE_SECONDS,
                what="requests",
            )
            yield _Pull(api, kill_one)


def _counted(api: Simulator) -> Any:  # noqa: ANN401 - JSON
    stats: Any = api.stats()
    nothing = {"total": 0, "worst": 0, "by_status": {}}
    return next((one for one in stats["groups"] if one["group"] == "financial"), nothing)
