"""What operators type into psql keeps working, word for word, and is noticed."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from support.rows import DAY, acts_of, backdate, claim, claimed_job, dispatch, make_jobs, row_of

from ifood_actors.db import transaction
from ifood_actors.errors import LeaseLost
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import JobResult, Ledger

MONITORING = [
    "SELECT job_type, COUNT(*) FROM ifood_jobs WHERE status = 'pending' GROUP BY job_type;",
    "SELECT job_type, COUNT(*) FROM ifood_jobs WHERE status = 'running' GROUP BY job_type;",
    """SELECT job_type, COUNT(*) FILTER (WHERE status = 'failed') AS failed, COUNT(*) AS total,
  ROUND(COUNT(*) FILTER (WHERE status = 'failed')::numeric / COUNT(*) * 100, 2) AS failure_rate
FROM ifood_jobs WHERE created_at > NOW() - INTERVAL '24 hours' GROUP BY job_type;""",
    """SELECT last_error, COUNT(*) FROM ifood_jobs
WHERE status = 'failed' GROUP BY last_error ORDER BY COUNT(*) DESC LIMIT 10;""",
]
REPAIR = """UPDATE ifood_jobs SET status = 'pending', attempts = 0, next_retry_at = NULL
WHERE status = 'failed' AND created_at > NOW() - INTERVAL '24 hours';"""


def by_hand(engine, statement):
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return result.all() if result.returns_rows else []


def failed_job(engine):
    job = claimed_job(engine)
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").fail(job, error_code="server_fault", reason="503")
    return job


def test_the_monitoring_statements_count_what_is_there(engine):
    make_jobs(engine, 2)
    claimed_job(engine)
    failed_job(engine)

    pending, running, rates, errors = (by_hand(engine, statement) for statement in MONITORING)

    assert pending == [("sales", 2)]
    assert running == [("sales", 1)]
    assert [(kind, failed, total, float(rate)) for kind, failed, total, rate in rates] == [
        ("sales", 1, 4, 25.0)
    ]
    assert errors == [("503", 1)]


def test_the_repair_statement_makes_failed_jobs_run_again_and_shows_in_the_history(engine):
    job = failed_job(engine)

    by_hand(engine, REPAIR)

    with transaction(engine) as tx:
        [due] = Ledger(tx, actor="relay").due(limit=10, kinds=KINDS)
    assert due.id == job.id
    dispatch(engine, job.id)
    assert claim(engine, job.id, dispatch_no=2) is not None
    assert acts_of(engine, job.id)[-3:] == ["manual", "dispatch", "claim"]


def test_the_history_names_who_typed_it(engine):
    job = failed_job(engine)

    by_hand(engine, REPAIR)

    with transaction(engine) as tx:
        event = tx.execute(
            text("SELECT * FROM ifood_job_events WHERE act = 'manual' AND job_id = :id"),
            {"id": job.id},
        ).one()
        user = tx.scalar(text("SELECT session_user"))
    assert (event.from_status, event.to_status, event.actor) == ("failed", "pending", user)
    assert event.login == user
    assert "by hand" in event.reason


def test_a_running_job_that_is_reset_by_hand_is_taken_from_its_worker(engine):
    job = claimed_job(engine)

    by_hand(engine, "UPDATE ifood_jobs SET status = 'pending'")

    with pytest.raises(LeaseLost), transaction(engine) as tx:
        Ledger(tx, actor="worker").succeed(job, result=JobResult())


@pytest.mark.parametrize("status", ["success", "failed", "cancelled"])
def test_a_job_ended_by_hand_sleeps(engine, status):
    [job] = make_jobs(engine)

    by_hand(engine, f"UPDATE ifood_jobs SET status = '{status}'")

    row = row_of(engine, job.id)
    assert row["wake_at"] is None
    assert row["finished_at"] is not None


def test_a_job_set_running_by_hand_is_given_back_by_the_relay(engine):
    make_jobs(engine)

    by_hand(engine, "UPDATE ifood_jobs SET status = 'running'")

    with transaction(engine) as tx:
        assert len(Ledger(tx, actor="relay").due(limit=10, kinds=KINDS)) == 1


def test_a_slot_moved_by_hand_is_dispatched_anew(engine):
    [job] = make_jobs(engine)
    dispatch(engine, job.id)

    by_hand(engine, "UPDATE ifood_jobs SET scheduled_for = scheduled_for + INTERVAL '1 hour'")

    assert row_of(engine, job.id)["dispatched_at"] is None
    assert claim(engine, job.id) is None


@pytest.mark.parametrize("column", ["scheduled_for", "next_retry_at"])
@pytest.mark.parametrize("instant", ["infinity", "-infinity"])
def test_no_instant_set_by_hand_is_infinite(engine, column, instant):
    make_jobs(engine)

    with pytest.raises(IntegrityError, match="ck_ifood_jobs_finite"):
        by_hand(engine, f"UPDATE ifood_jobs SET {column} = '{instant}'")


def insert_of(job, *, day="2020-01-01"):
    return f"""INSERT INTO ifood_jobs (job_type, account_id, merchant_id, job_day, scheduled_for,
      period_start, period_end)
    SELECT 'sales', '{job.account_id}', '{job.merchant_id}', '{day}', now(), '2019-12-25',
      '2019-12-31'"""


def test_a_job_inserted_by_hand_is_planned_and_shows_in_the_history(engine):
    [job] = make_jobs(engine)

    [(inserted,)] = by_hand(engine, f"{insert_of(job)} RETURNING id")

    assert acts_of(engine, inserted) == ["manual"]
    assert row_of(engine, inserted)["event_no"] == 1
    with transaction(engine) as tx:
        assert len(Ledger(tx, actor="relay").due(limit=10, kinds=KINDS)) == 2


def test_a_job_that_conflicts_leaves_nothing_in_the_history(engine):
    [job] = make_jobs(engine)

    by_hand(engine, f"{insert_of(job, day=DAY)} ON CONFLICT DO NOTHING")

    assert by_hand(engine, "SELECT job_id, act FROM ifood_job_events") == [(job.id, "plan")]


def test_the_ledgers_own_acts_are_not_taken_for_manual(engine):
    job = failed_job(engine)
    with transaction(engine) as tx:
        Ledger(tx, actor="operator").requeue([job.id], reason="again")
    backdate(engine, job.id, wake_at=timedelta(minutes=1))

    assert "manual" not in acts_of(engine, job.id)
