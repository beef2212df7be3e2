"""
Ten times more jobs due than the limit allows: what those cost that have to wait.

For each limit, side by side, an environment of its own: the relay, one process of workers and a
simulated iFood. Half of the accounts have a high priority, more than can be served.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any

from sqlalchemy import text

from ifood_actors.config.loading import child_environment
from ifood_actors.db import transaction
from ifood_actors.embedded import seed
from ifood_simulator import Settings as SimulatorSettings
from ifood_simulator import Simulator, running
from scripts.benchmarks import runs
from scripts.benchmarks.environment import Environment, Services, start_environment
from scripts.benchmarks.report import Figure, amount, at_least, at_most
from scripts.benchmarks.sizes import Sizes
from scripts.benchmarks.worker_processes import REAL, run_workers, wait_until

_LIMITS = (5, 10, 60, 180, 1_000)
_THREADS = 20
_TIMES = 10  # more jobs due than the limit allows
_LEAST_USE = 97.0  # percent
_MOST_SNOOZES = 1 / 20  # a job
_MOST_ROWS = 6.0  # of history, a job
_FEWEST = 3  # requests that show a pace
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class _Queue:
    """An environment with more jobs than slots, and the iFood that they ask."""

    environment: Environment
    api: Simulator
    limit: int


def measure(on: Services, sizes: Sizes) -> Iterator[Figure]:
    """Let them run, and count what the jobs cost that have ended."""
    with ExitStack() as parts:
        queues = [
            parts.enter_context(_queue(on, limit, seconds=sizes.queueing_seconds))
            for limit in _LIMITS
        ]
        # A limit of five a minute shows its pace after three requests.
        Event().wait(sizes.queueing_seconds)
        for queue in queues:
            yield from _figures(queue)


def _figures(queue: _Queue) -> Iterator[Figure]:
    seen = _counted(queue.environment)
    done = max(1, seen.done)
    name = f"{queue.limit:,}/min, {_TIMES} times more jobs due"
    yield Figure(name, amount(seen.done, "jobs done"))
    yield at_least("  use of the limit", 100 * _use(queue), _LEAST_USE, unit="%")
    yield at_most("  snoozes a job", seen.snoozes / done, _MOST_SNOOZES, unit="")
    yield at_most("  rows of history a job", seen.rows / done, _MOST_ROWS, unit="rows")
    yield at_most("  done before one of a higher priority", seen.overtook, 0, unit="jobs")


def _use(queue: _Queue) -> float:
    """Give the pace of the requests, as a share of the limit: from the first to the last one."""
    at = [one["at"] for one in queue.api.journal_since() if one["group"] == "financial"]
    if len(at) < _FEWEST:
        return 0.0
    return (len(at) - 1) / (max(at) - min(at)) * 60 / queue.limit


def _counted(on: Environment) -> Any:  # noqa: ANN401 - a row
    with transaction(on.engine) as tx:
        return tx.execute(
            text("""
                SELECT count(*) FILTER (WHERE status = 'success') AS done,
                  count(*) FILTER (WHERE status = 'success' AND priority = 0) AS overtook,
                  (SELECT count(*) FROM ifood_job_events WHERE act = 'snooze') AS snoozes,
                  (SELECT count(*) FROM ifood_job_events AS event JOIN ifood_jobs AS ended
                    ON ended.id = event.job_id AND ended.status = 'success') AS rows
                FROM ifood_jobs
            """)
        ).one()


@contextmanager
def _queue(on: Services, limit: int, *, seconds: int) -> Iterator[_Queue]:
    # Half of them have the high priority: still five times more than can be served.
    jobs = max(2 * _THREADS, int(_TIMES * limit * seconds / 60))
    world = SimulatorSettings(merchants=jobs, today=runs.DAY, financial_per_minute=limit)
    chosen: dict[str, object] = {
        "rate_limit_per_minute": limit,
        "worker_processes": 1,
        "worker_max_concurrency": _THREADS,
    }
    with running(world) as api, start_environment(on, api_base_url=api.url, **chosen) as here:
        seed(here.engine, api, keys=here.settings.require_encryption_keys())
        with transaction(here.engine) as tx:
            urgent = "UPDATE accounts SET priority = 9 WHERE hashtext(ifood_merchant_id) % 2 = 0"
            tx.execute(text(urgent))
        runs.plan_due(here)
        variables = child_environment(here.settings)
        with (
            runs.ticking(here),
            run_workers(REAL, variables, processes=1, threads=_THREADS),
        ):
            wait_until(
                lambda: runs.count(here, "success") > 0,
                within=_PATIENCE_SECONDS,
                what="the first job",
            )
            yield _Queue(here, api, limit)
