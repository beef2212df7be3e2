"""docs/rights.md: what each login may read and write, column by column, so that a change shows."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import namedtuple_row
from support.logins import GROUPS, ROLES

pytestmark = pytest.mark.services

HOLDERS = [f"ifood_{GROUPS.get(role, role)}" for role in ROLES[1:]]
PAGE = Path(__file__).parents[2] / "docs" / "rights.md"
INTRODUCTION = """# What each login may do

These are [the roles](operations.md#give-each-process-its-own-login) of Postgres.
A test writes this page from what they have, so a person who widens a right changes it here too.

`ifood_migrator` is not on it: it owns all tables, views and functions.
`ifood_operator` is a member of `ifood_operators`, and `ifood_admin` of `ifood_admins`.
They may do what each member may, such as a person, and have no right of their own.
No other login may make, empty, or change a table, or hang a trigger on one.
"""
# Whatever a column allows, a table and the schema it is in do.
COLUMNS = """
    SELECT role, relation.oid::regclass::text AS relation, relkind IN ('v', 'm') AS is_view,
      attname AS column,
      has_column_privilege(role, relation.oid, attnum, 'SELECT') AS reads,
      has_column_privilege(role, relation.oid, attnum, 'INSERT') AS adds,
      has_column_privilege(role, relation.oid, attnum, 'UPDATE') AS changes,
      has_table_privilege(role, relation.oid, 'DELETE') AS deletes
    FROM unnest(%(roles)s::text[]) AS role, pg_class AS relation JOIN pg_attribute ON attrelid = oid
    WHERE relnamespace IN ('public'::regnamespace, 'reporting'::regnamespace)
      AND relkind IN ('r', 'p', 'v', 'm') AND attnum > 0 AND NOT attisdropped
      AND has_schema_privilege(role, relnamespace, 'USAGE')
    ORDER BY is_view, relation, attname
"""
FUNCTIONS = """
    SELECT role, oid::regprocedure::text AS signature
    FROM unnest(%(roles)s::text[]) AS role, pg_proc
    WHERE pronamespace = 'public'::regnamespace AND has_function_privilege(role, oid, 'EXECUTE')
    ORDER BY signature
"""
# What nobody but the owner has: rights on whole tables, on schemas, on the database, on sequences.
ELSE = """
    SELECT role, relation.oid::regclass::text AS what, wanted
    FROM unnest(%(roles)s::text[]) AS role, pg_class AS relation,
      unnest('{TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS wanted
    WHERE relkind IN ('r', 'p', 'v', 'm') AND has_table_privilege(role, relation.oid, wanted)
      AND relnamespace IN ('public'::regnamespace, 'reporting'::regnamespace)
    UNION ALL
    SELECT role, oid::regclass::text, wanted FROM unnest(%(roles)s::text[]) AS role, pg_class,
      unnest('{USAGE,SELECT,UPDATE}'::text[]) AS wanted
    WHERE relkind = 'S' AND has_sequence_privilege(role, oid, wanted)
      AND relnamespace IN ('public'::regnamespace, 'reporting'::regnamespace)
    UNION ALL
    SELECT role, nspname, 'CREATE' FROM unnest(%(roles)s::text[]) AS role, pg_namespace
    WHERE has_schema_privilege(role, oid, 'CREATE')
    UNION ALL
    SELECT role, current_database(), wanted FROM unnest(%(roles)s::text[]) AS role,
      unnest('{CREATE,TEMPORARY}'::text[]) AS wanted
    WHERE has_database_privilege(role, current_database(), wanted)
"""


@pytest.mark.usefixtures("login")
def test_the_page_shows_every_right_of_every_login(database_url, tmp_path):
    with psycopg.connect(database_url) as connection:
        text = "\n".join([INTRODUCTION, *page(connection)])

    fresh = tmp_path / "rights.md"
    fresh.write_text(text)
    assert PAGE.read_text() == text, f"look at what has changed, then: cp {fresh} {PAGE}"


@pytest.mark.usefixtures("login")
def test_nobody_but_the_owner_has_any_other_right(database_url):
    with psycopg.connect(database_url) as connection:
        assert rows(connection, ELSE) == []


@pytest.mark.usefixtures("login")
def test_the_logins_of_commands_have_no_right_but_those_of_their_group(database_url):
    with psycopg.connect(database_url) as connection:
        own = connection.execute(
            "SELECT DISTINCT refobjid::regrole::text FROM pg_shdepend, pg_database "
            "WHERE datname = current_database() AND pg_database.oid IN (dbid, objid) "
            "AND refobjid::regrole::text LIKE 'ifood%%' AND refclassid = 'pg_authid'::regclass"
        ).fetchall()

    assert {name for [name] in own} == {"ifood_migrator", *HOLDERS}


def page(connection) -> Iterator[str]:
    columns, functions = rows(connection, COLUMNS), rows(connection, FUNCTIONS)
    for role in HOLDERS:
        own = [each for each in columns if each.role == role]
        yield f"## `{role}`\n"
        yield "| table or view | reads | adds | changes | deletes |"
        yield "| --- | --- | --- | --- | --- |"
        for relation in dict.fromkeys(each.relation for each in own):
            of = [each for each in own if each.relation == relation]
            cells = [cell(of, right) for right in ("reads", "adds", "changes")]
            cells.append("rows" if of[0].deletes else "")
            if any(cells):
                yield f"| `{relation}` | {' | '.join(cells)} |".replace("|  ", "| ")
        called = [each.signature for each in functions if each.role == role]
        yield ""
        if called:
            yield f"It may call {', '.join(f'`{each}`' for each in called)}.\n"


def cell(of, right: str) -> str:
    """Name the columns with a right, or those without it when these are fewer."""
    held = [each.column for each in of if getattr(each, right)]
    others = [each.column for each in of if not getattr(each, right)]
    if not held or not others:
        return "all" if held else ""
    if len(others) < len(held):
        return "all but " + ", ".join(f"`{column}`" for column in others)
    return ", ".join(f"`{column}`" for column in held)


def rows(connection, statement: str):
    cursor = connection.cursor(row_factory=namedtuple_row)
    return cursor.execute(statement, {"roles": HOLDERS}).fetchall()
