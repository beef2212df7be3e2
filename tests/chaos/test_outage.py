"""iFood fails for two hours: who asks meanwhile, what it costs the jobs, and how they come back."""

from datetime import UTC, datetime, timedelta
from threading import Event
from time import time

import pytest
from sqlalchemy import text
from support.clock import eventually
from support.rows import unwatched
from support.world import MONDAY, stand_up

from ifood_actors.delivery import middleware
from ifood_actors.ifood import request_slots, thresholds
from ifood_actors.ifood.limiter import Limiter, limiter, snapshots
from ifood_actors.ifood.thresholds import BREAKER_OPENS_AFTER
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_actors.scheduler import relay
from ifood_simulator import Fault, Settings, running

pytestmark = [pytest.mark.services, pytest.mark.alone]

FASTER = 300  # so two hours are 24 s
OUTAGE = timedelta(hours=2) / FASTER
PROBE_EVERY = thresholds.PROBE_EVERY / FASTER
JOBS = 240
THREADS = 3
LIMIT = 300
BATCH = 40  # jobs, which the relay publishes over eight connections side by side, in any order
GAPS = 4  # between probes, judged together
MINUTE = timedelta(seconds=6)  # in which the limit is counted; all jobs last longer than one


@pytest.fixture
def faster(monkeypatch):
    """Shorten every wait that has to do with the outage or the limit."""
    monkeypatch.setattr(limiter, "PROBE_EVERY", PROBE_EVERY)
    monkeypatch.setattr(snapshots, "KEPT_SECONDS", snapshots.KEPT_SECONDS / FASTER)
    monkeypatch.setattr(middleware, "SHORT_COOLDOWN", middleware.SHORT_COOLDOWN / FASTER)
    monkeypatch.setattr(relay, "BATCH", BATCH)
    defaults = Limiter.acquire.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "max_wait", defaults["max_wait"] / FASTER)
    monkeypatch.setattr(request_slots, "WINDOW", MINUTE)


@pytest.fixture
def struck(faster, database_url, broker_url):  # noqa: ARG001 - it shortens what this starts
    """Lend a fleet whose iFood fails from the beginning, with jobs due all through the outage."""
    world = Settings(
        merchants=JOBS,
        today=MONDAY,
        sales_per_day=0.5,
        financial_per_minute=LIMIT,
        window_seconds=MINUTE.total_seconds(),
    )
    with running(world) as simulator:
        simulator.add_fault(Fault("status", resource="sales", status=503, body="html"))
        with stand_up(
            simulator,
            database_url=database_url,
            broker_url=broker_url,
            rate_limit_per_minute=LIMIT,
        ) as started:
            now = datetime.now(UTC)
            opening = Opening("sales", MONDAY, now, now + OUTAGE * 0.9)
            planner.plan(
                started.engine, planner.PlanRequest(opening, started.settings), actor="test"
            )
            _give_every_third_job_high_priority(started)
            yield started


def test_two_hours_of_faults_cost_no_attempts_and_the_backlog_drains_in_order(struck):
    with struck.working(threads=THREADS):
        Event().wait(OUTAGE.total_seconds())
        waiting = struck.rows("SELECT status, attempts FROM ifood_jobs")
        written = struck.rows("SELECT act, count(*) AS n FROM ifood_job_events GROUP BY act")
        [opened] = struck.rows(
            "SELECT extract(epoch FROM closed_at)::float8 AS at FROM ifood_limits"
            " WHERE endpoint_group = 'financial'"
        )
        over = time()
        struck.simulator.clear_faults()
        eventually(struck.idle)
    asked = [entry for entry in struck.simulator.journal_since() if entry["group"] == "financial"]

    # What was under way when the breaker opened still arrives.
    since = opened["at"] + PROBE_EVERY.total_seconds() / 2
    probes = [entry["at"] for entry in asked if since < entry["at"] < over]
    _at_most_one_a_minute(probes)
    acts = {row["act"]: row["n"] for row in written}
    print(f"in {OUTAGE}: {len(probes)} probes; history of {JOBS} jobs: {acts}")  # noqa: T201

    assert {job["status"] for job in waiting} <= {"pending", "running"}
    assert acts["retry"] < BREAKER_OPENS_AFTER
    assert sum(job["attempts"] for job in waiting) <= BREAKER_OPENS_AFTER + THREADS
    # One row sends a job away; whoever probes writes three. Nothing goes round in circles.
    assert acts["snooze"] + acts["dispatch"] <= 2 * JOBS + 2 * len(probes) + 5 * THREADS

    jobs = struck.rows("SELECT status, attempts FROM ifood_jobs")
    assert {job["status"] for job in jobs} == {"success"}
    assert sum(job["attempts"] for job in jobs) <= JOBS + BREAKER_OPENS_AFTER + THREADS
    [counted] = [g for g in struck.simulator.stats()["groups"] if g["group"] == "financial"]
    assert counted["worst"] <= LIMIT
    assert "429" not in counted["by_status"]
    _in_order(struck, since=over)


def _give_every_third_job_high_priority(struck) -> None:
    with unwatched(struck.engine) as tx:
        tx.execute(
            text("""
                UPDATE ifood_jobs SET priority = 9 FROM (
                  SELECT id, row_number() OVER (ORDER BY scheduled_for) AS n FROM ifood_jobs
                ) AS numbered WHERE numbered.id = ifood_jobs.id AND n % 3 = 0
            """)
        )


def _at_most_one_a_minute(probes: list[float]) -> None:
    seconds = PROBE_EVERY.total_seconds()

    # The way to the simulator takes milliseconds, which here are seconds, and not always as many:
    # so several gaps are judged together.
    spans = [later - earlier for earlier, later in zip(probes, probes[GAPS:], strict=False)]
    assert min(spans) > (GAPS - 1) * seconds
    assert len(probes) <= OUTAGE.total_seconds() / seconds + 1
    assert len(probes) > 0.3 * OUTAGE.total_seconds() / seconds  # it does look


def _in_order(struck, *, since: float) -> None:
    """Compare the order of the claims with that of priorities and slots."""
    claimed = struck.rows(
        """
        SELECT job.id FROM ifood_jobs AS job JOIN ifood_job_events AS event
          ON event.job_id = job.id
        WHERE event.act = 'claim' AND event.at > to_timestamp(:since) ORDER BY event.at
        """,
        since=since,
    )
    wanted = struck.rows("SELECT id FROM ifood_jobs ORDER BY priority DESC, scheduled_for")
    turns = {row["id"]: turn for turn, row in enumerate(wanted)}
    came = [turns[row["id"]] for row in claimed]
    far = [turn for turn, due in zip(came, sorted(came), strict=True) if abs(turn - due) > BATCH]

    # The last that tried, and those whose backoff had not ended, come later.
    assert len(far) <= BREAKER_OPENS_AFTER + THREADS
