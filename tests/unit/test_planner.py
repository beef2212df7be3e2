"""Which dates a job asks for."""

from datetime import date, timedelta

import pytest

from ifood_actors.config import Settings
from ifood_actors.kinds import KINDS

MONDAY = date(2026, 9, 21)
SUNDAY = date(2026, 9, 20)


@pytest.mark.parametrize(
    ("job_day", "settings", "days"),
    [
        (MONDAY, Settings(), 7),
        (SUNDAY, Settings(), 35),
        (SUNDAY, Settings(sales_deep_days=0), 7),
        (SUNDAY, Settings(sales_days=60), 60),
        (MONDAY, Settings(sales_deep_weekday="mon", sales_deep_days=90), 90),
        (SUNDAY, Settings(sales_deep_weekday="mon"), 7),
    ],
)
def test_sales_are_read_far_back_once_a_week(job_day, settings, days):
    period = KINDS["sales"].period(job_day, settings)

    assert (period.days, period.end) == (days, job_day - timedelta(days=1))
