"""What one worker process of ten threads holds, from its first jobs to its last."""

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
from scripts.benchmarks.report import Figure, amount, at_most
from scripts.benchmarks.sizes import Sizes
from scripts.benchmarks.worker_processes import IDLE, UNPACED, run_workers, wait_until

_THREADS = 10
_LARGEST_MIB = 100.0
# "Flat": what a process may gain between its first tenth and its end.
_FLAT_MIB = 5.0
_PARTS = 10
_SLOWEST = 20.0  # jobs a second, below which we give up


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    """Run the idle worker; what iFood answers comes and goes, and is not what may pile up."""
    with start_environment(on) as here:
        register(here, AppCredentials("bench", "bench"))
        add_accounts(here.engine, sizes.memory)
        runs.plan_due(here)
        runs.relay(here).run()
        variables = child_environment(here.settings) | {UNPACED: "1"}
        held: list[float] = []
        with run_workers(IDLE, variables, processes=1, threads=_THREADS) as workers:
            for part in range(1, _PARTS + 1):
                _wait_for(here, sizes.memory * part // _PARTS, share=sizes.memory // _PARTS)
                held.append(workers.resident_mib())
    course = " ".join(f"{mib:.0f}" for mib in held)
    return [
        at_most(f"RSS over {sizes.memory:,} jobs", max(held), _LARGEST_MIB, unit="MiB"),
        at_most("gain from the first tenth to the end", held[-1] - held[0], _FLAT_MIB, unit="MiB"),
        Figure("after each tenth, in MiB", course),
        Figure("gain per 1,000 jobs", amount(1e3 * (held[-1] - held[0]) / sizes.memory, "MiB")),
    ]


def _wait_for(on: Environment, jobs: int, *, share: int) -> None:
    patience = 60 + share / _SLOWEST
    wait_until(
        lambda: runs.count(on, "success") >= jobs, within=patience, what=f"{jobs} jobs", every=0.5
    )
