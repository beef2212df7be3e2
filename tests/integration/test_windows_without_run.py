"""A window that has opened and whose run nobody planned: when that is wrong, and when not."""

from datetime import date, datetime, time, timedelta

import pytest
from sqlalchemy import text
from support.logins import as_login
from support.rows import make_accounts

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.figures.run_figures import WITHOUT_RUN
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_actors.planning.planner import PlanRequest, latest_openings

pytestmark = pytest.mark.services

SETTINGS = Settings()
MONDAY = date(2026, 9, 21)
OPENS = datetime.combine(MONDAY, time(3), tzinfo=SETTINGS.timezone)
LATER = OPENS + timedelta(minutes=5)
LAST_WEEK = timedelta(days=7)


@pytest.fixture
def accounts(engine):
    found = make_accounts(engine, 3)
    execute(engine, "UPDATE accounts SET created_at = :at", at=OPENS - LAST_WEEK - LAST_WEEK)
    return found


def execute(engine, statement, **values):
    with transaction(engine) as tx:
        tx.execute(text(statement), values)


def plan(engine, *, actor="scheduler host:1", day=MONDAY, only=None):
    opening = Opening("sales", day, OPENS, OPENS + timedelta(hours=3))
    wanted = PlanRequest(opening, SETTINGS, only=only)
    return planner.plan(as_login(engine, "scheduler"), wanted, actor=actor)


def name_of(engine, account):
    with transaction(engine) as tx:
        wanted = text("SELECT ifood_merchant_id FROM accounts WHERE id = :id")
        return tx.execute(wanted, {"id": account}).scalar_one()


def unplanned(engine, *, at=LATER):
    """Give the kinds whose run is missing, as the alert and the gauge ask it."""
    statement = text(f"SELECT kind FROM {WITHOUT_RUN} AS opening")
    with transaction(as_login(engine, "web")) as tx:
        return set(tx.execute(statement, latest_openings(SETTINGS, at=at)).scalars())


def test_a_window_of_today_wants_a_run_as_soon_as_it_opens(engine, accounts):  # noqa: ARG001 - they are there
    assert "sales" not in unplanned(engine, at=OPENS - timedelta(seconds=1))
    assert "sales" in unplanned(engine)

    plan(engine)

    assert "sales" not in unplanned(engine)


def test_a_run_for_some_accounts_is_not_the_run_of_the_day(engine, accounts):
    plan(engine, actor="ana", only=[name_of(engine, accounts[0])])
    assert "sales" in unplanned(engine)

    plan(engine, actor="ana")
    assert "sales" not in unplanned(engine)


def test_nobody_misses_the_run_of_accounts_that_all_have_their_job(engine, accounts):
    plan(engine, actor="ana", only=[name_of(engine, each) for each in accounts])

    assert "sales" not in unplanned(engine)


def test_without_accounts_that_take_part_there_is_nothing_to_plan(engine, accounts):  # noqa: ARG001 - they are there
    execute(engine, "UPDATE accounts SET created_at = :at", at=OPENS + timedelta(minutes=1))
    assert unplanned(engine) == set()

    execute(engine, "UPDATE accounts SET created_at = :at, active = false", at=OPENS - LAST_WEEK)
    assert unplanned(engine) == set()


def test_a_former_day_is_missed_only_by_who_has_planned_before(engine, accounts):  # noqa: ARG001 - they are there
    before_it_opens_on_tuesday = OPENS + timedelta(hours=23)
    assert "sales" not in unplanned(engine, at=before_it_opens_on_tuesday)

    plan(engine, actor="ana", day=MONDAY - LAST_WEEK)
    assert "sales" not in unplanned(engine, at=before_it_opens_on_tuesday)

    plan(engine, day=MONDAY - timedelta(days=1))
    assert "sales" in unplanned(engine, at=before_it_opens_on_tuesday)


def test_what_the_alert_misses_is_what_a_scheduler_plans(engine, accounts):  # noqa: ARG001 - they are there
    for hours in (1, 4, 6, 25):  # sales, anticipations, settlements, and the next day
        at = OPENS + timedelta(hours=hours)
        missed = unplanned(engine, at=at)
        planned = {
            kind
            for kind in planner.cadences(SETTINGS)
            if planner.plan_due(
                as_login(engine, "scheduler"),
                SETTINGS,
                kind=kind,
                at=at,
                actor="scheduler host:1",
            )
        }
        assert missed
        assert planned == missed
        assert unplanned(engine, at=at) == set()
