"""An answer about another merchant or other days is refused, and nothing else is."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from support.api import (
    MERCHANT,
    ScriptedApi,
    a_sale,
    a_title,
    a_week,
    an_anticipation,
    closing,
    sales_page,
)

from ifood_actors.errors import Foreign
from ifood_actors.feeds import FEEDS, Fetched
from ifood_actors.spans import Period

WEEK = Period(date(2026, 9, 14), date(2026, 9, 20))
OTHER = "3f6e1c3a-9a3f-4c1e-9a77-0f2b7d9f1c99"
LAST_YEAR = {"start": "2025-08-01", "end": "2025-08-07"}
NEXT_WEEK = {"start": "2026-09-21", "end": "2026-09-27"}
# As it was met in production: the test data of a homologation, for whoever asks.
FIXTURE = sales_page(
    a_sale(createdAt="2025-08-01T22:41:07.512Z", merchant={"id": OTHER}),
    page=1,
    size=1,
    total=2,
    pages=2,
)


def pulled(kind: str, *answers: object) -> Fetched:
    api = ScriptedApi(*answers)  # type: ignore[arg-type] # some tests answer nonsense
    return FEEDS[kind].fetch(api, WEEK, timezone=ZoneInfo("America/Sao_Paulo"))


@pytest.mark.parametrize(
    "page",
    [
        FIXTURE,
        sales_page(a_sale("1"), a_sale("2", merchant={"id": OTHER})),
        sales_page(a_sale("1"), a_sale("2", createdAt="2025-09-20T15:00:00Z")),
        sales_page(a_sale(createdAt="2026-09-12T15:00:00Z")),
        sales_page(a_sale(createdAt="2026-09-22T15:00:00Z")),
        sales_page(pages=0, beginSalesDate="2025-08-01", endSalesDate="2025-08-07"),
        sales_page(pages=0, endSalesDate="2026-09-12"),
        {"sales": None, "beginSalesDate": "2026-09-22T00:00:00Z"},
    ],
)
def test_sales_of_another_merchant_or_of_other_days_are_refused(page):
    with pytest.raises(Foreign):
        pulled("sales", page)


@pytest.mark.parametrize("kind", ["settlements_weekly", "anticipations_daily"])
@pytest.mark.parametrize("days", [LAST_YEAR, NEXT_WEEK])
def test_calculation_periods_wholly_outside_are_refused(kind, days):
    item = a_title() if kind == "settlements_weekly" else an_anticipation()

    for week in (a_week(item, **days), a_week(**days)):
        with pytest.raises(Foreign):
            pulled(kind, closing(a_week(), week))


@pytest.mark.parametrize(
    "named", [{"id": MERCHANT}, {"id": f" {MERCHANT.upper()} "}, {"id": ""}, {"id": None}, {}, None]
)
def test_a_sale_that_names_its_merchant_in_any_spelling_or_nobody_is_ours(named):
    assert len(pulled("sales", sales_page(a_sale(merchant=named))).rows) == 1


@pytest.mark.parametrize("edge", ["2026-09-13T04:00:00Z", "2026-09-22T02:00:00Z"])
def test_a_store_whose_zone_we_do_not_know_may_be_hours_off(edge):
    assert len(pulled("sales", sales_page(a_sale(createdAt=edge))).rows) == 1


@pytest.mark.parametrize(
    "dates",
    [
        {"beginSalesDate": "2026-09-14", "endSalesDate": "2026-09-20"},
        {"beginSalesDate": "01/08/2025", "endSalesDate": 7},
        {"beginSalesDate": None},
    ],
)
def test_an_empty_page_is_ours_unless_it_says_otherwise(dates):
    assert pulled("sales", sales_page(pages=0, **dates)).complete


def test_sales_speak_for_themselves_whatever_their_envelope_says():
    page = sales_page(a_sale(), beginSalesDate="2025-08-01", endSalesDate="2025-08-07")

    assert len(pulled("sales", page).rows) == 1


@pytest.mark.parametrize("kind", ["settlements_weekly", "anticipations_daily"])
def test_an_envelope_of_a_chain_is_kept_and_noted(kind):
    item = a_title() if kind == "settlements_weekly" else an_anticipation()
    envelopes = [
        closing(a_week(item), merchantId=OTHER),
        closing(merchantId=MERCHANT.upper()),
        closing(merchantId=None),
        closing(merchantId={"id": OTHER}),
    ]

    fetched = pulled(kind, envelopes)

    assert len(fetched.rows) == 1
    assert fetched.other_merchant_ids == (OTHER,)


def test_a_week_on_the_edge_of_what_was_asked_for_is_ours():
    weeks = [a_week(start="2026-09-08", end="2026-09-14"), a_week(start="2026-09-20", end=None)]

    assert pulled("settlements_weekly", closing(*weeks)).rows == ()
