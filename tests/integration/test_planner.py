from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from threading import Barrier

import pytest
from sqlalchemy import event, text
from support.rows import HORIZON, make_accounts

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_actors.planning.pacing import DoesNotFit
from ifood_actors.planning.planner import PlanRequest

MONDAY = date(2026, 9, 21)
START = datetime(2026, 9, 21, 6, tzinfo=UTC)
SETTINGS = Settings()


def wanted(*, day=MONDAY, kind="sales", only=None, batch_size="auto", overflow="refuse"):
    return PlanRequest(
        Opening(kind, day, START, START + timedelta(hours=2)),
        Settings(
            batch_size=batch_size,
            window_overflow=overflow,
            dispatch_horizon=HORIZON,
            sales_deep_days=0,
        ),
        only=only,
    )


def rows(engine, statement):
    with transaction(engine) as tx:
        return tx.execute(text(statement)).all()


def local(hour, minute=0, *, day=MONDAY):
    return datetime.combine(day, time(hour, minute), tzinfo=SETTINGS.timezone)


def test_every_active_account_gets_one_job_with_its_slot_period_and_history(engine):
    make_accounts(engine, 6)
    disabled = make_accounts(engine)
    with transaction(engine) as tx:
        values = {"ids": disabled}
        tx.execute(text("UPDATE accounts SET active = false WHERE id = ANY(:ids)"), values)

    planned = planner.plan(engine, wanted(), actor="test")

    jobs = rows(engine, "SELECT * FROM ifood_jobs ORDER BY scheduled_for")
    assert planned.new == len(jobs) == 6
    slots = [START + n * timedelta(minutes=20) for n in range(6)]
    assert [job.scheduled_for for job in jobs] == slots
    assert {job.period_start for job in jobs} == {date(2026, 9, 14)}
    assert {job.period_end for job in jobs} == {date(2026, 9, 20)}
    assert rows(engine, "SELECT DISTINCT act, actor FROM ifood_job_events") == [("plan", "test")]
    assert rows(engine, "SELECT planned, complete FROM ifood_runs") == [(6, True)]


def test_higher_priority_starts_first(engine):
    low, high = make_accounts(engine, 5), make_accounts(engine, 5, priority=9)

    planned = planner.plan(engine, wanted(), actor="test")

    assert {job.account_id for job in planned.jobs[:5]} == set(high)
    assert {job.account_id for job in planned.jobs[5:]} == set(low)


def test_planning_twice_plans_once(engine):
    make_accounts(engine, 3)
    planner.plan(engine, wanted(), actor="test")

    again = planner.plan(engine, wanted(), actor="test")

    assert again.new == 0
    assert rows(engine, "SELECT count(*) FROM ifood_jobs") == [(3,)]


def test_ten_planners_at_once_plan_once(engine):
    make_accounts(engine, 200)
    together = Barrier(10)

    def plan(_):
        together.wait()
        return planner.plan(engine, wanted(), actor="test").new

    with ThreadPoolExecutor(10) as threads:
        new = list(threads.map(plan, range(10)))

    assert sum(new) == 200
    assert rows(engine, "SELECT count(*) FROM ifood_jobs") == [(200,)]
    assert rows(engine, "SELECT planned FROM ifood_runs") == [(200,)]


def test_an_account_that_was_added_later_joins_the_run(engine):
    make_accounts(engine, 3)
    planner.plan(engine, wanted(), actor="test")
    make_accounts(engine, 1)

    assert planner.plan(engine, wanted(), actor="test").new == 1


def test_a_batch_size_that_cannot_fit_is_refused_with_the_numbers_and_plans_nothing(engine):
    make_accounts(engine, 1000)

    with pytest.raises(DoesNotFit, match=r"600 jobs, but 1,000 accounts.*at least 9"):
        planner.plan(engine, wanted(batch_size=5), actor="test")

    assert rows(engine, "SELECT count(*) FROM ifood_runs") == [(0,)]


def test_a_window_may_be_extended_instead(engine):
    make_accounts(engine, 1000)

    planned = planner.plan(engine, wanted(batch_size=5, overflow="extend"), actor="test")

    assert planned.run.window_end == START + timedelta(minutes=200)


def test_a_preview_writes_nothing(engine):
    make_accounts(engine, 3)

    assert len(planner.preview(engine, wanted()).jobs) == 3
    assert rows(engine, "SELECT count(*) FROM ifood_runs") == [(0,)]


def due(engine, at, *, kind="sales"):
    with transaction(engine) as tx:  # as if they had always been there
        tx.execute(text("UPDATE accounts SET created_at = '2026-01-01'"))
    return [
        planned.run.job_day
        for planned in planner.plan_due(engine, SETTINGS, kind=kind, at=at, actor="scheduler")
    ]


def test_a_run_is_planned_when_its_window_opens_and_not_before(engine):
    make_accounts(engine)

    assert due(engine, local(2, 59)) == []
    assert due(engine, local(3, 0)) == [MONDAY]
    assert due(engine, local(3, 1)) == []


def test_days_without_a_scheduler_are_caught_up_oldest_first(engine):
    make_accounts(engine)
    due(engine, local(3, 0))

    thursday = MONDAY + timedelta(days=3)

    assert due(engine, local(14, 0, day=thursday)) == [
        MONDAY + timedelta(days=1),
        MONDAY + timedelta(days=2),
        thursday,
    ]


def test_one_account_planned_by_hand_does_not_hide_the_day_from_the_scheduler(engine):
    make_accounts(engine, 3)
    [(merchant,)] = rows(engine, "SELECT ifood_merchant_id FROM accounts LIMIT 1")
    planner.plan(engine, wanted(only=[merchant]), actor="operator")

    assert due(engine, local(3, 0)) == [MONDAY]
    assert rows(engine, "SELECT count(*) FROM ifood_jobs") == [(3,)]
    tuesday, wednesday = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
    assert due(engine, local(14, 0, day=wednesday)) == [tuesday, wednesday]


def test_a_day_planned_ahead_by_hand_does_not_hide_the_days_before_it(engine):
    make_accounts(engine)
    planner.plan(engine, wanted(day=MONDAY + timedelta(days=2)), actor="operator")
    planner.plan(engine, wanted(day=MONDAY), actor="operator")

    assert due(engine, local(9, 0, day=MONDAY + timedelta(days=1))) == [MONDAY + timedelta(days=1)]


@pytest.mark.parametrize("actor", ["cli scheduler@host", "schedulers-friend", "schedulerx host:1"])
def test_a_person_whose_name_is_like_a_schedulers_brings_no_days_since(engine, actor):
    make_accounts(engine)
    planner.plan(engine, wanted(day=MONDAY - timedelta(days=3)), actor=actor)

    assert due(engine, local(9, 0)) == [MONDAY]


def test_a_plan_by_hand_is_worked_out_once_and_leaves_no_act_without_a_job(engine):
    make_accounts(engine, 3)
    asked = []
    event.listen(engine, "before_cursor_execute", lambda *each: asked.append(each[2]))

    first = planner.plan_by_hand(engine, wanted(), actor="cli maria@host")
    asked_once = [each for each in asked if "account.priority" in each]
    again = planner.plan_by_hand(engine, wanted(), actor="cli maria@host")

    assert (first.new, again.new, len(asked_once)) == (3, 0, 1)
    assert rows(engine, "SELECT act FROM ifood_operator_acts") == [("plan",)]


def test_an_account_takes_part_from_the_first_window_on_that_opens_after_it_was_added(engine):
    make_accounts(engine)
    noon = {"at": local(12)}
    with transaction(engine) as tx:
        tx.execute(text("UPDATE accounts SET created_at = :at"), noon)

    def planned(at):
        return planner.plan_due(engine, SETTINGS, kind="sales", at=at, actor="test")

    assert planned(local(13)) == []
    assert len(planned(local(3, day=MONDAY + timedelta(days=1)))) == 1
