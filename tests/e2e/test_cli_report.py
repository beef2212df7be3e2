"""`report` on a real database."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from support.program import Program
from support.rows import DAY, backdate, dispatch, make_jobs, must_claim

from ifood_actors.db import transaction
from ifood_actors.ledger import JobResult, Ledger

pytestmark = pytest.mark.services

ON_THE_DAY = ("report", "--day", str(DAY))
WEEK = timedelta(days=7)


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> Program:
    return Program(tmp_path, {"IFOOD_DATABASE_URL": database_url})


def succeed(engine, job, *, amount, rows, tries=1, vanished=0, **facts):
    """End a job well, its slot an hour ago; each try before the last is a retry."""
    counts = {"rows": rows, "new": rows - 1, "changed": 1, "requests": 2, "wasted": 1}
    result = JobResult(**counts, vanished=vanished, amount=Decimal(amount), **facts)
    for number in range(1, tries + 1):
        dispatch(engine, job.id)
        with transaction(engine) as tx:
            ledger, claimed = Ledger(tx, actor="worker"), must_claim(engine, job.id, number)
            if number < tries:
                soon = timedelta()
                ledger.retry(claimed, after=soon, error_code="server_fault", reason="503")
            else:
                ledger.succeed(claimed, result=result)


def an_hour_ago():
    return datetime.now(UTC) - timedelta(hours=1)


def test_a_day_is_told_by_kind_beside_the_same_weekday_before(command, engine):
    jobs = make_jobs(engine, 5, slot=an_hour_ago())
    succeed(engine, jobs[0], amount="100.50", rows=10)
    succeed(engine, jobs[1], amount="-0.50", rows=5, tries=2)
    dispatch(engine, jobs[2].id)
    with transaction(engine) as tx:
        ledger, claimed = Ledger(tx, actor="worker"), must_claim(engine, jobs[2].id)
        ledger.fail(claimed, error_code="server_fault", reason="503")
        ledger.cancel([jobs[3].id], reason="by hand")
    [before] = make_jobs(engine, slot=an_hour_ago())
    succeed(engine, before, amount="80.00", rows=20)
    backdate(engine, before.id, job_day=WEEK)
    [other] = make_jobs(engine, kind="settlements_weekly", slot=an_hour_ago())
    succeed(engine, other, amount="1.00", rows=1)

    told, shown = command.each([[*ON_THE_DAY, "--json"], ON_THE_DAY])

    assert told.document["day"] == str(DAY)
    assert told.document["compared_with"] == str(DAY - WEEK)
    sales, settlements = told.document["kinds"]
    counts = {"planned": 5, "success": 2, "failed": 1, "cancelled": 1, "open": 1}
    brought = {"rows": 15, "new": 13, "changed": 2, "missing": 0, "requests": 4, "retries": 1}
    brought["wasted"] = 2
    assert counts.items() <= sales.items()
    assert brought.items() <= sales.items()
    assert Decimal(sales["amount"]) == Decimal("100.00")
    assert 3600 <= sales["lateness_p50_seconds"] <= sales["lateness_p95_seconds"] < 3660
    assert 0 <= sales["job_p50_seconds"] <= sales["job_p95_seconds"] < 60
    assert 0 < sales["duration_seconds"] < 60
    assert (sales["before"]["rows"], sales["before"]["amount"]) == (20, "80.00")
    assert (settlements["kind"], settlements["before"]) == ("settlements_weekly", None)
    assert f"sales, against {DAY - WEEK}: rows -25.0 %, amount +25.0 %, failed +1" in shown.out
    assert "settlements_weekly, against" not in shown.out


def test_rows_that_vanished_are_told_by_report_and_status(command, engine):
    jobs = make_jobs(engine, 3, slot=an_hour_ago())
    for job, vanished in zip(jobs, (25, 3, 0), strict=True):
        succeed(engine, job, amount="0.00", rows=1, vanished=vanished)

    told, shown, status, progress = command.each(
        [[*ON_THE_DAY, "--json"], ON_THE_DAY, ["status", "--json"], ["status"]]
    )

    sentence = "28 known rows vanished in 2 stores: all or most of what was known there; "
    [sales], [run] = told.document["kinds"], status.document["runs"]
    assert (sales["vanished"], sales["vanished_stores"]) == (28, 2)
    assert (run["vanished"], run["vanished_stores"]) == (28, 2)
    assert f"sales: {sentence}" in shown.out
    assert f"sales {DAY} {sentence}" in progress.out


def test_pulls_that_were_not_complete_and_rejected_items_are_counted(command, engine):
    jobs = make_jobs(engine, 4, slot=an_hour_ago())
    succeed(engine, jobs[0], amount="0.00", rows=1, complete=False, rejected=2)
    succeed(engine, jobs[1], amount="0.00", rows=1, complete=False, rejected=0)
    succeed(engine, jobs[2], amount="0.00", rows=1, complete=True, rejected=0)
    succeed(engine, jobs[3], amount="0.00", rows=1)

    told, shown = command.each([[*ON_THE_DAY, "--json"], ON_THE_DAY])

    [sales] = told.document["kinds"]
    assert (sales["incomplete"], sales["rejected"]) == (2, 2)
    head = {name.strip() for name in shown.out.splitlines()[0].split("  ")}
    assert {"rejected", "incomplete"} <= head


def test_a_day_on_which_nothing_has_run_yet_has_no_times(command, engine):
    make_jobs(engine, 2)

    told, shown = command.each([[*ON_THE_DAY, "--json"], ON_THE_DAY])

    [sales] = told.document["kinds"]
    assert (sales["planned"], sales["open"], sales["amount"]) == (2, 2, "0.00")
    assert sales["duration_seconds"] is sales["lateness_p50_seconds"] is None
    assert (shown.code, shown.err) == (0, "")


def test_a_day_without_a_run_says_so(command):
    told, shown = command.each([["report", "--json"], ["report", "--day", "2026-01-01"]])

    assert told.document["kinds"] == []
    assert (shown.code, shown.err) == (0, "no run on 2026-01-01\n")
