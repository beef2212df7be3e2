"""Half-open connections: the peer is gone without a word, and no segment is answered any more."""

from time import time

import pytest
from chaos.invariants import check
from eventually import eventually

from ifood_actors.simulator import Quirk

NOTICED = 60.0  # seconds: keepalives and time-outs of 30, a heartbeat, the process' own recovery
QUIET = 5.0


@pytest.mark.timeout(180)
def test_every_leg_is_half_open(chaos, recovery):
    """
    A scheduler and both workers lose their connections, each other ones.

    Each has to notice by itself, and to work again on new ones.
    """
    scheduler, other_scheduler = chaos.of("scheduler")
    first, second = chaos.of("worker")
    chaos.plan()  # so that nobody is just renewing the token, which its lock would guard for 90 s
    chaos.finish()
    chaos.simulator.add_quirk(Quirk("slow", seconds=0.3))
    begun = time()
    chaos.plan()
    for host in (first, second):
        eventually(lambda host=host: _works(chaos, host, since=begun), within=60)
    for host, legs in (
        (scheduler, ("database", "broker")),
        (first, ("database",)),
        (second, ("broker", "api")),
    ):
        for leg in legs:
            host.proxies[leg].blackhole()

    recovery.begin()
    lost = time()
    for host in (first, second):
        recovery.until(lambda host=host: _works(chaos, host, since=lost + QUIET), figure=NOTICED)
    other_scheduler.kill()
    chaos.finish()
    chaos.plan()
    recovery.until(chaos.idle, figure=NOTICED)

    check(chaos, frozen=True)


def _works(chaos, host, *, since):
    if chaos.idle():
        chaos.plan()
    return chaos.claims(since=since, host=host)
