"""The relay on real services: what it publishes, holds and rescues."""

from datetime import UTC, datetime, timedelta

import pytest
from builders import (
    GRACE,
    HORIZON,
    LEASE,
    acts_of,
    backdate,
    claim,
    claimed_job,
    make_jobs,
    must_claim,
    row_of,
)
from dramatiq.errors import ConnectionClosed
from eventually import eventually

from ifood_actors.messaging.broker import ladder_broker
from ifood_actors.messaging.orders import KINDS, queue_name
from ifood_actors.scheduler.relay import BATCH, Relay, Round


@pytest.fixture
def broker(broker_url):
    broker = ladder_broker(broker_url)
    for kind in KINDS:
        broker.declare_queue(queue_name(kind))
    broker.declare_all()
    yield broker
    broker.close()


@pytest.fixture
def relay(engine, broker):
    return Relay(engine, broker, horizon=HORIZON, max_attempts=3, actor="relay")


def waiting(broker):
    return broker.get_queue_message_counts(queue_name("sales"))


def test_due_jobs_are_published_once(engine, broker, relay):
    make_jobs(engine, 3)

    assert relay.run() == Round(dispatched=3)
    assert relay.run() == Round()
    assert waiting(broker) == (3, 0, 0)


def test_jobs_with_a_slot_ahead_wait_in_the_ladder_and_are_not_early(engine, broker, relay):
    slot = datetime.now(UTC) + timedelta(seconds=3)
    [job] = make_jobs(engine, slot=slot)

    relay.run()

    ready, delayed, _ = waiting(broker)
    assert (ready, delayed) == (0, 1)
    eventually(lambda: waiting(broker)[0] == 1, within=6)
    assert datetime.now(UTC) >= slot
    assert claim(engine, job.id) is not None


def test_jobs_beyond_the_horizon_stay_in_the_ledger(engine, broker, relay):
    slot = datetime.now(UTC) + timedelta(hours=6)
    [job] = make_jobs(engine, slot=slot)
    backdate(engine, job.id, wake_at=timedelta(hours=3))

    assert relay.run() == Round(held=1)
    assert waiting(broker) == (0, 0, 0)
    assert row_of(engine, job.id)["wake_at"] == slot - HORIZON


def test_more_than_a_batch_is_moved_in_one_run(engine, broker, relay):
    make_jobs(engine, BATCH + 7)

    assert relay.run().dispatched == BATCH + 7
    assert waiting(broker)[0] == BATCH + 7


def test_a_lost_message_is_sent_again_after_the_grace(engine, broker, relay):
    [job] = make_jobs(engine)
    relay.run()
    broker.flush(queue_name("sales"))
    backdate(engine, job.id, wake_at=GRACE, dispatched_at=GRACE)

    relay.run()

    assert waiting(broker)[0] == 1
    assert claim(engine, job.id) is not None


def test_the_job_of_a_dead_worker_is_given_back_and_its_attempt_stays_charged(engine, relay):
    job = claimed_job(engine)
    backdate(engine, job.id, wake_at=LEASE)

    assert relay.run() == Round(rescued=1)
    assert relay.run() == Round(dispatched=1)
    assert must_claim(engine, job.id, dispatch_no=2).attempts == 2


def test_a_job_that_kills_its_workers_ends_failed_after_its_attempts(engine, relay):
    job = claimed_job(engine)
    for attempt in (2, 3):
        backdate(engine, job.id, wake_at=LEASE)
        relay.run()
        relay.run()
        assert must_claim(engine, job.id, dispatch_no=attempt).attempts == attempt

    backdate(engine, job.id, wake_at=LEASE)
    assert relay.run() == Round(failed=1)

    row = row_of(engine, job.id)
    assert (row["status"], row["error_code"]) == ("failed", "lease_expired")
    assert acts_of(engine, job.id)[-1] == "rescue"


def test_an_unreachable_broker_leaves_every_job_as_it_was(engine):
    jobs = make_jobs(engine, 3)
    nowhere = ladder_broker("amqp://127.0.0.1:1/")

    with pytest.raises(ConnectionClosed):
        Relay(engine, nowhere, horizon=HORIZON, max_attempts=3, actor="relay").run()

    nowhere.close()
    assert {row_of(engine, job.id)["dispatched_at"] for job in jobs} == {None}
