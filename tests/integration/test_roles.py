"""infra/postgres/roles.sql: every process works with its own login, and none can do more."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, time, timedelta
from threading import Event

import httpx
import psycopg
import pytest
from integration.test_ledger_by_hand import MONITORING, REPAIR
from psycopg.errors import InsufficientPrivilege, UndefinedFunction, UndefinedTable
from sqlalchemy import Engine, make_url, text
from support.clock import eventually
from support.distributed import BOOKSHOP, authorize, expire, link, stored
from support.logins import Login, apply_roles, execute
from support.program import Program, installation
from support.rows import (
    GRACE,
    HORIZON,
    acts_of,
    backdate,
    claim,
    claimed_job,
    dispatch,
    make_accounts,
    make_app,
    make_jobs,
    must_claim,
    row_of,
)
from support.world import KEY, MONDAY

from ifood_actors import config, migrations
from ifood_actors.db import connect, transaction
from ifood_actors.feeds import FEEDS
from ifood_actors.ifood.http.transport import Answer, http_client
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.tokens import Cipher
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import JobResult, Ledger
from ifood_actors.operator_acts import latest, note
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_actors.scheduler.retention import Retention
from ifood_actors.web.collector import LedgerGauges
from ifood_simulator import App, Fault, Settings, Simulator, running

pytestmark = pytest.mark.services

AT_NINE = datetime.combine(MONDAY, time(9), tzinfo=UTC)


@pytest.fixture
def stranger(empty_database_url: str) -> Iterator[str]:
    """Give the URL of a user who may do what PUBLIC may, in a database without roles.sql."""
    database_url = empty_database_url
    migrations.upgrade(database_url)
    name, password = f"stranger_{secrets.token_hex(4)}", secrets.token_hex(8)
    execute(database_url, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    url = make_url(database_url).set(username=name, password=password)
    yield url.render_as_string(hide_password=False)
    execute(database_url, f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@pytest.fixture
def as_role(login: Login) -> Iterator[Callable[[str], Engine]]:
    with ExitStack() as stack:

        def as_role(role: str) -> Engine:
            engine = connect(login(role), application_name="tests", pool_size=2)
            stack.callback(engine.dispose)
            return engine

        yield as_role


# --- what must work ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    apps = (App(name="central"), BOOKSHOP)
    settings = Settings(merchants=6, today=MONDAY, latency_seconds=0.05, apps=apps)
    with running(settings) as simulator:
        yield simulator


def test_a_fleet_works_with_a_login_for_each_process(
    tmp_path, simulator, database_url, broker_url, login, engine
):
    def program(role: str) -> Program:
        folder = tmp_path / role
        folder.mkdir(exist_ok=True)
        urls = {"database_url": login(role), "broker_url": broker_url}
        return installation(folder, simulator, **urls, IFOOD_BACKOFF_BASE="1s")

    execute(database_url, "DROP SCHEMA public, reporting CASCADE; CREATE SCHEMA public")
    apply_roles(database_url)
    program("migrator").run("db", "upgrade")
    apply_roles(database_url)
    program("migrator").run("db", "check")
    admin, operator = program("admin"), program("operator")
    for app in simulator.settings.apps:
        add = ("apps", "add", app.name, "--client-id", app.client_id, "--kind", app.kind)
        admin.run(*add, stdin=app.client_secret)
    (admin.folder / "accounts.csv").write_text(simulator.accounts_csv())
    admin.run("accounts", "import", "accounts.csv")
    identity = authorize_bookshop(login("admin"), simulator)
    expire(engine)
    for kind in FEEDS:
        admin.run("plan", kind, "--day", str(MONDAY), "--over", "4s")

    simulator.add_fault(Fault("cut", resource="sales", times=1))
    later = {"Retry-After": "1"}
    simulator.add_fault(Fault("status", resource="sales", status=429, headers=later, times=1))
    scheduler, worker = program("scheduler"), program("worker")
    with scheduler.process("scheduler"):
        with worker.process("worker") as killed:
            # A token that is being renewed would die with it: only its owner could give another.
            eventually(lambda: stored(engine, identity, "expires_at > now()"))
            eventually(lambda: succeeded(engine) > 0)
            killed.kill()
        with worker.process("worker"):
            eventually(lambda: succeeded(engine) == 18)

    assert "denied" not in scheduler.logs() + worker.logs()
    assert "failed" not in worker.run("doctor").out
    march = ["--from", "2026-03-01", "--to", "2026-03-31"]
    reading = (["status"], ["jobs", "list"], ["errors"], ["report"], ["export", "sales", *march])
    for command in (*reading, ["accounts", "list"]):
        operator.run(*command)
    assert "NoWorker" in operator.run("alerts", "check", code=1).out
    admin.run("jobs", "requeue", "--failed")
    admin.run("apps", "tokens")


def authorize_bookshop(url: str, simulator: Simulator):
    engine = connect(url, application_name="tests", pool_size=2)
    stores = [store.id for store in simulator.merchants() if store.app == BOOKSHOP]
    with http_client(threads=1) as http:
        identity = authorize(engine, simulator, http, stores, cipher=Cipher([KEY]))
    link(engine, identity, stores)
    engine.dispose()
    return identity


def succeeded(engine: Engine) -> int:
    with transaction(engine) as tx:
        statement = "SELECT count(*) FROM ifood_jobs WHERE status = 'success'"
        return int(tx.execute(text(statement)).scalar_one())


def test_a_worker_may_end_a_job_in_every_way(as_role, engine):
    worker = as_role("worker")
    after = timedelta(seconds=1)

    def settled(act, **arguments):
        job = claimed_job(engine)
        with transaction(worker) as tx:
            getattr(Ledger(tx, actor="worker"), act)(job, **arguments)
        return acts_of(engine, job.id)[-1]

    assert settled("succeed", result=JobResult(rows=1)) == "succeed"
    assert settled("retry", after=after, error_code="server_fault", reason="503") == "retry"
    assert settled("snooze", after=after, reason="429") == "snooze"
    assert settled("fail", error_code="rejected", reason="400") == "fail"


def test_a_worker_may_claim_renew_send_away_and_cancel(as_role, engine):
    worker = as_role("worker")
    app_id = make_app(engine)
    claimed, sent_away, disabled = make_jobs(engine, 3, app_id=app_id)
    dispatch(engine, claimed.id, sent_away.id, disabled.id)
    with transaction(engine) as tx:
        off = text("UPDATE accounts SET active = false WHERE id = :id")
        tx.execute(off, {"id": disabled.account_id})

    job = must_claim(worker, claimed.id)
    with transaction(worker) as tx:
        ledger = Ledger(tx, actor="worker")
        renewed = ledger.renew([job], lease=timedelta(seconds=9))
        cooldowns = {app_id: timedelta(seconds=9)}
        ledger.snooze_unclaimed(sent_away.id, 1, cooldowns=cooldowns, reason="cooldown")
    refused = claim(worker, disabled.id)

    assert (renewed, refused) == ({job.claim_token}, None)
    assert acts_of(engine, sent_away.id)[-1] == "snooze"
    assert row_of(engine, disabled.id)["status"] == "cancelled"


def test_a_scheduler_may_plan_a_run_and_complete_one_that_a_person_began(as_role, engine):
    [store, *_] = make_accounts(engine, 3)
    opening = Opening("sales", MONDAY, AT_NINE, AT_NINE + timedelta(hours=1))
    with transaction(engine) as tx:
        name = tx.execute(text("SELECT name FROM accounts WHERE id = :id"), {"id": store}).scalar()
    planner.plan(
        engine, planner.PlanRequest(opening, config.Settings(), only=[str(name)]), actor="ana"
    )

    planned = planner.plan(
        as_role("scheduler"), planner.PlanRequest(opening, config.Settings()), actor="scheduler"
    )

    with transaction(engine) as tx:
        runs = tx.execute(text("SELECT created_by, complete, planned FROM ifood_runs")).all()
    assert planned.new == 2
    assert runs == [("scheduler", True, 3)]


def test_a_scheduler_may_dispatch_hold_probe_and_rescue(as_role, engine):
    scheduler = as_role("scheduler")
    app_id = make_app(engine)
    [first, second] = make_jobs(engine, 2, app_id=app_id)
    spent, saved = claimed_job(engine), claimed_job(engine)
    for job in (spent, saved):
        past = timedelta(minutes=5)
        backdate(engine, job.id, wake_at=past, lease_expires_at=past)

    with transaction(scheduler) as tx:
        ledger = Ledger(tx, actor="scheduler")
        due = {job.id for job in ledger.due(limit=10, kinds=KINDS, excluded_apps=[app_id])}
        probe = ledger.probe(app_id, kinds=KINDS)
        ledger.dispatch([first.id], grace=GRACE)
        ledger.hold([second.id], horizon=HORIZON)
        ledger.rescue([saved.id], reason="over")
        ledger.rescue_as_failed([spent.id], reason="over")

    assert due == {spent.id, saved.id}
    assert probe is not None
    assert probe.id in {first.id, second.id}
    assert [row_of(engine, job.id)["status"] for job in (saved, spent)] == ["pending", "failed"]


def test_commands_change_what_they_are_for(tmp_path, login, engine):
    command = Program(
        tmp_path,
        {
            "IFOOD_DATABASE_URL": login("admin"),
            "IFOOD_ENCRYPTION_KEYS": KEY,
            "IFOOD_CLIENT_SECRET": "invented",
        },
    )
    add = ["apps", "add", "central", "--client-id", "c", "--kind", "centralized"]
    app_id = make_app(engine, "central")
    [job] = make_jobs(engine, app_id=app_id)
    with transaction(engine) as tx:
        replaced = "INSERT INTO ifood_authorizations (app_id, name) VALUES (:app_id, 'old')"
        tx.execute(text(replaced), {"app_id": app_id})

    done = command.each(
        [
            ["jobs", "cancel", str(job.id)],
            ["jobs", "requeue", str(job.id)],
            ["accounts", "disable", job.merchant_id],
            ["accounts", "enable", job.merchant_id],
            ["jobs", "show", str(job.id)],
            add,
        ]
    )

    assert [outcome.code for outcome in done] == [0] * len(done), done
    assert acts_of(engine, job.id) == ["plan", "cancel", "requeue"]
    with transaction(engine) as tx:
        left = latest(tx, since=None, limit=100)
    assert {act.login for act in left} == {"ifood_admin"}
    assert left[0].act == "apps add"


@pytest.mark.parametrize("role", ["scheduler", "worker", "admin"])
def test_whoever_asks_ifood_may_use_the_whole_limiter(as_role, engine, role):
    limiter = Limiter(as_role(role), rates={"financial": 180})
    app_id = make_app(engine)

    limiter.acquire(app_id, "financial", max_wait=timedelta(seconds=1))
    limiter.failed(app_id, "financial")
    for status in (200, 429):
        limiter.heed(app_id, "financial", Answer(status, httpx.Headers(), b""))
    limiter.cool_down(app_id, "financial", after=timedelta(seconds=30), reason="429")

    assert limiter.cooldowns("financial").keys() == {app_id}


def test_a_person_repairs_with_the_five_statements_and_the_history_names_them(login, engine):
    job = claimed_job(engine)
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").fail(job, error_code="server_fault", reason="503")
    for statement in (*MONITORING, REPAIR):
        execute(login("operator"), statement)

    with transaction(engine) as tx:
        last = tx.execute(
            text("SELECT act, actor FROM ifood_job_events WHERE job_id = :id ORDER BY event_no"),
            {"id": job.id},
        ).all()[-1]
        due = Ledger(tx, actor="relay").due(limit=10, kinds=KINDS)
    assert tuple(last) == ("manual", "ifood_operator")
    assert [each.id for each in due] == [job.id]


def test_the_web_process_reads_all_its_gauges(as_role, engine):
    make_jobs(engine, 2, app_id=make_app(engine))

    read = LedgerGauges(as_role("web"), config.Settings()).read()

    up = {family.name: family.samples[0].value for family in read if "up" in family.name}
    assert up == {"ifood_ledger_up": 1}


def test_reports_read_every_view(login, engine):
    with transaction(engine) as tx:
        found = "SELECT table_name FROM information_schema.views WHERE table_schema = 'reporting'"
        views = list(tx.execute(text(found)).scalars())

    assert len(views) >= 9
    for view in views:
        execute(login("reader"), f"SELECT * FROM reporting.{view}")


def test_the_file_may_be_run_again_and_takes_back_what_is_not_in_it(login, database_url, engine):
    make_accounts(engine)
    execute(database_url, "GRANT DELETE, SELECT (name), UPDATE (name) ON accounts TO ifood_reader")
    execute(database_url, "GRANT USAGE ON SCHEMA public TO ifood_reader")
    execute(login("reader"), "SELECT name FROM accounts")

    apply_roles(database_url)

    refused(login("reader"), "SELECT name FROM accounts")
    refused(login("reader"), "UPDATE accounts SET name = 'x'")
    refused(login("reader"), "DELETE FROM accounts")
    execute(database_url, "GRANT SELECT ON accounts TO ifood_reader")
    refused(login("reader"), "SELECT name FROM accounts")  # of the schema it has nothing either


def test_rights_to_make_things_are_taken_back_too(login, database_url):
    name = make_url(database_url).database
    execute(database_url, f'GRANT ALL ON DATABASE "{name}" TO ifood_reader')
    execute(database_url, "GRANT ALL ON SCHEMA public, reporting TO ifood_reader")
    making = ("TEMPORARY TABLE mine", "TABLE public.mine", "TABLE reporting.mine")
    for what in making:
        execute(login("reader"), f"CREATE {what} (id int)")
    execute(login("reader"), "CREATE SCHEMA mine; DROP TABLE public.mine, reporting.mine")

    apply_roles(database_url)

    for what in making:
        refused(login("reader"), f"CREATE {what} (id int)")
    refused(login("reader"), "CREATE SCHEMA mine_too")


# --- what must not ----------------------------------------------------------------------------

EVERYBODY = ("scheduler", "worker", "web", "operator", "admin", "reader")
NOT_FORGETTING = tuple(role for role in EVERYBODY if role != "scheduler")
NOT_ADMIN = tuple(role for role in EVERYBODY if role != "admin")
NO_SECRETS = ("web", "operator", "reader")
ONE_EVENT = """INSERT INTO ifood_job_events (job_id, event_no, at, act, to_status, attempt, actor)
VALUES (gen_random_uuid(), 1, now(), 'succeed', 'success', 1, 'forged')"""
PLANTED = "LANGUAGE sql AS 'SELECT current_user::text'"
FORBIDDEN = [
    (EVERYBODY, "UPDATE ifood_job_events SET actor = 'x'"),
    (EVERYBODY, "UPDATE ifood_operator_acts SET actor = 'x'"),
    (EVERYBODY, "TRUNCATE ifood_operator_acts"),
    (EVERYBODY, "ALTER TABLE ifood_operator_acts DISABLE TRIGGER ALL"),
    (EVERYBODY, "INSERT INTO ifood_operator_acts (at, actor, act) VALUES (now(), 'x', 'plan')"),
    (EVERYBODY, "INSERT INTO ifood_operator_acts (login, actor, act) VALUES ('x', 'x', 'plan')"),
    (NOT_FORGETTING, "DELETE FROM ifood_operator_acts"),
    (NOT_ADMIN, "INSERT INTO ifood_operator_acts (actor, act) VALUES ('x', 'plan')"),
    (("scheduler", "worker", "reader"), "SELECT actor FROM ifood_operator_acts"),
    (NOT_FORGETTING, "DELETE FROM ifood_job_events"),
    (NOT_FORGETTING, "DELETE FROM ifood_record_versions"),
    (NOT_FORGETTING, "SELECT ifood_forget_raw('ifood_sales', '2020-01-01', 0, 1)"),
    (EVERYBODY, "TRUNCATE ifood_job_events"),
    (EVERYBODY, "DELETE FROM ifood_jobs"),
    (EVERYBODY, "DELETE FROM ifood_sales"),
    (EVERYBODY, "DELETE FROM accounts"),
    (EVERYBODY, "UPDATE ifood_record_versions SET raw = '{}'"),
    (("web", "operator", "admin", "reader"), "DELETE FROM ifood_rejected_items"),
    (EVERYBODY, "ALTER TABLE ifood_job_events DISABLE TRIGGER ALL"),
    (EVERYBODY, "CREATE TABLE public.mine (id int)"),
    (EVERYBODY, "CREATE TABLE reporting.mine (id int)"),
    (EVERYBODY, "CREATE TEMPORARY TABLE mine (id int)"),
    (EVERYBODY, "CREATE SCHEMA mine"),
    # What the triggers would find instead of Postgres's own, and run with their owner's rights.
    (EVERYBODY, f"CREATE FUNCTION public.format(text, regclass) RETURNS text {PLANTED}"),
    (EVERYBODY, f"CREATE FUNCTION reporting.format(text, regclass) RETURNS text {PLANTED}"),
    (EVERYBODY, f"CREATE FUNCTION pg_temp.format(text, regclass) RETURNS text {PLANTED}"),
    (EVERYBODY, "CREATE OPERATOR public.= (LEFTARG = regclass, RIGHTARG = oid, FUNCTION = oideq)"),
    (("web", "operator", "reader"), ONE_EVENT),
    (NO_SECRETS, "SELECT client_secret_encrypted FROM ifood_apps"),
    (NO_SECRETS, "SELECT access_token_encrypted FROM ifood_authorizations"),
    (NO_SECRETS, "SELECT refresh_token_encrypted FROM ifood_authorizations"),
    (NO_SECRETS, "UPDATE ifood_apps SET client_secret_encrypted = 'mine'"),
    (("worker",), "SELECT reason FROM ifood_job_events"),
    (("worker",), "SELECT * FROM ifood_runs"),
    (("worker",), "SELECT * FROM ifood_record_versions"),
    (("worker",), "INSERT INTO ifood_jobs (job_type) VALUES ('sales')"),
    (("worker",), "UPDATE ifood_jobs SET dispatch_no = 1"),
    (("worker", "operator"), "UPDATE ifood_jobs SET account_id = gen_random_uuid()"),
    (("worker", "scheduler"), "UPDATE accounts SET active = true"),
    (("worker", "scheduler"), "UPDATE ifood_apps SET client_id = 'mine'"),
    (("worker", "scheduler"), "DELETE FROM ifood_authorizations"),
    (("worker", "scheduler"), "SELECT cnpj FROM accounts"),
    (("worker", "scheduler"), "UPDATE ifood_authorizations SET app_id = gen_random_uuid()"),
    (("worker", "scheduler"), "UPDATE ifood_authorizations SET name = 'mine'"),
    (("scheduler",), "INSERT INTO ifood_jobs (status) VALUES ('success')"),
    (("web",), "SELECT raw FROM ifood_sales"),
    (("web",), "SELECT id FROM ifood_settlements"),
    (("web",), "SELECT id FROM ifood_anticipations"),
    (("web",), "SELECT id FROM ifood_record_versions"),
    (("web",), "SELECT raw FROM ifood_rejected_items"),
    (("web",), "SELECT reason FROM ifood_rejected_items"),
    (("scheduler",), "SELECT * FROM ifood_sales"),
    (("scheduler",), "UPDATE ifood_sales SET raw = NULL"),
    (("scheduler",), "SELECT raw FROM ifood_record_versions"),
    (("scheduler",), "SELECT raw FROM ifood_rejected_items"),
    (("scheduler",), "UPDATE ifood_jobs SET result = '{}'"),
    (("scheduler",), "UPDATE ifood_jobs SET lease_no = 1"),
    (("operator",), "UPDATE ifood_jobs SET event_no = 1"),
    (("operator",), "UPDATE ifood_jobs SET lease_no = 1"),
    (("web",), "UPDATE ifood_jobs SET status = 'pending'"),
]


def refused(url: str, statement: str) -> None:
    # What lies in a schema that a role may not use does not even exist for it.
    with pytest.raises((InsufficientPrivilege, UndefinedTable, UndefinedFunction)):
        execute(url, statement)


def test_what_a_role_need_not_do_is_refused(login):
    for roles, statement in FORBIDDEN:
        for role in roles:
            refused(login(role), statement)


def test_reports_read_no_table(login, engine):
    with transaction(engine) as tx:
        found = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = list(tx.execute(found).scalars())

    assert len(tables) >= 12
    for table in tables:
        refused(login("reader"), f"SELECT * FROM {table}")


def test_nobody_borrows_the_trigger_to_forge_history(login, database_url):
    """It writes with the migrator's rights, whatever table it is hung on."""
    execute(database_url, "CREATE SCHEMA mine; GRANT ALL ON SCHEMA mine TO ifood_operator")
    execute(login("operator"), "CREATE TABLE mine.jobs (LIKE ifood_jobs)")

    for function in ("ifood_notice_manual_change", "ifood_notice_manual_insert"):
        refused(
            login("operator"),
            "CREATE TRIGGER forge BEFORE INSERT ON mine.jobs FOR EACH ROW "
            f"EXECUTE FUNCTION {function}()",
        )


def test_the_scheduler_forgets_what_is_old_and_nothing_else(login, engine):
    claimed_job(engine)
    settings = config.Settings.model_validate({"keep_versions": "90d", "keep_raw": "90d"})
    scheduler = connect(login("scheduler"), application_name="forgetting")

    Retention(scheduler, settings, stopping=Event()).run()
    scheduler.dispose()

    with pytest.raises(psycopg.errors.RaiseException, match="append-only, until 90 days"):
        execute(login("scheduler"), "DELETE FROM ifood_job_events")
    with pytest.raises(psycopg.errors.RaiseException, match="90 days at least"):
        execute(login("scheduler"), "SELECT ifood_forget_raw('ifood_sales', now(), 0, 1)")


def test_not_even_without_these_roles_is_the_trigger_borrowed(stranger):
    with pytest.raises(InsufficientPrivilege, match="function ifood_notice_manual_change"):
        execute(
            stranger,
            "CREATE TEMPORARY TABLE jobs (id int); CREATE TRIGGER forge BEFORE INSERT ON jobs "
            "FOR EACH ROW EXECUTE FUNCTION ifood_notice_manual_change()",
        )


def test_even_the_owner_cannot_change_history_by_mistake(login, engine):
    claimed_job(engine)

    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        execute(login("migrator"), "DELETE FROM ifood_job_events")


def test_neither_the_owner_nor_who_forgets_can_change_an_operators_act(login, engine):
    with transaction(engine) as tx:
        note(tx, "apps add", actor="cli maria@host")

    for role, change in (
        ("migrator", "UPDATE ifood_operator_acts SET actor = 'cli joao@host'"),
        ("migrator", "DELETE FROM ifood_operator_acts"),
        ("migrator", "TRUNCATE ifood_operator_acts"),
        ("scheduler", "DELETE FROM ifood_operator_acts"),
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            execute(login(role), change)
    execute(login("operator"), "SELECT * FROM ifood_operator_acts")
    execute(login("web"), "SELECT * FROM ifood_operator_acts")
