"""Schedulers that are too many, too few, or were away when their windows opened."""

from datetime import UTC, datetime, timedelta

from chaos.invariants import check
from chaos.world import STORES
from support.clock import eventually

from ifood_actors.config import Settings
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import local_day

AWAY = 3  # days
SOON = 30.0  # seconds for a run that is due


def test_ten_planners_and_two_schedulers_do_everything_once(chaos, recovery):
    chaos.plan(planners=10)
    recovery.begin()
    recovery.until(chaos.idle, figure=SOON)

    check(chaos, once=True)


def test_a_dispatched_window_runs_to_its_end_without_a_scheduler(chaos, recovery):
    chaos.plan(over=timedelta(seconds=5))
    eventually(lambda: all(job["dispatched_at"] or job["finished_at"] for job in chaos.jobs()))
    for host in chaos.of("scheduler"):
        host.kill()
    assert not chaos.idle()
    recovery.begin()
    recovery.until(chaos.idle, figure=SOON)

    check(chaos)


def test_schedulers_were_away_for_days_and_over_todays_window(chaos, recovery):
    """The first day was planned in time; then nobody was there until three hours after today's."""
    changes = _windows_that_opened_three_hours_ago()
    settings = Settings.model_validate(
        {name.removeprefix("IFOOD_").lower(): value for name, value in changes.items()}
    )
    now = datetime.now(UTC)
    today = local_day(now, zone=settings.timezone)
    chaos.write("UPDATE accounts SET created_at = now() - interval '10 days'")
    planner.plan_due(
        chaos.engine,
        settings,
        kind="sales",
        at=now - timedelta(days=AWAY),
        actor="scheduler",
    )
    for host in chaos.of("scheduler"):
        host.stop()
        host.installed.settings.update(changes)
        host.start()
    missed = [today - timedelta(days=days) for days in range(AWAY, -1, -1)]
    eventually(lambda: len(_planned(chaos, since=missed[0])) == len(missed))
    # Each run starts at once and keeps its window's minute; this one is as long as we can wait.
    chaos.write(
        "UPDATE ifood_jobs SET wake_at = now(), scheduled_for = now()"
        " WHERE status = 'pending' AND job_day >= :first",
        first=missed[0],
    )
    chaos.runs += [("sales", day) for day in missed]
    recovery.begin()
    recovery.until(lambda: not _open(chaos), figure=2 * SOON)
    for host in chaos.of("scheduler"):
        host.stop()
        for name in changes:
            host.installed.settings.pop(name)

    check(chaos)
    planned = _planned(chaos, since=missed[0])
    assert [run["job_day"] for run in planned] == missed  # in this order
    assert [run["planned"] for run in planned] == [STORES] * len(missed)


def _windows_that_opened_three_hours_ago():
    """Give a zone in which it is noon, so that three hours ago was today."""
    ahead = 12 - datetime.now(UTC).hour
    return {
        "IFOOD_TIMEZONE": f"Etc/GMT{-ahead:+d}",  # POSIX counts westward
        "IFOOD_SALES_WINDOW": "daily 09:00-09:01",
        "IFOOD_DISPATCH_HORIZON": "0",
    }


def _planned(chaos, *, since):
    return chaos.rows(
        "SELECT job_day, planned FROM ifood_runs WHERE job_type = 'sales' AND job_day >= :since"
        " ORDER BY created_at",
        since=since,
    )


def _open(chaos):
    return chaos.rows("SELECT FROM ifood_jobs WHERE status IN ('pending', 'running')")
