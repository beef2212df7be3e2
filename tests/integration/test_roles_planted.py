"""roles.sql runs as a superuser where others may make things, and runs nothing that they made."""

import re
import secrets
from collections.abc import Iterator, Sequence
from itertools import product

import psycopg
import pytest
from sqlalchemy import make_url
from support.logins import ROLES_SQL, apply_roles, execute

pytestmark = pytest.mark.services

# An exact match of types wins over what Postgres would have to convert for.
TYPES = ("text", "name", "oid", "regclass", "regrole", "regnamespace", "regprocedure", "boolean")
PAIRS = tuple(product(TYPES, TYPES))
ARGUMENTS = ((), *((one,) for one in TYPES), *PAIRS, *(("text", *pair) for pair in PAIRS))
BODY = "LANGUAGE plpgsql AS $$ BEGIN RAISE 'planted code runs as %', current_user; END $$"


@pytest.fixture
def stranger(empty_database_url: str) -> Iterator[str]:
    """Give the URL of a user who could make things before roles.sql was run."""
    name, password = f"stranger_{secrets.token_hex(4)}", secrets.token_hex(8)
    execute(empty_database_url, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    execute(empty_database_url, f"GRANT ALL ON SCHEMA public TO {name}")
    url = make_url(empty_database_url).set(username=name, password=password)
    yield url.render_as_string(hide_password=False)
    execute(empty_database_url, f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def names_in_the_file(url: str) -> tuple[list[str], list[str]]:
    """Give the functions and the operators of Postgres that the file uses."""
    statements = re.sub(r"--.*|'[^']*'", "''", ROLES_SQL.read_text())
    called = sorted({*re.findall(r"([a-z_]+)\(", statements)})
    symbols = sorted({*re.findall(r"[<>=|~!]+", statements)} | {"~~"})  # LIKE
    with psycopg.connect(url) as connection:
        functions = connection.execute(
            "SELECT DISTINCT proname FROM pg_proc WHERE proname = ANY(%s)", (called,)
        ).fetchall()
        operators = connection.execute(
            "SELECT DISTINCT oprname FROM pg_operator WHERE oprname = ANY(%s)", (symbols,)
        ).fetchall()
    return [name for [name] in functions], [name for [name] in operators]


def planting(schema: str, functions: Sequence[str], operators: Sequence[str]) -> Iterator[str]:
    """Give statements that make each function and operator once for each choice of types."""
    yield f"CREATE SCHEMA IF NOT EXISTS {schema}"
    for name, types in product(functions, ARGUMENTS):
        yield f"CREATE FUNCTION {schema}.{name}({', '.join(types)}) RETURNS text {BODY}"
    for left, right in PAIRS:
        yield f"CREATE FUNCTION {schema}.planted({left}, {right}) RETURNS boolean {BODY}"
        for name in operators:
            yield (
                f"CREATE OPERATOR {schema}.{name}"
                f" (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {schema}.planted)"
            )


def test_what_the_migrator_plants_is_never_run_by_a_superuser(login, database_url):
    functions, operators = names_in_the_file(database_url)
    assert {"format", "quote_ident", "set_config", "current_schema"} <= {*functions}
    assert {"=", "<>", "~~"} <= {*operators}
    superuser = make_url(database_url).username  # whose own schema is first in the search path
    for schema in ("public", f'"{superuser}"'):
        execute(login("migrator"), ";".join(planting(schema, functions, operators)))
    with pytest.raises(psycopg.errors.RaiseException, match="planted code runs as"):
        execute(database_url, "SELECT format('%I', CAST('x' AS name))")

    apply_roles(database_url)


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE VIEW ifood_all AS SELECT 1 AS secret",
        "CREATE FUNCTION ifood_act() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_nobody_has_the_migrator_own_what_they_made(empty_database_url, stranger, planted):
    execute(stranger, planted)

    with pytest.raises(psycopg.errors.RaiseException, match="belongs to stranger_"):
        execute(empty_database_url, ROLES_SQL.read_text())


def test_a_procedure_of_the_migrator_stops_nothing(login, database_url):
    execute(login("migrator"), "CREATE PROCEDURE ifood_odd(x int) LANGUAGE sql AS 'SELECT 1'")

    apply_roles(database_url)


def test_a_temporary_table_is_not_taken_for_the_history(database_url):
    with psycopg.connect(database_url, autocommit=True) as somebody:
        somebody.execute("CREATE TEMPORARY TABLE ifood_job_events (id int)")

        apply_roles(database_url)
