"""The delay-ladder broker, used as any Dramatiq broker is, on a real RabbitMQ."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Event
from time import time
from typing import Any
from uuid import uuid4

import dramatiq
import pika
import pytest
from dramatiq import Message, Middleware, Worker
from dramatiq.broker import MessageProxy
from dramatiq.common import current_millis
from dramatiq.middleware import Retries
from support.clock import PATIENCE_SECONDS, eventually

from ifood_actors.broker import LadderBroker, topology
from ifood_actors.delivery import messages
from ifood_actors.kinds import KINDS, queue_name

pytestmark = pytest.mark.services

QUEUE = "test.echo"


@pytest.fixture
def broker(broker_url: str) -> Iterator[LadderBroker]:
    """A broker for any message, without middleware."""
    broker = LadderBroker(broker_url, middleware=[])
    yield broker
    broker.close()


def test_an_actor_runs(broker):
    received = record(broker)

    with working(broker):
        broker.enqueue(echo(1))
        broker.join(QUEUE, timeout=PATIENCE_SECONDS * 1000)

        eventually(lambda: received == [1])


def test_delayed_messages_come_never_early_and_at_most_about_a_second_late(broker):
    late = []
    actor(broker, lambda due: late.append(time() - due))
    broker.declare_all()  # which may take longer than a delay

    def all_in_time():
        late.clear()
        for delay in (1, 999, 1000, 1001, 2500, 3000):
            broker.enqueue(echo(time() + delay / 1000), delay=delay)
        eventually(lambda: len(late) == 6)
        assert min(late) >= 0
        return max(late) < 3

    with working(broker):
        eventually(all_in_time)  # again, if the machine stalls


def test_a_waiting_message_is_held_by_the_broker_and_says_when_it_is_due(broker):
    received = record(broker)
    before = current_millis()

    with working(broker) as worker:
        sent = broker.enqueue(echo(1), delay=3_600_000)

        assert list(worker.consumers) == [QUEUE]
        assert broker.get_queue_message_counts(QUEUE) == (0, 1, 0)
    assert sent.options.keys() == {"not_before"}
    assert before <= sent.options["not_before"] - 3_600_000 <= current_millis()
    assert not received


def test_a_worker_holds_no_more_than_its_prefetch(broker, monkeypatch):
    monkeypatch.setattr("dramatiq.worker.QUEUE_PREFETCH", 3)
    go_on = Event()
    actor(broker, lambda _: go_on.wait(PATIENCE_SECONDS))
    broker.enqueue_many((echo(n), None) for n in range(10))

    with working(broker, threads=1):
        eventually(lambda: broker.get_queue_message_counts(QUEUE)[0] == 7)
        go_on.set()


def test_hooks_run_once_for_a_delayed_message(broker_url):
    spy = Spy()
    broker = LadderBroker(broker_url, middleware=[spy])
    received = record(broker)
    with working(broker):
        broker.enqueue(echo(1), delay=500)
        eventually(lambda: received == [1])
    broker.close()

    assert spy.seen == [("before", 500), ("after", 500)]


def test_dramatiqs_own_retries_run_over_the_ladder(broker_url):
    broker = LadderBroker(broker_url, middleware=[Retries(min_backoff=100)])
    attempts = []

    def fail_twice(_):
        attempts.append(time())
        if len(attempts) < 3:
            raise RuntimeError("not yet")

    actor(broker, fail_twice)
    with working(broker):
        broker.enqueue(echo(1))
        eventually(lambda: len(attempts) == 3)
        broker.join(QUEUE, timeout=PATIENCE_SECONDS * 1000)

    assert broker.get_queue_message_counts(QUEUE) == (0, 0, 0)
    broker.close()


def test_an_unacknowledged_message_is_delivered_again(broker):
    broker.declare_queue(QUEUE, ensure=True)
    broker.enqueue(echo(1))

    first = broker.consume(QUEUE, timeout=5000)
    taken = next(each for each in first if each)
    first.close()
    second = broker.consume(QUEUE, timeout=5000)
    again = next(each for each in second if each)

    assert again.message_id == taken.message_id
    second.ack(again)
    second.close()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="not-json"),
        pytest.param(b"\xff", id="not-text"),
        pytest.param(b"x" * 20_000, id="oversized"),
        pytest.param(b'{"queue_name": "test.echo"}', id="incomplete"),
        pytest.param(Message(QUEUE, "nobody", (), {}, {}).encode(), id="unknown-actor"),
        pytest.param(Message("elsewhere", "echo", (0,), {}, {}).encode(), id="other-queue"),
        pytest.param(Message(QUEUE, "echo", (0,), {}, {"eta": 2**42}).encode(), id="eta"),
    ],
)
def test_a_harmful_message_goes_to_the_dead_letters_and_the_worker_goes_on(broker, body):
    received = record(broker)
    broker.declare_all()

    with working(broker):
        broker.channel.basic_publish("", QUEUE, body)
        broker.enqueue(echo(1))

        eventually(lambda: broker.get_queue_message_counts(QUEUE) == (0, 0, 1))
        eventually(lambda: received == [1])


def test_only_job_messages_reach_a_worker_of_the_project(broker_url):
    check = messages.JobMessage.from_message
    broker = LadderBroker(broker_url, middleware=[], check=check)
    received = []

    @dramatiq.actor(queue_name="ifood.sales", broker=broker)
    def sales(**arguments: object) -> None:
        received.append(arguments)

    message = messages.JobMessage(uuid4(), 1)
    good = messages.dramatiq_message("sales", message)

    with working(broker):
        broker.enqueue(good.copy(options={"time_limit": 1}))
        broker.enqueue(good, delay=1)
        eventually(lambda: broker.get_queue_message_counts("ifood.sales") == (0, 0, 1))
        eventually(lambda: received == [message.kwargs])
    broker.close()


def test_a_batch_is_confirmed_as_a_whole(broker):
    broker.enqueue_many((echo(n), None if n % 2 else 3_600_000 + n) for n in range(500))

    assert broker.get_queue_message_counts(QUEUE) == (250, 250, 0)


def test_nothing_of_a_batch_is_sent_when_a_delay_is_beyond_the_ladder(broker):
    batch = [(echo(n), None) for n in range(20)] + [(echo(20), 17_000_000)]

    with pytest.raises(ValueError, match="beyond the ladder's reach"):
        broker.enqueue_many(batch)

    assert broker.get_queue_message_counts(QUEUE) == (0, 0, 0)


def test_an_empty_batch_is_nothing(broker):
    broker.enqueue_many([])


def test_a_message_that_consumers_would_refuse_is_not_sent(broker):
    with pytest.raises(ValueError, match="larger than 16384"):
        broker.enqueue(echo("x" * 20_000))


def test_flush_leaves_the_ladder_alone_and_flush_all_does_not(broker):
    broker.enqueue(echo(1))
    broker.enqueue(echo(2), delay=3_600_000)

    broker.flush(QUEUE)
    assert broker.get_queue_message_counts(QUEUE) == (0, 1, 0)

    broker.flush_all()
    assert broker.get_queue_message_counts(QUEUE) == (0, 0, 0)


def test_a_message_for_a_queue_that_is_gone_is_kept_as_unroutable(broker, broker_url):
    broker.declare_queue(QUEUE, ensure=True)
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        channel = connection.channel()
        channel.queue_delete(QUEUE)
        broker.enqueue(echo(1), delay=1)

        eventually(lambda: channel.basic_get(topology.UNROUTABLE, auto_ack=True)[0])


def test_many_processes_may_declare_an_empty_vhost_at_once(broker_url):
    at_once = Barrier(6)

    def start(_):
        broker = LadderBroker(broker_url, middleware=[])
        for kind in KINDS:
            broker.declare_queue(queue_name(kind))
        at_once.wait()
        broker.declare_all()
        broker.close()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(start, range(6))) == [None] * 6


class Spy(Middleware):
    """Notes the hooks of sending and of Dramatiq's own way of delaying."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int | None]] = []

    def before_enqueue(
        self, _broker: dramatiq.Broker, _message: Message[Any], delay: int | None
    ) -> None:
        self.seen.append(("before", delay))

    def after_enqueue(
        self, _broker: dramatiq.Broker, _message: Message[Any], delay: int | None
    ) -> None:
        self.seen.append(("after", delay))

    def before_delay_message(self, _broker: dramatiq.Broker, _message: MessageProxy) -> None:
        self.seen.append(("held", None))


def echo(value: object) -> Message[None]:
    return Message(QUEUE, "echo", (value,), {}, {})


def actor(broker: LadderBroker, function: Callable[[Any], object]) -> None:
    """Make `function` what runs for `echo(value)`; its result is dropped, as Dramatiq wants it."""

    def run(value: object) -> None:
        function(value)

    dramatiq.actor(actor_name="echo", queue_name=QUEUE, broker=broker)(run)


def record(broker: LadderBroker) -> list[object]:
    received: list[object] = []
    actor(broker, received.append)
    return received


@contextmanager
def working(broker: LadderBroker, *, threads: int = 2) -> Iterator[Worker]:
    worker = Worker(broker, worker_threads=threads, worker_timeout=100)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
