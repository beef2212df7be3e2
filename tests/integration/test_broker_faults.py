"""What the broker makes of a RabbitMQ that is gone, full, changed, or killed."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import islice
from time import monotonic
from urllib.parse import urlsplit

import pika
import pytest
from dramatiq import Message
from dramatiq.errors import ConnectionClosed
from support.clock import PATIENCE_SECONDS, eventually

from ifood_actors.broker import LadderBroker, topology
from ifood_actors.broker.publishing import NotTaken
from ifood_actors.broker.queues import QueueState
from ifood_actors.embedded.rabbitmq import PrivateRabbit
from ifood_actors.embedded.services import RunningRabbit
from ifood_actors.errors import ServiceUnavailable, UsageError

pytestmark = pytest.mark.services

QUEUE = "test.echo"
NOBODY = "amqp://guest:hunter2@127.0.0.1:1/"


@pytest.fixture
def broker(broker_url: str) -> Iterator[LadderBroker]:
    broker = LadderBroker(f"{broker_url}?blocked_connection_timeout=2", middleware=[])
    broker.declare_queue(QUEUE)
    yield broker
    broker.close()


@pytest.fixture
def channel(broker_url: str) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    """A way to RabbitMQ beside the broker's own."""
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        yield connection.channel()


def test_a_reachable_rabbitmq_passes_the_probe(broker):
    broker.probe()


@pytest.mark.parametrize(
    "url", [NOBODY, "amqp://guest:hunter2@no-such-host.invalid/", f"{NOBODY};{NOBODY}"]
)
def test_an_unreachable_rabbitmq_is_named_without_the_password(url):
    broker = LadderBroker(url, middleware=[])

    for act in (broker.probe, broker.declare_all):
        with pytest.raises(ServiceUnavailable, match=r"RabbitMQ at .* be reached") as failure:
            act()
        assert "hunter2" not in str(failure.value)
    broker.close()


def test_refused_credentials_fail_the_probe(broker_url):
    password = urlsplit(broker_url).password
    assert password is not None
    broker = LadderBroker(broker_url.replace(password, "hunter2"), middleware=[])

    with pytest.raises(ServiceUnavailable, match="ACCESS_REFUSED"):
        broker.probe()
    broker.close()


def test_sending_to_an_unreachable_rabbitmq_ends_as_dramatiq_says():
    broker = LadderBroker(NOBODY, middleware=[])

    with pytest.raises(ConnectionClosed):
        broker.enqueue(echo(1))
    with pytest.raises(ConnectionClosed):
        broker.enqueue_many([(echo(1), None), (echo(2), 1000)])
    with pytest.raises(ConnectionClosed):
        broker.enqueue_many((echo(n), None) for n in range(100))
    with pytest.raises(ConnectionClosed):
        broker.consume(QUEUE)
    broker.close()


def test_a_dead_first_url_is_passed_over(broker_url):
    broker = LadderBroker(f"{NOBODY};{broker_url}", middleware=[])

    broker.probe()
    broker.enqueue(echo(1))

    assert broker.get_queue_message_counts(QUEUE) == (1, 0, 0)
    broker.close()


@pytest.mark.parametrize("name", [QUEUE, f"{QUEUE}.XQ", "delay.v1.level-03"])
def test_a_queue_with_other_arguments_is_an_error_that_says_what_to_do(broker, channel, name):
    channel.queue_declare(name, durable=True)

    with pytest.raises(UsageError, match=f"RabbitMQ has {name} with other arguments .* delete it"):
        broker.declare_all()
    with pytest.raises(UsageError, match=f"RabbitMQ has {name} with other arguments"):
        broker.enqueue(echo(1))


def test_a_queue_that_disappears_is_declared_again(broker, channel):
    broker.enqueue(echo(1))
    channel.queue_delete(QUEUE)

    broker.enqueue(echo(2))

    assert broker.get_queue_message_counts(QUEUE) == (1, 0, 0)


def test_a_consumer_whose_queue_is_gone_leaves_no_connection_open(broker, channel):
    broker.declare_all()
    channel.queue_delete(QUEUE)
    consumer = broker.consume(QUEUE)
    with pytest.raises(ConnectionClosed, match="no queue"):
        next(consumer)

    with pytest.raises(ConnectionClosed):
        consumer.close()

    assert not consumer.connection.is_open


@pytest.mark.parametrize("delete", ["queue", "exchange"])
def test_a_level_that_disappears_is_declared_again(broker, channel, delete):
    level = topology.level_name(5)
    broker.enqueue(echo(1), delay=32_000)
    if delete == "queue":
        channel.queue_delete(level)
    else:
        channel.exchange_delete(level)

    broker.enqueue(echo(2), delay=32_000)

    assert broker.get_queue_message_counts(QUEUE)[1] == (1 if delete == "queue" else 2)


def test_a_queue_that_takes_no_more_is_an_error_soon(broker, broker_url, node):
    broker.declare_all()
    full = {"max-length": 1, "overflow": "reject-publish"}
    policy = {"pattern": f"^{QUEUE}$", "definition": full, "apply-to": "all"}
    vhost = urlsplit(broker_url).path[1:]
    node.management.call("PUT", f"/api/policies/{vhost}/full", policy)

    def is_full() -> bool:
        queue = node.management.get(f"/api/queues/{vhost}/{QUEUE}")
        return isinstance(queue, dict) and queue.get("policy") == "full"

    eventually(is_full)

    with pytest.raises(NotTaken, match="NACKed") as refusal:
        broker.enqueue_many((echo(n), None) for n in range(200))
    with pytest.raises(NotTaken):
        broker.enqueue(echo(200))

    refused = {message.args[0] for message in refusal.value.messages}
    ready, _, _ = broker.get_queue_message_counts(QUEUE)
    assert refused | numbers(broker, ready) == set(range(200))
    assert len(refused) + ready == 200


def test_a_quorum_queue_that_does_not_answer_in_time_seems_to_have_no_consumer(
    broker, broker_url, node, channel
):
    """So whoever sees a consumer may believe the number of messages."""
    broker.declare_all()
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(QUEUE, lambda *_: None)
    broker.enqueue_many((echo(n), None) for n in range(5))
    eventually(lambda: broker.queue_states([QUEUE]) == [QueueState(QUEUE, 4, 1)])
    process = f"whereis('{urlsplit(broker_url).path[1:]}_{QUEUE}')"
    node.ctl("eval", f"sys:suspend({process}).")

    assert broker.queue_states([QUEUE]) == [QueueState(QUEUE, 0, 0)]

    node.ctl("eval", f"sys:resume({process}).")


def test_a_queue_that_is_asked_for_and_not_there_is_declared_again(broker, channel):
    broker.declare_all()
    names = [QUEUE, topology.level_name(3)]
    for name in names:
        channel.queue_delete(name)

    assert broker.queue_states(names) == [QueueState(name, 0, 0) for name in names]
    assert [channel.queue_declare(name, passive=True).method.queue for name in names] == names


def test_an_alarm_ends_sending_after_the_blocked_time(broker, alarm, monkeypatch):
    # What has been blocked is not tried again: that would take minutes.
    monkeypatch.setattr("ifood_actors.broker.ladder_broker.PAUSES", (0.0, 60.0))
    broker.declare_all()
    alarm()
    began = monotonic()

    with pytest.raises(ConnectionClosed):
        broker.enqueue(echo(1), delay=60_000)
    with pytest.raises(ConnectionClosed):
        broker.enqueue_many((echo(n), None) for n in range(50))

    assert monotonic() - began < 60


def test_a_queue_that_never_confirms_ends_sending_after_the_blocked_time(broker, broker_url, node):
    broker.declare_all()
    process = f"whereis('{urlsplit(broker_url).path[1:]}_{QUEUE}')"
    node.ctl("eval", f"sys:suspend({process}).")

    with pytest.raises(ConnectionClosed, match="no confirm within 2"):
        broker.enqueue(echo(1))

    node.ctl("eval", f"sys:resume({process}).")


def test_a_killed_rabbitmq_loses_no_delayed_message_and_takes_more_once_it_is_back(
    broker_url, node, monkeypatch
):
    monkeypatch.setattr("ifood_actors.embedded.rabbitmq._STOP", timedelta(seconds=60))
    with closing(LadderBroker(broker_url, middleware=[])) as broker:
        broker.declare_queue(QUEUE)
        broker.declare_all()
        # RabbitMQ writes some of what it knows of new quorum queues to the disk seconds later, and
        # one that loses it by a kill comes back empty. A clean stop writes everything.
        node.restart()
        broker.enqueue_many((echo(n), 1000 * (n % 20 + 1)) for n in range(300))

        node.kill()
        node.start()
        broker.enqueue(echo(300))

        def arrived() -> int:
            ready, delayed, _ = broker.get_queue_message_counts(QUEUE)
            return ready if delayed == 0 and ready > 300 else 0  # some may have come twice

        assert numbers(broker, eventually(arrived)) == set(range(301))


@pytest.fixture
def node(rabbitmq_server: RunningRabbit) -> PrivateRabbit:
    """The server, if it is one that may be killed."""
    if rabbitmq_server.private is None:
        pytest.skip("this RabbitMQ is not ours to kill")
    return rabbitmq_server.private


@pytest.fixture
def alarm(node: PrivateRabbit) -> Iterator[object]:
    """Call it and RabbitMQ takes no more messages until the test's end."""

    def raise_it() -> None:
        node.ctl("set_vm_memory_high_watermark", "0.000001")

    yield raise_it
    node.ctl("set_vm_memory_high_watermark", "0.4")


def echo(value: object) -> Message[None]:
    return Message(QUEUE, "echo", (value,), {}, {})


def numbers(broker: LadderBroker, count: int) -> set[object]:
    """Take so many messages from the queue: what each `echo` was sent with."""
    consumer = broker.consume(QUEUE, prefetch=1000, timeout=PATIENCE_SECONDS * 1000)
    received = {message.args[0] for message in islice(consumer, count) if message}
    consumer.close()
    return received
