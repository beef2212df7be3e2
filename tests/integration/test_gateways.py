"""A gateway answers a fleet in iFood's place: nothing it says changes what the tables say."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from itertools import cycle

import pytest
from support.api import NOTES
from support.clock import eventually
from support.world import MONDAY, World, stand_up

from ifood_actors.alerts import evaluate
from ifood_actors.db import long_reading, transaction
from ifood_actors.delivery import middleware
from ifood_actors.exports import Selection, write_csv
from ifood_actors.feeds import FEEDS
from ifood_actors.ifood.limiter import limiter
from ifood_simulator import Fault, Settings, running

pytestmark = pytest.mark.services

STORES = 40
NEXT_WEEK = MONDAY + timedelta(weeks=1)
PULLED = (MONDAY - timedelta(days=365), MONDAY - timedelta(days=1))
FORMS = (
    *(Fault("status", body=body) for body in ("html", "waf", "text")),
    *(Fault("status", body="kong", message=note) for note in NOTES),
)
ALERTS = {"BreakerOpen", "ApplicationBlocked"}


@pytest.fixture
def played(database_url, broker_url, monkeypatch) -> Iterator[World]:
    """Lend a fleet whose breaker tries once a second, after it has pulled every store once."""
    monkeypatch.setattr(limiter, "PROBE_EVERY", timedelta(seconds=1))
    monkeypatch.setattr(middleware, "SHORT_COOLDOWN", timedelta(seconds=0.1))
    world = Settings(merchants=STORES, today=MONDAY, sales_per_day=1, financial_per_minute=None)
    with (
        running(world) as simulator,
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as played,
        played.working(),
    ):
        for kind in FEEDS:
            assert {job["status"] for job in played.run(kind)} == {"success"}
        yield played


@pytest.mark.parametrize(
    ("status", "alerts"),
    [(403, ALERTS), (404, {"BreakerOpen"}), (200, {"BreakerOpen"})],
)
def test_no_word_of_a_gateway_ends_a_job_or_takes_a_row_away(played, status, alerts):
    before = exports(played)
    assert all(before.values())

    answer_by_gateways(played, status)
    for kind in FEEDS:
        played.plan(kind, day=NEXT_WEEK)
    eventually(lambda: "BreakerOpen" in firing(played) or played.idle())

    assert firing(played) == alerts
    assert exports(played) == before
    waiting = jobs(played)
    assert {job["status"] for job in waiting} <= {"pending", "running"}
    assert {job["error_code"] for job in waiting} == {"gateway", None}

    played.simulator.clear_faults()
    eventually(played.idle)

    assert firing(played) == set()
    assert {job["status"] for job in jobs(played)} == {"success"}
    assert lines(exports(played)) == lines(before)


def answer_by_gateways(played: World, status: int) -> None:
    """Let every store meet one of the forms."""
    for merchant, form in zip(played.simulator.merchants(), cycle(FORMS), strict=False):
        played.simulator.add_fault(replace(form, merchant=merchant.id, status=status))


def jobs(played: World) -> list[dict[str, object]]:
    return played.rows("SELECT * FROM ifood_jobs WHERE job_day = :day", day=NEXT_WEEK)


def firing(played: World) -> set[str]:
    with transaction(played.engine) as tx:
        found = evaluate(tx, None, played.settings).firing
    return {alert.name for alert in found} & ALERTS


def lines(files: dict[str, bytes]) -> dict[str, int]:
    return {kind: file.count(b"\n") for kind, file in files.items()}


def exports(played: World) -> dict[str, bytes]:
    """Give what an accountant gets, by kind."""
    files = {}
    for kind in FEEDS:
        out = BytesIO()
        chosen = Selection(kind, *PULLED, zone="America/Sao_Paulo")
        with long_reading(played.engine) as connection:
            assert write_csv(connection, chosen, out) > STORES
        files[kind] = out.getvalue()
    return files
