"""Half-open connections: the peer is gone without a word, and no segment is answered any more."""

from time import time

from chaos.invariants import check
from support.clock import eventually

from ifood_simulator import Fault

NOTICED = 60.0  # seconds: keepalives and time-outs of 30, a heartbeat, the process' own recovery
QUIET = 5.0


def test_every_leg_is_half_open(chaos, recovery):
    """
    A scheduler and both workers lose their connections, each other ones.

    Each has to notice by itself, and to work again on new ones.
    """
    scheduler, other_scheduler = chaos.of("scheduler")
    first, second = chaos.of("worker")
    chaos.plan()  # so that nobody is just renewing the token, which its lock would guard for 90 s
    chaos.finish()
    chaos.simulator.add_fault(Fault("slow", seconds=0.3))
    begun = time()
    chaos.plan()
    eventually(lambda: chaos.work(first, second, since=begun))
    for host, legs in (
        (scheduler, ("database", "broker")),
        (first, ("database",)),
        (second, ("broker", "api")),
    ):
        for leg in legs:
            host.proxies[leg].blackhole()

    recovery.begin()
    lost = time()
    recovery.until(lambda: chaos.work(first, second, since=lost + QUIET), figure=NOTICED)
    other_scheduler.kill()
    chaos.finish()
    recovery.begin()
    chaos.plan()
    recovery.until(chaos.idle, figure=NOTICED)

    check(chaos, frozen=True)
