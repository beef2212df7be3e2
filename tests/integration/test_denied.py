"""A login that lacks a right: who ends with 2, who alarms, and what people read."""

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from support.clock import PATIENCE_SECONDS
from support.logins import as_login
from support.program import Program, installation
from support.rows import make_jobs
from support.world import MONDAY, stand_up

from ifood_actors.alerts import evaluate
from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.figures import FIGURES, LEDGER_UP, RULES
from ifood_actors.web.collector import LedgerGauges
from ifood_simulator import Settings as World
from ifood_simulator import Simulator, running

pytestmark = pytest.mark.services

REMEDY = "this login lacks a right: run infra/postgres/roles.sql again, as after each `db upgrade`"


@pytest.fixture(scope="module")
def simulator():
    with running(World(merchants=2, today=MONDAY)) as simulator:
        yield simulator


def deny(engine, right: str, role: str) -> None:
    with transaction(engine) as tx:
        tx.execute(text(f"REVOKE {right} FROM ifood_{role}"))


def test_a_command_ends_with_2_and_says_what_to_run(tmp_path, engine, database_url):
    deny(engine, "SELECT ON ifood_runs", "operators")

    told = Program(tmp_path, {"IFOOD_DATABASE_URL": database_url})("status")

    assert told.code == 2
    assert told.told.endswith(f": permission denied for table ifood_runs: {REMEDY}")


def test_a_scheduler_that_may_not_watch_ends_with_2_since_nobody_would_be_told(
    tmp_path, engine, database_url, broker_url, simulator: Simulator
):
    deny(engine, "SELECT ON ifood_left_out", "scheduler")
    urls = {"database_url": database_url, "broker_url": broker_url}
    scheduler = installation(tmp_path, simulator, **urls).start("scheduler")

    code = scheduler.process.wait(PATIENCE_SECONDS)

    said = (tmp_path / "scheduler.log").read_text()
    assert code == 2
    assert '"process.failed"' in said.splitlines()[-1]
    assert f"permission denied for table ifood_left_out: {REMEDY}" in said.splitlines()[-1]


def test_a_workers_job_fails_at_once_and_the_alert_tells_which_right_is_missing(
    simulator: Simulator, database_url, broker_url
):
    with stand_up(simulator, database_url=database_url, broker_url=broker_url) as ifood:
        deny(ifood.engine, "INSERT ON ifood_sales", "worker")
        with capture_logs() as logged, ifood.working():
            jobs = ifood.run("sales")
        with transaction(ifood.engine) as tx:
            [rule] = [rule for rule in RULES if rule.name == "RightMissing"]
            [found] = evaluate(tx, None, ifood.settings, rules=[rule]).firing

    assert [(job["status"], job["error_code"], job["attempts"]) for job in jobs] == [
        ("failed", "right_missing", 1)
    ] * 2
    denied = [each["reason"] for each in logged if each["event"] == "worker.denied"]
    assert denied == [f"permission denied for table ifood_sales: {REMEDY}"] * 2
    assert (found.subject, found.number) == ("worker", "2")
    assert found.text == f"permission denied for table ifood_sales: {REMEDY}"


def test_the_web_process_serves_the_other_gauges_and_says_what_it_may_not_read(engine):
    make_jobs(engine)
    deny(engine, "SELECT ON accounts", "web")
    wanted = [each for each in FIGURES if each.name in {"ifood_accounts", "ifood_jobs"}]

    with capture_logs() as logged:
        read = LedgerGauges(as_login(engine, "web"), Settings(), wanted=wanted).read()

    assert {family.name: family.samples[-1].value for family in read}[LEDGER_UP[0]] == 0
    assert "ifood_jobs" in {family.name for family in read}
    assert [(each["log_level"], each["reason"]) for each in logged] == [
        ("error", f"permission denied for table accounts: {REMEDY}")
    ]
