"""Stores without an anticipation plan: asked now and then, and everybody knows why."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import simplejson
from sqlalchemy import Engine, text
from support.program import Program
from support.records import read
from support.rows import make_accounts, unwatched

from ifood_actors.alerts import evaluate
from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.figures import RULES
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_actors.planning.planner import RunPlan

pytestmark = pytest.mark.services

KIND = "anticipations_daily"
EVERY = 7
SETTINGS = Settings(anticipations_idle_days=EVERY)
DAY = timedelta(days=1)
TODAY = datetime.now(SETTINGS.timezone).date()
START = TODAY - 3 * 7 * DAY  # the first of three weeks; in the third the silent ones are idle
NOTHING = {"requests": 1, "wasted": 1, "rows": 0, "complete": True}
SOMETHING = {"requests": 1, "wasted": 0, "rows": 3, "complete": True}
SILENT, ANSWERING = 14, 3


@pytest.fixture
def accounts(engine: Engine) -> tuple[list[UUID], list[UUID]]:
    """Give the accounts without a plan, and those with one; two weeks of theirs are played."""
    silent, answering = make_accounts(engine, SILENT), make_accounts(engine, ANSWERING)
    with transaction(engine) as tx:
        tx.execute(text("UPDATE accounts SET created_at = now() - INTERVAL '60 days'"))
    for number in range(14):
        assert play(engine, START + number * DAY, silent) == set(silent + answering)
    return silent, answering


def opening(day: date) -> Opening:
    start = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    return Opening(KIND, day, start, start + timedelta(hours=2))


def plan(engine: Engine, day: date, *, only: list[str] | None = None) -> RunPlan:
    return planner.plan(
        engine, planner.PlanRequest(opening(day), SETTINGS, only=only), actor="test"
    )


def play(engine: Engine, day: date, silent: list[UUID], *, failed: bool = False) -> set[UUID]:
    """Plan a day, end its jobs on that day, and give the accounts that were asked."""
    planned = plan(engine, day)
    for account_ids, result in (
        (silent, NOTHING),
        ([job.account_id for job in planned.jobs if job.account_id not in silent], SOMETHING),
    ):
        end(engine, day, account_ids, None if failed else result)
    return {job.account_id for job in planned.jobs}


def end(engine: Engine, day: date, accounts: list[UUID], result: object) -> None:
    with unwatched(engine) as tx:
        tx.execute(
            text("""
                UPDATE ifood_jobs SET status = :status, wake_at = NULL, result = :result,
                  finished_at = LEAST(now(), CAST(:day AS timestamp) AT TIME ZONE 'UTC' + '12 h')
                WHERE job_day = :day AND account_id = ANY(:accounts) AND status = 'pending'
            """),
            {
                "day": day,
                "accounts": accounts,
                "status": "success" if result else "failed",
                "result": simplejson.dumps(result) if result else None,
            },
        )


def stale(engine: Engine) -> int:
    [rule] = [rule for rule in RULES if rule.name == "AccountsStale"]
    with transaction(engine) as tx:
        found = evaluate(tx, None, SETTINGS, rules=[rule]).firing
    return next((int(each.number) for each in found if each.subject == KIND), 0)


def test_idle_stores_are_asked_once_a_week_and_the_others_every_day(engine, accounts):
    silent, answering = accounts
    asked = Counter[UUID]()
    for number in range(14, 21):
        on_the_day = play(engine, START + number * DAY, silent)
        assert set(answering) <= on_the_day
        asked.update(on_the_day)

    assert {asked[store] for store in silent} == {1}
    assert {asked[store] for store in answering} == {7}


def test_whoever_asks_finds_why_a_store_was_left_out(engine, accounts, database_url, tmp_path):
    silent, _ = accounts
    planned = plan(engine, TODAY - 7 * DAY)
    noted = read_left_out(engine)
    windows = {"IFOOD_DATABASE_URL": database_url, "IFOOD_ANTICIPATIONS_IDLE_DAYS": str(EVERY)}
    command = Program(Path(tmp_path), windows)
    day = str(TODAY - 7 * DAY)
    told, shown, listed = command.each(
        [
            ["plan", KIND, "--day", day, "--dry-run", "--json"],
            ["plan", KIND, "--day", day, "--dry-run"],
            ["accounts", "idle", "--kind", KIND, "--json"],
        ]
    )

    assert planned.left_out.keys() <= set(silent)
    assert len(planned.left_out) + len(planned.jobs) == SILENT + ANSWERING
    assert noted == {
        account: ("idle: nothing but 404 for 14 days", on)
        for account, on in planned.left_out.items()
    }
    assert told.document["left_out"] == len(planned.left_out) > 0
    assert told.document["already_there"] == len(planned.jobs)
    assert f"left out {len(planned.left_out)} idle accounts" in shown.out
    assert len(listed.document) == SILENT


def test_idle_stores_are_listed_with_the_day_that_asks_them_again(
    engine, accounts, database_url, tmp_path
):
    silent, _ = accounts
    for number in range(14, 21):
        play(engine, START + number * DAY, silent)
    plan(engine, TODAY)
    settings = {"IFOOD_DATABASE_URL": database_url, "IFOOD_ANTICIPATIONS_IDLE_DAYS": str(EVERY)}
    command = Program(Path(tmp_path), settings)

    listed, shown = command.each([["accounts", "idle", "--json"], ["accounts", "idle"]])

    noted = {str(on) for _, on in read_left_out(engine).values() if on > TODAY}
    assert len(listed.document) == SILENT
    assert {row["kind"] for row in listed.document} == {KIND}
    assert noted <= {row["asked_again_on"] for row in listed.document}
    assert "asked again on" in shown.out


def test_a_store_that_answers_once_is_asked_every_day_again(engine, accounts):
    silent, _ = accounts
    first = START + 14 * DAY
    left_out = plan(engine, first).left_out
    store = next(iter(left_out))

    named = plan(engine, first, only=[merchant_of(engine, store)])
    end(engine, first, [store], SOMETHING)
    play(engine, first, silent)

    assert [job.account_id for job in named.jobs] == [store]
    assert all(store in play(engine, first + n * DAY, silent) for n in range(1, 7))
    assert read_left_out(engine)[store][1] == first


def test_a_store_whose_job_failed_is_asked_a_week_after_its_latest_answer(engine, accounts):
    silent, _ = accounts
    asked_on: dict[UUID, list[int]] = {}
    for number in range(14, 21):
        # Until the first day on which one of them is asked, it included.
        day, failed = START + number * DAY, not asked_on
        for store in play(engine, day, silent, failed=failed) & set(silent):
            asked_on.setdefault(store, []).append(number)

    first = min(days[0] for days in asked_on.values())
    unlucky = [days for days in asked_on.values() if days[0] == first]
    assert all(days == [first, 13 + EVERY] for days in unlucky)


def test_stores_that_are_left_out_are_neither_stale_nor_full_of_holes(engine, accounts):
    silent, answering = accounts
    for number in range(14, 21):
        play(engine, START + number * DAY, silent)
    left_out = plan(engine, TODAY).left_out
    end(engine, TODAY, [*silent, *answering], NOTHING)

    holes = read(
        engine, "coverage", f"count(*) FILTER (WHERE active AND NOT covered AND kind = '{KIND}')"
    )
    foretold = dict(read(engine, f"freshness WHERE kind = '{KIND}'", "account_id, asked_again_on"))

    assert holes == [(0,)]
    assert {store: foretold[store] for store in left_out} == left_out
    assert stale(engine) == 0

    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_left_out SET asked_again_on = current_date - 3"))
    assert stale(engine) > 0


def test_capacity_counts_idle_stores_by_how_often_they_are_asked(engine, accounts):
    silent, _ = accounts
    for number in range(14, 21):
        play(engine, START + number * DAY, silent)

    with transaction(engine) as tx:
        shares = planner.idle_shares(tx, SETTINGS)
        assert planner.idle_shares(tx, Settings()) == {}

    assert shares == {KIND: SILENT / (SILENT + ANSWERING)}


def merchant_of(engine: Engine, account: UUID) -> str:
    with transaction(engine) as tx:
        statement = text("SELECT ifood_merchant_id FROM accounts WHERE id = :id")
        found: str = tx.execute(statement, {"id": account}).scalar_one()
        return found


def read_left_out(engine: Engine) -> dict[UUID, tuple[str, date]]:
    with transaction(engine) as tx:
        rows = tx.execute(text("SELECT account_id, reason, asked_again_on FROM ifood_left_out"))
        return {row.account_id: (row.reason, row.asked_again_on) for row in rows}
