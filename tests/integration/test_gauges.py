"""Gauges of the ledger that fail, take too long, or are about accounts and authorizations."""

from dataclasses import replace
from datetime import timedelta
from time import monotonic

import pytest
from sqlalchemy import text
from support.clock import PATIENCE_SECONDS
from support.rows import make_accounts, make_app, make_jobs

from ifood_actors.alerts import evaluate
from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.figures import FIGURES
from ifood_actors.ifood.thresholds import BREAKER_OPENS_AFTER
from ifood_actors.web import collector
from ifood_actors.web.collector import LedgerGauges

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(collector, "_BUDGET", PATIENCE_SECONDS)


def figures(*names):
    return [each for each in FIGURES if each.name in names]


def read(engine, *wanted):
    families = LedgerGauges(engine, Settings(), wanted=wanted).read()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize("statement", ["SELECT nothing", "SELECT pg_sleep(60)"])
def test_a_statement_that_fails_or_takes_too_long_is_left_out_alone(engine, statement):
    make_jobs(engine, 2)
    started = monotonic()

    [history, jobs] = sorted(figures("ifood_history_bytes", "ifood_jobs"), key=str)
    broken = replace(history, query=replace(history.query, statement=statement))
    found = read(engine, broken, jobs)

    assert monotonic() - started < 40
    assert found["ifood_ledger_up",] == 0
    assert found["ifood_jobs", "sales", "pending"] == 2
    assert ("ifood_history_bytes",) not in found


def test_what_is_read_seldom_is_kept_and_what_is_read_often_is_not(engine):
    reader = LedgerGauges(engine, Settings(), wanted=figures("ifood_accounts", "ifood_jobs"))
    reader.read()
    make_jobs(engine, 3)

    found = {family.name: family for family in reader.read()}
    accounts, jobs = found["ifood_accounts"], found["ifood_jobs"]

    assert sum(sample.value for sample in accounts.samples) == 0
    assert sum(sample.value for sample in jobs.samples) == 3


def test_accounts_are_stale_without_a_success_for_a_window_and_a_day(engine):
    old, _ = make_accounts(engine, 1), make_accounts(engine, 1)
    execute(
        engine,
        "UPDATE accounts SET created_at = now() - INTERVAL '3 days' WHERE id = :id",
        id=old[0],
    )

    found = read(engine, *figures("ifood_accounts_stale"))

    assert found["ifood_accounts_stale", "sales"] == 1
    assert found["ifood_accounts_stale", "settlements_weekly"] == 0


def test_authorizations_and_breakers_tell_their_state(engine):
    app_id = make_app(engine, "central")
    for name, ends in (("fine", 100), ("ending", 10), ("gone", 100)):
        execute(
            engine,
            "INSERT INTO ifood_authorizations (app_id, name, refresh_expires_at,"
            " needs_authorization_since) VALUES (:app, :name, now() + :ends,"
            " CASE WHEN :name = 'gone' THEN now() END)",
            app=app_id,
            name=name,
            ends=timedelta(hours=ends),
        )
    execute(
        engine,
        "INSERT INTO ifood_limits (app_id, endpoint_group, next_free_at, failures, blocked_by)"
        " VALUES (:app, 'financial', now() + INTERVAL '1 h', :failures, '403 HTML page')",
        app=app_id,
        failures=BREAKER_OPENS_AFTER,
    )

    execute(
        engine,
        "UPDATE ifood_authorizations SET unreadable_at = now(), unreadable_by = 'host-7',"
        " refused_at = CASE WHEN name = 'fine' THEN now() END WHERE name <> 'gone'",
    )

    found = read(engine, *FIGURES)

    states = [found["ifood_authorizations", state] for state in ("ok", "expiring", "refused")]
    assert states == [1, 1, 1]
    assert found["ifood_breaker_open", "central"] == 1
    assert found["ifood_application_blocked", "central"] == 1
    assert found["ifood_authorizations_refused_in_a_row", "central"] == 1
    assert found["ifood_secrets_unreadable", "host-7"] == 2
    assert 3000 < found["ifood_limiter_ahead_seconds", "central", "financial"] <= 3600


def test_an_authorization_that_is_refused_is_not_about_to_end_as_well(engine):
    app_id = make_app(engine, "central")
    execute(
        engine,
        "INSERT INTO ifood_authorizations (app_id, name, refresh_expires_at, refused_at,"
        " refused_since, refused_reason) VALUES (:app, 'Maria', now() + INTERVAL '10 h', now(),"
        " now() - INTERVAL '1 h', '401 Invalid client'),"
        " (:app, 'Rosa', now() + INTERVAL '10 h', NULL, NULL, NULL)",
        app=app_id,
    )

    found = read(engine, *figures("ifood_authorizations"))
    with transaction(engine) as tx:
        firing = evaluate(tx, None, Settings()).firing

    assert found["ifood_authorizations", "refused"] == 1
    assert found["ifood_authorizations", "expiring"] == 1
    assert {(alert.name, alert.subject) for alert in firing if "central" in alert.subject} == {
        ("AuthorizationRefused", "central, Maria"),
        ("AuthorizationExpiring", "central, Rosa"),
    }


def execute(engine, statement, **values):
    with transaction(engine) as tx:
        tx.execute(text(statement), values)
