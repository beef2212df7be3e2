"""The documented way, command by command, with real processes; and a worker that is killed."""

import pika
import pytest
import simplejson
from sqlalchemy import make_url, text
from support.clock import eventually
from support.program import installation
from support.world import MONDAY

from ifood_actors.broker.topology import LEVELS, level_name
from ifood_actors.db import transaction
from ifood_simulator import App, Fault, Settings, running

SECRET = "canary-client-secret-7f3a"


@pytest.fixture
def simulator():
    app = App(name="central", client_secret=SECRET)
    settings = Settings(merchants=50, today=MONDAY, latency_seconds=0.3, apps=(app,))
    with running(settings) as simulator:
        yield simulator


@pytest.fixture
def installed(tmp_path, simulator, database_url, broker_url):
    """Do everything up to the accounts."""
    installed = installation(tmp_path, simulator, database_url=database_url, broker_url=broker_url)
    app = simulator.settings.apps[0]
    installed.run("db", "upgrade")
    installed.run(
        *("apps", "add", app.name, "--client-id", app.client_id, "--kind", "centralized"),
        stdin=SECRET,
    )
    (tmp_path / "accounts.csv").write_text(simulator.accounts_csv())
    installed.run("accounts", "import", "accounts.csv")
    return installed


def plan(installed):
    day = str(MONDAY)
    return installed.json("plan", "sales", "--day", day, "--over", "6s")


def counts(engine):
    with transaction(engine) as tx:
        rows = tx.execute(text("SELECT status, count(*) AS jobs FROM ifood_jobs GROUP BY status"))
        return {row.status: row.jobs for row in rows}


def test_a_killed_worker_costs_no_job_and_no_cent(installed, simulator, engine):
    # One job at least is in work when the worker is killed.
    simulator.add_fault(Fault("slow", resource="sales", seconds=10, times=1))
    plan(installed)
    with installed.process("scheduler"):
        with installed.process("worker") as worker:
            eventually(lambda: counts(engine).get("success", 0) >= 10)
            worker.kill()
        assert counts(engine)["success"] < 50

        with installed.process("worker"):
            eventually(lambda: counts(engine) == {"success": 50})

    begin, end = MONDAY.replace(day=14), MONDAY.replace(day=20)
    for merchant in simulator.merchants():
        served = simplejson.loads(
            simulator.truth("sales", merchant.id, begin, end), use_decimal=True
        )
        with transaction(engine) as tx:
            stored = tx.execute(
                text("SELECT sale_id, raw::text FROM ifood_sales WHERE merchant_id = :id"),
                {"id": merchant.id},
            ).all()
        assert {row.sale_id: simplejson.loads(row.raw, use_decimal=True) for row in stored} == {
            line["item"]["id"]: line["item"] for line in served
        }
        assert len(stored) == len(served)


def test_a_second_plan_plans_nothing_and_a_job_tells_its_story(installed, engine):
    installed.settings["IFOOD_LEASE"] = "60s"  # or a stall of the machine is told, too
    plan(installed)
    again = plan(installed)
    with installed.process("scheduler"), installed.process("worker"):
        eventually(lambda: counts(engine) == {"success": 50})

    assert again["new"] == 0
    [listed] = installed.json("jobs", "list", "--limit", "1")
    story = installed.json("jobs", "show", listed["id"])
    assert [event["act"] for event in story["history"]] == ["plan", "dispatch", "claim", "succeed"]


def test_scheduler_and_worker_end_cleanly_when_told_to(installed):
    with installed.process("scheduler") as scheduler, installed.process("worker") as worker:
        eventually(lambda: "scheduler.started" in installed.logs())
        eventually(lambda: "worker.started" in installed.logs())

        assert scheduler.stop() == 0
        assert worker.stop() == 0


def test_no_secret_is_found_in_logs_tables_or_queues(installed, simulator, engine):
    installed.run("plan", "settlements_weekly", "--over", "30m")  # stays in the queues
    plan(installed)
    with installed.process("scheduler"), installed.process("worker"):
        eventually(lambda: counts(engine).get("success", 0) >= 25)
        bodies = _bodies(installed.settings["IFOOD_BROKER_URL"])

    tokens = set(simulator._simulation.grants._access)
    passwords = {
        make_url(installed.settings[f"IFOOD_{service}_URL"]).password
        for service in ("DATABASE", "BROKER")
    }
    secrets = {SECRET, installed.settings["IFOOD_ENCRYPTION_KEYS"], *tokens, *passwords}
    places = {"logs": installed.logs(), "tables": _tables(engine), "queues": bodies}
    assert len(secrets) >= 5
    for place, content in places.items():
        assert content, place
        assert not [secret for secret in secrets if secret in content], place


def _tables(engine):
    with transaction(engine) as tx:
        names = list(
            tx.execute(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            ).scalars()
        )
        statements = [text(f"SELECT t::text FROM {name} AS t") for name in names]
        return "\n".join(row for each in statements for row in tx.execute(each).scalars())


def _bodies(url):
    """Look at what waits in the ladder, and give it back."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    bodies = []
    for level in range(LEVELS):
        while True:
            method, _, body = channel.basic_get(level_name(level))
            if method is None or body is None:
                break
            bodies.append(body.decode())
    connection.close()
    return "\n".join(bodies)
