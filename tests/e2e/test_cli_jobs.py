"""`plan`, `status`, `jobs`, `errors`, and the scripts on top of them, on a real database."""

import json
import signal
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from builders import acts_of, claim, dispatch, make_accounts, make_jobs
from commands import CommandLine
from sqlalchemy import Engine, text

from ifood_actors.cli.plan import opening_for
from ifood_actors.config import Window
from ifood_actors.db import transaction
from ifood_actors.errors import UsageError
from ifood_actors.ledger import Ledger
from ifood_actors.planning.cadence import Cadence

ZONE = ZoneInfo("America/Sao_Paulo")  # UTC-3
SALES = Cadence("sales", Window.parse("daily 03:00-06:00"))
WEEKLY = Cadence("settlements_weekly", Window.parse("mon 08:00-12:00"))
MONDAY = date(2026, 3, 2)


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> CommandLine:
    return CommandLine(tmp_path, {"IFOOD_DATABASE_URL": database_url})


def at(clock: str, day: date = MONDAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZONE)


def fail(engine: Engine, job_id, reason: str = "GET /sales: 503") -> None:
    dispatch(engine, job_id)
    job = claim(engine, job_id)
    assert job
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").fail(job, error_code="server_fault", reason=reason)


def status_of(engine: Engine, job_id) -> str:
    with transaction(engine) as tx:
        found: str = tx.execute(
            text("SELECT status FROM ifood_jobs WHERE id = :id"), {"id": job_id}
        ).scalar_one()
        return found


@pytest.mark.parametrize(
    ("cadence", "now", "asked", "start", "end"),
    [
        pytest.param(SALES, "01:00", {}, "03:00", "06:00", id="ahead"),
        pytest.param(SALES, "04:00", {}, "04:00", "06:00", id="open"),
        pytest.param(SALES, "07:00", {}, "07:00", "10:00", id="passed"),
        pytest.param(WEEKLY, "09:00", {}, "09:00", "12:00", id="weekly"),
        pytest.param(SALES, "01:00", {"over": timedelta(minutes=1)}, "03:00", "03:01", id="over"),
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
    chosen = ["plan", "sales", "--json", "--account"]

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
        Ledger(tx, actor="worker").succeed(job, result={"requests": 3})

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
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_prints_lines_on_a_pipe_until_it_is_told_to_stop(command, engine, number):
    make_jobs(engine, 4)

    process = command.start("status", "--watch", "--interval", "0.2")
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(number)
    _, err = process.communicate(timeout=30)

    assert all(line.endswith("progress: 0% (0/4)\n") for line in lines)
    assert (process.returncode, err) == (0, "")


@pytest.mark.services
def test_jobs_are_found_by_filters(command, engine):
    [failed, pending] = make_jobs(engine, 2)
    fail(engine, failed.id)

    by_status, by_code, by_merchant, none, cut, table = command.each(
        [
            ["jobs", "list", "--json", "--status", "failed"],
            ["jobs", "list", "--json", "--error-code", "server_fault", "--since", "1h"],
            ["jobs", "list", "--json", "--account", pending.merchant_id],
            ["jobs", "list", "--json", "--kind", "anticipations_daily"],
            ["jobs", "list", "--json", "--limit", "1"],
            ["jobs", "list"],
        ]
    )

    assert [row["id"] for row in by_status.document] == [str(failed.id)]
    assert [row["id"] for row in by_code.document] == [str(failed.id)]
    assert [row["id"] for row in by_merchant.document] == [str(pending.id)]
    assert none.document == []
    assert len(cut.document) == 1
    assert "only the first 1 are shown" in cut.err
    assert str(failed.id) in table.out
    assert len(table.out.splitlines()) == 3


@pytest.mark.services
def test_a_job_tells_its_whole_story_by_the_beginning_of_its_id(command, engine):
    [job] = make_jobs(engine)
    fail(engine, job.id)

    told, shown, unknown, wrong = command.each(
        [
            ["jobs", "show", str(job.id)[:10], "--json"],
            ["jobs", "show", str(job.id).upper()],
            ["jobs", "show", "00000000-0000-4000-8000-000000000000"],
            ["jobs", "show", "'; DROP TABLE ifood_jobs"],
        ]
    )

    assert told.document["job"]["id"] == str(job.id)
    assert [event["act"] for event in told.document["history"]] == acts_of(engine, job.id)
    assert "GET /sales: 503" in shown.out
    assert (unknown.code, wrong.code) == (2, 2)
    assert "no such job" in unknown.err


@pytest.mark.services
def test_a_beginning_that_fits_two_jobs_is_refused(command, engine):
    ids = [str(job.id) for job in make_jobs(engine, 17)]  # of 16 digits, one comes twice
    digit = next(id_[0] for id_ in ids if sum(other[0] == id_[0] for other in ids) > 1)

    answer = command("jobs", "show", digit)

    assert (answer.code, answer.err) == (2, f"ifood-actors: several jobs begin with '{digit}'\n")


@pytest.mark.services
def test_failed_jobs_are_requeued_and_the_count_is_honest(command, engine):
    [failed, other, pending] = make_jobs(engine, 3)
    fail(engine, failed.id)
    fail(engine, other.id)

    preview, nothing, named, all_failed, unknown = command.each(
        [
            ["jobs", "requeue", "--failed", "--since", "24h", "--dry-run"],
            ["jobs", "requeue"],
            ["jobs", "requeue", str(failed.id), str(pending.id)],
            ["jobs", "requeue", "--failed", "--since", "24h"],
            ["jobs", "requeue", str(failed.id), "abc123"],
        ]
    )

    assert preview.out == "would requeue 2 jobs\n"
    assert (nothing.code, nothing.out) == (2, "")
    assert named.out == "requeued 1, skipped 1\n"
    assert all_failed.out == "requeued 1, skipped 0\n"
    assert unknown.code == 2
    assert acts_of(engine, failed.id)[-1] == "requeue"
    with transaction(engine) as tx:
        by = tx.execute(text("SELECT DISTINCT actor FROM ifood_job_events WHERE act = 'requeue'"))
        assert by.scalar_one().startswith("cli ")


@pytest.mark.services
def test_pending_jobs_are_cancelled_and_can_be_requeued(command, engine):
    [job, _] = make_jobs(engine, 2)

    cancelled, again, requeued = command.each(
        [
            ["jobs", "cancel", "--account", job.merchant_id],
            ["jobs", "cancel", str(job.id)],
            ["jobs", "requeue", "--status", "cancelled"],
        ]
    )

    assert cancelled.out == "cancelled 1, skipped 0\n"
    assert again.out == "cancelled 0, skipped 1\n"
    assert requeued.out == "requeued 1, skipped 0\n"
    assert status_of(engine, job.id) == "pending"


@pytest.mark.services
def test_errors_are_grouped_most_common_first(command, engine):
    jobs = make_jobs(engine, 3)
    for number, job in enumerate(jobs[:2]):
        fail(engine, job.id, reason=f"GET /sales: 503 after {number} s")
    fail(engine, jobs[2].id, reason="\x1b[31mred")

    shown, told = command.each([["errors"], ["errors", "--since", "1h", "--json"]])

    assert [group["jobs"] for group in told.document] == [2, 1]
    assert told.document[0]["message"] == "GET /sales: <n> after <n> s"
    assert "\x1b" not in shown.out


@pytest.mark.services
def test_a_script_requeues_what_failed_and_says_so_first(command, engine):
    [job] = make_jobs(engine)
    fail(engine, job.id)

    answer = command.script("requeue_failed", "--kind", "sales")

    assert answer.out == "requeued 1, skipped 0\n"
    assert "jobs requeue --failed --kind sales --since 24h\nwould requeue 1 job\n" in answer.err
    assert status_of(engine, job.id) == "pending"


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
