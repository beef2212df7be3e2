"""What is read from an item, and what is refused."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.api import a_sale, a_title, a_week, an_anticipation, closing

from ifood_actors.errors import SchemaBroken
from ifood_actors.feeds.anticipations import Anticipation
from ifood_actors.feeds.calculation_periods import (
    FIELDS_OF_AN_ITEM,
    CalculationEnvelope,
    calculation_items,
)
from ifood_actors.feeds.exact_json import storable
from ifood_actors.feeds.items import Raw, envelopes, parse
from ifood_actors.feeds.sales import Sale, SalesPage
from ifood_actors.feeds.settlements import SettlementTitle


def amount_of(value: object) -> Decimal:
    return parse(SettlementTitle, a_title(amount=value)).amount


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (Decimal("3406.9"), "3406.90"),
        (Decimal("-129.90"), "-129.90"),
        (5, "5.00"),
        (0, "0.00"),
        (Decimal("-0.0"), "0.00"),
        (Decimal("0E+999999"), "0.00"),
        ("-10.14", "-10.14"),
        ("46.750000", "46.75"),
        (Decimal("1E+3"), "1000.00"),
        (Decimal("999999999999.99"), "999999999999.99"),
    ],
)
def test_money_is_read_to_the_cent(sent, read):
    assert str(amount_of(sent)) == read


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        "abc",
        "1,50",
        "1.234,50",
        "1_000",
        " 1",
        "\u0661",
        "NaN",
        "Infinity",
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("-Infinity"),
        Decimal("0.001"),
        "0.005",
        Decimal(10**12),
        Decimal("1E+999999"),
        Decimal("1E-999999"),
        12.5,
        True,
        [],
        {},
    ],
)
def test_money_that_is_not_sure_is_refused(sent):
    with pytest.raises(SchemaBroken):
        amount_of(sent)


@pytest.mark.parametrize("field", ["type", "amount"])
def test_a_title_without_what_makes_it_money_is_refused(field):
    title = a_title()
    del title[field]

    with pytest.raises(SchemaBroken, match=f"SettlementTitle: {field}: "):
        parse(SettlementTitle, title)


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=2))
def test_money_never_changes_its_value(amount):
    assert amount_of(amount) == amount == amount_of(str(amount))


def test_an_error_names_the_place_and_not_the_value():
    with pytest.raises(SchemaBroken) as caught:
        parse(SettlementTitle, a_title(transactionId=["secret-account"], paymentDate="secret"))

    assert "transactionId" in str(caught.value)
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("sent", "read"), [("2026-09-23", date(2026, 9, 23)), (None, None), ("", None)]
)
def test_days_are_iso_text(sent, read):
    assert parse(SettlementTitle, a_title(paymentDate=sent)).payment_date == read


@pytest.mark.parametrize("sent", [1_758_600_000, "1758600000", "23/09/2026", "2026-02-30", True])
def test_days_are_not_guessed(sent):
    with pytest.raises(SchemaBroken):
        parse(SettlementTitle, a_title(paymentDate=sent))


@pytest.mark.parametrize(
    "sent", ["2026-09-21T01:30:00Z", "2026-09-20T22:30:00-03:00", "2026-09-21T01:30:00"]
)
def test_instants_are_utc(sent):
    sale = parse(Sale, a_sale(createdAt=sent))

    assert sale.created_at == datetime(2026, 9, 21, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("sent", [None, "", 1_758_600_000, "soon", "0001-01-01T00:00:00+14:00"])
def test_a_sale_needs_an_instant(sent):
    with pytest.raises(SchemaBroken):
        parse(Sale, a_sale(createdAt=sent))


@pytest.mark.parametrize(("sent", "read"), [(4821, "4821"), ("4821", "4821"), (None, None)])
def test_a_short_id_is_text_whatever_it_came_as(sent, read):
    assert parse(Sale, a_sale(shortId=sent)).short_id == read


@pytest.mark.parametrize("sale_id", [None, "", "x" * 201, [], True])
def test_a_sale_needs_an_id_that_fits_an_index(sale_id):
    with pytest.raises(SchemaBroken):
        parse(Sale, a_sale(sale_id))


@pytest.mark.parametrize("spelling", ["billingSummary", "billingSumary"])
def test_both_spellings_of_the_billing_summary_are_read(spelling):
    sale = parse(Sale, a_sale(**{spelling: {"saleBalance": Decimal("46.75")}}))

    assert sale.billing_summary is not None
    assert sale.billing_summary.sale_balance == Decimal("46.75")


@pytest.mark.parametrize("sent", [3, "3", Decimal("3.0"), Decimal("3E+0")])
def test_a_count_is_whole(sent):
    assert parse(SalesPage, {"pageCount": sent, "sales": []}).page_count == 3


@pytest.mark.parametrize("sent", [Decimal("1E+999999999"), Decimal("1E-999999999"), "2.5", True])
def test_a_count_that_is_none_is_refused_without_being_written_out(sent):
    with pytest.raises(SchemaBroken, match="pageCount"):
        parse(SalesPage, {"pageCount": sent, "sales": []})


def test_unknown_fields_and_words_pass():
    sale = parse(Sale, a_sale(currentStatus="TELEPORTED", drone={"id": 1}))

    assert sale.current_status == "TELEPORTED"


def test_names_of_any_length_pass():
    assert parse(Sale, a_sale(merchant={"name": "ã" * 10_000})).merchant is not None


def test_what_postgres_cannot_hold_is_replaced():
    assert storable("a\0b\ud800c é 🍕") == "a\ufffdb\ufffdc é 🍕"


def test_a_fee_keeps_all_its_decimals():
    item = parse(Anticipation, an_anticipation(feePercentage=Decimal("1.4875")))

    assert item.fee_percentage == Decimal("1.4875")


def closing_items(answer: object) -> Iterator[tuple[Raw, date | None]]:
    """Give each item of an answer and the first day of its period."""
    for envelope in envelopes(answer):
        for element in parse(CalculationEnvelope, envelope).settlements or []:
            found = calculation_items(element)
            yield from ((item, found.start) for item in found.items)


ENVELOPE = closing(a_week(a_title("in a week")), a_title("loose"))


@pytest.mark.parametrize("answer", [ENVELOPE, [ENVELOPE]])
def test_titles_are_found_loose_and_in_periods(answer):
    items = list(closing_items(answer))

    assert [(item["id"], start) for item, start in items] == [
        ("in a week", date(2026, 9, 14)),
        ("loose", None),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        closing(),
        {"settlements": None},
        closing(a_week()),
        closing({"closingItems": None, "startDateCalculation": "2026-09-14"}),
    ],
)
def test_nothing_has_many_faces(answer):
    assert list(closing_items(answer)) == []


def test_a_loose_title_may_carry_a_null_list():
    [(item, start)] = closing_items(closing(a_title(closingItems=None)))

    assert (item["id"], start) == ("7", None)


@pytest.mark.parametrize(
    "answer",
    [{}, {"message": "try later"}, "maintenance", 7, [[]], closing([]), {"settlements": 1}],
)
def test_an_answer_without_its_list_is_not_taken_for_nothing(answer):
    with pytest.raises(SchemaBroken):
        list(closing_items(answer))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
ITEMS = st.sampled_from(
    [(Sale, a_sale()), (SettlementTitle, a_title()), (Anticipation, an_anticipation())]
)


@given(ITEMS, st.data(), JSON)
def test_a_spoilt_item_is_read_or_refused_and_nothing_else(item, data, junk):
    model, fields = item
    names = [field.alias for field in model.model_fields.values()]
    spoilt = data.draw(st.sampled_from([None, *names]))

    with suppress(SchemaBroken):
        parse(model, junk if spoilt is None else fields | {spoilt: junk})


def test_an_item_is_told_from_a_period_by_what_the_models_need():
    models = (SettlementTitle, Anticipation)
    fields = [field for model in models for field in model.model_fields.values()]

    assert {field.alias for field in fields if field.is_required()} == FIELDS_OF_AN_ITEM
