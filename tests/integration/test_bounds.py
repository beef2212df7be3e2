"""No value that a login may write, and no lock that it may hold, stops what is everybody's."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError, IntegrityError
from structlog.testing import capture_logs
from support.logins import Login
from support.rows import (
    claim,
    claimed_job,
    deliver,
    dispatch,
    make_jobs,
    make_relay,
    row_of,
    unbound,
    unwatched,
)

from ifood_actors.alerts import evaluate, memory
from ifood_actors.config import Settings
from ifood_actors.db import database_now, transaction
from ifood_actors.figures import RULES
from ifood_actors.ledger import lost_messages
from ifood_actors.scheduler.relay import MovedJobs

pytestmark = pytest.mark.services

EXTREMES = {
    "a person's attempts": "status = 'running', attempts = -2147483648",
    "a worker's next attempt": "next_retry_at = '294276-12-31'",
    "a scheduler's dispatches": "dispatch_no = 2147483647",
    "a worker's claims": "lease_no = 2147483647",
    "a number of the history": "event_no = 2147483647",
    "a slot of another age": "scheduled_for = '4713-01-01 BC'",
    "a message of another age": "dispatched_at = '294276-12-31'",
    "a period of another age": "period_start = '4713-01-01 BC'",
}
ENDLESS = {
    "a lease without an end": "lease_expires_at = 'infinity'",
    "no next look": "wake_at = 'infinity'",
    "a look in another age": "wake_at = '294276-12-31'",
}
RESULTS = (
    '{"vanished": "x", "rows": "x", "complete": "maybe"}',
    '{"vanished": "x"}',
    '{"rows": 1.5}',
    '{"requests": 99999999999}',
    '{"wasted": -1}',
    '{"complete": "maybe"}',
    '{"amount": "NaN"}',
    "[1]",
)


class Noted:
    """A publisher that takes everything."""

    def enqueue_many(self, messages):
        list(messages)


def found(engine: Engine, *names: str) -> dict[str, str]:
    """Evaluate as any scheduler does; the texts of what fires, of these rules or of all."""
    rules = [rule for rule in RULES if rule.name in names or not names]
    with transaction(engine) as tx:
        return {each.name: each.text for each in evaluate(tx, None, Settings(), rules=rules).firing}


@pytest.mark.parametrize("what", [*EXTREMES, *ENDLESS])
def test_no_number_or_instant_of_a_job_is_out_of_bounds(engine, what):
    make_jobs(engine)

    with pytest.raises(IntegrityError, match="ck_ifood_jobs_"), unwatched(engine) as tx:
        tx.execute(text(f"UPDATE ifood_jobs SET {(EXTREMES | ENDLESS)[what]}"))


@pytest.mark.parametrize("result", RESULTS)
def test_no_result_of_a_job_is_one_that_a_reader_could_not_read(engine, result):
    make_jobs(engine)
    statement = text("UPDATE ifood_jobs SET result = CAST(:result AS jsonb)")

    with pytest.raises(IntegrityError, match="ck_ifood_jobs_result"), unwatched(engine) as tx:
        tx.execute(statement, {"result": result})


@pytest.mark.parametrize("detail", ['{"requests": "x"}', '{"slot": "x"}', '{"slot": "infinity"}'])
def test_no_detail_of_the_history_is_one_that_a_reader_could_not_read(engine, detail):
    make_jobs(engine)
    statement = text("UPDATE ifood_job_events SET detail = CAST(:detail AS jsonb)")

    with pytest.raises((IntegrityError, DataError)), unwatched(engine) as tx:
        tx.execute(statement, {"detail": detail})


def test_a_person_cannot_set_attempts_that_stop_the_relay(engine, login: Login):
    make_jobs(engine, 2)
    statement = "UPDATE ifood_jobs SET status='running', attempts=-2147483648"

    refused = pytest.raises(psycopg.errors.CheckViolation)
    with psycopg.connect(login("operator")) as connection, refused:
        connection.execute(statement)

    assert make_relay(engine, Noted()).run() == MovedJobs(dispatched=2)


@pytest.mark.parametrize("what", EXTREMES)
def test_an_old_row_out_of_bounds_stops_no_other_and_is_told_of(engine, what):
    odd, *_ = make_jobs(engine, 3)
    with unbound(engine) as tx:
        tx.execute(text(f"UPDATE ifood_jobs SET {EXTREMES[what]} WHERE id = :id"), {"id": odd.id})

    assert make_relay(engine, Noted()).run() == MovedJobs(dispatched=2)
    assert str(odd.id) in found(engine, "HistoryAtOdds")["HistoryAtOdds"]


@pytest.mark.parametrize("changes", ["attempts = 2147483647", "scheduled_for = '294276-12-31'"])
def test_a_worker_passes_over_an_old_row_out_of_bounds(engine, changes):
    odd, sound = make_jobs(engine, 2)
    dispatch(engine, odd.id, sound.id)
    with unbound(engine) as tx:
        tx.execute(text(f"UPDATE ifood_jobs SET {changes} WHERE id = :id"), {"id": odd.id})

    with capture_logs() as logged:
        deliver(engine, odd.id)

    assert [line["event"] for line in logged] == ["job.parked", "job.not_parked", "job.passed_over"]
    assert claim(engine, sound.id)


def hide(engine: Engine, job_id: UUID, *, minutes: int) -> None:
    with unwatched(engine) as tx:
        far = "lease_expires_at = '2199-01-01', wake_at = '2199-01-01', locked_at = '2199-01-01'"
        tx.execute(text(f"UPDATE ifood_jobs SET {far} WHERE id = :id"), {"id": job_id})
        earlier = text("UPDATE ifood_job_events SET at = at - :by WHERE job_id = :id")
        tx.execute(earlier, {"by": timedelta(minutes=minutes), "id": job_id})


@pytest.mark.parametrize(("minutes", "told"), [(29, False), (31, True)])
def test_a_job_that_runs_for_too_long_is_told_of_whatever_its_lease_says(engine, minutes, told):
    job = claimed_job(engine)
    hide(engine, job.id, minutes=minutes)

    texts = found(engine, "JobOverdue")

    assert (texts == {}) is not told
    assert all(
        "a running job, which nobody took back, was claimed 31m" in t for t in texts.values()
    )


@pytest.mark.parametrize("result", RESULTS[:2])
def test_a_rule_that_fails_hides_no_other_and_is_told_of(engine, result):
    odd, overdue = make_jobs(engine, 2)
    with unbound(engine) as tx:
        done = "status = 'success', wake_at = NULL, finished_at = now(), scheduled_for = now()"
        tx.execute(
            text(f"UPDATE ifood_jobs SET {done}, result = CAST(:it AS jsonb) WHERE id = :id"),
            {"it": result, "id": odd.id},
        )
        late = text("UPDATE ifood_jobs SET scheduled_for = now() - INTERVAL '5 h' WHERE id = :id")
        tx.execute(late, {"id": overdue.id})

    texts = found(engine)

    assert "passed 5h" in texts["JobOverdue"]
    assert 'invalid input syntax for type bigint: "x"' in texts["RuleFailed"]
    assert row_of(engine, odd.id)["status"] == "success"


@pytest.mark.parametrize(
    "row",
    [
        "SELECT 'x' AS subject, CAST(NULL AS int) AS value, 'y' AS reason",
        "SELECT 'x' AS subject, 1e9 AS value",
    ],
    ids=["no value", "no such fact"],
)
def test_a_row_that_a_rule_cannot_tell_of_hides_no_other_rule(engine, row):
    [job] = make_jobs(engine)
    with unbound(engine) as tx:
        late = text("UPDATE ifood_jobs SET scheduled_for = now() - INTERVAL '5 h' WHERE id = :id")
        tx.execute(late, {"id": job.id})
    odd = replace(RULES[0], name="Odd", samples=row, says="{subject}: {reason}", queues=())

    with transaction(engine) as tx:
        firing = evaluate(tx, None, Settings(), rules=[odd, *RULES]).firing

    assert {"JobOverdue", "RuleFailed"} <= {each.name for each in firing}
    assert [each.subject for each in firing if each.name == "RuleFailed"] == ["Odd"]


def see(engine: Engine) -> object:
    with transaction(engine) as tx:
        tx.execute(text("SET LOCAL lock_timeout = '1s'"))
        return memory.remember(tx, [], evaluated=RULES, at=database_now(tx))


def count_losses(engine: Engine) -> None:
    with transaction(engine) as tx:
        tx.execute(text("SET LOCAL lock_timeout = '1s'"))
        lost_messages.in_turn(tx)


@pytest.mark.parametrize(("name", "work"), [("ifood_alerts", see), ("ifood_losses", count_losses)])
def test_a_reader_cannot_hold_up_what_schedulers_do_in_turn(
    engine, login: Login, name: str, work: Callable[[Engine], object]
):
    with psycopg.connect(login("reader")) as connection:
        connection.execute(f"SELECT pg_advisory_lock(hashtextextended('{name}',0))")
        work(engine)


@pytest.mark.parametrize("table", ["ifood_alerts", "ifood_schedulers"])
@pytest.mark.parametrize("role", ["reader", "web", "operator", "worker", "admin"])
def test_only_schedulers_may_lock_what_they_take_in_turn(login: Login, role, table):
    denied = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with psycopg.connect(login(role)) as connection, denied:
        connection.execute(f"LOCK TABLE public.{table} IN SHARE UPDATE EXCLUSIVE MODE")
