"""When jobs start: the claim's instant less the slot, with an empty ladder and with a full one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

from sqlalchemy import text

from ifood_actors.config.loading import child_environment
from ifood_actors.db import transaction
from ifood_actors.ifood.http import AppCredentials
from ifood_actors.planning import planner
from scripts.benchmarks import runs
from scripts.benchmarks.environment import (
    Environment,
    Services,
    add_accounts,
    register,
    start_environment,
)
from scripts.benchmarks.report import Figure, amount, at_least, at_most
from scripts.benchmarks.sizes import Sizes
from scripts.benchmarks.worker_processes import IDLE, WorkerProcesses, run_workers, wait_until

_MEDIAN, _WORST = 0.7, 1.5  # seconds
# Relayed before the first is due, at twenty jobs a second.
_AHEAD, _PER_SECOND = timedelta(seconds=8), 20
_PATIENCE_SECONDS = 60.0
# Those that wait move down the ladder meanwhile, and some come due.
_WAITING_FROM, _WAITING_FOR = timedelta(minutes=10), timedelta(hours=3, minutes=40)
_WAITING_KIND = "anticipations_daily"

_SECONDS_LATE = text("""
    SELECT extract(epoch FROM event.at - job.scheduled_for)::float8 AS late
    FROM ifood_job_events AS event JOIN ifood_jobs AS job ON job.id = event.job_id
    WHERE event.act = 'claim' AND job.job_type = :kind AND job.merchant_id = ANY(:merchants)
    ORDER BY late
""")
_CLAIMED = text("""
    SELECT count(*) FROM ifood_jobs
    WHERE job_type = :kind AND merchant_id = ANY(:merchants) AND lease_no > 0
""")


@dataclass(frozen=True)
class _Probes:
    late: Sequence[float]  # seconds, ascending
    resident_mib: float

    def percentile(self, share: float) -> float:
        return self.late[min(len(self.late) - 1, int(len(self.late) * share))]


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    with start_environment(on) as here:
        register(here, AppCredentials("bench", "bench"))
        variables = child_environment(here.settings)
        with run_workers(IDLE, variables, processes=1, threads=10) as workers:
            # The first jobs of a process connect, read the token, and are not what is measured.
            _probe(here, workers, add_accounts(here.engine, 20, prefix="first"))
            alone = _probe(here, workers, add_accounts(here.engine, sizes.probes, prefix="alone"))
            wait_rate = _fill(here, sizes.waiting)
            crowded = _probe(here, workers, add_accounts(here.engine, sizes.probes, prefix="full"))
    return [
        *_figures("nothing waiting", alone),
        *_figures(f"{sizes.waiting:,} waiting", crowded),
        Figure(f"{sizes.waiting:,} put into the ladder", amount(wait_rate, "messages/s")),
        Figure("worker with nothing waiting", amount(alone.resident_mib, "MiB")),
        Figure(f"worker with {sizes.waiting:,} waiting", amount(crowded.resident_mib, "MiB")),
    ]


def _figures(name: str, probes: _Probes) -> Iterator[Figure]:
    yield at_least(f"{name}: earliest", probes.late[0], 0, unit="s")
    yield at_most(f"{name}: p50 late", probes.percentile(0.5), _MEDIAN, unit="s")
    yield at_most(f"{name}: p99 late", probes.percentile(0.99), _WORST, unit="s")
    yield Figure(f"{name}: latest", amount(probes.late[-1], "s"))


def _probe(on: Environment, workers: WorkerProcesses, merchants: list[str]) -> _Probes:
    """Run one job for each of these merchants, due evenly from a few seconds on."""
    length = timedelta(seconds=len(merchants) / _PER_SECOND)
    wanted = runs.request(start=datetime.now(UTC) + _AHEAD, length=length, only=merchants)
    planner.plan(on.engine, wanted, actor="bench")
    runs.relay(on).run()
    those = {"kind": runs.KIND, "merchants": merchants}

    def all_claimed() -> bool:
        with transaction(on.engine) as tx:
            return bool(tx.execute(_CLAIMED, those).scalar_one() == len(merchants))

    patience = (_AHEAD + length).total_seconds() + _PATIENCE_SECONDS
    wait_until(all_claimed, within=patience, what="jobs with a slot", every=1)
    with transaction(on.engine) as tx:
        late = [row.late for row in tx.execute(_SECONDS_LATE, those)]
    return _Probes(late, workers.resident_mib())


def _fill(on: Environment, jobs: int) -> float:
    """Put jobs that are due during the next hours into the ladder; give the messages a second."""
    merchants = add_accounts(on.engine, jobs, prefix="waiting")
    start = datetime.now(UTC) + _WAITING_FROM
    wanted = runs.request(_WAITING_KIND, start=start, length=_WAITING_FOR, only=merchants)
    planner.plan(on.engine, wanted, actor="bench")
    started = monotonic()
    moved = runs.relay(on).run()
    return moved.dispatched / (monotonic() - started)
