"""`alerts check`, and a scheduler with addresses, as operators use them."""

from pathlib import Path

import pika
import pytest
from sqlalchemy import Engine, text
from support.clock import eventually
from support.program import NOWHERE_BROKER, Program
from support.servers import webhook

from ifood_actors.broker import LadderBroker
from ifood_actors.db import transaction
from ifood_actors.kinds import KINDS, queue_name

pytestmark = pytest.mark.services


@pytest.fixture
def command(tmp_path: Path, database_url: str, broker_url: str) -> Program:
    return Program(tmp_path, {"IFOOD_DATABASE_URL": database_url, "IFOOD_BROKER_URL": broker_url})


def beat(engine: Engine) -> None:
    with transaction(engine) as tx:
        tx.execute(text("INSERT INTO ifood_schedulers (host, seen_at) VALUES ('host', now())"))


def test_alerts_check_is_0_when_all_is_well_and_1_when_anything_fires(command, engine, broker_url):
    bare = command("alerts", "check", "--json")  # a RabbitMQ without queues
    broker = LadderBroker(broker_url, middleware=[])
    worker = pika.BlockingConnection(pika.URLParameters(broker_url)).channel()
    for kind in KINDS:
        broker.declare_queue(queue_name(kind))
        broker.declare_all()
        worker.basic_consume(queue_name(kind), lambda *_: None)
    well_but_silent = command("alerts", "check", "--json")
    beat(engine)

    well, well_as_json = command("alerts", "check"), command("alerts", "check", "--json")
    broker.channel.basic_publish("", "ifood.sales.XQ", b"dead")
    fires, table = command("alerts", "check", "--json"), command("alerts", "check")
    worker.connection.close()
    broker.close()

    assert bare.code == well_but_silent.code == 1
    assert {found["name"] for found in bare.document} == {"NoWorker", "SchedulerSilent"}
    assert [found["name"] for found in well_but_silent.document] == ["SchedulerSilent"]
    assert (well.code, well.out, well.err) == (0, "", "nothing is wrong\n")
    assert (well_as_json.code, well_as_json.document) == (0, [])
    assert (fires.code, table.code) == (1, 1)
    assert fires.document == [
        {
            "name": "DeadLetters",
            "subject": "ifood.sales.XQ",
            "text": "1 messages could not be taken by any worker",
            "number": "1",
            "limit": "0",
            "manual": "docs/operations.md#dead-letters",
        }
    ]
    assert "docs/operations.md#dead-letters" in table.out


def test_a_threshold_is_a_setting_and_a_wrong_one_is_2(command):
    wrong = command("alerts", "check", IFOOD_ALERT_FAILURE_RATE="0.05")

    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == (
        "ifood-actors: IFOOD_ALERT_FAILURE_RATE: expected a percentage from 0% to 100%, such as 5%,"
        " not '0.05'\n"
    )


def test_a_broker_that_cannot_be_reached_is_3(command):
    away = command("alerts", "check", IFOOD_BROKER_URL=NOWHERE_BROKER)

    assert (away.code, away.out) == (3, "")
    assert away.err.startswith("ifood-actors: RabbitMQ at 127.0.0.1:1 cannot be reached")
    assert "hunter2" not in away.err


def test_an_address_that_nothing_can_be_sent_to_ends_the_start_with_2_and_is_not_shown(command):
    ended = command("scheduler", IFOOD_ALERT_URLS="nonsense://hunter2@host")
    unreadable = command("alerts", "check", IFOOD_ALERT_URLS="hunter2")

    for outcome in (ended, unreadable):
        assert (outcome.code, outcome.out) == (2, "")
        assert "IFOOD_ALERT_URLS" in outcome.err
        assert "hunter2" not in outcome.err


def test_the_scheduler_tells_through_the_addresses_of_its_settings(command, engine):
    with webhook() as hook:
        addresses = f"{hook.url} json://127.0.0.1:1/nobody"
        scheduler = command.piped(
            "scheduler", IFOOD_ALERT_URLS=addresses, IFOOD_WORKER_POLL_INTERVAL_MS="100"
        )
        with transaction(engine) as tx:
            tx.execute(
                text(
                    "INSERT INTO ifood_schedulers (host, seen_at)"
                    " VALUES ('lost', now() - INTERVAL '1 h')"
                )
            )
        try:
            eventually(lambda: hook.about("A scheduler is silent"))
        finally:
            scheduler.terminate()
            _, log = scheduler.communicate(timeout=40)

    assert scheduler.returncode == 0
    assert "SchedulerSilent lost: no sign of life for 1h" in hook.received[0]["message"]
    assert "alert.firing" in log
    assert "alerts.not_delivered" in log
    with transaction(engine) as tx:
        here = tx.execute(text("SELECT stopped_at FROM ifood_schedulers WHERE host <> 'lost'"))
        assert here.scalar_one() is not None
