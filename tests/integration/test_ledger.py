from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from support.rows import (
    GRACE,
    HORIZON,
    LEASE,
    acts_of,
    backdate,
    claim,
    claimed_job,
    dispatch,
    make_app,
    make_jobs,
    must_claim,
    row_of,
)
from support.transitions import ALLOWED

from ifood_actors.db import transaction
from ifood_actors.errors import LeaseLost
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import JobResult, Ledger
from ifood_actors.ledger.states import Act, JobStatus

SECOND = timedelta(seconds=1)


def act(engine, name, *args, **values):
    with transaction(engine) as tx:
        return getattr(Ledger(tx, actor="worker"), name)(*args, **values)


def test_a_dispatched_job_is_claimed_once_by_twelve_claimants(engine):
    [job] = make_jobs(engine)
    dispatch(engine, job.id)
    together = Barrier(12)

    def attempt(_):
        together.wait()
        return claim(engine, job.id)

    with ThreadPoolExecutor(12) as threads:
        claims = list(threads.map(attempt, range(12)))

    assert len([won for won in claims if won]) == 1
    assert row_of(engine, job.id)["attempts"] == 1


def overtake(engine, job, arriving):
    """Let a message arrive after it was published and before its dispatch is committed."""
    published = Event()

    def arrive():
        published.wait()
        return arriving()

    with ThreadPoolExecutor(1) as thread:
        arrived = thread.submit(arrive)
        with transaction(engine) as tx:
            ledger = Ledger(tx, actor="relay")
            ledger.due(limit=10, kinds=KINDS)
            published.set()
            wait([arrived], timeout=0.5)
            assert not arrived.done()
            ledger.dispatch([job.id], grace=GRACE)
        return arrived.result()


def test_a_claim_waits_for_the_dispatch_that_its_message_overtook(engine):
    [job] = make_jobs(engine)

    assert overtake(engine, job, lambda: claim(engine, job.id)) is not None


def test_the_limiters_gate_waits_for_it_too(engine):
    app_id = make_app(engine)
    [job] = make_jobs(engine, app_id=app_id)

    def snooze_unclaimed():
        return act(
            engine, "snooze_unclaimed", job.id, 1, cooldowns={app_id: SECOND}, reason="cooldown"
        )

    assert overtake(engine, job, snooze_unclaimed) == SECOND
    assert row_of(engine, job.id)["next_retry_at"] is not None


def test_a_stale_message_cannot_claim_a_requeued_job(engine):
    job = claimed_job(engine)
    act(engine, "fail", job, error_code="x", reason="x")
    act(engine, "requeue", [job.id], reason="again")
    dispatch(engine, job.id)

    assert claim(engine, job.id, dispatch_no=1) is None
    assert claim(engine, job.id, dispatch_no=2) is not None


def test_what_the_database_did_not_do_is_not_said_to_be_done(engine):
    app_id = make_app(engine)
    [job] = make_jobs(engine, app_id=app_id)
    dispatch(engine, job.id)
    with transaction(engine) as tx:  # as a rule of the database may: no row, and no error
        tx.exec_driver_sql(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            "CREATE TRIGGER aa BEFORE UPDATE ON ifood_jobs FOR EACH ROW EXECUTE FUNCTION keep()"
        )

    cooldowns = {app_id: SECOND}
    assert act(engine, "snooze_unclaimed", job.id, 1, cooldowns=cooldowns, reason="x") is None
    assert claim(engine, job.id) is None


def test_a_message_that_was_never_dispatched_claims_nothing(engine):
    [job] = make_jobs(engine)

    assert claim(engine, job.id, dispatch_no=0) is None
    assert claim(engine, job.id, dispatch_no=1) is None


def test_an_early_message_claims_nothing_and_is_sent_again_when_its_job_is_due(engine):
    [job] = make_jobs(engine, slot=datetime.now(UTC) + timedelta(hours=1))
    dispatch(engine, job.id)

    assert claim(engine, job.id) is None
    assert act(engine, "due", limit=10, kinds=KINDS) == []
    backdate(engine, job.id, **dict.fromkeys(("scheduled_for", "wake_at"), timedelta(hours=1)))
    [due] = act(engine, "due", limit=10, kinds=KINDS)
    assert due.resend
    assert due.missed


def test_a_resent_message_keeps_its_number_so_that_the_first_copy_still_counts(engine):
    [job] = make_jobs(engine)
    dispatch(engine, job.id)
    dispatch(engine, job.id)

    assert row_of(engine, job.id)["dispatch_no"] == 1
    assert claim(engine, job.id, dispatch_no=1) is not None


@pytest.mark.parametrize(
    ("age", "looks_after"),
    [
        (timedelta(minutes=1), GRACE),
        (timedelta(minutes=40), timedelta(minutes=40)),
        (timedelta(days=2), 12 * GRACE),
    ],
)
def test_resends_of_a_job_that_nobody_claims_grow_apart(engine, age, looks_after):
    [job] = make_jobs(engine, slot=datetime.now(UTC) - age)
    dispatch(engine, job.id)
    assert looks_again_after(engine, job) == GRACE  # however old: a requeue, or a day without relay

    dispatch(engine, job.id)

    assert timedelta(0) <= looks_again_after(engine, job) - looks_after < timedelta(minutes=1)


def looks_again_after(engine, job):
    row = row_of(engine, job.id)
    return row["wake_at"] - row["dispatched_at"]


def test_a_job_of_a_disabled_account_is_cancelled_instead_of_claimed(engine):
    [job] = make_jobs(engine)
    dispatch(engine, job.id)
    with transaction(engine) as tx:
        tx.execute(text("UPDATE accounts SET active = false"))

    assert claim(engine, job.id) is None
    assert row_of(engine, job.id)["status"] == "cancelled"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("succeed", {"result": JobResult(rows=1)}),
        ("retry", {"after": SECOND, "error_code": "x", "reason": "x"}),
        ("snooze", {"after": SECOND, "reason": "x"}),
        ("fail", {"error_code": "x", "reason": "x"}),
    ],
)
def test_a_worker_that_lost_its_lease_settles_nothing(engine, name, values):
    late = claimed_job(engine)
    act(engine, "rescue", [late.id], reason="lease ended")
    dispatch(engine, late.id)
    current = must_claim(engine, late.id, dispatch_no=2)

    with pytest.raises(LeaseLost):
        act(engine, name, late, **values)

    assert row_of(engine, late.id)["lease_no"] == current.lease_no


def test_a_snooze_gives_the_attempt_back_and_a_retry_does_not(engine):
    snoozed, retried = claimed_job(engine), claimed_job(engine)

    act(engine, "snooze", snoozed, after=SECOND, reason="429")
    act(engine, "retry", retried, after=SECOND, error_code="server_fault", reason="503")

    assert row_of(engine, snoozed.id)["attempts"] == 0
    assert row_of(engine, retried.id)["attempts"] == 1


def test_only_a_job_of_an_application_in_cooldown_is_sent_away_and_only_once(engine):
    app_id = make_app(engine)
    [job] = make_jobs(engine, app_id=app_id)
    dispatch(engine, job.id)

    def snooze_unclaimed(dispatch_no, cooldowns):
        return act(
            engine, "snooze_unclaimed", job.id, dispatch_no, cooldowns=cooldowns, reason="cooldown"
        )

    assert snooze_unclaimed(1, {uuid4(): SECOND}) is None
    assert snooze_unclaimed(2, {app_id: SECOND}) is None
    assert snooze_unclaimed(1, {app_id: SECOND}) == SECOND
    assert snooze_unclaimed(1, {app_id: SECOND}) is None
    assert row_of(engine, job.id)["attempts"] == 0


def test_renewing_tells_which_leases_were_lost(engine):
    kept, lost = claimed_job(engine), claimed_job(engine)
    act(engine, "rescue", [lost.id], reason="lease ended")

    assert act(engine, "renew", [kept, lost], lease=LEASE) == {kept.claim_token}


def test_two_relays_never_see_the_same_due_job(engine):
    make_jobs(engine, 6)

    with transaction(engine) as one, transaction(engine) as other:
        first = {job.id for job in Ledger(one, actor="a").due(limit=3, kinds=KINDS)}
        second = {job.id for job in Ledger(other, actor="b").due(limit=10, kinds=KINDS)}

    assert len(first) == 3
    assert len(second) == 3
    assert not first & second


def test_a_running_job_is_due_when_its_lease_is_over(engine):
    job = claimed_job(engine)
    assert act(engine, "due", limit=10, kinds=KINDS) == []

    backdate(engine, job.id, wake_at=LEASE)

    [due] = act(engine, "due", limit=10, kinds=KINDS)
    assert due.status is JobStatus.RUNNING


def test_a_job_beyond_the_horizon_is_held_until_it_comes_within_it(engine):
    slot = datetime.now(UTC) + timedelta(hours=6)
    [job] = make_jobs(engine, slot=slot)

    act(engine, "hold", [job.id], horizon=HORIZON)

    assert row_of(engine, job.id)["wake_at"] == slot - HORIZON


def test_cancel_and_requeue_tell_whom_they_changed(engine):
    pending, [running] = make_jobs(engine, 2), [claimed_job(engine)]
    ids = [job.id for job in pending] + [running.id]

    cancelled = act(engine, "cancel", ids, reason="not today")

    assert set(cancelled) == {job.id for job in pending}
    assert set(act(engine, "requeue", ids, reason="after all")) == set(cancelled)


def test_a_history_is_a_legal_chain_without_gaps(engine):
    job = claimed_job(engine)
    act(engine, "retry", job, after=timedelta(0), error_code="x", reason="x")
    dispatch(engine, job.id)
    job = must_claim(engine, job.id, dispatch_no=2)
    act(engine, "succeed", job, result=JobResult(rows=3))

    with transaction(engine) as tx:
        events = tx.execute(
            text("SELECT * FROM ifood_job_events WHERE job_id = :id ORDER BY event_no"),
            {"id": job.id},
        ).all()

    assert [event.event_no for event in events] == list(range(1, len(events) + 1))
    statuses = [None, *(event.to_status for event in events)]
    for event, before in zip(events, statuses, strict=False):
        source = None if before is None else JobStatus(before)
        assert event.from_status == before
        assert (Act(event.act), source, JobStatus(event.to_status)) in ALLOWED


@pytest.mark.parametrize("change", ["UPDATE {} SET actor = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_history_is_append_only(engine, change):
    claimed_job(engine)

    with pytest.raises(DBAPIError, match="append-only"), transaction(engine) as tx:
        tx.execute(text(change.format("ifood_job_events")))


def test_a_reason_is_one_line_that_postgres_can_store(engine):
    job = claimed_job(engine)

    act(engine, "fail", job, error_code="x", reason="a\nb\0c" + "d" * 1000)

    assert row_of(engine, job.id)["last_error"].startswith("a bcd")
    assert len(row_of(engine, job.id)["last_error"]) == 500


def test_no_job_can_be_left_without_an_instant_at_which_it_is_looked_at(engine):
    [job] = make_jobs(engine)

    with pytest.raises(DBAPIError, match="wake_at"), transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET wake_at = NULL"))

    assert acts_of(engine, job.id) == ["plan"]
