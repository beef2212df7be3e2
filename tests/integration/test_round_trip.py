"""Statements that travel together: what holds for each of them, and for the connection after."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from uuid import UUID, uuid4

import pytest
from dramatiq.middleware import Shutdown
from dramatiq.middleware.threading import raise_thread_exception
from psycopg.pq import TransactionStatus
from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from support.clock import eventually
from support.rows import LEASE, acts_of, claimed_job, dispatch, make_jobs, row_of, waits_for_a_lock

from ifood_actors.db import connect, repeated, transaction
from ifood_actors.errors import LeaseLost
from ifood_actors.ledger import JobResult, Ledger
from ifood_actors.round_trip import ask, ask_and_commit
from ifood_actors.session import NoAnswer, answering

pytestmark = pytest.mark.services

PID = text("SELECT pg_backend_pid() AS pid")
NOTE = text("INSERT INTO notes (name) VALUES (:name)")
NOTES = text("SELECT name FROM notes ORDER BY name")
ONE_BY_ZERO = text("SELECT 1 / CAST(:by AS int)")


@pytest.fixture(autouse=True)
def notes(engine):
    with transaction(engine) as tx:
        tx.execute(text("CREATE TABLE notes (name text PRIMARY KEY)"))


def noted(engine):
    with transaction(engine) as tx:
        return list(tx.execute(NOTES).scalars())


def pid(engine):
    with transaction(engine) as tx:
        [[row]] = ask(tx, (PID, {}))
        return row["pid"]


def session_of(tx):
    return tx.connection.driver_connection


def fail(engine, work, error=DataError):
    """Do work in a transaction, which must fail; return the error."""
    with pytest.raises(error) as failed, transaction(engine) as tx:
        work(tx)
    return failed.value


def messages(tx, work):
    """Give the names of the messages that libpq sends during `work`."""
    with tempfile.TemporaryFile() as trace:
        session_of(tx).pgconn.trace(trace.fileno())
        work()
        session_of(tx).pgconn.untrace()
        trace.seek(0)
        lines = trace.read().decode().splitlines()
    return [line.split("\t")[3].split()[0] for line in lines if line.split("\t")[1] == "F"]


def test_values_come_and_go_as_with_sqlalchemy(engine):
    values = {
        "id": uuid4(),
        "text": "São Tomé: 'a\\b' :c",
        "number": -7,
        "at": datetime(2026, 11, 30, 22, tzinfo=UTC),
        "span": timedelta(days=2, seconds=3, microseconds=4),
        "nothing": None,
        "ids": [UUID(int=1), UUID(int=2)],
    }
    statement = text("""
        SELECT CAST(:id AS uuid) AS id, CAST(:text AS text) AS text, CAST(:number AS int) AS number,
          CAST(:at AS timestamptz) AS at, CAST(:span AS interval) AS span,
          CAST(:nothing AS text) AS nothing, CAST(:ids AS uuid[]) AS ids
    """)

    with transaction(engine) as tx:
        [[row], empty] = ask(tx, (statement, values), (NOTES, {}))

    assert row == values
    assert empty == []


def test_all_of_it_is_one_round_trip(engine):
    with transaction(engine) as tx:
        ask_and_commit(tx, (NOTE, {"name": "a"}), (PID, {}))  # prepares them
        sent = messages(tx, lambda: ask_and_commit(tx, (NOTE, {"name": "b"}), (PID, {})))

    assert sent.count("Sync") == 1
    assert sent.count("Execute") == 4
    assert noted(engine) == ["a", "b"]


def test_what_follows_a_commit_is_another_transaction(engine):
    def work(tx):
        ask_and_commit(tx, (NOTE, {"name": "kept"}))
        tx.execute(NOTE, {"name": "undone"})
        tx.execute(ONE_BY_ZERO, {"by": 0})

    fail(engine, work)

    assert noted(engine) == ["kept"]


def test_no_commit_follows_a_statement_that_fails(engine):
    def work(tx):
        tx.execute(NOTE, {"name": "before"})
        ask_and_commit(tx, (NOTE, {"name": "with"}), (ONE_BY_ZERO, {"by": 0}))

    fail(engine, work)

    assert noted(engine) == []


def test_a_lost_fence_undoes_what_was_stored_in_the_same_transaction(engine):
    job = claimed_job(engine)
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").snooze(job, after=timedelta(0), reason="another's")

    def store(tx):
        tx.execute(NOTE, {"name": "stored"})
        Ledger(tx, actor="worker").succeed(job, result=JobResult())

    fail(engine, store, LeaseLost)

    assert noted(engine) == []
    assert row_of(engine, job.id)["status"] == "pending"


def test_a_text_that_postgres_cannot_hold_is_refused_whole(engine):
    fail(engine, lambda tx: ask_and_commit(tx, (NOTE, {"name": "a\0b"})))

    assert noted(engine) == []


@pytest.mark.parametrize("undo", ["the transaction", "a savepoint"])
def test_what_psycopg_forgets_after_a_rollback_is_prepared_again(engine, undo):
    def work(tx):
        for _ in range(10):  # often enough for psycopg to prepare something of its own
            tx.execute(NOTES)
        tx.execute(ONE_BY_ZERO, {"by": 0})

    def within(tx):
        with tx.begin_nested():
            work(tx)

    before = pid(engine)
    if undo == "a savepoint":
        with transaction(engine) as tx, pytest.raises(DataError):
            within(tx)
    else:
        fail(engine, work)

    assert pid(engine) == before


def test_an_interrupted_round_trip_leaves_no_answer_to_the_next_one(engine, database_url):
    single = connect(database_url, application_name="single", pool_size=1)
    before, raised = pid(single), []

    def note():
        try:
            with transaction(single) as tx:
                ask_and_commit(tx, (NOTE, {"name": "a"}), (PID, {}))
        except Shutdown as interrupt:
            raised.append(interrupt)

    with transaction(engine) as tx:
        tx.execute(NOTE, {"name": "a"})
        thread = Thread(target=note)
        thread.start()
        eventually(lambda: waits_for_a_lock(engine))
        raise_thread_exception(thread.ident, Shutdown)
        tx.rollback()
    thread.join()

    assert len(raised) == 1
    with transaction(single) as tx:
        [[row]] = ask(tx, (text("SELECT 'mine' AS answer"), {}))
        assert session_of(tx).pgconn.transaction_status == TransactionStatus.INTRANS
    assert row == {"answer": "mine"}
    assert pid(single) != before
    single.dispose()


def test_a_server_that_answers_nothing_is_left(engine):
    former = []

    def work(tx):
        former.append(session_of(tx))
        with answering(former[0], within=0.2):
            ask(tx, (text("SELECT pg_sleep(60)"), {}))

    silence = fail(engine, work, OperationalError)

    assert isinstance(silence.orig, NoAnswer)
    assert silence.connection_invalidated
    assert former[0].closed


def test_a_connection_that_is_ended_is_replaced_and_the_work_repeated(engine):
    tried = []

    def work(tx):
        tried.append(True)
        end = "SELECT pg_terminate_backend(pg_backend_pid())" if len(tried) == 1 else "SELECT true"
        ask_and_commit(tx, (NOTE, {"name": "a"}), (text(end), {}))

    repeated(engine, work)

    assert len(tried) == 2
    assert noted(engine) == ["a"]


def test_a_server_that_only_reads_is_left_with_all_connections(engine):
    with transaction(engine) as other, transaction(engine) as tx:
        former = {ask(each, (PID, {}))[0][0]["pid"] for each in (other, tx)}

    def work(tx):
        tx.execute(text("SET TRANSACTION READ ONLY"))
        ask_and_commit(tx, (NOTE, {"name": "a"}))

    assert fail(engine, work, DBAPIError).connection_invalidated
    assert pid(engine) not in former


class TestClaims:
    def test_a_claim_whose_answer_is_lost_is_found_by_its_token(self, engine):
        [planned], token = make_jobs(engine), uuid4()
        dispatch(engine, planned.id)
        with transaction(engine) as tx:
            claimed = Ledger(tx, actor="worker").claim(planned.id, 1, token=token, lease=LEASE)

        with transaction(engine) as tx:
            ledger = Ledger(tx, actor="worker")
            found = ledger.held(planned.id, token)
            assert found
            assert claimed
            assert replace(found, late=claimed.late) == claimed
            assert ledger.held(planned.id, uuid4()) is None
            assert ledger.held(uuid4(), token) is None

    def test_a_claim_is_not_found_before_it_is_committed_or_given_up(self, engine):
        [planned], token, found = make_jobs(engine), uuid4(), Event()
        dispatch(engine, planned.id)

        def look():
            with transaction(engine) as tx:
                assert Ledger(tx, actor="worker").held(planned.id, token) is None
            found.set()

        with transaction(engine) as tx:
            tx.execute(text("SELECT FROM ifood_jobs WHERE id = :id FOR UPDATE"), {"id": planned.id})
            thread = Thread(target=look)
            thread.start()
            eventually(lambda: waits_for_a_lock(engine))
            assert not found.is_set()
        thread.join()

        assert found.is_set()
        assert acts_of(engine, planned.id) == ["plan", "dispatch"]
