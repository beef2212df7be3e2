"""Half-open connections: the peer is gone without a word, and no segment is answered any more."""

from time import time

import pytest
from chaos.invariants import check
from eventually import eventually

from ifood_actors.simulator import Quirk

NOTICED = 60.0  # seconds: keepalives and time-outs of 30, a heartbeat, the process' own recovery
QUIET = 5.0


@pytest.mark.timeout(180)
def test_every_leg_of_a_worker_and_a_scheduler_is_half_open(chaos, recovery):
    """
    Three hosts lose one leg each; the fourth goes on.

    All jobs end soon, by the hosts that still can; and each host recovers by itself.
    """
    scheduler, _ = chaos.of("scheduler")
    first, second = chaos.of("worker")
    chaos.simulator.add_quirk(Quirk("slow", seconds=0.3))
    begun = time()
    chaos.plan()
    eventually(lambda: chaos.claims(since=begun, host=first), within=20)
    lost = time()
    scheduler.proxies["broker"].blackhole()
    first.proxies["database"].blackhole()
    second.proxies["broker"].blackhole()

    recovery.begin()
    for host in (first, second):
        recovery.until(lambda host=host: _works_again(chaos, host, since=lost), figure=NOTICED)
    chaos.finish()

    check(chaos, frozen=True)


def _works_again(chaos, host, *, since):
    if chaos.idle():
        chaos.plan()
    return chaos.claims(since=since + QUIET, host=host)
