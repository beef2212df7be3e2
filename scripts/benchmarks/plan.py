"""Planning: jobs and their events, from the accounts to the commit."""

from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from os import getpid

from sqlalchemy import text

from ifood_actors.db import connect, transaction
from ifood_actors.errors import IfoodActorsError
from ifood_actors.planning import planner
from scripts.benchmarks import runs
from scripts.benchmarks.environment import Services, add_accounts, start_environment
from scripts.benchmarks.machine import peak_mib, resident_mib
from scripts.benchmarks.report import Figure, amount, at_most
from scripts.benchmarks.sizes import Sizes

_FEW, _FEW_SECONDS = 1_000, 1.0
_MANY, _MANY_SECONDS = 100_000, 20.0
# What 100,000 accounts may take beyond 1,000: id, merchant and slot are 250 bytes each; "flat" is
# that this is all.
_FLAT_MIB = 32.0


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    """Plan few accounts and many, each in a process of its own, whose memory is then known."""
    few_seconds, few_mib = _plan(on, _FEW)
    many_seconds, many_mib = _plan(on, sizes.planned)
    share = sizes.planned / _MANY
    return [
        at_most(f"plan {_FEW:,} jobs", few_seconds, _FEW_SECONDS, unit="s"),
        at_most(f"plan {sizes.planned:,} jobs", many_seconds, _MANY_SECONDS * share, unit="s"),
        Figure("jobs (with events) per second", amount(sizes.planned / many_seconds, "/s")),
        Figure(f"memory for {_FEW:,}", amount(few_mib, "MiB")),
        at_most(f"more memory for {sizes.planned:,}", many_mib - few_mib, _FLAT_MIB, unit="MiB"),
    ]


def _plan(on: Services, accounts: int) -> tuple[float, float]:
    """Give the seconds that it took, and the MiB that it took beyond the process itself."""
    with start_environment(on) as here:
        add_accounts(here.engine, accounts)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
            taken = one.submit(_timed, here.settings.require_database_url()).result()
        with transaction(here.engine) as tx:
            written = tx.execute(
                text("""
                    SELECT (SELECT count(*) FROM ifood_jobs),
                      (SELECT count(*) FROM ifood_job_events)
                """)
            ).one()
    if tuple(written) != (accounts, accounts):
        raise IfoodActorsError(f"{accounts} jobs and events were to be planned, not {written}")
    return taken


def _timed(database_url: str) -> tuple[float, float]:
    """Run in the child."""
    engine = connect(database_url, application_name="bench planner")
    with transaction(engine) as tx:
        tx.execute(text("SELECT"))
    wanted = runs.request(start=datetime.now(UTC), length=timedelta(hours=4))
    before, started = resident_mib(getpid()), datetime.now(UTC)
    planner.plan(engine, wanted, actor="bench")
    seconds = (datetime.now(UTC) - started).total_seconds()
    return seconds, peak_mib() - before
