"""The tables in any schema, be it the search path that names it or the setting."""

import secrets

import psycopg
import pytest
from integration.test_ledger_by_hand import MONITORING, REPAIR
from sqlalchemy import make_url
from support.clock import eventually
from support.logins import execute, logins
from support.program import Program, installation
from support.world import MONDAY, stand_up

from ifood_actors import migrations
from ifood_actors.db import connect, transaction
from ifood_actors.migrations.comparison import differences_of
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services


@pytest.fixture
def role(empty_database_url):
    """Lend a login that owns nothing yet, in a database of its own."""
    name, password = f"app_{secrets.token_hex(4)}", secrets.token_hex(8)
    execute(empty_database_url, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    database = make_url(empty_database_url).database
    execute(empty_database_url, f'GRANT CREATE ON DATABASE "{database}" TO {name}')
    url = make_url(empty_database_url).set(username=name, password=password)
    yield name, url.render_as_string(hide_password=False)
    execute(empty_database_url, f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def schema_of_its_own(admin, name):
    execute(admin, f"CREATE SCHEMA AUTHORIZATION {name}")
    return name, None


def first_of_the_search_path(admin, name):
    execute(admin, f"CREATE SCHEMA app AUTHORIZATION {name}")
    execute(admin, f"ALTER ROLE {name} SET search_path = nowhere, app, public")
    return "app", None


def named_by_the_setting(_admin, _name):
    return "Grupo São João", "Grupo São João"


@pytest.mark.parametrize(
    "arranged", [schema_of_its_own, first_of_the_search_path, named_by_the_setting]
)
def test_a_fleet_works_in_any_schema(empty_database_url, broker_url, role, arranged):
    name, url = role
    home, setting = arranged(empty_database_url, name)
    assert migrations.upgrade(url, schema=setting) == migrations.REVISIONS
    with (
        running(Settings(merchants=5, today=MONDAY)) as simulator,
        stand_up(
            simulator, database_url=url, broker_url=broker_url, database_schema=setting
        ) as here,
        here.working(),
    ):
        jobs = [job for kind in ("sales", "settlements_weekly") for job in here.run(kind)]
        with transaction(here.engine) as tx:
            assert differences_of(tx) == []

    assert [(job["status"], job["attempts"]) for job in jobs] == [("success", 1)] * 10
    with psycopg.connect(url, options=f"-c search_path={make_safe(home)}") as person:
        for question in MONITORING:
            person.execute(question)
        person.execute("UPDATE ifood_jobs SET status = 'failed'")
        assert person.execute(REPAIR).rowcount == 10
        told = person.execute("SELECT count(*) FROM ifood_job_events WHERE act = 'manual'")
        assert told.fetchone() == (20,)
        weeks = person.execute("SELECT count(*) FROM reporting.weeks").fetchone()
        assert weeks is not None
        assert weeks[0] > 0
        found = person.execute(
            "SELECT DISTINCT nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind = 'r' AND nspname !~ '^(pg_|information_schema)'"
        )
        assert found.fetchall() == [(home,)]


def make_safe(name):
    return '"' + name.replace(" ", "\\ ") + '"'


def test_whoever_does_not_find_the_tables_makes_no_second_system(
    tmp_path, role, empty_database_url
):
    name, url = role
    migrations.upgrade(url, schema="app")
    execute(empty_database_url, f"CREATE SCHEMA AUTHORIZATION {name}")

    for command in (["db", "upgrade"], ["status"], ["doctor"]):
        told = Program(tmp_path, {"IFOOD_DATABASE_URL": url})(*command)
        assert told.code != 0
        assert "set IFOOD_DATABASE_SCHEMA=app" in told.out + told.err
    engine = connect(url, application_name="tests", schema="app")
    with transaction(engine) as tx:
        assert migrations.pending(tx) == []
    engine.dispose()


def test_a_role_that_may_make_no_tables_is_told_so(tmp_path, role, empty_database_url):
    name, url = role
    execute(empty_database_url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE SCHEMA theirs")
    alone = Program(tmp_path, {"IFOOD_DATABASE_URL": url})

    for schema in ("public", "theirs"):
        told = alone("db", "upgrade", IFOOD_DATABASE_SCHEMA=schema)
        assert told.code == 2
        assert f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {name}" in told.err


def test_a_search_path_that_leads_nowhere_is_named(tmp_path, role, empty_database_url):
    name, url = role
    execute(empty_database_url, f"ALTER ROLE {name} SET search_path = nowhere")

    told = Program(tmp_path, {"IFOOD_DATABASE_URL": url})("db", "upgrade")

    assert told.code == 2
    assert "no schema of the search path" in told.err
    assert "IFOOD_DATABASE_SCHEMA" in told.err


def test_the_roles_find_the_tables_in_any_schema(tmp_path, empty_database_url, broker_url):
    migrations.upgrade(empty_database_url, schema="app")
    login = logins(empty_database_url)
    with running(Settings(merchants=4, today=MONDAY)) as simulator:
        programs = {}
        for each in ("migrator", "scheduler", "worker", "admin", "operator"):
            (tmp_path / each).mkdir()
            urls = {"database_url": login(each), "broker_url": broker_url}
            programs[each] = installation(tmp_path / each, simulator, **urls)
        admin = programs["admin"]
        app = simulator.settings.apps[0]
        add = ("apps", "add", app.name, "--client-id", app.client_id, "--kind", app.kind)
        admin.run(*add, stdin=app.client_secret)
        (admin.folder / "accounts.csv").write_text(simulator.accounts_csv())
        admin.run("accounts", "import", "accounts.csv")
        admin.run("plan", "sales", "--day", str(MONDAY), "--over", "1s")
        programs["migrator"].run("db", "check")
        with programs["scheduler"].process("scheduler"), programs["worker"].process("worker"):
            eventually(lambda: jobs_of(login("operator")) == [("success", 4)])
        with psycopg.connect(login("operator")) as person:
            assert person.execute("UPDATE ifood_jobs SET status = 'pending'").rowcount == 4


def jobs_of(url):
    with psycopg.connect(url) as person:
        return person.execute("SELECT status, count(*) FROM ifood_jobs GROUP BY status").fetchall()
