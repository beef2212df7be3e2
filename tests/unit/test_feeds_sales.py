"""How the sales feed pages, when it stops, and which day a sale belongs to."""

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from support.api import ScriptedApi, a_sale, sales_page

from ifood_actors.errors import Forbidden, Rejected, SchemaBroken, ServerFault
from ifood_actors.feeds import FEEDS, Fetched
from ifood_actors.spans import Period

WEEK = Period(date(2026, 9, 14), date(2026, 9, 20))
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
INVALID_PAGE = Rejected("400 Invalid page. pageCount = 1", status=400)


def pulled(api: ScriptedApi, period: Period = WEEK) -> Fetched:
    return FEEDS["sales"].fetch(api, period, timezone=SAO_PAULO)


def ids(fetched: Fetched) -> list[str]:
    return [row["sale_id"] for row in fetched.rows]


def test_a_week_is_asked_page_by_page_from_one_without_a_size():
    api = ScriptedApi(sales_page(a_sale("1"), pages=2), sales_page(a_sale("2"), pages=2))

    fetched = pulled(api)

    days = {"beginSalesDate": "2026-09-14", "endSalesDate": "2026-09-20"}
    assert api.asked == [("sales", days | {"page": "1"}), ("sales", days | {"page": "2"})]
    assert ids(fetched) == ["1", "2"]


def test_a_longer_period_is_asked_in_blocks_of_seven_days():
    api = ScriptedApi()

    pulled(api, Period(date(2026, 8, 22), date(2026, 9, 20)))

    assert [params["beginSalesDate"] for _, params in api.asked] == [
        "2026-08-22",
        "2026-08-29",
        "2026-09-05",
        "2026-09-12",
        "2026-09-19",
    ]


@pytest.mark.parametrize(
    "answer",
    [None, [], sales_page(pages=0), {"sales": None}, [sales_page(pages=0)], sales_page(pages=None)],
)
def test_nothing_is_a_success_with_no_rows(answer):
    api = ScriptedApi(answer)

    assert pulled(api) == Fetched((), Decimal(0))
    assert len(api.asked) == 1


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_envelope_may_stand_in_a_list(wrapped):
    page = sales_page(a_sale())

    assert ids(pulled(ScriptedApi([page] if wrapped else page))) == ["sale-1"]


def test_a_sale_that_moved_between_pages_is_one_and_the_later_sight_counts():
    api = ScriptedApi(
        sales_page(a_sale("1"), a_sale("2", currentStatus="PLACED"), pages=2),
        sales_page(a_sale("2", currentStatus="CONCLUDED"), a_sale("3"), pages=2),
    )

    fetched = pulled(api)

    assert ids(fetched) == ["1", "2", "3"]
    assert fetched.rows[1]["current_status"] == "CONCLUDED"


def test_the_total_is_not_trusted():
    fetched = pulled(ScriptedApi(sales_page(a_sale(), total=2)))

    assert fetched.complete


def test_a_list_that_repeats_its_first_page_ends_but_is_not_complete():
    api = ScriptedApi(always=lambda: sales_page(a_sale(), pages=50))

    fetched = pulled(api)

    assert [params["page"] for _, params in api.asked] == ["1", "2", "1", "2"]
    assert ids(fetched) == ["sale-1"]
    assert not fetched.complete


def test_a_list_that_moved_while_it_was_read_is_read_once_more():
    # The first sale left the list, so that the third moved to the page that was read already.
    moved = [sales_page(a_sale("1"), a_sale("2"), pages=2, total=4)]
    moved += [sales_page(a_sale("4"), pages=2, total=3)]
    again = [sales_page(a_sale("2"), a_sale("3"), pages=2, total=3)]
    again += [sales_page(a_sale("4"), pages=2, total=3)]
    api = ScriptedApi(*moved, *again)

    fetched = pulled(api)

    assert [params["page"] for _, params in api.asked] == ["1", "2", "1", "2"]
    assert sorted(ids(fetched)) == ["1", "2", "3", "4"]
    assert not fetched.complete  # whether the first is gone for good, the next pull will know


@pytest.mark.parametrize(
    ("first", "last"),
    [({"total": 2}, {"total": 3}), ({"pages": 2}, {"pages": 3}), ({"pages": 3}, {"pages": 2})],
)
def test_a_second_reading_that_stood_still_and_brought_all_of_the_first_is_complete(first, last):
    still = {"pages": 2, "total": 2}
    api = ScriptedApi(
        sales_page(a_sale("1"), **still | first),
        sales_page(a_sale("2"), **still | last),
        *([INVALID_PAGE] if last.get("pages") == 3 else []),
        sales_page(a_sale("1"), **still),
        sales_page(a_sale("2"), **still),
    )

    fetched = pulled(api)

    assert ids(fetched) == ["1", "2"]
    assert fetched.complete
    assert api.answers == []


def test_a_list_that_never_stands_still_is_read_twice_and_no_more():
    totals = iter(range(100))
    api = ScriptedApi(
        always=lambda: sales_page(a_sale(str(next(totals))), pages=2, total=next(totals))
    )

    fetched = pulled(api)

    assert len(api.asked) == 4
    assert len(fetched.rows) == 4
    assert not fetched.complete


def test_a_block_that_ifood_fails_at_is_read_by_halves_and_a_day_is_the_smallest():
    fault = ServerFault("502", status=502)
    monday = a_sale("1", createdAt="2026-09-14T15:00:00Z")
    api = ScriptedApi(fault, fault, sales_page(monday), always=lambda: None)

    fetched = pulled(api)

    spans = [(p["beginSalesDate"][-2:], p["endSalesDate"][-2:]) for _, p in api.asked]
    assert spans == [("14", "20"), ("14", "17"), ("14", "15"), ("16", "17"), ("18", "20")]
    assert ids(fetched) == ["1"]
    assert fetched.complete


@pytest.mark.parametrize("end", [INVALID_PAGE, None, sales_page(pages=None)])
def test_a_list_without_a_count_ends_where_nothing_new_comes(end):
    fetched = pulled(ScriptedApi(sales_page(a_sale(), pages=None), end))

    assert ids(fetched) == ["sale-1"]
    assert fetched.complete


@pytest.mark.parametrize("end", [INVALID_PAGE, None])
def test_a_list_that_ends_before_its_count_is_not_complete(end):
    fetched = pulled(ScriptedApi(sales_page(a_sale(), pages=3), end))

    assert ids(fetched) == ["sale-1"]
    assert not fetched.complete


@pytest.mark.parametrize(
    "error",
    [Forbidden("403", status=403), Rejected("400 bad date", status=400), ServerFault("503")],
)
def test_any_other_error_of_a_later_page_fails_the_pull(error):
    with pytest.raises(type(error)):
        pulled(ScriptedApi(sales_page(a_sale(), pages=2), error))


def test_an_invalid_first_page_fails_the_pull():
    with pytest.raises(Rejected):
        pulled(ScriptedApi(INVALID_PAGE))


@pytest.mark.parametrize(
    "counts",
    [
        {"total": 1_000_000, "pages": 1_000_000},
        {"total": 1, "pages": 1},
        {"total": "12", "pages": None},
        {"total": None, "pages": 2},
        {"total": 3, "pages": 0},
    ],
)
@pytest.mark.parametrize("listed", [[], None])
def test_a_list_that_announces_sales_and_shows_none_twice_is_an_error(counts, listed):
    page = sales_page(**counts) | {"sales": listed}
    api = ScriptedApi(always=lambda: page)

    with pytest.raises(SchemaBroken, match="announces sales and shows none, twice"):
        pulled(api)

    assert api.answers == []


@pytest.mark.parametrize("again", [sales_page(a_sale(), total=1), sales_page(total=0), None])
def test_a_list_that_shows_what_it_announces_when_it_is_read_again_is_complete(again):
    fetched = pulled(ScriptedApi(sales_page(total=5), again))

    assert fetched.complete
    assert ids(fetched) == (["sale-1"] if again and again["sales"] else [])


@pytest.mark.parametrize("counts", [{"total": 0}, {"total": "0"}, {"total": None}, {}])
@pytest.mark.parametrize("pages", [0, 1, None, ""])
def test_an_empty_page_that_counts_no_sales_is_a_success(counts, pages):
    api = ScriptedApi(sales_page(pages=pages, **counts))

    assert pulled(api) == Fetched((), Decimal(0))
    assert len(api.asked) == 1


def test_an_endless_list_is_an_error_and_not_cut():
    numbers = iter(range(1000))
    api = ScriptedApi(always=lambda: sales_page(a_sale(str(next(numbers))), pages=None))

    with pytest.raises(SchemaBroken, match="more than 200 pages"):
        pulled(api)

    assert len(api.asked) == 200


def test_a_count_beyond_reason_is_an_error_at_once():
    api = ScriptedApi(sales_page(a_sale(), pages=201))

    with pytest.raises(SchemaBroken):
        pulled(api)

    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("zone", "created_at", "day"),
    [
        ("America/Sao_Paulo", "2026-09-21T01:30:00Z", date(2026, 9, 20)),
        ("Etc/GMT+3", "2026-09-21T01:30:00Z", date(2026, 9, 20)),
        ("America/Rio_Branco", "2026-09-21T04:30:00Z", date(2026, 9, 20)),
        ("America/Noronha", "2026-09-21T02:30:00Z", date(2026, 9, 21)),
        (None, "2026-09-21T01:30:00Z", date(2026, 9, 20)),
        ("Mars/Olympus", "2026-09-21T01:30:00Z", date(2026, 9, 20)),
        ("America", "2026-09-21T01:30:00Z", date(2026, 9, 20)),
        ("../etc/passwd", "2026-09-21T01:30:00Z", date(2026, 9, 20)),
        ("\0", "2026-09-21T01:30:00Z", date(2026, 9, 20)),
    ],
)
def test_a_sale_belongs_to_its_merchants_local_day(zone, created_at, day):
    sale = a_sale(createdAt=created_at, merchant={"timezone": zone})

    [row] = pulled(ScriptedApi(sales_page(sale))).rows

    assert row["sale_day"] == row["covered_from"] == row["covered_to"] == day


def test_nested_fields_become_joined_columns():
    sale = a_sale(
        saleGrossValue={"bag": Decimal("62.90")},
        delivery={"prices": {"netValue": "7.99"}},
        billingSumary={"saleBalance": Decimal("46.75")},
    )

    fetched = pulled(ScriptedApi(sales_page(sale)))

    [row] = fetched.rows
    assert row["sale_gross_value_bag"] == fetched.amount == Decimal("62.90")
    assert row["delivery_prices_net_value"] == Decimal("7.99")
    assert row["billing_summary_sale_balance"] == Decimal("46.75")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"sales": 7},
        {"sales": {}},
        {"sales": [], "pageCount": "many"},
        [[a_sale()]],
        "gateway",
    ],
)
def test_a_broken_answer_is_never_taken_for_data(answer):
    with pytest.raises(SchemaBroken):
        pulled(ScriptedApi(answer))
