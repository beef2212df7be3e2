"""The delay ladder, walked as RabbitMQ would walk it."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.broker import topology
from ifood_actors.broker.topology import DELIVER, LEVELS, REACH, Exchange, Queue, Route, route
from ifood_actors.config.settings import LADDER_REACH

QUEUES = ["ifood.sales", "ifood.settlements_weekly", "sales", "ifood.ifood.sales"]


@pytest.mark.parametrize("delay", [timedelta(0), timedelta(milliseconds=-1), timedelta(days=-3)])
def test_a_message_that_is_due_goes_straight_to_its_queue(delay):
    assert route("ifood.sales", delay=delay) == Route(exchange="", routing_key="ifood.sales")


@pytest.mark.parametrize(
    ("delay", "exchange", "bits"),
    [
        (timedelta(microseconds=1), "delay.v1.level-00", "00000000000001"),
        (timedelta(seconds=1), "delay.v1.level-00", "00000000000001"),
        (timedelta(milliseconds=1001), "delay.v1.level-01", "00000000000010"),
        (timedelta(seconds=5), "delay.v1.level-02", "00000000000101"),
        (timedelta(hours=4), "delay.v1.level-13", "11100001000000"),
        (REACH, "delay.v1.level-13", "11111111111111"),
    ],
)
def test_a_delay_enters_the_ladder_at_its_highest_bit(delay, exchange, bits):
    way = route("ifood.sales", delay=delay)

    assert way == Route(exchange=exchange, routing_key=".".join([*bits, "ifood.sales"]))


@pytest.mark.parametrize("beyond", [timedelta(microseconds=1), timedelta(days=1)])
def test_a_delay_beyond_the_reach_is_refused(beyond):
    with pytest.raises(ValueError, match="beyond the ladder's reach of 4:33:03"):
        route("ifood.sales", delay=REACH + beyond)


def test_the_longest_horizon_of_the_settings_is_within_the_reach():
    """Neither may import the other: settings lie below the broker, which knows no settings."""
    assert timedelta(0) <= REACH - LADDER_REACH < timedelta(minutes=1)


@given(delay=st.timedeltas(timedelta(microseconds=1), REACH), queue=st.sampled_from(QUEUES))
def test_every_message_arrives_once_in_its_own_queue_never_early_and_within_a_second(delay, queue):
    waited, arrived = walk(route(queue, delay=delay))

    assert arrived == [queue]
    assert delay < waited < delay + timedelta(seconds=1) + LEVELS * topology.CLOCK_STEP + JUST_OVER


@given(name=st.text("01.x", min_size=1, max_size=20))
def test_what_no_work_queue_takes_is_kept_as_unroutable(name):
    _, arrived = walk(route("nobody." + name, delay=timedelta(seconds=3)))

    assert arrived == [topology.UNROUTABLE]


def test_the_routing_key_of_the_longest_queue_name_fits_into_amqp():
    longest = max(QUEUES, key=len)

    assert len(route(longest, delay=REACH).routing_key) <= 255


def test_all_queues_are_quorum_queues():
    queues = [*topology.ladder().queues, *topology.work_queue("ifood.sales").queues]

    assert {queue.arguments["x-queue-type"] for queue in queues} == {"quorum"}


def test_a_level_hands_down_at_least_once():
    levels = [queue for queue in topology.ladder().queues if queue.name != topology.UNROUTABLE]

    assert len(levels) == LEVELS
    for queue in levels:
        assert queue.arguments["x-dead-letter-strategy"] == "at-least-once"
        assert queue.arguments["x-overflow"] == "reject-publish"
        # With a key of its own, a message would forget its remaining bits.
        assert "x-dead-letter-routing-key" not in queue.arguments


def test_a_work_queue_gives_up_on_a_poisonous_message():
    _, queue = topology.work_queue("ifood.sales").queues

    assert queue.arguments == {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "ifood.sales.XQ",
        "x-delivery-limit": 20,
    }


def test_objects_are_declared_before_what_refers_to_them():
    objects = [*topology.ladder().in_order, *topology.work_queue("ifood.sales").in_order]
    declared: set[tuple[type, str]] = set()

    for each in objects:
        if isinstance(each, Exchange | Queue):
            declared.add((type(each), each.name))
        else:
            assert (Exchange, each.source) in declared
            assert (type(each.target), each.target.name) in declared


def test_the_ladders_foot_is_the_delivering_exchange():
    lowest = next(q for q in topology.ladder().queues if q.name == topology.level_name(0))

    assert lowest.arguments["x-dead-letter-exchange"] == DELIVER


JUST_OVER = timedelta(microseconds=1)


def walk(way: Route) -> tuple[timedelta, list[str]]:
    """How long a message waits in all, and the queues in which it ends."""
    objects = [topology.ladder(), *map(topology.work_queue, QUEUES)]
    exchanges = {each.name: each for part in objects for each in part.exchanges}
    bindings = [each for part in objects for each in part.bindings]
    waited, ended, at = timedelta(0), [], [way.exchange]
    while at:
        exchange = exchanges[at.pop()]
        targets = [
            each.target
            for each in bindings
            if each.source == exchange.name
            and (exchange.kind == "fanout" or matches(each.pattern, way.routing_key))
        ]
        if not targets:
            assert exchange.alternate, f"{exchange.name} drops {way.routing_key}"
            at.append(exchange.alternate)
        for target in targets:
            ttl = target.arguments.get("x-message-ttl")
            if isinstance(target, Exchange):
                at.append(target.name)
            elif isinstance(ttl, int):
                waited += timedelta(milliseconds=ttl)
                at.append(str(target.arguments["x-dead-letter-exchange"]))
            else:
                ended.append(target.name)
    return waited, ended


def matches(pattern: str, key: str) -> bool:
    """AMQP's topics: `*` is one word, a final `.#` any number of words."""
    words = re.escape(pattern).replace(r"\*", r"[^.]*").replace(r"\.\#", r"(\..*)?")
    return re.fullmatch(words, key) is not None
