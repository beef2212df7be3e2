"""A real PgBouncer, as Debian ships it, between the processes and Postgres."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import psycopg
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from support.program import Program, starting
from support.servers import pgbouncer
from support.world import stand_up

from ifood_actors import session
from ifood_actors.db import connect, transaction
from ifood_actors.errors import UsageError
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services

LENDS = "lends another session to each transaction"


def ask(url):
    engine = connect(url, application_name="tests")
    try:
        with transaction(engine) as tx:
            return tx.scalar(text("SHOW statement_timeout"))
    finally:
        engine.dispose()


def test_a_fleet_works_through_sessions_of_its_own(pgbouncer_program, database_url, broker_url):
    with (
        running(Settings(merchants=20)) as simulator,
        pgbouncer(pgbouncer_program, database_url, default_pool_size=30) as pooled,
        stand_up(simulator, database_url=pooled, broker_url=broker_url) as here,
        here.working(),
    ):
        jobs = here.run("sales")

    assert [(job["status"], job["attempts"]) for job in jobs] == [("success", 1)] * 20


def test_the_next_session_of_a_pooled_server_is_pinned_anew(pgbouncer_program, database_url):
    with pgbouncer(pgbouncer_program, database_url, default_pool_size=1) as pooled:
        assert [ask(pooled), ask(pooled)] == ["1min", "1min"]


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_lends_transactions_is_refused_by_all_that_starts(
    pgbouncer_program, database_url, broker_url, tmp_path, mode
):
    with pgbouncer(pgbouncer_program, database_url, pool_mode=mode) as pooled:
        *others, doctor = starting(tmp_path, pooled, broker_url)

    for told in others:
        assert (told.code, told.err.count("\n")) == (2, 1), told.err
        assert LENDS in told.err
    assert doctor.code != 0
    assert LENDS in doctor.out


@pytest.mark.parametrize(
    "settings",
    [{}, {"default_pool_size": 1}, {"default_pool_size": 3}, {"server_round_robin": 1}],
    ids=str,
)
def test_a_busy_pooler_that_lends_transactions_does_not_pass_for_another(
    pgbouncer_program, database_url, settings
):
    options = {"pool_mode": "transaction", "ignore_startup_parameters": "options", **settings}
    with pgbouncer(pgbouncer_program, database_url, **options) as pooled, neighbours(pooled):
        for _ in range(8):
            with pytest.raises(UsageError, match=LENDS):
                ask(pooled)


def test_a_pooler_that_lends_sessions_passes_while_it_is_busy(pgbouncer_program, database_url):
    with pgbouncer(pgbouncer_program, database_url) as pooled, neighbours(pooled):
        for _ in range(8):
            assert ask(pooled) == "1min"


def test_a_pooler_whose_sessions_are_all_taken_is_no_other(
    pgbouncer_program, database_url, monkeypatch
):
    monkeypatch.setattr(session, "_LOOK_SECONDS", 0.5)
    with (
        pgbouncer(pgbouncer_program, database_url, default_pool_size=1) as pooled,
        capture_logs() as logged,
    ):
        engine = connect(pooled, application_name="tests")
        with transaction(engine) as tx:
            assert tx.scalar(text("SELECT 1 FROM pg_sleep(1)")) == 1  # its patience is as ever
        engine.dispose()

    assert [line["event"] for line in logged] == ["postgres.pooler_full"]


def test_options_in_the_url_are_named_as_what_the_pooler_refuses(
    pgbouncer_program, database_url, tmp_path
):
    with pgbouncer(pgbouncer_program, database_url) as pooled:
        url = f"{pooled}?options=-c%20lock_timeout%3D7s"
        told = Program(tmp_path, {"IFOOD_DATABASE_URL": url})("status")

    assert told.code == 2
    assert "unsupported startup parameter: options: leave it out of IFOOD_DATABASE_URL" in told.err


@contextmanager
def neighbours(url: str, count: int = 4) -> Iterator[None]:
    """Let other programs use the same pooler for the length of the block."""
    ended = Event()

    def work() -> None:
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            while not ended.is_set():
                connection.execute("SELECT pg_sleep(0.001)")

    threads = [Thread(target=work) for _ in range(count)]
    with ExitStack() as end:
        for thread in threads:
            thread.start()
            end.callback(thread.join)
        end.callback(ended.set)
        yield
