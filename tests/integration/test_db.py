"""Connections that die, on a real Postgres."""

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from ifood_actors import db, session
from ifood_actors.cli.work.database import open_database
from ifood_actors.config import Settings
from ifood_actors.db import address, connect, require_reachable, transaction
from ifood_actors.errors import ServiceUnavailable


def backend(engine):
    with transaction(engine) as tx:
        return tx.scalar(text("SELECT pg_backend_pid()"))


def terminate(engine, pid):
    with transaction(engine) as tx:
        assert tx.scalar(text("SELECT pg_terminate_backend(:pid, 50000)"), {"pid": pid})


def test_a_connection_that_died_while_idle_is_replaced_before_use(
    engine, database_url, monkeypatch
):
    monkeypatch.setattr(db, "_PING_AFTER", timedelta(0))
    idling = connect(database_url, application_name="idling")
    former = backend(idling)
    terminate(engine, former)

    assert backend(idling) != former
    idling.dispose()


def test_a_connection_in_steady_use_is_the_same_one(database_url):
    engine = connect(database_url, application_name="steady")

    assert backend(engine) == backend(engine)
    engine.dispose()


def test_the_url_overrules_the_time_outs(database_url):
    url = f"{database_url}?tcp_user_timeout=4321&options=-c%20lock_timeout%3D7s"
    engine = connect(url, application_name="patient")

    with engine.connect() as connection:
        shown = [
            connection.scalar(text(f"SHOW {name}"))
            for name in ("lock_timeout", "statement_timeout")
        ]
        driver = connection.connection.driver_connection
        assert driver
        socket = driver.info.get_parameters()
    engine.dispose()
    assert shown == ["7s", "1min"]
    assert (socket["tcp_user_timeout"], socket["keepalives_idle"]) == ("4321", "10")


def test_an_unreachable_server_is_named_without_its_password():
    engine = connect("postgresql://someone:canary@127.0.0.1:1/db", application_name="x")

    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1/db") as raised:
        require_reachable(engine)
    assert "canary" not in str(raised.value)


def test_a_server_that_answers_nothing_is_given_up_and_its_connection_dropped(
    database_url, monkeypatch
):
    engine = connect(database_url, application_name="impatient")
    former = backend(engine)

    with monkeypatch.context() as impatient:
        impatient.setattr(session.TimedConnection, "answer_seconds", 2)
        with pytest.raises(OperationalError) as raised, transaction(engine) as tx:
            tx.execute(text("SELECT pg_sleep(30)"))

    assert raised.value.connection_invalidated
    assert backend(engine) != former
    engine.dispose()


def test_the_folder_of_a_socket_is_a_host(postgres_server, database_url):
    if postgres_server.private is None:
        pytest.skip("the socket is in another container")
    url = make_url(database_url)
    folder = str(postgres_server.private.sockets).replace("/", "%2F")
    login = f"{url.username}:{url.password}"
    engine = connect(
        f"postgresql://{login}@{folder}:{url.port}/{url.database}", application_name="socket"
    )

    with transaction(engine) as tx:
        assert tx.scalar(text("SELECT inet_server_addr() IS NULL"))
    assert address(engine) == f"{postgres_server.private.sockets}:{url.port}/{url.database}"
    engine.dispose()


def test_a_statement_that_an_interrupt_broke_is_an_interrupt(database_url):
    broken = psycopg.OperationalError("another command is already in progress")
    broken.__context__ = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt), open_database(Settings(database_url=database_url)):
        raise broken
