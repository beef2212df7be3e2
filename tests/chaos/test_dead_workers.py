"""
What tells a dead worker from one that is frozen, or cut off for a moment.

With leases of an hour, nothing goes on because a lease has ended.
"""

from threading import Event
from time import time

import pytest
from chaos.hosts import changed
from chaos.invariants import check
from support.clock import eventually

from ifood_simulator import Fault

TAKEN_OVER = 15.0  # seconds from the kill to the last job's end
SETTLED_SECONDS = 25.0  # until a scheduler that has started concludes anything, and 5 more
FROZEN_SECONDS = 10.0  # twice as long as a lifeline has to be missed
CUTS = 20
DIED = "its worker died: its session ended"


@pytest.fixture
def long_leases(chaos):
    with changed(chaos.of("worker"), IFOOD_LEASE="1h"):
        yield


@pytest.mark.usefixtures("long_leases")
def test_the_jobs_of_a_killed_worker_are_done_seconds_later(chaos, recovery):
    killed, other = chaos.of("worker")
    begun = at_work(chaos, killed, other)
    eventually(lambda: chaos.held_by(killed) >= 2)

    killed.kill()
    recovery.begin()
    recovery.until(chaos.idle, figure=TAKEN_OVER)

    assert rescues(chaos, since=begun) == {DIED}
    chaos.heal()
    check(chaos)


@pytest.mark.usefixtures("long_leases")
def test_a_frozen_worker_keeps_its_jobs_until_their_leases_end(chaos):
    frozen, other = chaos.of("worker")
    begun = at_work(chaos, frozen, other)
    eventually(lambda: chaos.held_by(frozen) >= 2)

    frozen.running.freeze()
    Event().wait(FROZEN_SECONDS)

    assert chaos.held_by(frozen) > 0
    assert rescues(chaos, since=begun) == set()
    frozen.running.thaw()
    chaos.finish()
    check(chaos)


def test_no_job_is_taken_from_workers_whose_connections_are_cut_again_and_again(chaos):
    """What a worker could not settle through the cuts, only the end of its lease gives back."""
    with changed(chaos.of("worker"), IFOOD_LEASE="10s"):
        begun = at_work(chaos, *chaos.of("worker"))
        for _ in range(CUTS):
            chaos.cut("database", "worker")
            Event().wait(0.7)
            if chaos.idle():
                chaos.plan()
        chaos.finish()

        assert DIED not in rescues(chaos, since=begun)
        check(chaos)


def at_work(chaos, *hosts):
    """Let hosts begin with jobs that take a second each; give the time of before."""
    eventually(lambda: all(host.age > SETTLED_SECONDS for host in chaos.of("scheduler")))
    chaos.simulator.add_fault(Fault("slow", seconds=1.0))
    begun = time()
    chaos.plan()
    eventually(lambda: chaos.work(*hosts, since=begun))
    return begun


def rescues(chaos, *, since):
    rows = chaos.rows(
        "SELECT reason FROM ifood_job_events WHERE act = 'rescue' AND at > to_timestamp(:since)",
        since=since,
    )
    return {row["reason"] for row in rows}
