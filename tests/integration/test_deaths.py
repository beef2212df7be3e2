"""Whose jobs a scheduler takes before their leases end: those of dead workers, and no others."""

from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from chaos.proxy import Mode, Proxy, network
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from support.clock import eventually
from support.logins import as_login, logged_in
from support.rows import acts_of, claim, dispatch, make_jobs, must_claim, row_of, unwatched
from support.world import owned_database

from ifood_actors.db import connect, transaction
from ifood_actors.delivery import lifeline
from ifood_actors.delivery.leases import Leases
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.errors import IfoodActorsError
from ifood_actors.ledger import Ledger
from ifood_actors.ledger.claim_tokens import lifeline_of
from ifood_actors.ledger.holders import present_lifelines
from ifood_actors.scheduler import deaths
from ifood_actors.scheduler.deaths import DeathDetector

pytestmark = pytest.mark.services

LEASE = timedelta(hours=1)  # nothing here ends by itself
JITTER = timedelta(minutes=1)
CUTS = 100


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(lifeline, "EVERY", timedelta(seconds=0.05))
    monkeypatch.setattr(deaths, "ABSENT_FOR", timedelta(seconds=0.3))
    monkeypatch.setattr(deaths, "SETTLED_AFTER", timedelta(0))


@pytest.fixture
def detector(engine):
    made = DeathDetector(as_login(engine, "scheduler"), jitter=JITTER, max_attempts=3, actor="s")
    yield made
    made.close()


@pytest.fixture
def proxy(database_url):
    address = make_url(database_url)
    with network() as loop:
        made = Proxy("worker", host=str(address.host), port=int(address.port or 0), loop=loop)
        yield made
        made.close()


@pytest.fixture
def worker_engine(database_url, proxy):
    """Connect as a worker, past a network that can break."""
    own = make_url(logged_in(database_url, "worker"))
    url = own.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
    engine = connect(url, application_name="worker", pool_size=5)
    yield engine
    engine.dispose()


@contextmanager
def living(engine, actor="worker host:1"):
    """Give the leases of a process that lives until `close`."""
    leases = Leases(engine, length=LEASE, actor=actor)
    leases.start()
    yield leases
    leases.close()


@pytest.fixture
def worker(worker_engine):
    with living(worker_engine) as leases:
        yield leases


def claimed(engine, worker):
    """Give a job that the worker has claimed as `execute` does it."""
    [planned] = make_jobs(engine)
    dispatch(engine, planned.id)
    with transaction(as_login(engine, "worker")) as tx:
        token = worker.claim_token()
        job = Ledger(tx, actor=worker.actor).claim(planned.id, 1, lease=LEASE, token=token)
    assert job is not None
    return job


def present(engine, job):
    with transaction(engine) as tx:
        return lifeline_of(job.claim_token) in present_lifelines(tx)


def renewed(engine, job, *, since):
    eventually(lambda: row_of(engine, job.id)["lease_expires_at"] > since)


def taken(detector, *, ticks=None):
    """Look again and again: until a job is taken, or so many times."""
    if ticks is None:
        return eventually(detector.run)
    return sum(detector.run() for _ in range(ticks))


def test_a_dead_workers_job_goes_on_long_before_its_lease_ends(engine, detector, worker):
    job = claimed(engine, worker)
    assert taken(detector, ticks=3) == 0

    worker.close()

    assert taken(detector) == 1
    row = row_of(engine, job.id)
    assert (row["status"], row["attempts"], row["claim_token"]) == ("pending", 1, None)
    assert (row["error_code"], row["last_error"]) == (
        "lease_expired",
        "its worker died: its session ended",
    )
    assert timedelta(0) <= row["next_retry_at"] - row["updated_at"] <= deaths.FIRST_JITTER
    assert acts_of(engine, job.id)[-1] == "rescue"
    assert taken(detector, ticks=3) == 0


def test_a_worker_with_a_lifeline_keeps_its_jobs_though_it_renews_nothing(
    engine, detector, worker, worker_engine
):
    """As one that is frozen: its lease decides."""
    kept = claimed(engine, worker)
    with living(worker_engine, "worker host:2") as other:
        lost = claimed(engine, other)

    assert taken(detector) == 1
    assert row_of(engine, kept.id)["status"] == "running"
    assert row_of(engine, lost.id)["status"] == "pending"


def test_jobs_that_lost_a_worker_before_start_far_apart(engine, detector, worker):
    jobs = [claimed(engine, worker) for _ in range(20)]
    with unwatched(engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET attempts = 2"))
    worker.close()

    assert taken(detector) == 20
    rows = [row_of(engine, job.id) for job in jobs]
    waits = [row["next_retry_at"] - row["updated_at"] for row in rows]
    assert max(waits) - min(waits) > JITTER


def test_a_job_that_killed_its_workers_fails_in_its_last_attempt(engine, detector, worker):
    job = claimed(engine, worker)
    with unwatched(engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET attempts = 3"))
    worker.close()

    assert taken(detector) == 1
    row = row_of(engine, job.id)
    assert (row["status"], row["error_code"]) == ("failed", "lease_expired")


def test_nothing_is_taken_from_a_worker_whose_connections_are_cut_a_hundred_times(
    engine, detector, worker, proxy
):
    """Each tick falls into a moment without the lifeline: none sees it between two cuts."""
    job = claimed(engine, worker)
    with worker.hold(job):
        for _ in range(CUTS):
            before = row_of(engine, job.id)["lease_expires_at"]
            proxy.set(Mode.REFUSE)
            proxy.cut()
            eventually(lambda: not present(engine, job))
            assert detector.run() == 0
            proxy.set(Mode.PASS)
            eventually(lambda: present(engine, job))
            renewed(engine, job, since=before)

    row = row_of(engine, job.id)
    assert (row["status"], row["attempts"], row["claim_token"]) == ("running", 1, job.claim_token)


def test_a_worker_that_is_cut_off_for_long_loses_its_job_to_the_fence(
    engine, detector, worker, proxy
):
    job = claimed(engine, worker)
    with worker.hold(job) as lease:
        proxy.set(Mode.REFUSE)
        proxy.cut()
        assert taken(detector) == 1

        proxy.set(Mode.PASS)
        eventually(lambda: lease.lost)


def test_a_worker_that_gets_no_session_for_its_lifeline_lives_by_its_leases(
    engine, detector, worker, monkeypatch
):
    """As where a limit of connections is reached: those of the pool go on."""
    job = claimed(engine, worker)

    def full(_):
        raise IfoodActorsError("too many connections")

    monkeypatch.setattr(lifeline.Lifeline, "_open", full)
    with transaction(engine) as tx:
        tx.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype='advisory'"))
    with worker.hold(job):
        eventually(lambda: lifeline_of(worker.claim_token()) is None)
        assert not present(engine, job)
        for _ in range(20):
            before = row_of(engine, job.id)["lease_expires_at"]
            assert detector.run() == 0
            renewed(engine, job, since=before)


def test_a_holder_of_a_former_release_is_left_to_its_lease(engine, detector, worker):
    [theirs] = make_jobs(engine)
    dispatch(engine, theirs.id)
    must_claim(engine, theirs.id)
    ours = claimed(engine, worker)
    worker.close()

    assert taken(detector) == 1
    assert row_of(engine, theirs.id)["status"] == "running"
    assert row_of(engine, ours.id)["status"] == "pending"


def test_a_former_release_that_claims_after_us_does_not_pass_for_us(engine, detector, worker):
    job = claimed(engine, worker)
    worker.close()
    taken(detector)
    dispatch(engine, job.id)
    with unwatched(engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET next_retry_at = NULL"))

    assert claim(engine, job.id, dispatch_no=2) is not None
    assert taken(detector, ticks=20) == 0


def test_a_login_that_holds_a_dead_workers_lock_only_leaves_it_to_its_lease(
    engine, detector, worker, database_url
):
    job = claimed(engine, worker)
    worker.close()
    with psycopg.connect(database_url, autocommit=True) as stranger:
        stranger.execute("SELECT pg_advisory_lock(%s)", [lifeline_of(job.claim_token)])
        assert taken(detector, ticks=20) == 0

    assert taken(detector) == 1


def test_ticks_from_before_postgres_restarted_do_not_count(monkeypatch):
    """Then every lifeline is missing at first; only of the dead it stays so."""
    monkeypatch.setattr(deaths, "ABSENT_FOR", timedelta(seconds=2))
    with PrivatePostgres() as server:
        own, _ = owned_database(server, "restarted")
        engine = connect(own, application_name="tests", pool_size=5)
        detector = DeathDetector(engine, jitter=JITTER, max_attempts=3, actor="s")
        with living(engine, "worker host:2") as dead:
            lost = claimed(engine, dead)
        with living(engine) as alive, alive.hold(kept := claimed(engine, alive)):
            assert detector.run() == 0
            server.stop()
            with pytest.raises(DBAPIError):
                detector.run()
            server.start()
            engine.dispose()

            monkeypatch.setattr(deaths, "SETTLED_AFTER", LEASE)
            eventually(lambda: detector.run() == 0 and len(detector._suspicions.held) == 1)
            assert taken(detector, ticks=20) == 0
            detector._settled_at = 0.0
            assert taken(detector) == 1

        assert row_of(engine, lost.id)["status"] == "pending"
        assert row_of(engine, kept.id)["status"] == "running"
        detector.close()
        engine.dispose()
