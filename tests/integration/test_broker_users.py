"""infra/rabbitmq/definitions.json: one user for each role, who can do what it needs, no more."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError
from pika.exceptions import ProbableAuthenticationError as WrongPassword
from support.clock import eventually
from support.logins import DEFINITIONS, PASSWORD, add_users
from support.world import MONDAY, stand_up

from ifood_actors.broker import LadderBroker
from ifood_actors.broker.topology import dead_letter_name
from ifood_actors.delivery.messages import JobMessage, dramatiq_message
from ifood_actors.embedded.management import Management
from ifood_actors.embedded.services import RunningRabbit
from ifood_actors.errors import ServiceUnavailable
from ifood_actors.feeds import FEEDS
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.scheduler.scheduler import Scheduler
from ifood_actors.worker.composition import working
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services

QUEUE = queue_name("sales")
DEAD = dead_letter_name(QUEUE)

Url = Callable[[str], str]


@pytest.fixture
def management(rabbitmq_server: RunningRabbit) -> Iterator[Management]:
    """Lend a server with the definitions in it; nobody has a password yet."""
    management = rabbitmq_server.management
    if management is None:
        pytest.skip("TEST_BROKER_URL names a virtual host, and this makes one and its users")
    management.call("POST", "/api/definitions", DEFINITIONS)
    yield management
    management.delete_vhost("ifood")
    add_users(management)  # as all other tests expect them


@pytest.fixture
def url(management: Management, rabbitmq_server: RunningRabbit) -> Url:
    """Give the URL with which a role logs in."""
    add_users(management)
    port = urlsplit(rabbitmq_server.url).port
    return lambda role: f"amqp://ifood_{role}:{PASSWORD}@127.0.0.1:{port}/ifood"


def started(url: str) -> LadderBroker:
    """Do what a process does first: declare everything."""
    broker = LadderBroker(url, middleware=[])
    for kind in KINDS:
        broker.declare_queue(queue_name(kind))
    try:
        broker.declare_all()
    except BaseException:
        broker.close()
        raise
    return broker


def seen(management: Management, name: str) -> int:
    queue = management.get(f"/api/queues/ifood/{name}")
    assert isinstance(queue, dict)
    return int(queue.get("messages", 0))


@pytest.mark.parametrize("roles", [("scheduler", "worker"), ("worker", "scheduler")])
def test_whoever_starts_first_declares_the_queues(url, management, roles):
    for role in roles:
        started(url(role)).close()

    queues = management.get("/api/queues/ifood")
    assert isinstance(queues, list)
    assert {dead_letter_name(queue_name(kind)) for kind in KINDS} < {
        each["name"] for each in queues
    }


def test_scheduler_and_worker_do_all_their_work_as_their_users(url, database_url):
    with (
        running(Settings(merchants=4, today=MONDAY)) as simulator,
        closing(started(url("scheduler"))) as publisher,
        stand_up(simulator, database_url=database_url, broker_url=url("worker")) as ifood,
    ):
        for kind in FEEDS:
            ifood.plan(kind)
        scheduler = Scheduler(ifood.settings, engine=ifood.engine, publisher=publisher)
        with working(ifood.broker, threads=4):
            scheduler.start(plan=False)
            eventually(ifood.idle)
            scheduler.stop()

        found = ifood.rows("SELECT status, count(*) AS jobs FROM ifood_jobs GROUP BY status")
    assert found == [{"status": "success", "jobs": 4 * len(FEEDS)}]


def test_a_worker_sends_a_message_again_and_turns_one_down(url, management):
    with closing(started(url("worker"))) as worker:
        worker.enqueue(dramatiq_message("sales", JobMessage(uuid4(), 1)), delay=1000)
        consumer = worker.consume(QUEUE)
        delivery = next(each for each in consumer if each)
        consumer.nack(delivery)
        consumer.close()

    eventually(lambda: seen(management, DEAD) == 1)


def test_an_operator_watches_everything_and_looks_at_dead_letters(url, management):
    started(url("worker")).close()
    watching = Management(management.port, user="ifood_operator", password=PASSWORD)

    queues = watching.get("/api/queues/ifood")
    with channel(url("operator")) as opened:
        got = opened.basic_get(DEAD)

    assert isinstance(queues, list)
    assert len(queues) == len(management.get("/api/queues/ifood"))
    assert got == (None, None, None)


def test_the_web_process_sees_that_rabbitmq_answers(url):
    LadderBroker(url("web"), middleware=[]).probe()


@contextmanager
def channel(url: str) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()


def publish(channel: BlockingChannel, exchange: str, key: str) -> None:
    channel.confirm_delivery()
    channel.basic_publish(exchange, key, b"forged")


PROCESSES = ("scheduler", "worker", "admin")
REFUSED: list[tuple[tuple[str, ...], Callable[[BlockingChannel], object]]] = [
    (PROCESSES, lambda channel: channel.queue_declare("mine")),
    (PROCESSES, lambda channel: channel.queue_declare("ifood.sales.mine")),
    (PROCESSES, lambda channel: channel.exchange_declare("mine")),
    (PROCESSES, lambda channel: publish(channel, "amq.topic", QUEUE)),
    (PROCESSES, lambda channel: channel.basic_get(DEAD)),
    (PROCESSES, lambda channel: channel.queue_purge(DEAD)),
    (("operator",), lambda channel: channel.basic_get(QUEUE)),
    (("operator",), lambda channel: channel.queue_purge(QUEUE)),
    (("operator",), lambda channel: channel.queue_delete(QUEUE)),
    (("operator",), lambda channel: publish(channel, "", QUEUE)),
    (("operator",), lambda channel: publish(channel, "delay.v1.level-00", f"0.{QUEUE}")),
    (("operator", "web"), lambda channel: channel.queue_declare("mine")),
    (("web",), lambda channel: channel.basic_get(DEAD)),
    (("web",), lambda channel: publish(channel, "", QUEUE)),
]


def test_what_a_user_need_not_do_is_refused(url):
    started(url("worker")).close()

    for roles, act in REFUSED:
        for role in roles:
            with channel(url(role)) as opened, pytest.raises(ChannelClosedByBroker, match="refuse"):
                act(opened)


@pytest.mark.parametrize("role", ["scheduler", "worker", "admin", "operator"])
def test_nobody_gets_into_another_virtual_host(url, role):
    with pytest.raises(ProbableAccessDeniedError):
        pika.BlockingConnection(pika.URLParameters(url(role).removesuffix("ifood")))


@pytest.mark.parametrize("role", PROCESSES)
def test_a_process_has_no_business_in_the_management(url, management, role):
    url(role)
    with pytest.raises(ServiceUnavailable, match=r"[Nn]ot"):
        Management(management.port, user=f"ifood_{role}", password=PASSWORD).get("/api/overview")


def test_an_import_again_takes_the_passwords_away(url, management):
    started(url("worker")).close()

    management.call("POST", "/api/definitions", DEFINITIONS)

    with pytest.raises(ServiceUnavailable, match="ACCESS_REFUSED"):
        started(url("worker"))


@pytest.mark.usefixtures("management")
def test_without_a_password_nobody_logs_in(rabbitmq_server):
    port = urlsplit(rabbitmq_server.url).port
    for password in ("", "ifood_worker", "guest"):
        with pytest.raises(WrongPassword):
            pika.BlockingConnection(
                pika.URLParameters(f"amqp://ifood_worker:{password}@127.0.0.1:{port}/ifood")
            )
