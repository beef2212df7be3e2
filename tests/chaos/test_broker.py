"""RabbitMQ dies, restarts, refuses, blocks, forgets; and what nobody of us has sent."""

import json
from contextlib import contextmanager
from datetime import timedelta
from secrets import token_hex
from threading import Event
from uuid import uuid4

import pika
import pytest
from chaos.invariants import check
from chaos.proxy import Mode
from chaos.world import STORES
from support.clock import eventually

from ifood_actors.broker import topology
from ifood_actors.broker.consumer import BODY_MAX
from ifood_actors.delivery.messages import JobMessage, dramatiq_message

BACK = 30.0  # seconds from the broker's return to the first claim (design, section 7)
MISSED = 60.0  # seconds from the loss of messages to their jobs' end
QUEUE = "ifood.sales"


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_rabbitmq_goes_down_with_messages_in_its_ladder(chaos, recovery, how):
    chaos.plan(over=timedelta(seconds=9))
    eventually(lambda: _dispatched(chaos) == STORES)
    (chaos.rabbit.kill if how == "killed" else chaos.rabbit.stop)()

    chaos.rabbit.start()
    recovery.begin()
    done = chaos.count("success")
    recovery.until(lambda: chaos.count("success") > min(done, STORES - 1), figure=BACK)
    chaos.finish()

    check(chaos)


def test_all_connections_are_closed_every_second(chaos, recovery):
    chaos.plan(over=timedelta(seconds=4))
    for _ in range(4):
        Event().wait(1)
        chaos.cut("broker")
    recovery.begin()
    recovery.until(chaos.idle, figure=BACK)

    check(chaos)


def test_all_queues_are_purged(chaos, recovery):
    chaos.plan(over=timedelta(seconds=5))
    eventually(lambda: _dispatched(chaos) == STORES)
    _purge(chaos)
    recovery.begin()
    recovery.until(chaos.idle, figure=MISSED)

    check(chaos)


def test_rabbitmq_comes_back_without_its_messages(chaos, recovery):
    chaos.plan(over=timedelta(seconds=9))
    eventually(lambda: _dispatched(chaos) == STORES)
    chaos.rabbit.stop()
    done = chaos.count("success")

    chaos.rabbit.start()
    _purge(chaos)
    recovery.begin()
    recovery.until(lambda: chaos.count("success") > min(done, STORES - 1), figure=MISSED)
    recovery.until(chaos.idle, figure=MISSED)

    check(chaos)


@pytest.mark.parametrize(
    ("limit", "alarming", "usual"),
    [
        ("set_vm_memory_high_watermark", "0.000001", "0.4"),
        ("set_disk_free_limit", "900000GB", "50MB"),
    ],
)
def test_an_alarm_blocks_whoever_publishes(chaos, recovery, limit, alarming, usual):
    chaos.rabbit.ctl(limit, alarming)
    try:
        chaos.plan()
        Event().wait(2)
        assert _dispatched(chaos) == 0
    finally:
        chaos.rabbit.ctl(limit, usual)
    recovery.begin()
    recovery.until(lambda: chaos.count("success") > 0, figure=BACK)
    chaos.finish()

    check(chaos)


def test_connections_are_refused(chaos, recovery):
    chaos.plan(over=timedelta(seconds=4))
    chaos.set(Mode.REFUSE, "broker")
    chaos.cut("broker")
    Event().wait(3)
    done = chaos.count("success")

    chaos.set(Mode.PASS, "broker")
    recovery.begin()
    recovery.until(lambda: chaos.count("success") > min(done, STORES - 1), figure=BACK)
    chaos.finish()

    check(chaos)


def test_what_the_relay_sends_is_swallowed_by_the_network(chaos, recovery):
    """Without confirms the relay would write down that it had dispatched."""
    chaos.of("scheduler")[1].kill()
    chaos.plan()  # so that the other one's publishers are connected
    chaos.finish()
    chaos.set(Mode.SWALLOW, "broker", "scheduler")
    chaos.plan()
    Event().wait(2)
    assert _dispatched(chaos) == 0

    chaos.cut("broker", "scheduler")
    chaos.set(Mode.PASS, "broker", "scheduler")
    recovery.begin()
    recovery.until(chaos.idle, figure=BACK)

    check(chaos)


def test_a_queue_has_other_arguments(chaos, recovery):
    host = chaos.of("worker")[0]
    url = host.installed.settings["IFOOD_BROKER_URL"]
    with chaos.rabbit.vhost(f"other-{token_hex(4)}") as other:
        with _channel(chaos, other) as channel:
            channel.queue_declare(QUEUE, durable=True)
        host.installed.settings["IFOOD_BROKER_URL"] = other
        recovery.begin()
        refused = host.installed.run("worker", code=2)
        recovery.until(lambda: refused, figure=BACK)
        host.installed.settings["IFOOD_BROKER_URL"] = url

    assert QUEUE in refused.err
    assert len(refused.err.splitlines()) == 1


def test_messages_that_nobody_has_sent(chaos, recovery):
    before = _dead_letters(chaos)
    chaos.plan(over=timedelta(seconds=2))
    eventually(lambda: _dispatched(chaos) == STORES)
    jobs = [job["id"] for job in chaos.jobs()]
    honest = [
        dramatiq_message("sales", JobMessage(job, number)).encode()
        for job in jobs
        for number in (0, 1, 2)
    ]
    forged = [
        dramatiq_message("sales", JobMessage(uuid4(), 1)).encode(),
        dramatiq_message("settlements_weekly", JobMessage(jobs[0], 1))
        .copy(queue_name=QUEUE)
        .encode(),
        _changed(honest[0], actor_name="no_such_actor"),
        _changed(honest[0], queue_name="ifood.anticipations_daily"),
        _changed(honest[0], kwargs={"job_id": "1; DROP TABLE ifood_jobs", "dispatch_no": 1}),
        _changed(honest[0], options={"eta": 2**60}),
        b"",
        b"\xff\x00 not JSON",
        b"[" * 5_000,
        b" " * (BODY_MAX + 1),
        b"x" * 5_000_000,
    ]
    with _channel(chaos) as channel:
        for body in honest + forged:
            channel.basic_publish("", QUEUE, body)
    recovery.begin()
    recovery.until(chaos.idle, figure=BACK)

    check(chaos, once=True)
    # An unknown job and a job of another kind are passed over; all else is a dead letter.
    eventually(lambda: _dead_letters(chaos) - before >= len(forged) - 2)


def _purge(chaos):
    with _channel(chaos) as channel:
        for name in (QUEUE, *topology.LEVEL_NAMES):
            channel.queue_purge(name)


def _dispatched(chaos):
    [row] = chaos.rows(
        "SELECT count(DISTINCT job_id) AS n FROM ifood_job_events"
        " JOIN ifood_jobs ON ifood_jobs.id = job_id"
        " WHERE act = 'dispatch' AND job_day = :day",
        day=chaos.runs[-1][1],
    )
    return row["n"]


def _dead_letters(chaos):
    with _channel(chaos) as channel:
        declared = channel.queue_declare(topology.dead_letter_name(QUEUE), passive=True)
        return declared.method.message_count


def _changed(body, **fields):
    return json.dumps(json.loads(body) | fields).encode()


@contextmanager
def _channel(chaos, url=None):
    connection = pika.BlockingConnection(pika.URLParameters(url or chaos.broker_url))
    try:
        yield connection.channel()
    finally:
        connection.close()
