"""Lost messages are missed, by what the queues hold, and sent again; a wrong count costs little."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pika
import pytest
from sqlalchemy import text
from support.clock import StoppedClock, eventually
from support.rows import acts_of, claim, make_jobs, make_relay
from support.world import stand_up

from ifood_actors.broker.queues import QueueState
from ifood_actors.broker.topology import LEVEL_NAMES
from ifood_actors.db import transaction
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.scheduler import losses
from ifood_actors.scheduler.losses import EVERY, PATIENCE, LossDetector
from ifood_actors.scheduler.relay import MovedJobs
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services

QUEUE = queue_name("sales")
HOUR = timedelta(hours=1)
CONSUMERS = 2


class Rabbit:
    """A publisher that notes what is sent, and an inspector that says what a test wants."""

    def __init__(self):
        self.sent: Counter[str] = Counter()
        self.ready = 0
        self.delayed = 0
        self.consumers = CONSUMERS

    def enqueue_many(self, messages):
        self.sent.update(message.kwargs["job_id"] for message, _delay in messages)

    def queue_states(self, names):
        held = {QUEUE: self.ready, LEVEL_NAMES[0]: self.delayed}
        work = [queue_name(kind) for kind in KINDS]
        return [
            QueueState(name, held.get(name, 0), self.consumers if name in work else 0)
            for name in names
        ]

    @property
    def copies(self):
        return self.sent.total() - len(self.sent)


class World:
    """A relay and a look for losses, whose time a test moves."""

    def __init__(self, engine, clock):
        self.engine, self.clock, self.rabbit = engine, clock, Rabbit()
        self.losses = LossDetector(engine, self.rabbit, threads=4)

    def relay(self):
        return make_relay(self.engine, self.rabbit).run().dispatched

    def jobs(self, count, *, due_in=timedelta(0)):
        """Give the ids of new jobs that have been sent."""
        jobs = make_jobs(self.engine, count, slot=self.clock.now + due_in)
        self.relay()
        return [job.id for job in jobs]

    def looks(self, *, over):
        """Look, and let the relay send what is missed, for as long as that."""
        until = self.clock.now + over
        while self.clock.now < until:
            self.clock.go_on(EVERY)
            self.losses.run()
            self.relay()

    def missed(self):
        """Give of each dispatch what its history says, oldest first: True if it was missed."""
        with transaction(self.engine) as tx:
            found = tx.execute(
                text(
                    "SELECT detail -> 'missed' FROM ifood_job_events"
                    " WHERE act = 'dispatch' ORDER BY id"
                )
            )
            return list(found.scalars())


@pytest.fixture
def world(engine, monkeypatch):
    clock = StoppedClock(engine)
    monkeypatch.setattr(losses, "monotonic", lambda: clock.now.timestamp())  # noqa: PLW0108 - it moves
    return World(engine, clock)


def test_what_a_purge_took_is_sent_again_within_half_a_minute(world):
    ids = world.jobs(300)

    world.looks(over=PATIENCE + 3 * EVERY)

    assert world.rabbit.copies == 300
    assert world.missed() == [None] * 300 + [True] * 300
    assert claim(world.engine, ids[0]) is not None  # with the number that it had


def test_no_more_than_is_missing_is_sent_again_first_what_was_sent_first(world):
    first = world.jobs(4)
    world.clock.go_on(timedelta(seconds=1))
    world.jobs(6)
    world.rabbit.ready = 6

    world.looks(over=PATIENCE + 3 * EVERY)

    again = {job_id for job_id, times in world.rabbit.sent.items() if times > 1}
    assert again == {str(job_id) for job_id in first}


@pytest.mark.parametrize("wrong", [{"consumers": 0}, {"ready": 100}])
def test_a_queue_that_does_not_answer_in_time_doubles_no_backlog(world, wrong):
    """RabbitMQ then says: no messages, no consumers."""
    for name, value in wrong.items():
        setattr(world.rabbit, name, value)
    world.jobs(100)

    world.looks(over=timedelta(minutes=4))

    assert world.rabbit.copies == 0


def test_one_look_is_no_evidence(world):
    world.jobs(100)
    world.clock.go_on(timedelta(minutes=1))

    for ready in (0, 100, 0, 100):
        world.rabbit.ready = ready
        world.losses.run()
        world.clock.go_on(EVERY)

    assert world.relay() == 0


def test_a_count_that_stays_wrong_costs_few_copies(world):
    world.jobs(20)
    world.rabbit.ready = 0

    world.looks(over=timedelta(minutes=15))

    assert max(world.rabbit.sent.values()) <= 7  # after 25 s, and then each time twice as late


def test_what_the_ladder_has_lost_is_sent_again_before_its_time(world):
    world.jobs(3)
    ahead = world.jobs(50, due_in=HOUR)
    world.rabbit.delayed = 20

    world.looks(over=PATIENCE + 3 * EVERY)

    again = [job_id for job_id in ahead if world.rabbit.sent[str(job_id)] > 1]
    assert len(again) == 30
    assert acts_of(world.engine, again[0]) == ["plan", "dispatch", "dispatch"]


def test_a_ladder_that_seems_empty_is_believed_only_with_a_loss_beside_it(world):
    world.jobs(3)
    world.jobs(50, due_in=HOUR)
    world.rabbit.ready = 3

    world.looks(over=timedelta(minutes=4))

    assert world.rabbit.copies == 0


def test_schedulers_that_look_at_the_same_time_send_no_more_than_is_missing(world):
    world.jobs(40)
    world.rabbit.ready = 10
    others = [LossDetector(world.engine, world.rabbit, threads=4) for _ in range(4)]
    world.clock.go_on(timedelta(minutes=1))
    for each in others:
        each.run()
    world.clock.go_on(EVERY)

    with ThreadPoolExecutor(len(others)) as threads:
        woken = [one.result() for one in [threads.submit(each.run) for each in others]]

    assert sum(woken) == 30
    assert world.relay() == 30


def test_jobs_that_were_not_sent_or_are_not_due_are_not_missed(world):
    make_jobs(world.engine, 5, slot=world.clock.now)
    make_jobs(world.engine, 5, slot=world.clock.now + HOUR)
    world.clock.go_on(timedelta(minutes=1))

    for _ in range(3):
        assert world.losses.run() == 0
        world.clock.go_on(EVERY)


@pytest.fixture
def ifood(database_url, broker_url):
    with (
        running(Settings(merchants=30)) as simulator,
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as ifood,
    ):
        yield ifood


@pytest.mark.parametrize("lose", ["queue_purge", "queue_delete"])
def test_workers_go_on_after_their_queue_was_lost(ifood, broker_url, lose):
    """A queue that was deleted is declared again by whoever looks."""
    relay = make_relay(ifood.engine, ifood.broker)
    ifood.plan("sales")
    eventually(lambda: relay.run() == MovedJobs() and not _unsent(ifood))
    eventually(lambda: ifood.broker.queue_states([QUEUE])[0].ready == 30)
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        getattr(connection.channel(), lose)(QUEUE)

    with ifood.working():
        eventually(ifood.idle, within=60)

    found = ifood.rows(
        "SELECT detail -> 'missed' AS missed FROM ifood_job_events WHERE act = 'dispatch'"
    )
    assert Counter(row["missed"] for row in found) == {None: 30, True: 30}


def _unsent(ifood):
    return ifood.rows("SELECT FROM ifood_jobs WHERE dispatched_at IS NULL")
