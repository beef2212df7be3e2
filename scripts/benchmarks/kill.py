"""
A worker is killed (-9) in the middle: how long its jobs take to be done by another.

Two workers of one process each, with the settings of production, and a scheduler. Each job waits
for 50 ms in iFood's place. Beside it, stock Dramatiq with confirms on runs an actor that waits as
long and notes its job in a file.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic
from typing import Any

from dramatiq.brokers.rabbitmq import RabbitmqBroker
from sqlalchemy import text

from ifood_actors.config.loading import child_environment
from ifood_actors.db import transaction
from ifood_actors.ifood.http import AppCredentials
from ifood_actors.scheduler import Scheduler
from ifood_actors.scheduler.deaths import SETTLED_AFTER
from scripts.benchmarks import runs
from scripts.benchmarks.environment import (
    Environment,
    Services,
    add_accounts,
    register,
    start_environment,
)
from scripts.benchmarks.relay import send
from scripts.benchmarks.report import Figure, amount, at_most
from scripts.benchmarks.sizes import Sizes
from scripts.benchmarks.worker_processes import (
    IDLE,
    SECONDS,
    STOCK,
    STOCK_DONE,
    STOCK_URL,
    UNPACED,
    WorkerProcesses,
    run_workers,
    wait_until,
)

THREADS = 10
JOB_SECONDS = 0.05
_MOST = 0.95
_LAST_WITHIN = 15.0
_PATIENCE_SECONDS = 300.0

_COUNTED = text("""
    SELECT count(*) FILTER (WHERE status <> 'success') AS lost,
      count(*) FILTER (WHERE (SELECT count(*) FROM ifood_job_events AS event
        WHERE event.job_id = job.id AND act = 'succeed') > 1) AS doubled,
      sum(attempts) - count(*) AS charged, max(attempts) AS attempts
    FROM ifood_jobs AS job
""")


@dataclass(frozen=True)
class Aftermath:
    """Seconds from the kill until 95 % of the jobs, and until all of them, were done."""

    most: float
    last: float


def kill_in_the_middle(victim: WorkerProcesses, jobs: int, done: Callable[[], int]) -> Aftermath:
    """
    Kill one of several workers when half of the jobs are done, and wait for the others.

    `done` counts the jobs that are. Raises TooSlow when they are not all done within 5 minutes.
    """
    wait = {"within": _PATIENCE_SECONDS, "every": 0.05}
    wait_until(lambda: done() >= jobs / 2, what="half of the jobs", **wait)
    victim.kill()
    killed = monotonic()
    wait_until(lambda: done() >= jobs * _MOST, what="most of the jobs", **wait)
    most = monotonic() - killed
    wait_until(lambda: done() >= jobs, what="the last job", **wait)
    return Aftermath(most, monotonic() - killed)


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    with start_environment(on) as here:
        register(here, AppCredentials("bench", "bench"))
        add_accounts(here.engine, sizes.killed)
        ours = kill_ours(here, sizes.killed)
        counted = count_losses(here)
    with start_environment(on) as here, TemporaryDirectory() as folder:
        file = Path(folder) / "done"
        stock = _stock(here, sizes.killed, file)
        times = Counter(file.read_text().split())
    return [
        at_most("last job done, after the kill", ours.last, _LAST_WITHIN, unit="s"),
        Figure("  95 % of the jobs done", amount(ours.most, "s")),
        at_most("  lost", counted.lost, 0, unit="jobs"),
        at_most("  doubled", counted.doubled, 0, unit="jobs"),
        Figure("  attempts that the kill cost", amount(counted.charged, "")),
        Figure("  most attempts of a job", amount(counted.attempts, "")),
        Figure("stock Dramatiq: last job done", amount(stock.last, "s")),
        Figure("  95 % of the jobs done", amount(stock.most, "s")),
        Figure("  lost", amount(sizes.killed - len(times), "jobs")),
        Figure("  done twice", amount(sum(n > 1 for n in times.values()), "jobs")),
    ]


def kill_ours(on: Environment, jobs: int) -> Aftermath:
    """Kill one of two of our workers, which have so many accounts, and a job for each."""
    variables = child_environment(on.settings) | {UNPACED: "1", SECONDS: str(JOB_SECONDS)}
    with _scheduling(on), _two_workers(IDLE, variables) as victim:
        # As in production, where a scheduler has been running for long.
        Event().wait(SETTLED_AFTER.total_seconds())
        runs.plan_due(on)
        runs.relay(on).run()
        return kill_in_the_middle(victim, jobs, lambda: runs.count(on, "success"))


def count_losses(on: Environment) -> Any:  # noqa: ANN401 - a row
    """Count, of our jobs: `lost`, `doubled`, and what the kill `charged` in `attempts`."""
    with transaction(on.engine) as tx:
        return tx.execute(_COUNTED).one()


def _stock(on: Environment, jobs: int, file: Path) -> Aftermath:
    url = on.settings.require_broker_url()
    broker = RabbitmqBroker(url=url, confirm_delivery=True)
    file.touch()
    variables = {
        **environ,
        STOCK_URL: url,
        STOCK_DONE: str(file),
        SECONDS: str(JOB_SECONDS),
    }
    try:
        send(broker, jobs)
        with _two_workers(STOCK, variables) as victim:
            return kill_in_the_middle(victim, jobs, lambda: len(set(file.read_text().split())))
    finally:
        broker.close()


@contextmanager
def _two_workers(module: str, variables: dict[str, str]) -> Iterator[WorkerProcesses]:
    """Run two hosts of one process each; give the one to be killed."""
    with ExitStack() as both:
        first, _ = (
            both.enter_context(run_workers(module, variables, processes=1, threads=THREADS))
            for _ in range(2)
        )
        yield first


@contextmanager
def _scheduling(on: Environment) -> Iterator[None]:
    scheduler = Scheduler(on.settings, engine=on.engine, publisher=on.broker, inspector=on.broker)
    scheduler.start(plan=False)
    try:
        yield
    finally:
        scheduler.stop()
