"""What was answered once is not what is answered later: the world lives on from day to day."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from integration.simulator.asking import TODAY, envelope, get, truth

from ifood_simulator import Settings, Simulator, running
from ifood_simulator.merchants import Merchant

MONDAY = date(2026, 9, 21)
CLOSED_WEEK = {"beginCalculationDate": "2026-09-14", "endCalculationDate": "2026-09-20"}


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    settings = Settings(merchants=100, today=TODAY, no_plan_share=0, corrected_share=0.3)
    with running(settings) as simulator:
        yield simulator


@pytest.fixture
def stores(simulator: Simulator) -> list[Merchant]:
    return simulator.merchants()


def titles(client, merchant):
    answer = get(client, merchant, "settlements", **CLOSED_WEEK)
    if answer.status_code != 200:
        return {}
    parts = envelope(answer)["settlements"] or []
    listed = [item for part in parts for item in part.get("closingItems", [part])]
    return {item["id"]: item for item in listed if item.get("id")}


def test_titles_are_paid_and_those_that_fail_are_paid_later(simulator, client, stores):
    weekly = [merchant for merchant in stores if merchant.paid_weekly]
    seen: dict[str, list[Any]] = {}
    for day in range(6):
        simulator.set_today(MONDAY + timedelta(days=day))
        for merchant in weekly:
            for id_, title in titles(client, merchant).items():
                if title["type"] == "REPASSE":
                    seen.setdefault(id_, []).append(title)

    stories = {tuple(title["status"] for title in titles) for titles in seen.values()}
    usual = ("SCHEDULED", "SCHEDULED", *["SUCCEED"] * 4)
    assert usual in stories
    assert ("SCHEDULED", "SCHEDULED", "FAILED", "PENDING", "SUCCEED", "SUCCEED") in stories
    for titles_ in seen.values():
        assert bool(titles_[-1]["accountDetails"]) is (titles_[-1]["status"] == "SUCCEED")
        assert titles_[0]["accountDetails"] == {}


def test_a_refund_comes_weeks_after_the_sale(simulator, client, stores):
    def balances() -> dict[str, tuple[Any, int]]:
        sales = {}
        for merchant in stores[:40]:
            query = {"beginSalesDate": "2026-09-14", "endSalesDate": "2026-09-15"}
            answer = get(client, merchant, "sales", **query)
            found = envelope(answer)["sales"] if answer.status_code == 200 else []
            for sale in found or []:
                billing = sale.get("billingSummary") or sale.get("billingSumary")
                sales[sale["id"]] = billing["saleBalance"], len(billing["billingEntries"])
        return sales

    before = balances()
    simulator.set_today(TODAY + timedelta(days=30))
    after = balances()

    refunded = [id_ for id_ in before if after[id_] != before[id_]]
    assert refunded
    for id_ in refunded:
        assert after[id_][0] < before[id_][0]
        assert after[id_][1] == before[id_][1] + 1


def test_some_sales_show_up_late(simulator, stores):
    simulator.set_today(date(2026, 9, 20))
    first = {m.id: {r["item"]["id"] for r in truth(simulator, "sales", m)} for m in stores[:40]}
    simulator.set_today(date(2026, 9, 22))
    later = {m.id: {r["item"]["id"] for r in truth(simulator, "sales", m)} for m in stores[:40]}

    assert all(first[id_] <= later[id_] for id_ in first)
    assert sum(len(later[id_] - first[id_]) for id_ in first) > 3


def test_the_amount_of_an_anticipation_may_be_corrected(simulator, client, stores):
    query = {"beginCalculationDate": "2026-08-24", "endCalculationDate": "2026-09-20"}
    daily = [merchant for merchant in stores if merchant.plan == "daily"][:30]

    def amounts() -> list[object]:
        documents = [envelope(get(client, m, "anticipations", **query)) for m in daily]
        return [
            item["originalPaymentAmount"]
            for document in documents
            for part in document["settlements"]
            for item in part["closingItems"]
        ]

    before = amounts()
    simulator.set_today(TODAY + timedelta(days=7))
    after = amounts()

    assert len(before) == len(after)
    assert before != after
