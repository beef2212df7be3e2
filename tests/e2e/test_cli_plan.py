"""`plan`, `status`, and replaying a period, on a real database."""

import json
import re
import shlex
import signal
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text
from support.clock import PATIENCE_SECONDS
from support.program import Program
from support.rows import DAY, claim, dispatch, make_accounts, make_app, make_jobs, must_claim

from ifood_actors.cli.work.plan import opening_for
from ifood_actors.db import transaction
from ifood_actors.errors import UsageError
from ifood_actors.ifood.http.transport import Answer
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.thresholds import BREAKER_OPENS_AFTER
from ifood_actors.ledger import JobResult, Ledger
from ifood_actors.planning.cadence import Cadence
from ifood_actors.spans import Window

ZONE = ZoneInfo("America/Sao_Paulo")  # UTC-3
SALES = Cadence("sales", Window.parse("daily 03:00-06:00"))
WEEKLY = Cadence("settlements_weekly", Window.parse("mon 08:00-12:00"))
MONDAY = date(2026, 3, 2)


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> Program:
    return Program(tmp_path, {"IFOOD_DATABASE_URL": database_url})


def at(clock: str, day: date = MONDAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("cadence", "now", "asked", "start", "end"),
    [
        pytest.param(SALES, "01:00", {}, "03:00", "06:00", id="ahead"),
        pytest.param(SALES, "04:00", {}, "04:00", "06:00", id="open"),
        pytest.param(SALES, "07:00", {}, "07:00", "10:00", id="passed"),
        pytest.param(WEEKLY, "09:00", {}, "09:00", "12:00", id="weekly"),
        pytest.param(SALES, "01:00", {"over": timedelta(minutes=1)}, "01:00", "01:01", id="over"),
        pytest.param(SALES, "07:00", {"over": timedelta(minutes=1)}, "07:00", "07:01", id="now"),
        pytest.param(SALES, "04:00", {"starts_at": "21:30"}, "21:30", "00:30", id="starts at"),
        pytest.param(SALES, "01:00", {"starts_at": "now"}, "01:00", "04:00", id="starts now"),
        pytest.param(
            SALES, "01:00", {"starts_at": "2026-03-02T10:00Z"}, "07:00", "10:00", id="with zone"
        ),
    ],
)
def test_a_run_is_spread_over_its_window_unless_told_otherwise(cadence, now, asked, start, end):
    opening = opening_for(cadence, MONDAY, now=at(now), zone=ZONE, **asked)

    last_day = MONDAY + timedelta(days=1) if end < start else MONDAY
    assert opening.job_day == MONDAY
    assert opening.window_start == at(start)
    assert opening.window_end == at(end, last_day)
    assert opening.window_start.tzinfo is UTC


def test_a_day_without_a_window_gets_as_much_time_from_now():
    tuesday = MONDAY + timedelta(days=1)

    opening = opening_for(WEEKLY, tuesday, now=at("10:00", tuesday), zone=ZONE)

    assert opening.window_start == at("10:00", tuesday)
    assert opening.window_end == at("14:00", tuesday)


@pytest.mark.parametrize("text", ["08:00", "2026-03-01T23:00", "25:00", "soon", "8:00"])
def test_a_start_that_has_passed_or_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--starts-at"):
        opening_for(SALES, MONDAY, now=at("09:00"), zone=ZONE, starts_at=text)


@pytest.mark.services
def test_plan_previews_plans_and_then_has_nothing_to_plan(command, engine):
    make_accounts(engine, 10)
    over = ["plan", "sales", "--day", "2026-03-02", "--over", "3m"]

    preview, counted, planned, again, told = command.each(
        [
            [*over, "--dry-run"],
            [*over, "--dry-run", "--json"],
            [*over, "--json"],
            over,
            ["status", "--json"],
        ]
    )

    assert preview.out.startswith("would plan 10 jobs of sales for 2026-03-02; 0 already there\n")
    assert "first slot" in preview.out
    assert sum(minute["jobs"] for minute in counted.document["per_minute"]) == 10
    assert len(counted.document["per_minute"]) == 3
    assert (planned.document["new"], planned.document["already_there"]) == (10, 0)
    assert planned.document["period_end"] == "2026-03-01"
    assert planned.document["window_start"].endswith("Z")
    assert again.out == "planned 0 jobs of sales for 2026-03-02; 10 already there\n"
    [run] = told.document["runs"]
    assert (run["planned"], run["progress"]) == (10, "progress: 0% (0/10)")


@pytest.mark.services
def test_plan_takes_chosen_accounts_and_refuses_unknown_ones(command, engine):
    make_accounts(engine, 3)
    with transaction(engine) as tx:
        name, merchant = tx.execute(
            text("SELECT name, ifood_merchant_id FROM accounts LIMIT 1")
        ).one()
    chosen = ["plan", "sales", "--day", "2026-03-02", "--json", "--account"]

    by_name, by_merchant, unknown, too_small = command.each(
        [
            [*chosen, name],
            [*chosen, merchant],
            [*chosen, name, "--account", "X"],
            ["plan", "anticipations_daily", "--over", "10s"],
        ],
        IFOOD_BATCH_SIZE="1",
    )

    assert (by_name.document["accounts"], by_name.document["new"]) == (1, 1)
    assert (by_merchant.document["new"], by_merchant.document["already_there"]) == (0, 1)
    assert (unknown.code, unknown.err) == (2, "ifood-actors: no such account: 'X'\n")
    assert too_small.code == 2
    assert "IFOOD_BATCH_SIZE must be at least" in too_small.err


@pytest.mark.services
def test_status_shows_progress_lateness_and_the_oldest_pending_job(command, engine):
    jobs = make_jobs(engine, 4)
    dispatch(engine, jobs[0].id)
    job = claim(engine, jobs[0].id)
    assert job
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").succeed(job, result=JobResult(requests=3))

    shown, told = command.each([["status"], ["status", "--json"]])

    assert "progress: 25% (1/4)" in shown.out
    assert "last minute: 1 job finished, 3 requests" in shown.out
    assert "oldest pending: due since" in shown.out
    assert told.document["jobs"]["sales"] == {
        "pending": 3,
        "running": 0,
        "success": 1,
        "failed": 0,
        "cancelled": 0,
    }
    assert told.document["runs"][0]["lateness_p50_seconds"] > 0


@pytest.mark.services
def test_lateness_counts_from_the_slot_that_a_job_had_when_it_was_claimed(command, engine):
    [job] = make_jobs(engine, slot=datetime.now(UTC) - timedelta(hours=1))
    dispatch(engine, job.id)
    claimed = must_claim(engine, job.id)
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").succeed(claimed, result=JobResult(requests=3))
        tx.execute(text("UPDATE ifood_jobs SET scheduled_for = now() + INTERVAL '7 min'"))

    status, report = command.each([["status", "--json"], ["report", "--day", str(DAY), "--json"]])

    [run], [sales] = status.document["runs"], report.document["kinds"]
    for told in (run, sales):
        assert 3600 <= told["lateness_p50_seconds"] <= told["lateness_p95_seconds"] < 3720


@pytest.mark.services
def test_a_job_that_was_retried_before_a_slot_that_a_person_moved_is_not_early(command, engine):
    [job] = make_jobs(engine, slot=datetime.now(UTC) - timedelta(hours=1))
    with transaction(engine) as tx:
        tx.execute(
            text("""
                UPDATE ifood_jobs SET scheduled_for = now() + INTERVAL '7 min',
                  next_retry_at = now() - INTERVAL '1 min'
            """)
        )
    dispatch(engine, job.id)

    claimed = must_claim(engine, job.id)
    status = command("status", "--json")

    assert claimed.late == timedelta(0)
    assert status.document["runs"][0]["lateness_p50_seconds"] == 0


@pytest.mark.services
def test_a_plan_names_what_stays_cancelled_and_the_command_that_runs_it(command, engine):
    make_accounts(engine, 2)
    day = ("sales", "--day", str(MONDAY), "--over", "1m")
    command("plan", *day)
    with transaction(engine) as tx:
        job_id = tx.execute(text("SELECT id FROM ifood_jobs LIMIT 1")).scalar_one()
        name = tx.execute(
            text(
                "SELECT name FROM accounts JOIN ifood_jobs ON account_id = accounts.id"
                " WHERE ifood_jobs.id = :id"
            ),
            {"id": job_id},
        ).scalar_one()
        Ledger(tx, actor="worker").cancel([job_id], reason="the account is disabled")

    again, named, told = command.each(
        [["plan", *day], ["plan", *day, "--account", name], ["plan", *day, "--json"]]
    )
    of_all, of_one = (re.findall(r"`ifood-actors (.*)`", each.err)[0] for each in (again, named))
    requeued = command(*shlex.split(of_one))
    quiet = command("plan", *day)

    assert "planned 0 jobs" in again.out
    assert "1 job of that day stay cancelled" in again.err
    assert of_all == f"jobs requeue --kind sales --day {MONDAY} --status cancelled"
    assert told.document["cancelled"] == 1
    assert requeued.out == "requeued 1, skipped 0\n"
    assert quiet.err == ""


@pytest.mark.services
def test_status_shows_why_an_application_waits(command, engine):
    app_id = make_app(engine, "cantinas")
    limiter = Limiter(engine, rates={"financial": 180})
    limiter.reserve(app_id, "financial", max_wait=timedelta(0))
    named = Answer(200, httpx.Headers({"X-RateLimit-Limit": "60"}), b"[]")
    for _ in range(3):
        limiter.heed(app_id, "financial", named, endpoint="sales")
    for _ in range(BREAKER_OPENS_AFTER):
        limiter.failed(app_id, "financial", blocked_by='403 HTML page "Attention Required!"')

    shown, told = command.each([["status"], ["status", "--json"]])

    [line] = [line for line in shown.out.splitlines() if line.startswith("limiter cantinas")]
    assert "180 a minute, configured" in line
    assert "sales 60 a minute, named by iFood since" in line
    assert "breaker open since" in line
    assert "iFood fails; one request in 60 s tries" in line
    assert 'a gateway refuses the application: 403 HTML page "Attention Required!"' in line
    [use] = told.document["limits"]
    assert sorted(tuple(each.values())[:3] for each in use["endpoints"]) == [
        ("anticipations", 180, "configured"),
        ("sales", 60, "named by iFood"),
        ("settlements", 180, "configured"),
    ]
    assert use["blocked_by"] == '403 HTML page "Attention Required!"'
    assert 0 < use["breaker_open_for_seconds"] < use["closed_for_seconds"] <= 60


@pytest.mark.services
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_prints_lines_on_a_pipe_until_it_is_told_to_stop(command, engine, number):
    make_jobs(engine, 4)

    process = command.piped("status", "--watch", "--interval", "0.2")
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert all(line.endswith("progress: 0% (0/4)\n") for line in lines)
    assert (process.returncode, err) == (0, "")


@pytest.mark.services
def test_a_script_plans_the_days_of_a_period(command, engine):
    make_accounts(engine, 2)
    replay = ("replay_period", "settlements_weekly", "2026-03-01")

    answer = command.script(*replay, "2026-03-08", "--over", "1m", "--json")
    wrong = command.script(*replay, "2026-02-30")

    assert "will plan settlements_weekly for 1 day(s): 2026-03-02" in answer.err
    assert json.loads(answer.out)["new"] == 2
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith("usage: scripts/replay_period")
