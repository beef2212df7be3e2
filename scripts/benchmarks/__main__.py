"""`scripts/bench`: measures the figures that the design sets goals for."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from time import monotonic

import psycopg
from dramatiq.errors import DramatiqError
from sqlalchemy.exc import SQLAlchemyError

from ifood_actors import logs
from ifood_actors.errors import IfoodActorsError
from scripts.benchmarks import (
    export,
    jobs,
    kill,
    lateness,
    limiter,
    memory,
    plan,
    relay,
    startup,
    store,
)
from scripts.benchmarks.environment import Services, running_services
from scripts.benchmarks.machine import CORES
from scripts.benchmarks.peers import comparison, page
from scripts.benchmarks.report import Figure, show
from scripts.benchmarks.sizes import ALL, FULL, QUICK, Sizes

_MEASURE: dict[str, Callable[[Services, Sizes], list[Figure]]] = {
    "plan": plan.measure,
    "relay": relay.measure,
    "jobs": jobs.measure,
    "kill": kill.measure,
    "lateness": lateness.measure,
    "limiter": limiter.measure,
    "memory": memory.measure,
    "store": store.measure,
    "export": export.measure,
    "startup": startup.measure,
    "peers": comparison.measure,
}
# It fetches the packages of others, and takes as long as the rest.
_NOT_IN_ALL = "peers"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=[*_MEASURE, "all"])
    parser.add_argument("--quick", action="store_true", help="smaller sizes: does it work at all?")
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="for peers: print the section of docs/performance.md",
    )
    asked = parser.parse_args()
    if asked.markdown and asked.what != "peers":
        parser.error("--markdown is for peers")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # what was started ends with us
    logs.configure("critical")  # pika calls it an error when a connection has idled away
    names = [name for name in _MEASURE if name != _NOT_IN_ALL]
    if asked.what != "all":
        names = [asked.what]
    sizes = QUICK if asked.quick else (ALL if asked.what == "all" else FULL)
    try:
        with running_services() as on:
            if asked.markdown:
                print(page.section(on, sizes))
                return 0
            measured = [_measure(name, on, sizes) for name in names]
    except IfoodActorsError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 1
    return 0 if all(measured) else 1


def _measure(name: str, on: Services, sizes: Sizes) -> bool:
    """Print one benchmark's table; False when it could not measure."""
    load, started = os.getloadavg()[0], monotonic()
    try:
        figures = _MEASURE[name](on, sizes)
    except (IfoodActorsError, DramatiqError, SQLAlchemyError, psycopg.Error) as error:
        print(f"\n{name} could not be measured: {error}", flush=True)
        return False
    seconds = monotonic() - started
    show(f"{name} ({seconds:.0f} s, load before {load:.1f} on {CORES} cores)", figures)
    return True


if __name__ == "__main__":
    sys.exit(main())
