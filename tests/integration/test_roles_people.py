"""People are members of groups, as which nobody logs in; roles.sql takes back what lets them in."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from integration.test_ledger_by_hand import REPAIR
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import make_url, text
from support.logins import GROUPS, ROLES, ROLES_SQL, apply_roles, execute, logged_in
from support.rows import make_jobs

from ifood_actors.db import transaction

pytestmark = pytest.mark.services

OURS = [f"ifood_{name}" for name in (*ROLES, *GROUPS.values())]
Join = Callable[[str], str]


@pytest.fixture(autouse=True)
def whole_again(database_url: str) -> Iterator[None]:
    """Begin with the roles of this database, and leave those of the server as others know them."""
    apply_roles(database_url)
    yield
    apply_roles(database_url)


@pytest.fixture
def join(database_url: str) -> Iterator[Join]:
    """Make a person, a member of a role; gives the URL with which they log in."""
    with ExitStack() as stack:

        def join(role: str) -> str:
            name, password = f"maria_{secrets.token_hex(4)}", secrets.token_hex(8)
            execute(database_url, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            stack.callback(execute, database_url, f"DROP OWNED BY {name}; DROP ROLE {name}")
            execute(database_url, f"GRANT {role} TO {name}")
            url = make_url(database_url).set(username=name, password=password)
            return url.render_as_string(hide_password=False)

        yield join


def told_by_roles_sql(url: str) -> str:
    """Run the file again; gives its notices and warnings."""
    told: list[str] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
        connection.execute(ROLES_SQL.read_bytes())
    return "\n".join(told)


def members_of(url: str, role: str) -> set[str]:
    """Name those who were given a role themselves."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT member::regrole::text FROM pg_auth_members WHERE roleid = %s::regrole", [role]
        ).fetchall()
    return {name for [name] in found}


def name_of(url: str) -> str:
    return str(make_url(url).username)


# --- people -----------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS.values())
@pytest.mark.parametrize("role", ROLES)
def test_nobody_of_a_group_becomes_or_changes_a_login(join, group, role):
    person = join(f"ifood_{group}")

    for attack in (
        f"SET ROLE ifood_{role}",
        f"SET SESSION AUTHORIZATION ifood_{role}",
        f"ALTER ROLE ifood_{role} PASSWORD 'mine'",
        f"SET ROLE ifood_{group}; ALTER ROLE ifood_{role} PASSWORD 'mine'",
        f"ALTER ROLE ifood_{role} SET default_transaction_read_only = on",
        f"SET ROLE ifood_{group}; ALTER ROLE ifood_{role} SET search_path = nowhere",
        f"GRANT ifood_{role} TO ifood_{group}",
    ):
        with pytest.raises(InsufficientPrivilege):
            execute(person, attack)


@pytest.mark.parametrize("group", GROUPS.values())
def test_nobody_logs_in_as_a_group_whatever_password_a_member_gives_it(join, database_url, group):
    person = join(f"ifood_{group}")
    execute(person, f"SET ROLE ifood_{group}; ALTER ROLE ifood_{group} PASSWORD 'mine'")
    url = make_url(person).set(username=f"ifood_{group}", password="mine")

    with pytest.raises(psycopg.OperationalError, match="is not permitted to log in"):
        execute(url.render_as_string(hide_password=False), "SELECT 1")

    assert f"ifood_{group}: its login or password" in told_by_roles_sql(database_url)


def test_the_history_names_the_person_even_in_the_role_of_their_group(join, engine):
    [job] = make_jobs(engine)
    person = join("ifood_operators")

    execute(person, f"SET ROLE ifood_operators; {REPAIR}")
    execute(person, "UPDATE ifood_jobs SET next_retry_at = now()")

    with transaction(engine) as tx:
        rows = tx.execute(
            text("SELECT login, actor FROM ifood_job_events WHERE job_id = :id AND act = 'manual'"),
            {"id": job.id},
        ).all()
    assert {*map(tuple, rows)} == {(name_of(person), name_of(person))}


def test_an_act_names_the_person_even_in_the_role_of_their_group(join, engine):
    person = join("ifood_admins")

    execute(
        person,
        "SET ROLE ifood_admins; INSERT INTO ifood_operator_acts (actor, act) VALUES ('x', 'plan')",
    )

    with transaction(engine) as tx:
        logins = tx.execute(text("SELECT login FROM ifood_operator_acts")).scalars().all()
    assert logins == [name_of(person)]


@pytest.mark.parametrize(("role", "group"), GROUPS.items())
def test_members_of_a_login_become_members_of_its_group_and_are_told(
    join, database_url, role, group
):
    person = join(f"ifood_{role}")

    told = told_by_roles_sql(database_url)

    assert f"{name_of(person)} is a member of ifood_{group} now" in told
    assert members_of(database_url, f"ifood_{role}") == set()
    assert members_of(database_url, f"ifood_{group}") == {f"ifood_{role}", name_of(person)}
    execute(person, "SELECT count(*) FROM ifood_jobs")
    with pytest.raises(InsufficientPrivilege):
        execute(person, f"SET ROLE ifood_{role}")


# --- what roles.sql takes back ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("planted", "member"),
    [
        ("GRANT pg_read_all_data TO ifood_web", "ifood_web"),
        ("GRANT ifood_admin TO ifood_web WITH ADMIN OPTION", "ifood_web"),
        ("GRANT ifood_admins TO ifood_web", "ifood_web"),
        ("GRANT ifood_migrator TO ifood_scheduler", "ifood_scheduler"),
        ("GRANT pg_write_all_data TO ifood_operators", "ifood_operators"),
        ("GRANT ifood_admins TO ifood_operators", "ifood_operators"),
        ("GRANT ifood_operators TO ifood_operator WITH ADMIN OPTION", "ifood_operator"),
    ],
)
def test_a_role_loses_every_membership_but_the_one_of_its_group(database_url, planted, member):
    execute(database_url, planted)

    told = told_by_roles_sql(database_url)

    assert f"{member} is no longer a member of" in told
    with psycopg.connect(database_url) as connection:
        held = connection.execute(
            "SELECT member::regrole::text, roleid::regrole::text, admin_option "
            "FROM pg_auth_members WHERE member::regrole::text = ANY(%s)",
            [OURS],
        ).fetchall()
    assert {*held} == {
        ("ifood_operator", "ifood_operators", False),
        ("ifood_admin", "ifood_admins", False),
    }


@pytest.mark.parametrize("role", ["worker", "migrator", "reader"])
def test_nobody_stays_a_member_of_a_programs_login(join, database_url, role):
    person = join(f"ifood_{role}")

    told = told_by_roles_sql(database_url)

    assert f"{name_of(person)} is no longer a member of ifood_{role}" in told
    assert members_of(database_url, f"ifood_{role}") == set()


def test_a_login_that_broke_itself_is_whole_again(database_url):
    name = make_url(database_url).database
    here = f'IN DATABASE "{name}"'
    worker = logged_in(database_url, "worker")
    execute(worker, f"ALTER ROLE ifood_worker {here} SET search_path = nowhere")
    execute(worker, "ALTER ROLE ifood_worker SET default_transaction_read_only = on")
    touch = "UPDATE ifood_jobs SET status = status WHERE false"
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        execute(worker, touch.replace("ifood", "public.ifood"))

    told = told_by_roles_sql(database_url)

    assert "ifood_worker: its settings {default_transaction_read_only=on}" in told
    assert "ifood_worker: its settings {search_path=nowhere}" in told
    execute(worker, touch)


@pytest.mark.parametrize("role", ["ifood_worker", "ifood_admins"])
def test_a_role_loses_every_attribute_that_is_more_than_a_login(database_url, role):
    more = ("SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS")
    execute(database_url, f"ALTER ROLE {role} {' '.join(more)} NOINHERIT")

    told = told_by_roles_sql(database_url)

    assert f"{role}: its attributes" in told
    with psycopg.connect(database_url) as connection:
        left = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, "
            "NOT rolinherit FROM pg_roles WHERE rolname = %s",
            [role],
        ).fetchone()
    assert left == (False,) * 6


def test_a_run_that_finds_nothing_wrong_says_nothing(database_url):
    assert told_by_roles_sql(database_url) == 'schema "reporting" already exists, skipping'


# --- the database -----------------------------------------------------------------------------


def test_a_stranger_does_not_connect_and_holds_no_lock(join, database_url):
    stranger = join("pg_read_all_settings")

    with pytest.raises(psycopg.OperationalError, match="does not have CONNECT privilege"):
        execute(stranger, "SELECT pg_advisory_lock(1)")

    execute(database_url, f'GRANT ifood_operators TO "{name_of(stranger)}"')
    execute(stranger, "SELECT 1")


def test_nobody_keeps_the_right_to_make_tables_in_the_database(join, database_url):
    person = join("ifood_operators")
    grant = f'GRANT CREATE, TEMPORARY ON DATABASE "{make_url(database_url).database}"'
    execute(database_url, f'{grant} TO "{name_of(person)}" WITH GRANT OPTION')
    making = ("CREATE TEMPORARY TABLE mine (id int)", "CREATE SCHEMA mine")
    for statement in making:
        execute(person, statement)
    execute(person, f"{grant} TO ifood_web; DROP SCHEMA mine")

    told = told_by_roles_sql(database_url)

    assert f"{name_of(person)}: making tables or schemas" in told
    for url, statement in ((person, each) for each in making):
        with pytest.raises(InsufficientPrivilege):
            execute(url, statement)
    with pytest.raises(InsufficientPrivilege):
        execute(logged_in(database_url, "web"), making[0])
