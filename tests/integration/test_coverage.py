"""Which days were read, and how fresh each account is, as `reporting` tells it from the ledger."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
import simplejson
from sqlalchemy import Engine, text
from support.records import read
from support.rows import make_accounts, unwatched

from ifood_actors.db import transaction
from ifood_actors.feeds import FEEDS
from ifood_actors.kinds import KINDS

pytestmark = pytest.mark.services

DAY = timedelta(days=1)
FRIDAY = date(2026, 9, 18)
SATURDAY = FRIDAY + DAY
SUNDAY = SATURDAY + DAY
ADDED = datetime(2026, 9, 17, tzinfo=UTC)


def add(engine: Engine) -> UUID:
    [account_id] = make_accounts(engine)
    write(engine, "UPDATE accounts SET created_at = :at WHERE id = :id", at=ADDED, id=account_id)
    return account_id


def write(engine: Engine, statement: str, **values: object) -> None:
    with transaction(engine) as tx:
        tx.execute(text(statement), values)


def end(
    engine: Engine, account_id: UUID, job_day: date, *, days: int = 2, complete=True, failed=False
) -> UUID:
    """Write a job of sales that has ended, and asked for so many days before its own."""
    with unwatched(engine) as tx:
        job_id: UUID = tx.execute(
            text("""
                INSERT INTO ifood_jobs (job_type, account_id, merchant_id, job_day, scheduled_for,
                  period_start, period_end, wake_at, finished_at, event_no,
                  status, error_code, result)
                SELECT 'sales', id, ifood_merchant_id, :day, now(),
                  CAST(:day AS date) - :days, CAST(:day AS date) - 1, NULL, now(), 1,
                  :status, :error_code, :result FROM accounts WHERE id = :id
                RETURNING id
            """),
            {
                "id": account_id,
                "day": job_day,
                "days": days,
                "status": "failed" if failed else "success",
                "error_code": "server_error" if failed else None,
                "result": None if failed else simplejson.dumps({"complete": complete}),
            },
        ).scalar_one()
        return job_id


def coverage(engine: Engine, account_id: UUID) -> list[tuple[date, bool, UUID | None]]:
    rows = read(engine, "coverage", "day, covered, job_id, account_id, kind")
    return [row[:3] for row in rows if row[3:] == (account_id, "sales")]


def test_every_kind_is_watched(engine):
    assert {kind for (kind,) in read(engine, "kinds", "kind")} == set(FEEDS)


def test_a_day_is_covered_by_the_latest_success_that_read_it(engine):
    account_id = add(engine)
    first = end(engine, account_id, SATURDAY)
    second = end(engine, account_id, SUNDAY)

    assert coverage(engine, account_id) == [
        (FRIDAY - DAY, True, first),
        (FRIDAY, True, second),
        (SATURDAY, True, second),
    ]


def test_failures_and_lists_that_were_cut_leave_holes(engine):
    account_id = add(engine)
    first = end(engine, account_id, FRIDAY, days=1)
    end(engine, account_id, SATURDAY, days=1, failed=True)
    end(engine, account_id, SUNDAY, days=1, complete=False)

    assert coverage(engine, account_id) == [
        (FRIDAY - DAY, True, first),
        (FRIDAY, False, None),
        (SATURDAY, False, None),
    ]


def test_a_deep_re_read_counts_more_than_the_short_ones_before_it(engine):
    account_id = add(engine)
    deep = end(engine, account_id, SUNDAY, days=3)
    end(engine, account_id, SATURDAY, days=1)

    assert [job_id for _, _, job_id in coverage(engine, account_id)] == [deep] * 3


def test_an_account_that_nobody_planned_has_holes_since_it_was_added(engine):
    end(engine, add(engine), SUNDAY)
    forgotten = add(engine)

    assert coverage(engine, forgotten) == [(ADDED.date() + n * DAY, False, None) for n in range(3)]


def test_what_was_read_of_a_former_merchant_does_not_count(engine):
    account_id = add(engine)
    end(engine, account_id, SUNDAY)
    write(engine, "UPDATE accounts SET ifood_merchant_id = 'new' WHERE id = :id", id=account_id)

    assert {covered for _, covered, _ in coverage(engine, account_id)} == {False}


def test_freshness_names_the_latest_job_and_the_latest_success(engine):
    account_id = add(engine)
    success = end(engine, account_id, SATURDAY)
    failure = end(engine, account_id, SUNDAY, failed=True)

    columns = "kind, job_id, job_day, status, error_code, success_job_id, success_day, read_to"
    assert read(engine, "freshness", columns) == [
        ("anticipations_daily", *[None] * 7),
        ("sales", failure, SUNDAY, "failed", "server_error", success, SATURDAY, FRIDAY),
        ("settlements_weekly", *[None] * 7),
    ]


def test_coverage_goes_by_every_kind_that_is_declared(engine):
    with transaction(engine) as tx:
        told = {row.kind: row.day_of for row in tx.execute(text("SELECT * FROM reporting.kinds"))}

    assert told == {name: kind.day_of for name, kind in KINDS.items()}
