"""The thread that renews the leases of a process, against a real ledger."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout
from support.clock import eventually
from support.rows import claimed_job, dispatch, must_claim

from ifood_actors.db import transaction
from ifood_actors.delivery.leases import Leases
from ifood_actors.ledger import Ledger

pytestmark = pytest.mark.services


def test_of_two_leases_of_one_job_only_the_later_is_renewed(engine):
    """The job was lost, and claimed again by this very process, whose first thread still waits."""
    leases = Leases(engine, length=timedelta(minutes=1), actor="worker")
    lost = claimed_job(engine)
    with transaction(engine) as tx:
        Ledger(tx, actor="relay").rescue([lost.id], reason="its lease ended")
    dispatch(engine, lost.id)
    current = must_claim(engine, lost.id, dispatch_no=2)

    for _ in range(10):  # whichever the set of leases gives first
        with leases.hold(lost) as first, leases.hold(current) as second:
            leases.renew()

            assert (first.lost, second.lost) == (True, False)


def test_a_pool_without_a_connection_does_not_end_the_renewals(engine, monkeypatch):
    leases = Leases(engine, length=timedelta(seconds=0.4), actor="worker")
    calls = []

    def renew():
        calls.append(1)
        raise PoolTimeout

    monkeypatch.setattr(leases, "renew", renew)
    with leases.hold(claimed_job(engine)):
        eventually(lambda: len(calls) > 2)
