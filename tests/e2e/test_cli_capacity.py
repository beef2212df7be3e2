"""`capacity`, without a database and on a real one."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from support.program import NOWHERE_DATABASE, Program
from support.rows import dispatch, make_accounts, make_app, make_jobs, must_claim

from ifood_actors.db import transaction
from ifood_actors.ledger import JobResult, Ledger

SIZES = [1_000, 5_000, 20_000, 100_000]


@pytest.fixture
def command(tmp_path: Path) -> Program:
    return Program(tmp_path)


def succeed(engine: Engine, *, kind: str, requests: list[int]) -> None:
    """End jobs as successes that took so many requests."""
    for planned, sent in zip(make_jobs(engine, len(requests), kind=kind), requests, strict=True):
        dispatch(engine, planned.id)
        job = must_claim(engine, planned.id)
        with transaction(engine) as tx:
            Ledger(tx, actor="worker").succeed(job, result=JobResult(requests=sent))


def test_without_a_database_it_tells_what_it_assumes(command):
    shown, answered = command.each([["capacity"], ["capacity", "--json"]])

    assert shown.code == answered.code == 0
    assert "requests are assumed" in shown.err
    assert shown.out.startswith("1,000 accounts; 1 worker host with 20 jobs at the same time; 1.0s")
    assert "ends up to 16m30s later (3 attempts)" in shown.out
    assert [size["accounts"] for size in answered.document["sizes"]] == SIZES
    assert answered.document["fits"] is True
    assert {run["measured_jobs"] for run in answered.document["runs"]} == {0}


def test_what_does_not_fit_comes_with_the_setting_to_change(command):
    asked = ("capacity", "--accounts", "1000", "--kind", "anticipations_daily")
    paced = command(*asked, "--json", IFOOD_BATCH_SIZE="5")
    limited = command(*asked, "--json", IFOOD_RATE_LIMIT_PER_MINUTE="6")
    crowded = command(*asked, "--json", "--latency", "60", IFOOD_WORKER_MAX_CONCURRENCY="4")
    shared = command(*asked, "--json", "--latency", "60", "--hosts", "3")

    for answer, bottleneck, setting in (
        (paced, "pacing", "IFOOD_BATCH_SIZE must be at least 9"),
        (limited, "rate_limit", "IFOOD_RATE_LIMIT_PER_MINUTE must be at least"),
        (crowded, "concurrency", "IFOOD_WORKER_MAX_CONCURRENCY must be at least"),
    ):
        run = answer.document["runs"][0]
        assert not answer.document["fits"]
        assert (run["kind"], run["fits"]) == ("anticipations_daily", False)
        assert run["bottleneck"] == bottleneck
        assert setting in run["advice"][0]
    assert "is refused as it is" in paced.document["runs"][0]["advice"][1]
    assert shared.document["runs"][0]["own_seconds"]["concurrency"] == 1000 * 60 / (3 * 20)


def test_windows_that_overlap_are_said_to_share(command):
    answer = command(
        *("capacity", "--accounts", "12000"),
        IFOOD_ANTICIPATIONS_WINDOW="daily 08:00-10:00",
        IFOOD_SALES_WINDOW="daily 07:00-10:00",
    )

    together = (
        "settlements_weekly (mon) shares limit and workers with anticipations_daily and sales"
    )
    assert together in answer.out
    assert "would fit if its window lay apart from" in answer.out
    assert "sales (sun) reads 35 days: IFOOD_SALES_DEEP_DAYS" in answer.out


@pytest.mark.services
def test_with_a_database_it_measures_what_jobs_have_cost(command, engine, database_url):
    app = make_app(engine)
    make_accounts(engine, 7, app_id=app)
    succeed(engine, kind="sales", requests=[2, 3, 4])

    own = command("capacity", "--json", IFOOD_DATABASE_URL=database_url)
    larger = command("capacity", "--accounts", "50", "--json", IFOOD_DATABASE_URL=database_url)
    shown = command("capacity", IFOOD_DATABASE_URL=database_url)

    assert own.document["accounts"] == 10
    assert own.document["busiest_share"] == 0.7
    assert larger.document["accounts"] == 50
    usual, deep = (run for run in own.document["runs"] if run["kind"] == "sales")
    assert (usual["requests_per_job"], deep["requests_per_job"]) == (3, 15)
    assert (usual["measured_jobs"], usual["attempts"]) == (3, 1)
    assert own.document["runs"][-1]["measured_jobs"] == 0
    assert "3 jobs" in shown.out
    assert (shown.code, shown.err) == (0, "")


@pytest.mark.services
def test_with_a_database_without_active_accounts_it_tells_that_it_assumes_some(
    command, database_url
):
    assumed = command("capacity", "--json", IFOOD_DATABASE_URL=database_url)
    asked = command("capacity", "--accounts", "50", "--json", IFOOD_DATABASE_URL=database_url)

    assert (assumed.code, assumed.document["accounts"]) == (0, 1_000)
    assert assumed.err == "no account is active: 1,000 are assumed\n"
    assert (asked.document["accounts"], asked.err) == (50, "")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--accounts", "0"),
        ("--accounts", "many"),
        ("--kind", "salez"),
        ("--hosts", "0"),
        ("--latency", "0"),
        ("extra",),
    ],
)
def test_wrong_usage_is_2_and_one_line(command, wrong):
    answer = command("capacity", *wrong)

    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)


def test_a_database_that_cannot_be_reached_is_3_and_hides_the_password(command):
    answer = command("capacity", IFOOD_DATABASE_URL=NOWHERE_DATABASE)

    assert (answer.code, answer.out, answer.err.count("\n")) == (3, "", 1)
    assert "127.0.0.1:1/nowhere" in answer.err
    assert "hunter2" not in answer.err
