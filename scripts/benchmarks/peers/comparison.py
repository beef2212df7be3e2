"""
The same jobs on ours and on other systems, side by side, each with a place of its own.

Jobs that do nothing and jobs that wait for 50 ms are enqueued before the workers start. Then, in
the middle of jobs of 50 ms, one of two workers is killed (-9), each with the settings that it comes
with. A job of ours is that of `jobs` and `kill`; that of the others waits, and no more.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf

from scripts.benchmarks.environment import Services
from scripts.benchmarks.jobs import Pace
from scripts.benchmarks.kill import JOB_SECONDS
from scripts.benchmarks.peers.systems import Killed, Peer, peers
from scripts.benchmarks.report import Figure, amount
from scripts.benchmarks.sizes import Sizes

Column = list[Figure]

_WAITING = f"jobs of {1000 * JOB_SECONDS:.0f} ms"


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    """Give the figures of one system after those of the other."""
    return [
        figure
        for name, column in compare(on, sizes).items()
        for figure in (Figure(name, ""), *(replace(one, name=f"  {one.name}") for one in column))
    ]


def compare(on: Services, sizes: Sizes) -> dict[str, Column]:
    """Give a column for each system, by its name; all have the same figures in the same order."""
    systems = peers()
    columns = {peer.name: list(_run(peer, on, sizes)) for peer in systems}
    with ThreadPoolExecutor(sizes.kills_at_once) as threads:
        killed = threads.map(lambda peer: peer.kill(on, sizes.killed), systems)
        for column, losses in zip(columns.values(), killed, strict=True):
            column.extend(_losses(losses, sizes.killed))
    return columns


def _run(peer: Peer, on: Services, sizes: Sizes) -> Iterator[Figure]:
    yield Figure("records of a job", peer.records)
    yield Figure("workers", peer.workers)
    yield from _paces("jobs that do nothing", peer.run(on, sizes.peers, seconds=0.0))
    yield from _paces(_WAITING, peer.run(on, sizes.killed, seconds=JOB_SECONDS))


def _paces(what: str, pace: Pace) -> Iterator[Figure]:
    split = {"workers": 0.0, "Postgres": 0.0, "RabbitMQ": 0.0}
    for part in pace.spent.cpu:
        whole = part.split()[0]  # one of several processes has a number
        if whole in split:
            split[whole] += pace.milliseconds(part)
    yield Figure(f"{what}, a second", amount(pace.per_second, ""))
    yield Figure("CPU of one, all parts", amount(pace.cost_milliseconds, "ms"))
    for part, milliseconds in split.items():
        yield Figure(f"of it {part}", amount(milliseconds, "ms"))
    others = pace.spent.others / pace.spent.seconds
    yield Figure("busy with other things meanwhile", amount(others, "cores"))


def _losses(killed: Killed, jobs: int) -> Iterator[Figure]:
    after = killed.aftermath
    most, last = (after.most, after.last) if after else (inf, inf)
    yield Figure(f"95 % of {jobs:,} {_WAITING}, after a kill", amount(most, "s"))
    yield Figure("the last of them", amount(last, "s"))
    yield Figure("lost", amount(killed.lost, ""))
    yield Figure("doubled", amount(killed.doubled, ""))
