"""Everything gone at once: believed from the second day on, told on the first, taken back."""

from datetime import timedelta

import pytest
from support.world import MONDAY, stand_up

from ifood_actors.alerts import evaluate
from ifood_actors.db import transaction
from ifood_actors.ledger.queries.daily import delivered
from ifood_actors.ledger.queries.runs import open_runs
from ifood_simulator import Fault, Settings, running

pytestmark = pytest.mark.services

STORES = 40
TUESDAY, WEDNESDAY, THURSDAY = (MONDAY + timedelta(days=n) for n in (1, 2, 3))
DAYS_READ = 7


@pytest.fixture
def played(database_url, broker_url):
    world = Settings(merchants=STORES, today=MONDAY, revoked_share=0, financial_per_minute=None)
    urls = {"database_url": database_url, "broker_url": broker_url}
    with (
        running(world) as simulator,
        stand_up(simulator, **urls, sales_days=DAYS_READ, sales_deep_weekday="sun") as played,
        played.working(threads=10),
    ):
        yield played


def test_forty_stores_that_are_empty_lose_nothing_on_the_first_day_and_all_on_the_second(played):
    pulled(played, MONDAY)
    assert marks(played, since=MONDAY).keys() == {"known"}

    played.simulator.add_fault(Fault("silent_empty", resource="sales"))
    tuesday = pulled(played, TUESDAY)
    suspected = marks(played, since=TUESDAY)

    assert suspected == {"suspected": tuesday.vanished}
    assert (tuesday.missing, tuesday.success) == (0, STORES)
    assert tuesday.vanished_stores > STORES / 2
    with transaction(played.engine) as tx:
        told = {run.job_day: run.vanished_stores for run in open_runs(tx)}
        found = evaluate(tx, None, played.settings).firing
    assert told == {MONDAY: 0, TUESDAY: tuesday.vanished_stores}
    assert ("RowsVanished", "sales", str(tuesday.vanished_stores)) in {
        (each.name, each.subject, each.number) for each in found
    }

    wednesday = pulled(played, WEDNESDAY)

    assert marks(played, since=WEDNESDAY) == {"missing": wednesday.missing}
    assert (wednesday.vanished, wednesday.vanished_stores) == (0, 0)

    played.simulator.clear_faults()
    pulled(played, THURSDAY)

    assert marks(played, since=THURSDAY).keys() == {"known"}


def pulled(played, day):
    """Play a day's run to its end, and tell what it delivered."""
    played.simulator.set_today(day)
    played.run("sales", day=day)
    with transaction(played.engine) as tx:
        return delivered(tx, day, kinds=["sales"])["sales"]


def marks(played, *, since):
    """Count by mark the sales of Sunday and before that the run of a day reads."""
    rows = played.rows(
        """
        SELECT CASE WHEN missing_since IS NOT NULL THEN 'missing'
          WHEN suspected_since IS NOT NULL THEN 'suspected' ELSE 'known' END AS mark,
          count(*) AS sales
        FROM ifood_sales WHERE sale_day BETWEEN :first AND :last GROUP BY 1
        """,
        first=since - timedelta(days=DAYS_READ),
        last=MONDAY - timedelta(days=1),
    )
    return {row["mark"]: row["sales"] for row in rows}
