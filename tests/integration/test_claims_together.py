"""Claims of several threads in one transaction: what holds for each, whatever the others do."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from uuid import UUID, uuid4

import pytest
from dramatiq.middleware import Shutdown
from dramatiq.middleware.threading import raise_thread_exception
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from support.clock import eventually
from support.logins import as_login
from support.rows import (
    GRACE,
    LEASE,
    acts_of,
    dispatch,
    make_jobs,
    must_claim,
    row_of,
    unwatched,
    waits_for_a_lock,
)

from ifood_actors.db import transaction
from ifood_actors.delivery.claims import Claims
from ifood_actors.delivery.leases import Leases
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.ledger import ClaimedJob, Ledger, claim_each

pytestmark = pytest.mark.services

CLAIMED = ["plan", "dispatch", "claim"]


class Batches:
    """Counts the claims of each batch, and keeps the first batch waiting until it is let go."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims
        self.sizes: list[int] = []
        self.goes = Event()
        self.claim_each = claim_each
        self._threads = ThreadPoolExecutor(max_workers=20)

    def __call__(self, tx, asked, **values):
        self.sizes.append(len(asked))
        if len(self.sizes) == 1:
            self.goes.wait()
            return claim_each(tx, asked, **values)
        return self.claim_each(tx, asked, **values)

    def claim(self, job_id: UUID, number: int = 1) -> "Future[ClaimedJob | None]":
        return self._threads.submit(self.claims.claim, JobMessage(job_id, number), uuid4())

    def fill(self, *asked: tuple[UUID, int]) -> "list[Future[ClaimedJob | None]]":
        """Have claims wait behind the first batch, so that they are the second; let both go."""
        futures = self.fill_up(*asked)
        self.goes.set()
        return futures

    def fill_up(self, *asked: tuple[UUID, int]) -> "list[Future[ClaimedJob | None]]":
        self.claim(uuid4())
        eventually(lambda: self.sizes == [1])
        futures = [self.claim(*each) for each in asked]
        eventually(lambda: self.waiting() == len(asked))
        return futures

    def waiting(self) -> int:
        return self.claims._together._requests.qsize()

    def close(self) -> None:
        self.goes.set()
        self._threads.shutdown()
        self.claims.close()


@pytest.fixture
def batches(engine, monkeypatch) -> Iterator[Batches]:
    worker = as_login(engine, "worker")
    claims = Claims(worker, Leases(worker, length=LEASE, actor="worker"))
    batches = Batches(claims)
    monkeypatch.setattr("ifood_actors.delivery.claims.claim_each", batches)
    claims.start()
    yield batches
    batches.close()


@pytest.fixture
def jobs(engine):
    """Five jobs whose messages are sent."""
    ids = [job.id for job in make_jobs(engine, 5)]
    dispatch(engine, *ids)
    return ids


def firsts(ids):
    return [(job_id, 1) for job_id in ids]


def results(futures):
    return [future.result() for future in futures]


def claimed_once(engine, ids):
    rows = [row_of(engine, job_id) for job_id in ids]
    assert {(row["status"], row["attempts"], row["lease_no"]) for row in rows} == {
        ("running", 1, 1)
    }
    assert [acts_of(engine, job_id) for job_id in ids] == [CLAIMED] * len(ids)
    return rows


def test_what_is_asked_for_meanwhile_is_one_batch_and_each_has_its_own_claim(engine, batches, jobs):
    found = results(batches.fill(*firsts(jobs)))

    assert batches.sizes == [1, 5]
    rows = claimed_once(engine, jobs)
    assert [job.id for job in found] == jobs
    assert [job.claim_token for job in found] == [row["claim_token"] for row in rows]
    assert len({job.claim_token for job in found}) == 5
    assert len({row["lease_expires_at"] for row in rows}) == 1


def test_a_claim_that_has_no_company_waits_for_none(engine, batches, jobs):
    batches.goes.set()

    for job_id in jobs:
        assert batches.claim(job_id).result().id == job_id

    assert batches.sizes == [1] * 5
    claimed_once(engine, jobs)


def test_a_claim_in_a_batch_is_as_the_same_claim_alone(engine, batches):
    [one, other] = make_jobs(engine, 2)
    dispatch(engine, one.id, other.id)
    alone = must_claim(engine, one.id)

    [together] = results(batches.fill((other.id, 1)))

    differ = {"id", "account_id", "merchant_id", "claim_token", "late"}
    first, second = [
        {name: value for name, value in vars(job).items() if name not in differ}
        for job in (alone, together)
    ]
    assert first == second
    assert (together.account_id, together.merchant_id) == (other.account_id, other.merchant_id)
    rows = [row_of(engine, job.id) for job in (one, other)]
    differ |= {"wake_at", "lease_expires_at", "locked_at", "updated_at", "dispatched_at"}
    differ |= {"created_at"}
    first, second = [
        {name: value for name, value in row.items() if name not in differ} for row in rows
    ]
    assert first == second


def test_what_cannot_be_claimed_costs_the_others_of_its_batch_nothing(engine, batches, jobs):
    good, stale, running, disabled, twice = jobs
    [early] = make_jobs(engine)
    dispatch(engine, early.id)
    other = must_claim(engine, running)
    with transaction(engine) as tx:
        tx.execute(
            text("UPDATE accounts SET active = false WHERE id = :id"),
            {"id": row_of(engine, disabled)["account_id"]},
        )
    with unwatched(engine) as tx:
        tx.execute(
            text("UPDATE ifood_jobs SET scheduled_for = now() + INTERVAL '1 h' WHERE id = :id"),
            {"id": early.id},
        )

    asked = [(good, 1), (stale, 0), (stale, 2), (running, 1), (disabled, 1), (early.id, 1)]
    found = results(batches.fill(*asked, (uuid4(), 1), (twice, 1), (twice, 1)))

    assert batches.sizes == [1, 9]
    assert found[0].id == good
    assert found[1:7] == [None] * 6
    assert sorted(job is None for job in found[7:]) == [False, True]
    claimed_once(engine, [good, twice])
    assert row_of(engine, stale)["status"] == "pending"
    assert row_of(engine, running)["claim_token"] == other.claim_token
    assert row_of(engine, disabled)["status"] == "cancelled"
    assert acts_of(engine, early.id) == ["plan", "dispatch"]


def test_a_job_that_another_transaction_has_locked_keeps_no_other_waiting(engine, batches, jobs):
    locked, *others = jobs
    with capture_logs() as logged, transaction(engine) as tx:
        tx.execute(text("SELECT FROM ifood_jobs WHERE id = :id FOR UPDATE"), {"id": locked})
        first, *rest = batches.fill(*firsts(jobs))
        assert [job.id for job in results(rest)] == others
        eventually(lambda: waits_for_a_lock(engine))
        assert not first.done()

    assert first.result().id == locked
    claimed_once(engine, jobs)
    assert [line for line in logged if line["event"] == "batch.failed"] == []


def test_a_dispatch_that_is_not_committed_yet_is_waited_for(engine, batches):
    ids = [job.id for job in make_jobs(engine, 3)]
    with transaction(as_login(engine, "scheduler")) as tx:
        Ledger(tx, actor="relay").dispatch(ids, grace=GRACE)
        futures = batches.fill(*firsts(ids))
        eventually(lambda: waits_for_a_lock(engine))
        assert not any(future.done() for future in futures)

    assert [job.id for job in results(futures)] == ids
    claimed_once(engine, ids)


def test_a_job_that_is_at_odds_with_its_history_is_parked_alone(engine, batches, jobs):
    odd, *others = jobs
    with unwatched(engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET event_no = 0 WHERE id = :id"), {"id": odd})

    with capture_logs() as logged:
        found = results(batches.fill(*firsts(jobs)))

    assert found[0] is None
    assert [job.id for job in found[1:]] == others
    claimed_once(engine, others)
    assert row_of(engine, odd)["status"] == "pending"
    assert [line["job_id"] for line in logged if line["event"] == "job.parked"] == [str(odd)]
    assert [line["size"] for line in logged if line["event"] == "batch.failed"] == [5]


@pytest.mark.parametrize("commits", [True, False])
def test_each_finds_its_own_claim_when_the_connection_is_lost_in_the_commit(
    engine, batches, jobs, commits
):
    """The commit takes place, or does not, and nobody hears of it."""

    def unheard(tx, asked, **values):
        if commits:
            claim_each(tx, asked, **values)
        raise DBAPIError(None, None, ConnectionError(), connection_invalidated=True)

    batches.claim_each = unheard
    found = results(batches.fill(*firsts(jobs)))

    assert batches.sizes == [1, 5]
    assert [job.id for job in found] == jobs
    rows = claimed_once(engine, jobs)
    assert [job.claim_token for job in found] == [row["claim_token"] for row in rows]


def test_a_batch_whose_session_is_ended_is_claimed_one_by_one(engine, batches, jobs):
    def ended(tx, _, **__):
        tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    batches.claim_each = ended

    assert [job.id for job in results(batches.fill(*firsts(jobs)))] == jobs
    claimed_once(engine, jobs)


def test_the_interrupt_of_one_thread_costs_no_other_its_claim_and_comes_after_its_own(
    engine, batches, jobs
):
    """It comes while the thread waits, so that what it raises is raised when the job is claimed."""
    mine, *others = jobs
    token, raised = uuid4(), []

    def interrupted():
        try:
            batches.claims.claim(JobMessage(mine, 1), token)
        except Shutdown as interrupt:
            raised.append(interrupt)

    thread = Thread(target=interrupted)
    futures = batches.fill_up(*firsts(others))
    thread.start()
    eventually(lambda: batches.waiting() == 5)
    raise_thread_exception(thread.ident, Shutdown)
    batches.goes.set()
    thread.join()

    assert len(raised) == 1
    assert [job.id for job in results(futures)] == others
    claimed_once(engine, jobs)
    with transaction(as_login(engine, "worker")) as tx:
        assert Ledger(tx, actor="worker").held(mine, token)


def test_who_waits_at_the_end_is_answered(engine, batches, jobs):
    """As when Postgres answers so late that a stopping worker no longer waits for its threads."""
    futures = batches.fill_up(*firsts(jobs))
    ending = Thread(target=batches.claims.close)
    ending.start()
    eventually(lambda: batches.waiting() == len(jobs) + 1)
    batches.goes.set()

    assert [job.id for job in results(futures)] == jobs
    ending.join()
    assert not batches.claims._together._thread.is_alive()
    claimed_once(engine, jobs)


def test_after_the_end_each_claims_alone(engine, batches, jobs):
    batches.goes.set()
    batches.claims.close()

    assert [job.id for job in results([batches.claim(job_id) for job_id in jobs])] == jobs

    assert batches.sizes == []
    claimed_once(engine, jobs)
