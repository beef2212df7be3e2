"""The relay on real services: what it publishes, holds and rescues."""

from datetime import UTC, datetime, timedelta

import pytest
from dramatiq.errors import ConnectionClosed
from sqlalchemy import text
from support.clock import eventually
from support.rows import (
    GRACE,
    HORIZON,
    LEASE,
    acts_of,
    backdate,
    claim,
    claimed_job,
    dispatch,
    make_app,
    make_jobs,
    make_relay,
    must_claim,
    row_of,
    unwatched,
)

from ifood_actors.broker import LadderBroker
from ifood_actors.db import transaction
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.thresholds import BREAKER_OPENS_AFTER
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.ledger import Ledger
from ifood_actors.scheduler.relay import BATCH, MovedJobs


@pytest.fixture
def broker(broker_url):
    broker = LadderBroker(broker_url)
    for kind in KINDS:
        broker.declare_queue(queue_name(kind))
    broker.declare_all()
    yield broker
    broker.close()


@pytest.fixture
def relay(engine, broker):
    return make_relay(engine, broker)


class Noted:
    """A publisher that notes which jobs left."""

    def __init__(self):
        self.sent = []

    def enqueue_many(self, messages):
        self.sent += [message.kwargs["job_id"] for message, _delay in messages]


@pytest.fixture
def publisher():
    return Noted()


def waiting(broker):
    """Count; a queue that does not answer RabbitMQ within 250 ms counts as empty."""
    return broker.get_queue_message_counts(queue_name("sales"))


def test_due_jobs_are_published_once(engine, broker, relay):
    make_jobs(engine, 3)

    assert relay.run() == MovedJobs(dispatched=3)
    assert relay.run() == MovedJobs()
    eventually(lambda: waiting(broker) == (3, 0, 0))


def test_jobs_with_a_slot_ahead_wait_in_the_ladder_and_are_not_early(engine, broker, relay):
    slot = datetime.now(UTC) + timedelta(seconds=3)
    [job], _later = make_jobs(engine, slot=slot), make_jobs(engine, slot=slot + HORIZON / 2)

    relay.run()

    eventually(lambda: waiting(broker) == (1, 1, 0))
    assert datetime.now(UTC) >= slot
    assert claim(engine, job.id) is not None


def test_jobs_beyond_the_horizon_stay_in_the_ledger(engine, broker, relay):
    slot = datetime.now(UTC) + timedelta(hours=6)
    [job] = make_jobs(engine, slot=slot)
    backdate(engine, job.id, wake_at=timedelta(hours=3))

    assert relay.run() == MovedJobs(held=1)
    assert waiting(broker) == (0, 0, 0)
    assert row_of(engine, job.id)["wake_at"] == slot - HORIZON


def test_more_than_a_batch_is_moved_in_one_run(engine, broker, relay):
    make_jobs(engine, BATCH + 7)

    assert relay.run().dispatched == BATCH + 7
    eventually(lambda: waiting(broker)[0] == BATCH + 7)


def test_a_lost_message_is_sent_again_after_the_grace(engine, broker, relay):
    [job] = make_jobs(engine)
    relay.run()
    broker.flush(queue_name("sales"))
    backdate(engine, job.id, wake_at=GRACE, dispatched_at=GRACE)

    relay.run()

    eventually(lambda: waiting(broker)[0] == 1)
    assert claim(engine, job.id) is not None


def test_the_job_of_a_dead_worker_is_given_back_and_its_attempt_stays_charged(engine, relay):
    job = claimed_job(engine)
    backdate(engine, job.id, wake_at=LEASE)

    assert relay.run() == MovedJobs(rescued=1)
    assert relay.run() == MovedJobs(dispatched=1)
    assert must_claim(engine, job.id, dispatch_no=2).attempts == 2


def test_a_job_that_kills_its_workers_ends_failed_after_its_attempts(engine, relay):
    job = claimed_job(engine)
    for attempt in (2, 3):
        backdate(engine, job.id, wake_at=LEASE)
        relay.run()
        relay.run()
        assert must_claim(engine, job.id, dispatch_no=attempt).attempts == attempt

    backdate(engine, job.id, wake_at=LEASE)
    assert relay.run() == MovedJobs(failed=1)

    row = row_of(engine, job.id)
    assert (row["status"], row["error_code"]) == ("failed", "lease_expired")
    assert acts_of(engine, job.id)[-1] == "rescue"


def test_jobs_of_a_dead_worker_start_apart_and_further_apart_each_time(engine, broker):
    """One of them may have killed it, and would take the same others along again."""
    jitter = timedelta(minutes=1)
    relay = make_relay(engine, broker, jitter=jitter)
    spans = []
    for attempts in (1, 2):
        jobs = [claimed_job(engine) for _ in range(20)]
        for job in jobs:
            backdate(engine, job.id, wake_at=LEASE)
        with unwatched(engine) as tx:
            tx.execute(text("UPDATE ifood_jobs SET attempts = :n"), {"n": attempts})
        relay.run()
        with transaction(engine) as tx:
            due = text("SELECT next_retry_at - updated_at FROM ifood_jobs WHERE id = ANY(:ids)")
            waits = list(tx.execute(due, {"ids": [job.id for job in jobs]}).scalars())
        assert all(timedelta(0) <= wait <= jitter * 2 ** (attempts - 1) for wait in waits)
        spans.append(max(waits) - min(waits))

    assert spans[0] > jitter / 2
    assert spans[1] > jitter


@pytest.fixture
def limiter(engine):
    return Limiter(engine, rates={"financial": 6000})


def dispatched(engine, jobs):
    return [job for job in jobs if row_of(engine, job.id)["dispatched_at"]]


def test_jobs_of_an_application_in_cooldown_stay_in_the_ledger_and_nothing_is_written(
    engine, relay, limiter
):
    closed, open_ = make_app(engine, "closed"), make_app(engine, "open")
    kept, sent = make_jobs(engine, 3, app_id=closed), make_jobs(engine, 2, app_id=open_)
    before = [row_of(engine, job.id) for job in kept]
    limiter.cool_down(closed, "financial", after=timedelta(minutes=1), reason="429")

    assert relay.run() == MovedJobs(dispatched=2)
    assert len(dispatched(engine, sent)) == 2
    assert [row_of(engine, job.id) for job in kept] == before

    pass_a_minute(engine)
    assert relay.run() == MovedJobs(dispatched=3)


def test_a_dead_workers_job_is_rescued_even_in_a_cooldown(engine, relay, limiter):
    app_id = make_app(engine)
    [job] = make_jobs(engine, app_id=app_id)
    dispatch(engine, job.id)
    must_claim(engine, job.id)
    backdate(engine, job.id, wake_at=LEASE)
    limiter.cool_down(app_id, "financial", after=timedelta(minutes=1), reason="429")

    assert relay.run() == MovedJobs(rescued=1)
    assert relay.run() == MovedJobs()


def test_a_job_that_was_sent_away_wakes_when_its_application_opens(engine, relay):
    app_id = make_app(engine)
    [job] = make_jobs(engine, app_id=app_id)
    dispatch(engine, job.id)

    with transaction(engine) as tx:
        Ledger(tx, actor="gate").snooze_unclaimed(
            job.id, 1, cooldowns={app_id: timedelta(hours=1)}, reason="cooldown"
        )

    row = row_of(engine, job.id)
    assert row["wake_at"] == row["next_retry_at"] > datetime.now(UTC) + timedelta(minutes=50)
    assert relay.run() == MovedJobs()


def test_high_priority_leaves_before_low_and_the_oldest_slot_first(engine, publisher):
    now = datetime.now(UTC)
    jobs = {
        (priority, minutes): make_jobs(
            engine, slot=now - timedelta(minutes=minutes), priority=priority
        )[0].id
        for minutes, priority in [(5, 0), (1, 9), (60, 0), (30, 9), (20, 0)]
    }

    make_relay(engine, publisher).run()

    names = {str(id_): name for name, id_ in jobs.items()}
    assert [names[id_] for id_ in publisher.sent] == [(9, 30), (9, 1), (0, 60), (0, 20), (0, 5)]


def test_an_open_breaker_lets_one_job_at_a_time_see_and_another_one_each_time(
    engine, relay, limiter
):
    app_id = make_app(engine)
    jobs = make_jobs(engine, 5, app_id=app_id)
    limiter.reserve(app_id, "financial", max_wait=timedelta(0))
    for _ in range(BREAKER_OPENS_AFTER):
        limiter.failed(app_id, "financial")
    assert relay.run() == MovedJobs()

    tried = []
    for _minute in range(3):
        pass_a_minute(engine)
        assert relay.run() == MovedJobs(dispatched=1)
        [probe] = dispatched(engine, jobs)
        job = must_claim(engine, probe.id, row_of(engine, probe.id)["dispatch_no"])
        waits = limiter.failed(app_id, "financial")
        with transaction(engine) as tx:
            Ledger(tx, actor="worker").snooze(job, after=waits, reason="503")
        assert relay.run() == MovedJobs()
        tried.append(probe.id)

    assert len(set(tried)) == 3


def pass_a_minute(engine):
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_limits SET closed_until = closed_until - INTERVAL '1 min'"))


def test_a_kind_of_another_release_is_left_to_it(engine, relay):
    [theirs] = make_jobs(engine, kind="payouts")
    [ours] = make_jobs(engine)

    assert relay.run() == MovedJobs(dispatched=1)

    assert acts_of(engine, theirs.id) == ["plan"]
    assert acts_of(engine, ours.id) == ["plan", "dispatch"]


def test_an_unreachable_broker_leaves_every_job_as_it_was(engine):
    jobs = make_jobs(engine, 3)
    nowhere = LadderBroker("amqp://127.0.0.1:1/")

    with pytest.raises(ConnectionClosed):
        make_relay(engine, nowhere).run()

    nowhere.close()
    assert {row_of(engine, job.id)["dispatched_at"] for job in jobs} == {None}
