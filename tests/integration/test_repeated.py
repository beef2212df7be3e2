"""Transactions that real faults of a real Postgres break, and that are done again."""

import signal
from threading import Thread
from uuid import uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from support.clock import eventually
from support.rows import (
    LEASE,
    acts_of,
    claimed_job,
    dispatch,
    make_jobs,
    make_relay,
    row_of,
    waits_for_a_lock,
)

from ifood_actors import db
from ifood_actors.db import connect, driver, repeated, transaction
from ifood_actors.errors import LeaseLost
from ifood_actors.ledger import JobResult, Ledger

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(db, "PAUSES", (0.01, 0.02, 0.03))


@pytest.fixture
def counters(engine):
    """Make a table of two counters, both 0."""
    run(engine, "CREATE TABLE counters (name text PRIMARY KEY, value int NOT NULL DEFAULT 0)")
    run(engine, "INSERT INTO counters (name) VALUES ('a'), ('b')")


def run(engine, statement):
    with transaction(engine) as tx:
        tx.execute(text(statement))


def value(engine, name):
    with transaction(engine) as tx:
        return tx.scalar(text("SELECT value FROM counters WHERE name = :name"), {"name": name})


def increase(tx, name):
    tx.execute(text("UPDATE counters SET value = value + 1 WHERE name = :name"), {"name": name})


class Work:
    """Work that counts its attempts, and lets `spoil` spoil as many as it is told to."""

    def __init__(self, spoil, *, times=1):
        self.attempts = 0
        self._spoil = spoil
        self._times = times

    def __call__(self, tx):
        self.attempts += 1
        increase(tx, "a")
        if self.attempts <= self._times:
            self._spoil(tx)
        return "done"


def end_own_backend(tx):
    tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def end_backend_during_a_copy(tx):
    with driver(tx) as link, link.cursor() as cursor:
        pid = link.info.backend_pid
        with cursor.copy("COPY counters (name) FROM STDIN") as copy:
            copy.write_row(["c"])
            with transaction(tx.engine) as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})


@pytest.mark.usefixtures("counters")
class TestPassingFaults:
    def test_a_connection_that_is_lost_during_a_copy(self, engine):
        work = Work(end_backend_during_a_copy)

        assert repeated(engine, work) == "done"
        assert (work.attempts, value(engine, "a")) == (2, 1)

    def test_a_serialization_failure(self, engine):
        attempts = 0

        def work(tx):
            nonlocal attempts
            attempts += 1
            tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            tx.execute(text("SELECT * FROM counters"))
            if attempts == 1:
                with transaction(engine) as other:
                    increase(other, "a")
            increase(tx, "a")

        repeated(engine, work)

        assert (attempts, value(engine, "a")) == (2, 2)

    def test_a_deadlock(self, engine):
        def other():
            with transaction(engine) as tx:
                tx.execute(text("SET LOCAL deadlock_timeout = '10min'"))  # the work is the victim
                increase(tx, "b")
                increase(tx, "a")

        thread = Thread(target=other)

        def lock_b(tx):
            tx.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
            thread.start()
            eventually(lambda: waits_for_a_lock(engine))
            increase(tx, "b")

        work = Work(lock_b)

        assert repeated(engine, work) == "done"

        thread.join()
        assert (work.attempts, value(engine, "a"), value(engine, "b")) == (2, 2, 1)

    def test_a_connection_that_is_ended_in_the_middle(self, engine):
        work = Work(end_own_backend)

        assert repeated(engine, work) == "done"
        assert (work.attempts, value(engine, "a")) == (2, 1)

    def test_a_server_that_only_reads_is_left_for_the_one_that_the_address_leads_to(
        self, engine, database_url
    ):
        with transaction(engine) as tx:
            name = tx.scalar(text("SELECT current_database()"))
            tx.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
        failed_over = connect(database_url, application_name="failed over")
        with transaction(failed_over) as tx:
            former = tx.scalar(text("SELECT pg_backend_pid()"))
        run(engine, f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        work = Work(lambda _: None, times=0)

        assert repeated(failed_over, work) == "done"

        with transaction(failed_over) as tx:
            assert tx.scalar(text("SELECT pg_backend_pid()")) != former
        assert (work.attempts, value(engine, "a")) == (2, 1)
        failed_over.dispose()


@pytest.mark.usefixtures("counters")
class TestAllOtherFaults:
    def test_a_fault_that_stays_is_raised_after_four_attempts(self, engine):
        work = Work(end_own_backend, times=99)

        with pytest.raises(OperationalError):
            repeated(engine, work)
        assert (work.attempts, value(engine, "a")) == (4, 0)

    def test_a_statement_that_took_its_full_time_is_not_tried_again(self, engine):
        def dawdle(tx):
            tx.execute(text("SET LOCAL statement_timeout = '20ms'"))
            tx.execute(text("SELECT pg_sleep(5)"))

        work = Work(dawdle)

        with pytest.raises(DBAPIError, match="statement timeout"):
            repeated(engine, work)
        assert work.attempts == 1

    def test_what_an_interrupt_broke_is_not_tried_again(self, engine):
        def interrupted(tx):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                end_own_backend(tx)

        work = Work(interrupted)

        with pytest.raises(OperationalError):
            repeated(engine, work)
        assert work.attempts == 1


def test_a_server_that_is_away_is_asked_four_times(caplog):
    engine = connect("postgresql://nobody@127.0.0.1:1/nowhere", application_name="x")

    with pytest.raises(OperationalError):
        repeated(engine, lambda _: None)
    assert caplog.text.count("transaction.repeated") == 3


class TestCommitsWhoseAnswerIsLost:
    """The second time must do no harm; the text of `repeated` says why it does not."""

    @pytest.fixture(autouse=True)
    def lost_answers(self, engine):
        self.left = 0

        def lose(connection):
            if self.left > 0:
                self.left -= 1
                raw = connection.connection.dbapi_connection
                raw.commit()
                raw.close()

        event.listen(engine, "commit", lose)
        engine.update_execution_options(login=None)  # whoever commits does it with this engine

    @pytest.mark.usefixtures("counters")
    def test_what_a_job_stored_is_there_once_and_its_success_stands(self, engine):
        job = claimed_job(engine)
        self.left = 1

        def store(tx):
            increase(tx, "a")
            Ledger(tx, actor="test").succeed(job, result=JobResult())

        with pytest.raises(LeaseLost):
            repeated(engine, store)

        assert value(engine, "a") == 1
        assert row_of(engine, job.id)["status"] == "success"
        assert acts_of(engine, job.id) == ["plan", "dispatch", "claim", "succeed"]

    def test_a_claim_is_charged_once_and_left_to_its_lease(self, engine):
        [job] = make_jobs(engine)
        dispatch(engine, job.id)
        self.left, token = 1, uuid4()

        def claim(tx):
            return Ledger(tx, actor="test").claim(job.id, 1, token=token, lease=LEASE)

        assert repeated(engine, claim) is None
        assert row_of(engine, job.id)["attempts"] == 1

    def test_the_relay_dispatches_once(self, engine):
        [job] = make_jobs(engine)
        sent = []

        class Publisher:
            def enqueue_many(self, messages):
                sent.extend(messages)

        self.left = 1
        make_relay(engine, Publisher()).run()

        assert len(sent) == 1
        assert acts_of(engine, job.id) == ["plan", "dispatch"]


@pytest.mark.usefixtures("counters")
def test_what_an_interrupt_left_to_settle_is_repeated_too(engine):
    """Dramatiq's after-hooks run while the interrupt is being handled; it broke nothing here."""

    def not_serializable(tx):
        tx.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))

    work = Work(not_serializable)
    try:
        raise KeyboardInterrupt  # noqa: TRY301 - it is what is being handled
    except KeyboardInterrupt:
        assert repeated(engine, work) == "done"
    assert work.attempts == 2


@pytest.mark.usefixtures("counters")
def test_what_the_driver_raises_is_an_error_of_sqlalchemy(engine):
    with (
        pytest.raises(IntegrityError, match="duplicate key"),
        transaction(engine) as tx,
        driver(tx) as link,
        link.cursor() as cursor,
        cursor.copy("COPY counters (name) FROM STDIN") as copy,
    ):
        copy.write_row(["a"])

    assert value(engine, "a") == 0
