from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import simplejson

from ifood_simulator.merchants import Merchant
from ifood_simulator.settings import App, Settings
from ifood_simulator.truth import summaries, truth
from ifood_simulator.world import World

Document = dict[str, Any]  # JSON's edge

TODAY = date(2026, 9, 22)
WEEK = (date(2026, 9, 14), date(2026, 9, 20))
MONTH = (date(2026, 8, 24), date(2026, 9, 20))
WORLD = World(Settings(merchants=60, sales_per_day=2))


def sales_json(world: World, merchant: Merchant, *, today: date = TODAY) -> list[Document]:
    rows = world.sales(merchant, *WEEK, today=today)
    return [simplejson.loads(row.body, use_decimal=True) for row in rows]


def decimals(value: object) -> Iterator[Decimal]:
    match value:
        case Decimal():
            yield value
        case dict():
            yield from decimals(list(value.values()))
        case list():
            for part in value:
                yield from decimals(part)
        case _:
            pass


def test_two_worlds_of_one_seed_are_equal_in_whatever_order_they_are_asked():
    one, other = World(Settings(merchants=20)), World(Settings(merchants=20))

    forward = [one.sales(m, *WEEK, today=TODAY) for m in one.roster]
    backward = [other.sales(m, *WEEK, today=TODAY) for m in reversed(list(other.roster))]

    assert forward == backward[::-1]


def test_another_seed_is_another_world():
    other = World(Settings(seed=2, merchants=20))

    assert other.roster.at(0).id != WORLD.roster.at(0).id
    assert other.sales(other.roster.at(0), *WEEK, today=TODAY) != WORLD.sales(
        WORLD.roster.at(0), *WEEK, today=TODAY
    )


def test_stores_have_unique_names_and_ids_and_several_zones():
    stores = list(World(Settings(merchants=1_000)).roster)

    assert len({store.name for store in stores}) == 1_000
    assert len({store.id for store in stores}) == 1_000
    assert len({store.timezone for store in stores}) == 5


def test_every_trait_occurs_among_a_thousand_stores():
    stores = list(World(Settings(merchants=1_000)).roster)

    assert {store.empty for store in stores} == {"404", "204", "list", "null"}
    assert {store.plan for store in stores} == {None, "daily", "weekly"}
    assert {store.receivables for store in stores} == {"none", "split", "thrice"}
    for trait in ("array_envelope", "size_is_rows", "total_off", "repeats_row", "old_spelling"):
        assert {getattr(store, trait) for store in stores} == {True, False}
    assert 0.55 < sum(store.plan is None for store in stores) / 1_000 < 0.65


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_nothing_or_all_is_exact(share):
    stores = World(Settings(merchants=200, revoked_share=share, no_plan_share=share)).roster

    assert {store.revoked for store in stores} == {share == 1.0}
    assert {store.plan is None for store in stores} == {share == 1.0}


def test_stores_are_dealt_to_the_applications_in_turn():
    apps = (App(), App(name="second", client_id="2" * 36))
    roster = World(Settings(merchants=5, apps=apps)).roster

    assert [store.index for store in roster.of(apps[1])] == [1, 3]
    assert [store.app.name for store in roster][:2] == ["simulated", "second"]


def test_a_sale_lies_on_the_day_of_the_stores_own_zone():
    crossed = 0
    for merchant in WORLD.roster:
        for row in WORLD.sales(merchant, *WEEK, today=TODAY):
            created = datetime.fromisoformat(simplejson.loads(row.body)["createdAt"])
            assert created.astimezone(merchant.zone).date() == row.day
            crossed += created.date() != row.day

    assert crossed > 20, "some sales must lie on another day in UTC"


def test_all_money_has_two_places():
    served = [sales_json(WORLD, merchant) for merchant in WORLD.roster]
    served += [
        simplejson.loads(truth(WORLD, kind, merchant, MONTH, today=TODAY), use_decimal=True)
        for merchant in WORLD.roster
        for kind in ("settlements", "anticipations")
    ]

    found = list(decimals(served))

    assert len(found) > 1_000
    assert all(amount.as_tuple().exponent == -2 for amount in found)


def test_the_balance_of_a_sale_is_the_sum_of_its_entries():
    for merchant in WORLD.roster:
        for sale in sales_json(WORLD, merchant):
            billing = sale.get("billingSummary") or sale["billingSumary"]
            entries = sum((entry["value"] for entry in billing["billingEntries"]), Decimal(0))
            assert billing["saleBalance"] == entries


def test_a_sale_of_today_is_not_billed_yet():
    billed = {False: 0, True: 0}
    for merchant in WORLD.roster:
        for sale in sales_json(WORLD, merchant, today=WEEK[1]):
            is_billed = (sale.get("billingSummary") or sale.get("billingSumary")) is not None
            assert is_billed == (len(sale["orderStatusHistory"]) == 2)
            billed[is_billed] += 1

    assert all(billed.values())


def test_sales_come_late_and_change_by_refunds_as_today_advances():
    late = refunded = 0
    for merchant in WORLD.roster:
        early = {s["id"]: s for s in sales_json(WORLD, merchant, today=WEEK[1])}
        final = {s["id"]: s for s in sales_json(WORLD, merchant, today=TODAY + timedelta(days=30))}
        assert set(early) <= set(final)
        late += len(set(final) - set(early))
        refunded += sum(s["orderEvents"][-1]["code"] == "RF" for s in final.values())

    assert late > 3
    assert refunded > 3


def test_nothing_is_sold_after_today():
    merchant = WORLD.roster.at(0)

    rows = WORLD.sales(merchant, WEEK[0], date(2026, 12, 31), today=WEEK[0])

    assert {row.day for row in rows} <= {WEEK[0]}


@pytest.mark.parametrize("kind", ["sales", "settlements", "anticipations"])
def test_the_summary_of_the_truth_agrees_with_its_rows(kind: str):
    lines = summaries(WORLD, kind, WEEK, today=TODAY, revoked=lambda m: m.index == 3)
    for merchant, line in zip(WORLD.roster, lines, strict=True):
        if merchant.index == 3:
            assert line == {"merchant": merchant.id, "revoked": True}
            continue
        body = truth(WORLD, kind, merchant, WEEK, today=TODAY)
        items = [row["item"] for row in simplejson.loads(body, use_decimal=True)]
        assert line["rows"] == len(items)
        assert line["amount"] == sum((amount_of(kind, item) for item in items), Decimal(0))


def amount_of(kind: str, item: Document) -> Decimal:
    amounts: dict[str, Decimal | None] = {
        "sales": item.get("saleGrossValue", {}).get("bag"),
        "settlements": item.get("amount"),
        "anticipations": item.get("anticipatedPaymentAmount"),
    }
    amount = amounts[kind]
    assert amount is not None
    return amount


def test_the_first_day_of_all_can_be_asked_for_by_payment():
    merchant = WORLD.roster.at(0)

    assert WORLD.settlements(merchant, date.min, date.min, today=TODAY, by="payment") == []
