"""
Ten days of an iFood that lies, fails and changes its mind; in the end the tables equal its truth.

The suite plays a small world. TEN_DAYS_MERCHANTS=300 and TEN_DAYS_SEEDS=1,2,3 play large ones.
"""

import os
from collections import Counter
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
import simplejson
from support.clock import eventually
from support.world import stand_up

from ifood_actors.kinds import KINDS
from ifood_simulator import Fault, Settings, running
from ifood_simulator.faults import ResponseShape

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]

MERCHANTS = int(os.environ.get("TEN_DAYS_MERCHANTS", "16"))
SEEDS = [int(seed) for seed in os.environ.get("TEN_DAYS_SEEDS", "1").split(",")]
DAYS = [date(2026, 9, 12) + timedelta(days=n) for n in range(10)]
LAST = DAYS[-1]  # a Monday: all three kinds run, and sales are read five weeks back
TROUBLED = 0.4  # of the merchants, each day, for each kind
LOUD: tuple[dict[str, Any], ...] = (  # what fails where it can be seen
    *({"name": "status", "status": status} for status in (408, 425, 500, 502, 503, 504)),
    *({"name": "status", "status": status, "body": "html"} for status in (500, 503)),
    {"name": "status", "status": 429, "headers": {"Retry-After": "1"}},
    {"name": "status", "status": 429, "headers": {"X-RateLimit-Reset": "1"}},
    {"name": "cut", "where": "head"},
    {"name": "cut", "where": "body"},
    {"name": "drip", "bytes_per_second": 50_000},
    {"name": "slow", "seconds": 0.5},
    {"name": "huge", "mebibytes": 20},
    {"name": "redirect"},
    {"name": "nan"},
    {"name": "truncated"},
    {"name": "drift"},
    *(
        {"name": "habit", "habits": ResponseShape(empty=empty)}
        for empty in ("404", "204", "list", "null")
    ),
    {"name": "habit", "habits": ResponseShape(array_envelope=True)},
    {"name": "habit", "habits": ResponseShape(repeats_row=True, total_off=True)},
)
SILENT: tuple[dict[str, Any], ...] = (  # what looks like an answer, or ends the job for the day
    {"name": "silent_empty"},
    {"name": "omit"},
    {"name": "repeat_pages"},
    {"name": "revoked"},
    {"name": "status", "status": 400},
    {"name": "status", "status": 403},
    {"name": "status", "status": 404},
)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_days_of_trouble_end_with_tables_equal_to_the_truth(seed, database_url, broker_url):
    world = Settings(
        seed=seed,
        merchants=MERCHANTS,
        today=DAYS[0],
        sales_page_size=7,
        no_plan_share=0.4,
        corrected_share=0.05,
        financial_per_minute=None,
    )
    with (
        running(world) as simulator,
        stand_up(
            simulator,
            database_url=database_url,
            broker_url=broker_url,
            sales_deep_weekday="mon",
            worker_max_attempts=6,
        ) as played,
        played.working(threads=10),
    ):
        for day in DAYS:
            simulator.set_today(day)
            simulator.clear_faults()
            for fault in troubles(simulator, Random(f"{seed} {day}"), last=day == LAST):
                simulator.add_fault(fault)
            for kind in KINDS if day.weekday() == 0 else ("sales", "anticipations_daily"):
                played.plan(kind, day=day)
            eventually(played.idle, within=600)

        met = {entry["trouble"] for entry in simulator.journal_since() if entry.get("trouble")}
        assert met >= {"cut", "status", "silent_empty", "omit", "nan", "habit", "expired_token"}

        jobs = played.rows("SELECT * FROM ifood_jobs WHERE job_day = :day", day=LAST)
        assert Counter(job["status"] for job in jobs) == {"success": 3 * MERCHANTS}
        for merchant in simulator.merchants():
            for kind in KINDS:
                [job] = [
                    job
                    for job in jobs
                    if (job["job_type"], job["merchant_id"]) == (kind, merchant.id)
                ]
                period = job["period_start"], job["period_end"]
                assert stored(played, kind, merchant, period) == served(
                    simulator, kind, merchant, period
                ), (kind, merchant.id)


def troubles(simulator, draw, *, last):
    """Draw the day's troubles; on the last day none that hides what is true."""
    menu = LOUD if last else LOUD + SILENT
    for merchant in simulator.merchants():
        for resource in (kind.resource for kind in KINDS.values()):
            if draw.random() < TROUBLED:
                yield Fault(**draw.choice(menu), merchant=merchant.id, resource=resource, times=1)
    # The token is everybody's: void twice within one job it would fail that job, and rightly.
    yield Fault("expired_token", after=draw.randrange(MERCHANTS), times=1)


def stored(played, kind, merchant, period):
    rows = played.rows(
        f"""
        SELECT raw::text FROM {KINDS[kind].table}
        WHERE merchant_id = :id AND missing_since IS NULL
          AND covered_from >= :start AND covered_to <= :end
        """,
        id=merchant.id,
        start=period[0],
        end=period[1],
    )
    return counted(simplejson.loads(row["raw"], use_decimal=True) for row in rows)


def served(simulator, kind, merchant, period):
    """Give what was true within the period: what reaches over its edge is judged elsewhere."""
    answer = simulator.truth(KINDS[kind].resource, merchant.id, *period)
    lines = simplejson.loads(answer, use_decimal=True)
    return counted(line["item"] for line in lines if within(line, period))


def within(line, period):
    begin = line.get("localDay") or line.get("calculationStart")
    end = line.get("localDay") or line.get("calculationEnd")
    if begin is None:  # a loose title
        return True
    return period[0] <= date.fromisoformat(begin) and date.fromisoformat(end) <= period[1]


def counted(items):
    return Counter(simplejson.dumps(item, sort_keys=True, use_decimal=True) for item in items)
