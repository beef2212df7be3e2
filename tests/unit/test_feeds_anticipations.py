"""What the anticipations feed asks, and how it tells items without an id apart."""

from datetime import date
from decimal import Decimal
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from support.api import ScriptedApi, a_week, an_anticipation, closing

from ifood_actors.feeds import FEEDS, Fetched
from ifood_actors.spans import Period

MONTH = Period(date(2026, 8, 22), date(2026, 9, 20))


def pulled(*answers: object, period: Period = MONTH) -> Fetched:
    api = ScriptedApi(*answers)  # type: ignore[arg-type] # some tests answer nonsense
    return FEEDS["anticipations_daily"].fetch(api, period, timezone=ZoneInfo("America/Sao_Paulo"))


def test_thirty_days_are_one_request_by_calculation_date():
    api = ScriptedApi()

    FEEDS["anticipations_daily"].fetch(api, MONTH, timezone=ZoneInfo("UTC"))

    assert api.asked == [
        (
            "anticipations",
            {"beginCalculationDate": "2026-08-22", "endCalculationDate": "2026-09-20"},
        )
    ]


@pytest.mark.parametrize("answer", [None, [], closing(), closing(a_week())])
def test_a_store_without_a_plan_is_a_success_with_no_rows(answer):
    assert pulled(answer) == Fetched((), Decimal(0))


def test_the_example_of_the_guide_is_read_to_the_cent():
    item = an_anticipation(
        originalPaymentAmount=Decimal("221.16"),
        feePercentage=Decimal("1.49"),
        feeAmount=Decimal("3.30"),
        anticipatedPaymentAmount=Decimal("217.86"),
    )

    fetched = pulled([closing(a_week(item, start="2026-09-15", end="2026-09-15"))])

    [row] = fetched.rows
    assert row["original_payment_amount"] - row["fee_amount"] == fetched.amount
    assert fetched.amount == Decimal("217.86")
    assert row["covered_from"] == row["covered_to"] == date(2026, 9, 15)


def test_twins_are_both_kept_and_their_order_does_not_matter():
    items = [an_anticipation(status=status) for status in ("PENDING", "SUCCEED", "SUCCEED")]

    orders = [pulled(closing(a_week(*order))) for order in permutations(items)]

    assert [row["ordinal"] for row in orders[0].rows] == [1, 2, 3]
    assert all(order == orders[0] for order in orders)


def test_twins_of_two_periods_are_counted_apart():
    day = an_anticipation()

    fetched = pulled(
        closing(a_week(day), a_week(day, start="2026-09-07", end="2026-09-13"), day, day)
    )

    assert sorted(row["ordinal"] for row in fetched.rows) == [1, 1, 1, 2]


def test_an_item_that_two_blocks_bring_is_one():
    answer = closing(a_week(an_anticipation(), start="2026-08-28", end="2026-09-03"))

    fetched = pulled(answer, answer, period=Period(date(2026, 8, 1), date(2026, 9, 20)))

    assert len(fetched.rows) == 1
