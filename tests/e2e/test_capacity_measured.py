"""The formulas of `capacity` against the clock: real services, simulated iFood."""

import re
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from support.clock import eventually
from support.program import PROGRAM, Program
from support.world import MONDAY, World, stand_up

from ifood_actors.capacity.estimate import (
    Capacity,
    Demand,
    Load,
    Resource,
    Supply,
    estimate_among,
)
from ifood_actors.config import Settings
from ifood_actors.demo.scale import scale
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_simulator import FaultRates, running
from ifood_simulator import Settings as SimulatorSettings

pytestmark = [pytest.mark.services, pytest.mark.alone]

TOLERANCE = 0.15
WINDOW = timedelta(seconds=5)
# Of a request that the simulator answers at once, the job's transactions included.
QUICK = timedelta(milliseconds=30)
REQUESTS_PER_JOB = {"settlements_weekly": 2, "anticipations_daily": 1, "sales": 1}


def test_the_command_foretells_how_long_the_demo_takes(tmp_path):
    seconds, accounts = 60, 1000
    minute = "08:00-08:01"
    told = Program(tmp_path)(
        *("capacity", "--accounts", str(accounts), "--latency", str(QUICK.total_seconds())),
        "--json",
        IFOOD_SETTLEMENTS_WINDOW=f"mon {minute}",
        IFOOD_ANTICIPATIONS_WINDOW=f"daily {minute}",
        IFOOD_SALES_WINDOW=f"daily {minute}",
        IFOOD_RATE_LIMIT_PER_MINUTE=str(scale(seconds, Settings()).limit),
    )

    def taken() -> timedelta:
        demo = subprocess.run(
            [PROGRAM, "demo", "--accounts", str(accounts), "--seconds", str(seconds)],
            capture_output=True,
            check=True,
            text=True,
            timeout=240,
        )
        [measured] = re.findall(r"measured: ([0-9.]+) s", demo.stdout)
        return timedelta(seconds=float(measured))

    runs = [run for run in told.document["runs"] if "mon" in run["days"]]
    assert len(runs) == 3
    assert all(run["fits"] and len(run["beside"]) == 2 for run in runs)
    ends_after = max(run["ends_after_seconds"] for run in runs)
    assert_agree(taken, timedelta(seconds=ends_after))


def test_two_kinds_that_share_the_limit_end_when_the_formulas_say(database_url, broker_url):
    ifood = SimulatorSettings(merchants=60, today=MONDAY)
    kinds, limit, threads = ("settlements_weekly", "anticipations_daily"), 600, 6
    told = foretell(kinds, accounts=60, latency=QUICK, limit=limit, threads=threads)
    assert {verdict.bottleneck for verdict in told} == {Resource.RATE_LIMIT}
    ends_after = max(verdict.ends_after for verdict in told)
    services = {"database_url": database_url, "broker_url": broker_url}
    with running(ifood) as simulator:

        def taken() -> timedelta:
            with stand_up(simulator, **services, rate_limit_per_minute=limit) as here:
                return measure(here, kinds, threads=threads)

        assert_agree(taken, ends_after)


def test_a_run_with_too_few_threads_ends_when_the_formulas_say(database_url, broker_url):
    latency = timedelta(seconds=0.5)
    slow = FaultRates(slow=1, slow_seconds=latency.total_seconds())
    ifood = SimulatorSettings(merchants=60, today=MONDAY, faults=slow)
    kinds, limit, threads = ("settlements_weekly",), 60_000, 3
    [told] = foretell(kinds, accounts=60, latency=latency, limit=limit, threads=threads)
    assert told.bottleneck is Resource.CONCURRENCY
    with running(ifood) as simulator:

        def taken() -> timedelta:
            with stand_up(simulator, database_url=database_url, broker_url=broker_url) as here:
                return measure(here, kinds, threads=threads)

        assert_agree(taken, told.ends_after)


def assert_agree(measured: Callable[[], timedelta], told: timedelta) -> None:
    """Measure a second time if need be: a machine stands still for seconds now and then."""
    taken = measured()
    if taken / told != pytest.approx(1, rel=TOLERANCE):
        taken = measured()
    assert taken / told == pytest.approx(1, rel=TOLERANCE)


def measure(here: World, kinds: Sequence[str], *, threads: int) -> timedelta:
    """Run these kinds side by side, and give the time until the last job has ended."""
    [before] = here.rows("SELECT count(DISTINCT job_day) AS runs FROM ifood_jobs")
    day = MONDAY - timedelta(weeks=before["runs"])
    with here.working(threads=threads):
        start = datetime.now(UTC)
        for kind in kinds:
            opening = Opening(kind, day, start, start + WINDOW)
            planner.plan(here.engine, planner.PlanRequest(opening, here.settings), actor="test")
        eventually(here.idle, within=120)
    [ended] = here.rows(
        "SELECT max(finished_at) AS at, bool_and(status = 'success') AS well FROM ifood_jobs"
    )
    assert ended["well"]
    taken: timedelta = ended["at"] - start
    return taken


def foretell(
    kinds: Sequence[str], *, accounts: int, latency: timedelta, limit: int, threads: int
) -> list[Capacity]:
    supply = Supply(WINDOW, "auto", rate_limit_per_minute=limit, concurrency=threads)
    loads = [
        Load(kind, timedelta(), Demand(accounts, REQUESTS_PER_JOB[kind], latency), supply)
        for kind in kinds
    ]
    return [estimate_among(load, loads) for load in loads]
