"""What a database, a role or a client sets for other programs changes nothing for this one."""

import secrets
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import make_url, text
from support.program import Program, starting
from support.world import stand_up

from ifood_actors.db import connect, transaction
from ifood_actors.session import PATIENCE, STYLE, Sessions
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services

ODD = {
    "intervalstyle": "iso_8601",
    "datestyle": "German",
    "timezone": "America/Sao_Paulo",
    "standard_conforming_strings": "off",
    "client_encoding": "LATIN1",
    "bytea_output": "escape",
    "extra_float_digits": "0",
    "statement_timeout": "1s",
}


def alter(url, change):
    with psycopg.connect(url, autocommit=True) as connection:
        name = make_url(url).database
        connection.execute(f'ALTER DATABASE "{name}" {change}'.encode())


def command(folder, url):
    return Program(folder, {"IFOOD_DATABASE_URL": url})


@pytest.mark.parametrize(
    "change",
    [
        "SET intervalstyle = 'iso_8601'",
        "SET intervalstyle = 'sql_standard'",
        "SET datestyle = 'SQL, DMY'",
        "SET datestyle = 'German'",
    ],
)
def test_styles_of_a_database_stop_no_fleet(database_url, broker_url, tmp_path, change):
    alter(database_url, change)
    with (
        running(Settings(merchants=5)) as simulator,
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as here,
        here.working(),
    ):
        jobs = here.run("sales")
    doctor = command(tmp_path, database_url)("doctor")

    assert [(job["status"], job["attempts"]) for job in jobs] == [("success", 1)] * 5
    assert "session          ok" in doctor.out


def test_a_session_is_pinned_whatever_its_database_says(database_url, monkeypatch):
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    for name, value in ODD.items():
        alter(database_url, f"SET {name} = '{value}'")
    engine = connect(database_url, application_name="tests")

    with transaction(engine) as tx:
        shown = {name: tx.scalar(text(f"SHOW {name}")) for name in (*STYLE, *PATIENCE)}
        echoed = tx.scalar(text("SELECT CAST(:name AS text)"), {"name": "Açaí 🍇"})
    engine.dispose()

    assert shown == {**STYLE, **dict.fromkeys(PATIENCE, "1min"), "lock_timeout": "30s"}
    assert echoed == "Açaí 🍇"


def test_what_is_pinned_outlives_a_transaction_that_is_rolled_back(database_url):
    alter(database_url, "SET intervalstyle = 'iso_8601'")
    engine = connect(database_url, application_name="tests", pool_size=1)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.rollback()
        assert connection.scalar(text("SHOW intervalstyle")) == "postgres"
    engine.dispose()


def test_a_session_costs_one_round_trip_and_a_transaction_none(database_url, monkeypatch):
    asked, begin = [], Sessions._begin

    def counted(self, at):
        asked.append(at)
        return begin(self, at)

    monkeypatch.setattr(Sessions, "_begin", counted)
    engine = connect(database_url, application_name="tests", pool_size=1)
    for _ in range(5):
        with transaction(engine) as tx:
            tx.execute(text("SELECT 1"))
    engine.dispose()

    assert len(asked) == 1


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_name_is_refused_by_all_that_starts(
    postgres_server, broker_url, tmp_path, encoding
):
    with encoded(postgres_server.url, encoding) as url:
        *others, doctor = starting(tmp_path, url, broker_url)
        with psycopg.connect(url) as connection:
            tables = connection.execute(
                "SELECT count(*) FROM pg_tables WHERE tablename ~ '^(ifood|alembic)'"
            ).fetchone()

    for told in others:
        assert (told.code, told.err.count("\n")) == (2, 1), told.err
        assert f"is encoded in {encoding}" in told.err
        assert "createdb --template=template0 --encoding=UTF8 --locale=C" in told.err
    assert f"is encoded in {encoding}" in doctor.out
    assert tables == (0,)


def test_a_server_that_only_reads_is_named_by_doctor(database_url, tmp_path):
    alter(database_url, "SET default_transaction_read_only = on")

    doctor = command(tmp_path, database_url)("doctor")

    assert doctor.code != 0
    assert "which only reads; name the one that writes" in doctor.out


def test_a_schema_in_which_everybody_may_make_things_is_told_by_doctor(database_url, tmp_path):
    doctor = command(tmp_path, database_url)
    before = doctor("doctor")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")

    after = doctor("doctor")

    told = "every login may make things in public; run infra/postgres/roles.sql"
    assert told not in before.out
    assert told in after.out


@contextmanager
def encoded(server_url, encoding):
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C' ENCODING '{encoding}'".encode()
        )
        try:
            yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
