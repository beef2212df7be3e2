"""A RabbitMQ that others set up: limits of a virtual host or user, and policies over all queues."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from dramatiq import Message
from sqlalchemy import Engine
from support.clock import eventually
from support.program import installation
from support.rows import make_relay
from support.world import MONDAY, World, stand_up

from ifood_actors.alerts import evaluate, query_queues
from ifood_actors.alerts.evaluator import Rabbit
from ifood_actors.broker import LadderBroker
from ifood_actors.broker.publishing import MOST_CONNECTIONS
from ifood_actors.broker.topology import LEVEL_NAMES
from ifood_actors.config import Settings as FleetSettings
from ifood_actors.db import transaction
from ifood_actors.embedded.rabbitmq import PrivateRabbit
from ifood_actors.embedded.services import RunningRabbit
from ifood_actors.errors import ServiceUnavailable, UsageError
from ifood_actors.figures import RULES
from ifood_actors.kinds import KINDS
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services

QUEUE = "test.echo"
STORES = 8


@pytest.fixture
def node(rabbitmq_server: RunningRabbit) -> PrivateRabbit:
    if rabbitmq_server.private is None:
        pytest.skip("this RabbitMQ is not ours to limit")
    return rabbitmq_server.private


@pytest.fixture
def vhost(broker_url: str) -> str:
    return urlsplit(broker_url).path[1:]


@pytest.fixture
def limit(node: PrivateRabbit, vhost: str) -> Callable[..., None]:
    def limit(**limits: int) -> None:
        for name, value in limits.items():
            path = f"/api/vhost-limits/{vhost}/{name.replace('_', '-')}"
            node.management.call("PUT", path, {"value": value})

    return limit


@pytest.fixture
def set_policy(node: PrivateRabbit, vhost: str) -> Callable[[dict[str, Any]], None]:
    """Give what sets a policy over all queues, and waits until each of them has it."""

    def set_policy(definition: dict[str, Any]) -> None:
        policy = {"pattern": ".*", "definition": definition, "apply-to": "all"}
        node.management.call("PUT", f"/api/policies/{vhost}/everything", policy)
        # Under some policies, queues do not stay for long.
        eventually(lambda: all(queue.get("policy") == "everything" for queue in queues()))

    def queues() -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", node.management.get(f"/api/queues/{vhost}"))

    return set_policy


@pytest.fixture
def connections(node: PrivateRabbit, vhost: str) -> Callable[[], list[tuple[str, int]]]:
    """Give the name and the channels of each open connection, as RabbitMQ itself lists them."""

    def connections() -> list[tuple[str, int]]:
        columns = ("--no-table-headers", "vhost", "client_properties", "channels")
        listed = node.ctl("-q", "list_connections", *columns).splitlines()
        lines = [line for line in listed if line.startswith(f"{vhost}\t")]
        return [
            (line.split('"connection_name","')[1].split('"')[0], int(line.rsplit("\t", 1)[1]))
            for line in lines
        ]

    return connections


def echo(number: int) -> Message[None]:
    return Message(QUEUE, "echo", (number,), {}, {})


def test_a_batch_does_without_the_connections_that_are_refused(broker_url, limit, connections):
    with closing(LadderBroker(broker_url, middleware=[])) as broker:
        broker.declare_queue(QUEUE)
        broker.enqueue(echo(0))
        # RabbitMQ counts a connection a moment after it let it in: of several that come together,
        # a limit lets in too many.
        eventually(lambda: len(connections()) == 1)
        limit(max_connections=1)
        broker.enqueue_many((echo(number), None) for number in range(300))

        assert broker.queue_states([QUEUE])[0].ready == 301
        assert len(connections()) == 1


def test_a_large_batch_has_up_to_eight_connections_and_gives_back_all_but_one(
    broker_url, connections
):
    with closing(LadderBroker(broker_url, middleware=[])) as broker:
        broker.declare_queue(QUEUE)
        broker.enqueue_many((echo(number), None) for number in range(300))

        assert len(connections()) == MOST_CONNECTIONS
        broker.enqueue_many([])
        eventually(lambda: len(connections()) == 1)


def test_a_fleet_works_with_ten_connections_and_needs_seven(
    tmp_path, database_url, broker_url, limit, connections
):
    """One for the scheduler, and for each of two worker processes one for each kind."""
    limit(max_connections=10)
    with (
        running(Settings(merchants=STORES)) as simulator,
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as ifood,
    ):
        ifood.broker.close()
        installed = installation(
            tmp_path,
            simulator,
            database_url=database_url,
            broker_url=broker_url,
            IFOOD_WORKER_PROCESSES="2",
        )
        processes = [installed.start(role) for role in ("scheduler", "worker")]
        try:
            ifood.run("sales")
            eventually(lambda: len(connections()) == 1 + 2 * len(KINDS))
            found = connections()
        finally:
            codes = [process.stop() for process in processes]

    assert sorted(found) == [
        ("ifood-actors scheduler", 1),
        *[("ifood-actors worker", 1)] * (2 * len(KINDS)),
    ]
    assert codes == [0, 0]


def test_a_limit_of_connections_is_named_by_the_alert_and_by_doctor(
    tmp_path, engine, database_url, broker_url, limit
):
    limit(max_connections=0)
    settings = FleetSettings.model_validate({"broker_url": broker_url})

    with pytest.raises(ServiceUnavailable, match=r"connection limit \(0\) is reached") as refusal:
        query_queues(settings)
    assert "connection limit (0)" in firing(engine, settings, refusal.value)["RabbitUnusable"]
    with running(Settings(merchants=1)) as simulator:
        installed = installation(
            tmp_path, simulator, database_url=database_url, broker_url=broker_url
        )
        told = installed.run("doctor", code=3).out
    [line] = [line for line in told.splitlines() if line.startswith("rabbitmq")]
    assert 'connection limit (0) is reached"; raise it: docs' in line


def test_a_limit_of_queues_is_named(broker_url, limit):
    limit(max_queues=3)
    with (
        closing(LadderBroker(broker_url, middleware=[])) as broker,
        pytest.raises(UsageError, match=r"queue limit in vhost .* \(3\) is reached") as error,
    ):
        broker.declare_all()

    assert "other arguments" not in str(error.value)


REJECT = {"max-length": 5, "overflow": "reject-publish"}
# Each: what a policy sets, and whether messages are missed or early by it.
POLICIES = {
    "message-ttl": ({"message-ttl": 2000}, {True}),
    "max-length": ({"max-length": 5}, {True}),
    "max-length-bytes": ({"max-length-bytes": 1500}, {True}),
    "max-length, reject": (REJECT, {True, False}),  # as the ladder meets a full queue or not
    "expires": ({"expires": 2000}, {True}),
    "others": ({"dead-letter-exchange": "amq.fanout", "delivery-limit": 5}, {False}),
}


@pytest.fixture
def ifood(database_url: str, broker_url: str) -> Iterator[World]:
    with (
        running(Settings(merchants=STORES)) as simulator,
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as ifood,
    ):
        yield ifood


@pytest.mark.parametrize("name", POLICIES)
def test_under_a_policy_over_all_queues_every_job_ends_and_an_alert_tells_of_it(
    ifood, set_policy, name
):
    policy, loses = POLICIES[name]
    set_policy(policy)
    now, ahead = datetime.now(UTC), timedelta(seconds=12)
    for kind, opens in (("sales", now - ahead), ("anticipations_daily", now)):
        opening = Opening(kind, MONDAY, opens, opens + ahead)
        planner.plan(ifood.engine, planner.PlanRequest(opening, ifood.settings), actor="test")
    # Before anybody takes from the queues: some jobs are due, some wait in the ladder.
    make_relay(ifood.engine, ifood.broker).run()

    with ifood.working(threads=2):
        eventually(ifood.idle, within=240)

    jobs = ifood.rows("SELECT status, count(*) AS jobs FROM ifood_jobs GROUP BY status")
    assert jobs == [{"status": "success", "jobs": 2 * STORES}]
    early = ifood.rows(
        "SELECT FROM ifood_job_events AS event JOIN ifood_jobs AS job ON job.id = job_id"
        " WHERE act = 'claim' AND at < scheduled_for"
    )
    assert early == []
    [most] = ifood.rows(
        "SELECT max(events) AS most FROM (SELECT count(*) AS events FROM ifood_job_events"
        " GROUP BY job_id) AS each"
    )
    assert most["most"] <= 9
    told = firing(ifood.engine, ifood.settings, [])
    assert ("MessagesLost" in told) in loses
    assert "policy" in told.get("MessagesLost", "policy")


def test_what_the_ladder_brings_to_a_full_queue_is_missed_and_sent_again(ifood, set_policy):
    """RabbitMQ keeps such a message out of sight, and tries it again after three minutes."""
    set_policy(REJECT)
    now, step = datetime.now(UTC), timedelta(seconds=5)
    arrived = now + 3 * step
    for day, opens in ((MONDAY, now - step), (MONDAY + timedelta(days=1), now + step)):
        opening = Opening("sales", day, opens, opens + step)
        planner.plan(ifood.engine, planner.PlanRequest(opening, ifood.settings), actor="test")
    make_relay(ifood.engine, ifood.broker).run()
    eventually(lambda: datetime.now(UTC) > arrived and not in_ladder(ifood))

    with ifood.working(threads=2):
        eventually(ifood.idle, within=120)

    missed = ifood.rows(
        "SELECT FROM ifood_jobs WHERE status = 'success' AND job_day > :monday AND id IN"
        " (SELECT job_id FROM ifood_job_events WHERE detail ->> 'missed' = 'true')",
        monday=MONDAY,
    )
    assert missed
    assert "policy" in firing(ifood.engine, ifood.settings, [])["MessagesLost"]


def in_ladder(ifood: World) -> int:
    return sum(level.ready for level in ifood.broker.queue_states(LEVEL_NAMES))


def firing(engine: Engine, settings: FleetSettings, rabbit: Rabbit) -> dict[str, str]:
    """Give the texts of what fires, by the rules' names."""
    rules = [rule for rule in RULES if rule.name in {"MessagesLost", "RabbitUnusable"}]
    with transaction(engine) as tx:
        found = evaluate(tx, rabbit, settings, rules=rules).firing
    return {each.name: each.text for each in found}
