"""Odd items one by one: which are read, which are set aside, and that the others never suffer."""

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.api import (
    ScriptedApi,
    a_sale,
    a_title,
    a_week,
    an_anticipation,
    closing,
    sales_page,
)

from ifood_actors.errors import Foreign, SchemaBroken
from ifood_actors.feeds import FEEDS, Fetched
from ifood_actors.spans import Period

WEEK = Period(date(2026, 9, 14), date(2026, 9, 20))
MONDAY, SUNDAY = WEEK.start, WEEK.end
GOOD: dict[str, dict[str, Any]] = {
    "sales": a_sale("good"),
    "settlements_weekly": a_title("good"),
    "anticipations_daily": an_anticipation(),
}


def fetched(kind: str, *answers: Any, zone: str = "America/Sao_Paulo") -> Fetched:
    return FEEDS[kind].fetch(ScriptedApi(*answers), WEEK, timezone=ZoneInfo(zone))


def answer(kind: str, *items: Any) -> dict[str, Any]:
    return sales_page(*items) if kind == "sales" else closing(a_week(*items))


def without(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != name}


THREE_DECIMALS = Decimal("-4.317")
SET_ASIDE: dict[str, dict[str, Any]] = {
    "sales": {
        "three decimals": a_sale(saleGrossValue={"bag": THREE_DECIMALS}),
        "three decimals as text": a_sale(saleGrossValue={"bag": "62.905"}),
        "three decimals in another amount": a_sale(
            saleGrossValue={"bag": 1}, billingSummary={"saleBalance": THREE_DECIMALS}
        ),
        "no bag": a_sale(saleGrossValue={"deliveryFee": 1}),
        "an empty bag": a_sale(saleGrossValue={"bag": ""}),
        "null for a bag": a_sale(saleGrossValue={"bag": None}),
        "a comma": a_sale(saleGrossValue={"bag": "62,90"}),
        "an amount in an object": a_sale(saleGrossValue={"bag": {"value": 62}}),
        "too large": a_sale(saleGrossValue={"bag": 10**12}),
        "no id": {"createdAt": "2026-09-16T15:00:00Z"},
        "an empty id": a_sale(""),
        "an endless id": a_sale("x" * 201),
        "no instant": {"id": "odd"},
        "a day for an instant": a_sale(createdAt="2026-09-16"),
        "a number for an instant": a_sale(createdAt=1_758_600_000),
        "a text for an object": a_sale(delivery="DELIVERY"),
        "null": None,
        "a text": "sale",
        "a number": 7,
        "a list": [a_sale()],
    },
    "settlements_weekly": {
        "three decimals": a_title(amount=THREE_DECIMALS),
        "no amount": without(a_title(), "amount"),
        "null for an amount": a_title(amount=None),
        "an empty amount": a_title(amount=""),
        "no type": without(a_title(), "type"),
        "null for a type": a_title(type=None),
        "an endless id": a_title("x" * 201),
        "a day in Brazilian order": a_title(paymentDate="14/09/2026"),
        "a day that is none": a_title(paymentDate="2026-02-30"),
        "a day beyond the calendar": a_title(paymentDate="9999-12-31T23:00:00-03:00"),
        "null": None,
        "a number": 7,
    },
    "anticipations_daily": {
        "three decimals": an_anticipation(feeAmount=THREE_DECIMALS),
        "no original amount": without(an_anticipation(), "originalPaymentAmount"),
        "null for what was paid": an_anticipation(anticipatedPaymentAmount=None),
        "null for a type": an_anticipation(type=None),
        "a fee in words": an_anticipation(feePercentage="1,49 %"),
        "a number for a day": an_anticipation(originalPaymentDate=1_758_600_000),
        "null": None,
        "a list": [],
    },
}


@pytest.mark.parametrize(
    ("kind", "odd"), [(k, odd) for k, each in SET_ASIDE.items() for odd in each]
)
def test_an_item_that_cannot_be_read_exactly_is_set_aside_alone(kind, odd):
    item = SET_ASIDE[kind][odd]

    found = fetched(kind, answer(kind, item, GOOD[kind]))

    [rejected] = found.rejected
    assert [row["raw"] for row in found.rows] == [GOOD[kind]]
    assert rejected.raw == item
    assert str(rejected.raw) == str(item)
    assert MONDAY <= rejected.covered_from <= rejected.covered_to <= SUNDAY
    assert found.complete  # the list was read to its end


READ: dict[str, dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "sales": {
        "null for all gross values": (a_sale(saleGrossValue=None), {}),
        "empty texts and lists for objects": (
            a_sale(saleGrossValue="", merchant=[], benefits="", delivery=[], billingSummary=[]),
            {},
        ),
        "an empty fee": (
            a_sale(saleGrossValue={"bag": 1, "deliveryFee": "", "serviceFee": None}),
            {"sale_gross_value_bag": Decimal(1)},
        ),
        "amounts as text": (
            a_sale(saleGrossValue={"bag": "62.9"}, billingSummary={"saleBalance": "-0.10"}),
            {
                "sale_gross_value_bag": Decimal("62.90"),
                "billing_summary_sale_balance": Decimal("-0.10"),
            },
        ),
        "zeros behind the cents": (
            a_sale(saleGrossValue={"bag": Decimal("62.900000")}),
            {"sale_gross_value_bag": Decimal("62.90")},
        ),
        "an id that is a number": (a_sale(77), {"sale_id": "77"}),
        "words that nobody knows": (
            a_sale(currentStatus="TELEPORTED", salesChannel="DRONE"),
            {"current_status": "TELEPORTED", "sales_channel": "DRONE"},
        ),
        "an instant with an offset and no seconds": (
            a_sale(createdAt="2026-09-20T22:30-03:00"),
            {"sale_day": SUNDAY},
        ),
    },
    "settlements_weekly": {
        "an instant for a day": (
            a_title(paymentDate="2026-01-14T03:00:00Z"),
            {"payment_date": date(2026, 1, 14)},
        ),
        "an instant of the evening before in UTC": (
            a_title(paymentDate="2026-01-14T02:59:59.999Z"),
            {"payment_date": date(2026, 1, 13)},
        ),
        "an instant without an offset": (
            a_title(paymentDate="2026-01-14T03:00:00"),
            {"payment_date": date(2026, 1, 14)},
        ),
        "midnight, as some programs write a day": (
            a_title(paymentDate="2026-01-14T00:00:00Z"),
            {"payment_date": date(2026, 1, 14)},
        ),
        "midnight with an offset": (
            a_title(paymentDate="2026-01-14T00:00:00-03:00"),
            {"payment_date": date(2026, 1, 14)},
        ),
        "an empty day": (a_title(paymentDate=""), {}),
        "an empty list for an account": (a_title(accountDetails=[]), {}),
        "an id that is a number": (a_title(None, id=77), {"title_id": "77"}),
        "a type and a status that nobody knows": (
            a_title(type="CREDITO_ESPECIAL", status="ON_HOLD"),
            {"type": "CREDITO_ESPECIAL", "status": "ON_HOLD"},
        ),
        "an amount as text": (a_title(amount="-129.9"), {"amount": Decimal("-129.90")}),
    },
    "anticipations_daily": {
        "instants for days": (
            an_anticipation(
                originalPaymentDate="2026-10-14T03:00:00Z",
                anticipatedPaymentDate="2026-09-17T02:00:00Z",
            ),
            {
                "original_payment_date": date(2026, 10, 14),
                "anticipated_payment_date": date(2026, 9, 16),
            },
        ),
        "an empty fee": (an_anticipation(feePercentage="", feeAmount=""), {}),
        "amounts as text": (
            an_anticipation(originalPaymentAmount="100", feePercentage="1.4875"),
            {"original_payment_amount": Decimal(100), "fee_percentage": Decimal("1.4875")},
        ),
        "a status that nobody knows": (an_anticipation(status="ON_HOLD"), {"status": "ON_HOLD"}),
    },
}


@pytest.mark.parametrize(
    ("kind", "odd"), [(kind, odd) for kind, each in READ.items() for odd in each]
)
def test_an_odd_item_that_is_sure_is_read(kind, odd):
    item, columns = READ[kind][odd]

    found = fetched(kind, answer(kind, item))

    [row] = found.rows
    assert found.rejected == ()
    assert columns.items() <= row.items()
    assert row["raw"] == item


def test_a_day_with_a_time_is_one_in_the_accounts_zone():
    title = a_title(paymentDate="2026-01-14T04:00:00Z")

    days = [
        fetched("settlements_weekly", answer("settlements_weekly", title), zone=zone).rows[0]
        for zone in ("America/Sao_Paulo", "America/Rio_Branco")
    ]

    assert [row["payment_date"].day for row in days] == [14, 13]


@pytest.mark.parametrize("kind", ["settlements_weekly", "anticipations_daily"])
@pytest.mark.parametrize(
    "period",
    [
        {"startDateCalculation": "2026-09-14", "endDateCalculation": "2026-09-20"},
        {"startDateCalculation": "2026-09-14T03:00:00Z", "closingItems": ""},
        {"endDateCalculation": "2026-09-20", "closingItems": None, "type": None},
        {"startDateCalculation": "2026-09-14", "novelty": {"x": 1}},
        {"closingItems": None},
    ],
)
def test_a_period_without_items_is_an_empty_one(kind, period):
    found = fetched(kind, closing(period, a_week(GOOD[kind])))

    assert len(found.rows) == 1
    assert found.rejected == ()


@pytest.mark.parametrize("kind", ["settlements_weekly", "anticipations_daily"])
@pytest.mark.parametrize(
    "element",
    [
        {},
        {"amount": 10, "startDateCalculation": "2026-09-14", "endDateCalculation": "2026-09-20"},
        {"closingItems": None, "amount": 10},
        {"closingItems": {}, "startDateCalculation": "2026-09-14"},
        {"closingItems": [a_title()], "startDateCalculation": "14/09/2026"},
        None,
        "2026-09-14",
        [],
    ],
)
def test_an_element_that_is_neither_a_period_nor_an_item_is_set_aside_whole(kind, element):
    found = fetched(kind, closing(element, a_week(GOOD[kind])))

    [rejected] = found.rejected
    assert rejected.raw == element
    assert len(found.rows) == 1
    assert (rejected.covered_from, rejected.covered_to) == (MONDAY, SUNDAY)


def test_a_reason_names_the_place_and_never_the_value():
    secret = a_sale(saleGrossValue={"bag": "secret"}, delivery={"prices": {"discount": "hidden"}})

    [rejected] = fetched("sales", answer("sales", secret)).rejected

    assert rejected.reason == "Sale: saleGrossValue.bag: Value error, no exact number"


def test_the_day_of_a_sale_that_cannot_be_read_is_known_all_the_same():
    odd = a_sale(createdAt="2026-09-17T01:00:00Z", saleGrossValue={})

    [rejected] = fetched("sales", answer("sales", odd)).rejected

    assert rejected.covered_from == rejected.covered_to == date(2026, 9, 16)


@pytest.mark.parametrize(
    "foreign", [{"merchant": {"id": "another"}}, {"createdAt": "2025-08-01T12:00:00Z"}]
)
def test_a_sale_that_cannot_be_read_may_still_be_foreign(foreign):
    with pytest.raises(Foreign):
        fetched("sales", answer("sales", a_sale(saleGrossValue={}, **foreign)))


def test_an_item_is_known_by_its_id_or_else_by_all_that_it_is():
    odd = [a_title("9", amount=""), a_title(None, amount=""), a_title(None, amount="x")]

    first, again = (
        fetched("settlements_weekly", answer("settlements_weekly", *items))
        for items in (odd, odd[::-1])
    )

    keys = sorted(item.key for item in first.rejected)
    assert keys[0] == "9"
    assert [key.partition(":")[0] for key in keys[1:]] == ["derived", "derived"]
    assert keys == sorted(item.key for item in again.rejected)
    assert len(set(keys)) == 3


def test_a_page_of_nothing_but_odd_sales_does_not_end_the_list():
    odd = a_sale("1", saleGrossValue={})
    pages = [sales_page(odd, pages=None), sales_page(a_sale("2"), pages=None), None]

    found = fetched("sales", *pages)

    assert [item.key for item in found.rejected] == ["1"]
    assert [row["sale_id"] for row in found.rows] == ["2"]
    assert found.complete


def test_a_sale_is_what_its_later_sight_says():
    good, odd = a_sale("1"), a_sale("1", saleGrossValue={})

    later_good = fetched("sales", sales_page(odd, pages=2), sales_page(good, pages=2))
    later_odd = fetched("sales", sales_page(good, pages=2), sales_page(odd, pages=2))

    assert (len(later_good.rows), len(later_good.rejected)) == (1, 0)
    assert (len(later_odd.rows), len(later_odd.rejected)) == (0, 1)


def test_a_list_that_moved_has_lost_nothing_when_all_of_it_comes_again_odd_or_not():
    odd = a_sale("1", saleGrossValue={})
    first = [sales_page(odd, pages=2, total=3), sales_page(a_sale("2"), pages=2, total=2)]
    second = [sales_page(odd, pages=2, total=2), sales_page(a_sale("2"), pages=2, total=2)]

    assert fetched("sales", *first, *second).complete


def test_sums_hold_what_was_read_and_nothing_of_what_was_not():
    odd = a_sale("odd", saleGrossValue={"bag": THREE_DECIMALS})
    good = a_sale("good", saleGrossValue={"bag": Decimal("62.90")})

    assert fetched("sales", answer("sales", odd, good)).amount == Decimal("62.90")


@pytest.mark.parametrize("kind", FEEDS)
def test_a_list_of_millions_is_not_looked_at_one_by_one(kind):
    with pytest.raises(SchemaBroken):
        fetched(kind, answer(kind, *[{}] * 10_001))


@pytest.mark.parametrize("kind", sorted(FEEDS.keys() - {"sales"}))
def test_many_short_lists_are_no_way_around(kind):
    weeks = [a_week(*[{}] * 9_000), a_week(*[{}] * 9_000)]

    with pytest.raises(SchemaBroken, match="more than 10000 items"):
        fetched(kind, closing(*weeks))
