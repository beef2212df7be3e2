"""The views of `reporting`: each trap of iFood's data, made by hand, and what they say of it."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import Engine
from support.api import a_sale, a_title, a_week, an_anticipation
from support.records import TUESDAY, WEEK, money, pull_anticipations, pull_sales, pull_titles, read

from ifood_actors.spans import Period

pytestmark = pytest.mark.services


def payouts(engine: Engine) -> dict[str, str]:
    """What each receiver gets, in all."""
    sums = "sum(to_store), sum(to_financer), sum(owed), sum(unclassified)"
    [row] = read(engine, "payouts", sums)
    names = ("store", "financer", "owed", "unclassified")
    return {name: str(sum_) for name, sum_ in zip(names, row, strict=True) if sum_}


def roles(engine: Engine) -> dict[str, str]:
    return dict(read(engine, "titles", "title_id, role"))


def test_one_payout_in_three_titles_is_counted_once(engine):
    pull_titles(
        engine,
        money(1, "SALDO POSITIVO", "17430.56", status="CLOSED"),
        money(2, "REPASSE", "17430.56", status="SUCCEED"),
        money(3, "REGISTRO_RECEBIVEIS", "17430.56"),
    )

    assert payouts(engine) == {"store": "17430.56"}
    assert roles(engine) == {"1": "balance", "2": "payout", "3": "record"}


def test_receivables_that_a_financer_gets_are_not_the_store_s(engine):
    pull_titles(
        engine,
        money(71000001, "REPASSE", "3406.90", status="SUCCEED"),
        money(71000002, "REGISTRO_RECEBIVEIS", "5057.11"),
        loose=[money(71000003, "BOLETO", "-129.90")],
    )

    assert payouts(engine) == {"store": "3406.90", "financer": "5057.11", "owed": "-129.90"}
    assert read(engine, "payouts", "title_id, paid, week_start") == [
        ("71000001", True, WEEK.start),
        ("71000002", False, WEEK.start),
        ("71000003", False, None),
    ]


@pytest.mark.parametrize(("pledged", "rest"), [("50570.92", "34069.17"), ("42320.05", "42320.05")])
def test_a_renegotiated_payout_is_its_parts(engine, pledged, rest):
    whole = str(Decimal(pledged) + Decimal(rest))
    pull_titles(
        engine,
        money(1, "SALDO POSITIVO", whole, status="CLOSED"),
        money(2, "RENEGOCIADA", whole, status="TRANSFER_RENEGOTIATED"),
        money(3, "REGISTRO_RECEBIVEIS", pledged),
        money(4, "REPASSE", rest),
    )

    assert payouts(engine) == {"store": rest, "financer": pledged}
    assert roles(engine) == {"1": "balance", "2": "original", "3": "pledge", "4": "payout"}


def test_as_many_records_as_equal_payouts_are_mere_records(engine):
    numbered = enumerate(["REPASSE"] * 2 + ["REGISTRO_RECEBIVEIS"] * 3)

    pull_titles(engine, *(money(number, type_, "10.00") for number, type_ in numbered))

    assert payouts(engine) == {"store": "20.00", "financer": "10.00"}


@pytest.mark.parametrize(
    ("type_", "amount", "role", "counted"),
    [
        ("SALDO POSITIVO", "10.00", "undelivered", {"store": "10.00"}),
        ("SALDO NEGATIVO", "-10.00", "balance", {}),
        ("RENEGOCIADA", "10.00", "undivided", {"unclassified": "10.00"}),
        ("CREDITO_ESPECIAL", "10.00", "unknown", {"unclassified": "10.00"}),
    ],
)
def test_a_title_that_stands_alone(engine, type_, amount, role, counted):
    pull_titles(engine, money(1, type_, amount))

    assert roles(engine) == {"1": role}
    assert payouts(engine) == counted


def test_titles_of_two_weeks_do_not_explain_each_other(engine):
    before = a_week(money(1, "REPASSE", "10.00"), start="2026-09-07", end="2026-09-13")

    pull_titles(
        engine,
        money(2, "REGISTRO_RECEBIVEIS", "10.00"),
        loose=[before],
        period=Period(date(2026, 9, 7), WEEK.end),
    )

    assert payouts(engine) == {"store": "10.00", "financer": "10.00"}


def test_loose_titles_explain_each_other_when_they_share_their_day(engine):
    day = {"paymentDate": "2026-09-23"}
    pull_titles(
        engine,
        loose=[
            money(1, "REPASSE", "10.00", **day),
            money(2, "REGISTRO_RECEBIVEIS", "10.00", **day),
            money(3, "REGISTRO_RECEBIVEIS", "10.00", paymentDate="2026-09-30"),
            money(4, "REGISTRO_RECEBIVEIS", "10.00", paymentDate=None),
        ],
    )

    assert roles(engine) == {"1": "payout", "2": "record", "3": "pledge", "4": "pledge"}


def test_what_ifood_no_longer_returns_is_not_counted_until_it_comes_back(engine):
    both = [money(1, "REPASSE", "10.00"), money(2, "REPASSE", "20.00")]
    pull_titles(engine, *both)

    pull_titles(engine, both[0], now=TUESDAY)
    without = payouts(engine)
    pull_titles(engine, *both, now=TUESDAY)

    assert (without, payouts(engine)) == ({"store": "10.00"}, {"store": "30.00"})


def test_a_title_of_several_stores_of_a_chain_is_counted_once(engine):
    nameless = a_title(None, type="BOLETO", amount=-5)
    own = money(2, "REPASSE", "20.00")
    pull_titles(engine, money(1, "REPASSE", "10.00"), nameless, merchant="b")
    pull_titles(engine, money(1, "REPASSE", "10.00"), own, nameless, merchant="a", now=TUESDAY)
    # Shares nothing with the first store, and belongs to its chain all the same.
    pull_titles(engine, own, merchant="c")

    assert payouts(engine) == {"store": "30.00", "owed": "-5.00"}
    assert read(engine, "titles", "amount, merchant_id, returned_for") == [
        (Decimal("-5.00"), "a", ["a", "b"]),
        (Decimal("10.00"), "a", ["a", "b"]),
        (Decimal("20.00"), "a", ["a", "c"]),
    ]
    assert read(engine, "weeks", "merchant_id, expected") == [("a", Decimal("30.00"))]


def test_of_a_chain_s_title_the_latest_sight_counts(engine):
    title = money(1, "REPASSE", "10.00", status="PENDING")
    pull_titles(engine, title, merchant="a")
    pull_titles(engine, {**title, "status": "SUCCEED"}, merchant="b", now=TUESDAY)

    assert read(engine, "payouts", "merchant_id, paid, to_store") == [("a", True, Decimal("10.00"))]


def test_a_chain_stays_one_when_a_store_s_shared_titles_are_gone(engine):
    trio = ["SALDO POSITIVO", "REPASSE", "REGISTRO_RECEBIVEIS"]
    items = [money(number, type_, "10.00") for number, type_ in enumerate(trio)]
    pull_titles(engine, *items, merchant="a")
    pull_titles(engine, *items, merchant="b")

    pull_titles(engine, items[0], merchant="a", now=TUESDAY)

    assert payouts(engine) == {"store": "10.00"}


def test_equal_fees_without_id_make_no_chain(engine):
    fee = a_title(None, type="BOLETO", amount=Decimal("-129.90"))
    pull_titles(engine, loose=[fee], merchant="a")
    pull_titles(engine, loose=[fee], merchant="b")

    assert payouts(engine) == {"owed": "-259.80"}
    assert read(engine, "chains", "*") == []


def test_an_anticipation_tells_the_real_day_and_the_fee(engine):
    item = an_anticipation(
        originalPaymentAmount=Decimal("221.16"),
        feePercentage=Decimal("1.49"),
        feeAmount=Decimal("3.30"),
        anticipatedPaymentAmount=Decimal("217.86"),
        status="SUCCEED",
    )
    pull_anticipations(engine, item, an_anticipation(anticipatedPaymentDate=None, status="FAILED"))

    columns = "original_amount, fee_amount, anticipated_amount, anticipated_payment_date"
    columns = f"{columns}, days_earlier, paid, week_start"
    assert read(engine, "anticipations", columns) == [
        (Decimal(100), Decimal("1.50"), Decimal("98.50"), None, None, False, WEEK.start),
        (
            *map(Decimal, ("221.16", "3.30", "217.86")),
            date(2026, 9, 16),
            28,
            True,
            WEEK.start,
        ),
    ]


@pytest.mark.parametrize("status", ["PENDING", "SUCCEED"])
def test_a_week_that_was_anticipated_is_paid_once_and_in_full(engine, status):
    original = {"14277.58": "14064.84", "7042.91": "6937.97"}
    pull_titles(engine, money(1, "REPASSE", "21320.49", status=status))
    pull_anticipations(
        engine,
        *(
            an_anticipation(
                originalPaymentAmount=Decimal(due),
                anticipatedPaymentAmount=Decimal(came),
                status="SUCCEED",
            )
            for due, came in original.items()
        ),
    )

    columns = "week_start, expected, anticipated, anticipation_fee, paid, difference"
    expected = map(Decimal, ("21320.49", "21320.49", "317.68", "21320.49", "0.00"))
    assert read(engine, "weeks", columns) == [(WEEK.start, *expected)]


def test_a_week_shows_what_is_still_to_come_and_what_the_orders_say(engine):
    pull_titles(
        engine,
        money(1, "SALDO POSITIVO", "100.00", status="CLOSED"),
        money(2, "REPASSE", "60.00", status="SUCCEED"),
        money(3, "REGISTRO_RECEBIVEIS", "40.00", status="FAILED"),
        loose=[money(4, "BOLETO", "-7.00")],
    )
    pull_sales(
        engine,
        a_sale("1", billingSummary={"saleBalance": Decimal("110.25")}),
        a_sale("2"),
    )

    columns = "week_start, expected, paid, difference, owed, closing_balance"
    columns = f"{columns}, sales_balance, sales_without_balance, sales_difference"
    of_the_week = ("100.00", "60.00", "40.00", "0", "100.00", "110.25", "1", "-10.25")
    assert read(engine, "weeks", columns) == [
        (WEEK.start, *map(Decimal, of_the_week)),
        (None, Decimal(0), Decimal(0), Decimal(0), Decimal("-7.00"), None, None, 0, None),
    ]


def test_a_day_of_sales_is_the_store_s_and_cancelled_orders_stand_apart(engine):
    day, night = "2026-09-20T15:00:00Z", "2026-09-21T01:30:00Z"
    gross = {"bag": Decimal("62.90"), "deliveryFee": Decimal("7.99"), "serviceFee": Decimal("0.99")}
    balance = {"saleBalance": Decimal("46.75")}
    sold = a_sale("1", createdAt=night, saleGrossValue=gross, billingSummary=balance)
    bare = a_sale("2", createdAt=day, saleGrossValue={"bag": 10}, benefits={"totalValue": 3})
    cancelled = a_sale(
        "3",
        createdAt=day,
        currentStatus="CANCELLED",
        saleGrossValue={"bag": 50},
        billingSummary={"saleBalance": -2},
    )
    pull_sales(engine, sold, bare, cancelled, a_sale("gone", createdAt=day))
    pull_sales(engine, sold, bare, cancelled, now=TUESDAY)

    columns = "sale_day, orders, bag, delivery_fee, service_fee, gross, benefits"
    columns = f"{columns}, balance, without_balance, cancelled_orders, cancelled_bag"
    numbers = ("2", "72.90", "7.99", "0.99", "81.88", "3.00", "44.75", "1", "1", "50.00")
    assert read(engine, "sales_days", columns) == [(WEEK.end, *map(Decimal, numbers))]
