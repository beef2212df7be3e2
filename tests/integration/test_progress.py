"""The scheduler's lines about open runs, in the words that operators know."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from support.rows import claimed_job, dispatch, make_jobs, must_claim

from ifood_actors.db import transaction
from ifood_actors.ledger import JobResult, Ledger
from ifood_actors.scheduler.progress_log import ProgressLog

pytestmark = pytest.mark.services


@pytest.fixture
def told(caplog):
    """Give the lines since the last call."""
    caplog.set_level(logging.INFO)

    def told():
        found = [record.msg for record in caplog.records if "progress" in record.name]
        caplog.clear()
        return [(each["event"], each["kind"]) for each in found]

    return told


def end(engine, *jobs):
    dispatch(engine, *[job.id for job in jobs])
    for job in jobs:
        with transaction(engine) as tx:
            Ledger(tx, actor="worker").succeed(must_claim(engine, job.id), result=JobResult(rows=1))


def test_each_quarter_is_told_once_and_the_end(engine, told):
    jobs = make_jobs(engine, 8)
    progress = ProgressLog(engine)

    lines = []
    for job in jobs:
        progress.run()
        end(engine, job)
        progress.run()
        progress.run()
        lines += told()

    assert lines == [
        ("progress: 25% (2/8)", "sales"),
        ("progress: 50% (4/8)", "sales"),
        ("progress: 75% (6/8)", "sales"),
        ("progress: 100% (8/8)", "sales"),
    ]


def test_what_goes_by_between_two_looks_is_told_in_one_line(engine, told):
    progress = ProgressLog(engine)
    progress.run()
    end(engine, *make_jobs(engine, 3))
    progress.run()
    progress.run()

    assert told() == [("progress: 100% (3/3)", "sales")]


def test_who_comes_later_tells_of_open_runs_only(engine, told):
    end(engine, *make_jobs(engine, 2))
    first, *_ = make_jobs(engine, 3, kind="anticipations_daily")
    end(engine, first)
    make_jobs(engine, 3, kind="settlements_weekly", slot=datetime.now(UTC) + timedelta(hours=1))

    ProgressLog(engine).run()

    assert told() == [("progress: 33% (1/3)", "anticipations_daily")]


def test_a_run_is_over_when_its_last_job_has_failed(engine, told):
    progress = ProgressLog(engine)
    job = claimed_job(engine)
    progress.run()
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").fail(job, error_code="rejected", reason="400")
    progress.run()

    assert told() == [("progress: 100% (1/1)", "sales")]
