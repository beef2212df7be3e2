"""One job that is at odds with its history stops no other, is told of, and can be mended."""

from datetime import timedelta
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs
from support.logins import execute
from support.rows import (
    DAY,
    HORIZON,
    LEASE,
    acts_of,
    backdate,
    claim,
    claimed_job,
    deliver,
    dispatch,
    make_accounts,
    make_jobs,
    make_relay,
    row_of,
    unwatched,
)

from ifood_actors.alerts import evaluate
from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.figures import RULES
from ifood_actors.ledger import Ledger, NewJob, NewRun
from ifood_actors.scheduler.relay import BATCH, MovedJobs
from ifood_actors.scheduler.retention import Retention

pytestmark = pytest.mark.services

# What a restore, an old fault, or a superuser without triggers may leave behind.
ODDS = {
    "number behind its history": "UPDATE ifood_jobs SET event_no = 0 WHERE id = :id",
    "number ahead of its history": "UPDATE ifood_jobs SET event_no = 9 WHERE id = :id",
    "another status": "UPDATE ifood_job_events SET to_status = 'failed' WHERE job_id = :id",
    "no history": "DELETE FROM ifood_job_events WHERE job_id = :id",
}
every_odds = pytest.mark.parametrize("odds", ODDS)


class Noted:
    """A publisher that takes everything."""

    def enqueue_many(self, messages):
        list(messages)


@pytest.fixture
def relay(engine):
    return make_relay(engine, Noted())


def put_at_odds(engine: Engine, job_id: UUID, odds: str = "number behind its history") -> None:
    with unwatched(engine) as tx:
        tx.execute(text(ODDS[odds]), {"id": job_id})


def parked(logged) -> list[str]:
    return [line["job_id"] for line in logged if line["event"] == "job.parked"]


def told(engine: Engine) -> list[str]:
    """Ask as any scheduler does, also one that has just started."""
    rules = [rule for rule in RULES if rule.name == "HistoryAtOdds"]
    with transaction(engine) as tx:
        return [found.text for found in evaluate(tx, None, Settings(), rules=rules).firing]


def done(engine: Engine, act: str, *arguments: object, **values: object):
    with transaction(engine) as tx:
        return getattr(Ledger(tx, actor="test"), act)(*arguments, **values)


@every_odds
def test_299_of_300_go_and_the_next_ticks_do_not_even_look_at_the_one(engine, relay, odds):
    jobs = make_jobs(engine, 300)
    odd = jobs[7].id
    put_at_odds(engine, odd, odds)

    with capture_logs() as logged:
        first = relay.run()
    with capture_logs() as later:
        following = relay.run()

    assert len(jobs) > BATCH
    assert (first, following) == (MovedJobs(dispatched=299), MovedJobs())
    assert parked(logged) == [str(odd)]
    assert parked(later) == []


@every_odds
def test_an_alert_tells_of_it_until_a_person_has_mended_it(engine, relay, login, odds):
    odd, _ = make_jobs(engine, 2)
    assert told(engine) == []
    put_at_odds(engine, odd.id, odds)
    relay.run()

    [alert] = told(engine)
    repair = f"UPDATE ifood_jobs SET next_retry_at = now() WHERE id = '{odd.id}'"
    execute(login("operator"), repair)

    assert str(odd.id) in alert
    assert told(engine) == []
    assert relay.run() == MovedJobs(dispatched=1)
    assert claim(engine, odd.id, dispatch_no=row_of(engine, odd.id)["dispatch_no"])
    assert acts_of(engine, odd.id)[-3:] == ["manual", "dispatch", "claim"]


@every_odds
def test_one_whose_lease_ended_keeps_no_other_from_being_rescued(engine, relay, odds):
    odd, spent, saved = (claimed_job(engine) for _ in range(3))
    for job in (odd, spent, saved):
        backdate(engine, job.id, wake_at=LEASE, lease_expires_at=LEASE)
    with unwatched(engine) as tx:
        used_up = text("UPDATE ifood_jobs SET attempts = 3 WHERE id = :id")
        tx.execute(used_up, {"id": spent.id})
    put_at_odds(engine, odd.id, odds)

    with capture_logs() as logged:
        moved = relay.run()

    assert (moved.rescued, moved.failed, parked(logged)) == (1, 1, [str(odd.id)])
    assert relay.run() == MovedJobs(dispatched=1)  # the one that was saved, on its way again


@pytest.mark.parametrize(("act", "status"), [("cancel", "pending"), ("requeue", "cancelled")])
def test_a_batch_of_a_command_does_the_others(engine, act, status):
    jobs = [job.id for job in make_jobs(engine, 5)]
    if status == "cancelled":
        done(engine, "cancel", jobs, reason="x")
    put_at_odds(engine, jobs[2])

    with capture_logs() as logged:
        changed = done(engine, act, jobs, reason="x")

    assert set(changed) == {*jobs} - {jobs[2]}
    assert parked(logged) == [str(jobs[2])]
    assert row_of(engine, jobs[2])["status"] == status


def test_a_worker_passes_over_one_that_it_cannot_claim(engine):
    odd, sound = make_jobs(engine, 2)
    dispatch(engine, odd.id, sound.id)
    put_at_odds(engine, odd.id)

    with capture_logs() as logged:
        deliver(engine, odd.id)

    assert parked(logged) == [str(odd.id)]
    assert row_of(engine, odd.id)["dispatched_at"] is None  # so that nobody misses its message
    assert claim(engine, sound.id)


def test_a_plan_of_many_is_written_without_the_one_that_cannot_be(engine):
    accounts, gone = make_accounts(engine, 40), UUID(int=7)
    slot = row_of(engine, make_jobs(engine)[0].id)["scheduled_for"]
    run = NewRun("sales", DAY, slot, slot + timedelta(hours=1), 5, DAY, DAY, complete=True)
    jobs = [NewJob(id_, str(id_), 0, slot) for id_ in [*accounts[:20], gone, *accounts[20:]]]

    with capture_logs() as logged, transaction(engine) as tx:
        ledger = Ledger(tx, actor="planner")
        new = ledger.plan(ledger.start_run(run), run, jobs, horizon=HORIZON)

    assert new == 40
    [left_out] = [line for line in logged if line["event"] == "job.not_planned"]
    assert left_out["account_id"] == str(gone)


def test_leases_of_others_are_renewed_and_so_is_its_own(engine):
    held = [claimed_job(engine) for _ in range(3)]
    put_at_odds(engine, held[1].id)

    assert done(engine, "renew", held, lease=LEASE) == {job.claim_token for job in held}


def test_what_is_old_is_forgotten_although_a_job_calls_its_young_history_old(engine):
    jobs = [claimed_job(engine) for _ in range(2)]
    long = timedelta(days=500)
    for job in jobs:
        done(engine, "fail", job, error_code="x", reason="y")
        backdate(engine, job.id, finished_at=long)
    with unwatched(engine) as tx:
        older = text("""
            UPDATE ifood_job_events SET at = at - :by WHERE job_id = :id OR event_no = 1
        """)
        tx.execute(older, {"by": long, "id": jobs[0].id})

    Retention(engine, Settings(), stopping=Event()).run()

    assert acts_of(engine, jobs[0].id) == []
    assert acts_of(engine, jobs[1].id) == ["plan", "dispatch", "claim", "fail"]
