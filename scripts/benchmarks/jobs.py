"""
Jobs that do nothing: through the queue and the ledger by one worker host of the default size.

The worker is the real one, except that the API is a function which answers 404: so a job is its
claim, one request without HTTP, and its success, each recorded. The slot of that request is left
out, since no API allows so many: the limiter has its own figures. Beside it, stock Dramatiq with
confirms on runs an actor that does nothing and records nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ

from dramatiq.brokers.rabbitmq import RabbitmqBroker

from ifood_actors.config.loading import child_environment
from ifood_actors.ifood.http import AppCredentials
from scripts.benchmarks import runs
from scripts.benchmarks.environment import (
    Environment,
    Services,
    add_accounts,
    register,
    start_environment,
)
from scripts.benchmarks.machine import CORES, Meter, Spent
from scripts.benchmarks.relay import send
from scripts.benchmarks.report import Figure, amount, at_least, at_most
from scripts.benchmarks.sizes import Sizes
from scripts.benchmarks.statements import Statement, Statements
from scripts.benchmarks.worker_processes import (
    IDLE,
    STOCK,
    STOCK_URL,
    UNPACED,
    run_workers,
    wait_until,
)

PROCESSES, THREADS = 2, 10

_PER_SECOND = 1500.0
_PACED_PER_SECOND = 800.0  # each with a slot of one limit
_CPU_MS = 1.3
_DATABASE_MS = 5.0
_LOOKING_ON = "this process"  # what measures is no part of what a job costs
# Of the jobs, at either end: processes start and stop there.
_MARGIN = 0.05
_SLOWEST = 20.0  # jobs a second, below which we give up
_SHOWN = 6


@dataclass(frozen=True)
class Pace:
    done: int
    spent: Spent

    @property
    def per_second(self) -> float:
        return self.done / self.spent.seconds

    def milliseconds(self, part: str) -> float:
        """Give the CPU of a part for one job; 0 for a part that is not ours to measure."""
        return 1000 * self.spent.cpu.get(part, 0.0) / self.done

    @property
    def cost_milliseconds(self) -> float:
        """Give the CPU of one job in all parts that run it."""
        return sum(self.milliseconds(part) for part in self.spent.cpu if part != _LOOKING_ON)


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    with due(on, sizes.jobs) as here:
        stock = _stock(here, sizes.stock)
        statements = Statements(here.engine)
        ours = _ours(here, sizes.jobs, paced=False)
        costliest = statements.costliest()
        active_ms = statements.active_milliseconds() / sizes.jobs
    paced_jobs = sizes.jobs // 4
    with due(on, paced_jobs) as here:
        paced = _ours(here, paced_jobs, paced=True)

    database_ms = sum(one.milliseconds for one in costliest) / sizes.jobs
    whole = CORES * _per_cpu(ours)
    return [
        at_least("jobs that do nothing, recorded", ours.per_second, _PER_SECOND, unit="/s"),
        at_most("  CPU of all parts a job", ours.cost_milliseconds, _CPU_MS, unit="ms"),
        Figure(f"  what {CORES} cores can do at its CPU cost", amount(whole, "/s")),
        *_costs(ours),
        _database(ours, database_ms, counted=statements.counted),
        *(_statement(one, sizes.jobs) for one in costliest[:_SHOWN]),
        Figure("  with commits waiting for the disk", amount(active_ms, "ms")),
        at_least(
            "the same, each with a slot of one limit",
            paced.per_second,
            _PACED_PER_SECOND,
            unit="/s",
        ),
        Figure("  CPU of all parts a job", amount(paced.cost_milliseconds, "ms")),
        *_costs(paced),
        Figure("stock Dramatiq, nothing recorded", amount(stock.per_second, "/s")),
        *_costs(stock),
        Figure("ours / stock, per second", amount(ours.per_second / stock.per_second, "x")),
        Figure("ours / stock, per CPU second", amount(_per_cpu(ours) / _per_cpu(stock), "x")),
    ]


@contextmanager
def due(on: Services, jobs: int) -> Iterator[Environment]:
    """Lend an environment in which so many messages are waiting for workers."""
    with start_environment(on) as here:
        register(here, AppCredentials("bench", "bench"))
        add_accounts(here.engine, jobs)
        runs.plan_due(here)
        runs.relay(here).run()
        yield here


def _database(pace: Pace, statements_ms: float, *, counted: bool) -> Figure:
    if counted:
        return at_most("database time per job", statements_ms, _DATABASE_MS, unit="ms")
    cpu_ms = pace.milliseconds("Postgres")
    return at_most("database CPU per job", cpu_ms, _DATABASE_MS, unit="ms")


def _costs(pace: Pace) -> list[Figure]:
    parts = [
        Figure(f"  CPU of {part}", amount(pace.milliseconds(part), "ms a job"))
        for part in pace.spent.cpu
    ]
    others = pace.spent.others / pace.spent.seconds
    return [
        Figure("  per CPU second of all parts", amount(_per_cpu(pace), "/s")),
        *parts,
        Figure("  busy with other things meanwhile", amount(others, "cores")),
    ]


def _statement(one: Statement, jobs: int) -> Figure:
    each = f"{amount(one.milliseconds / jobs, 'ms')}, {one.calls / jobs:.2f} times"
    return Figure(f"  {one.name}", f"{each} a job")


def _per_cpu(pace: Pace) -> float:
    return pace.done / pace.spent.all_cpu


def _ours(on: Environment, jobs: int, *, paced: bool) -> Pace:
    variables = child_environment(on.settings) | ({} if paced else {UNPACED: "1"})
    with run_workers(IDLE, variables, processes=PROCESSES, threads=THREADS) as workers:
        parts = {**on.services.pids(), "workers": workers.pid}
        return pace(parts, jobs, lambda: runs.count(on, "success"))


def _stock(on: Environment, jobs: int) -> Pace:
    url = on.settings.require_broker_url()
    broker = RabbitmqBroker(url=url, confirm_delivery=True)
    environment = {**environ, STOCK_URL: url}
    try:
        send(broker, jobs)
        with run_workers(STOCK, environment, processes=PROCESSES, threads=THREADS) as workers:

            def done() -> int:
                ready: int = broker.get_queue_message_counts("stock")[0]
                return jobs - ready

            return pace({**on.services.pids(), "workers": workers.pid}, jobs, done)
    finally:
        broker.close()


def pace(parts: Mapping[str, int], jobs: int, done: Callable[[], int]) -> Pace:
    """
    Measure from the first twentieth of waiting jobs to the last.

    `parts` are the processes whose CPU counts, `done` counts the jobs that are. Raises TooSlow when
    they take far too long.
    """
    first, last = jobs * _MARGIN, jobs * (1 - _MARGIN)
    patience = 60 + jobs / _SLOWEST
    wait_until(lambda: done() >= first, within=patience, what="the first jobs", every=0.05)
    before = done()
    meter = Meter(parts)
    wait_until(lambda: done() >= last, within=patience, what=f"{jobs} jobs", every=0.1)
    return Pace(done() - before, meter.spent())
