"""The views of `reporting` over a whole world, against sums made of the simulator's truth."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest
import simplejson
from support.world import MONDAY, World, stand_up

from ifood_actors.feeds import FEEDS
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services

STORES = 60
Key = tuple[str, date | None]
Sums = dict[str, Decimal]
# How the simulated stores' titles are to be read, whatever their amounts.
RECEIVERS = {
    "none": {"REPASSE": "to_store"},
    "thrice": {"REPASSE": "to_store"},
    "split": {"REPASSE": "to_store", "REGISTRO_RECEBIVEIS": "to_financer"},
}
ALWAYS = {"BOLETO": "owed", "CREDITO_ESPECIAL": "unclassified"}
SHOWN_ONLY = {"SALDO POSITIVO", "SALDO NEGATIVO", "RENEGOCIADA", "REGISTRO_RECEBIVEIS"}


@pytest.fixture
def pulled(database_url, broker_url) -> Iterator[World]:
    # The seed has stores that are settled together, and stores of every trait.
    settings = Settings(seed=3, merchants=STORES, today=MONDAY, no_plan_share=0.5)
    with (
        running(settings) as simulator,
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as started,
        started.working(),
    ):
        for kind in FEEDS:
            jobs = started.run(kind)
            assert {job["status"] for job in jobs} == {"success"}
        yield started


def truth(world: World, kind: Any, merchant_id: str, job_type: str) -> list[Any]:
    [period] = world.rows(
        "SELECT DISTINCT period_start, period_end FROM ifood_jobs WHERE job_type = :kind",
        kind=job_type,
    )
    body = world.simulator.truth(kind, merchant_id, period["period_start"], period["period_end"])
    found: list[Any] = simplejson.loads(body, use_decimal=True)
    return found


def monday_of(day: str | None) -> date | None:
    if day is None:
        return None
    return date.fromisoformat(day) - timedelta(days=date.fromisoformat(day).weekday())


def test_the_views_agree_with_the_truth_to_the_cent(pulled):
    chains = {
        merchant.id: min(other.id for other in members)
        for _, group in groupby(pulled.simulator.merchants(), key=lambda one: one.books)
        for members in [list(group)]
        for merchant in members
    }
    traits = {one.receivables for one in pulled.simulator.merchants()}
    assert traits == set(RECEIVERS)
    assert len(set(chains.values())) < STORES

    weeks = the_weeks(pulled, chains)

    assert found(pulled, "weeks", ("merchant_id", "week_start"), list(COLUMNS)) == weeks
    totals = {
        column: sum(sums[column] for sums in weeks.values())
        for column in ("to_store", "to_financer", "owed", "unclassified")
    }
    assert found(pulled, "payouts", (), [f"sum({column})" for column in totals]) == {
        (): {f"sum({column})": total for column, total in totals.items()}
    }
    assert all(totals.values())
    days = the_days(pulled)
    assert found(pulled, "sales_days", ("merchant_id", "sale_day"), list(DAY_COLUMNS)) == days
    assert pulled.rows("SELECT FROM reporting.coverage WHERE NOT covered") == []
    assert pulled.rows("SELECT DISTINCT status, success_day FROM reporting.freshness") == [
        {"status": "success", "success_day": MONDAY}
    ]


COLUMNS = (
    "to_store",
    "to_financer",
    "paid_by_titles",
    "owed",
    "unclassified",
    "anticipated",
    "anticipation_fee",
    "difference",
    "sales_balance",
)
DAY_COLUMNS = ("orders", "gross", "benefits", "balance", "cancelled_orders", "cancelled_bag")


def found(world: World, view: str, key: tuple[str, ...], columns: list[str]) -> dict[Any, Sums]:
    names = ", ".join([*key, *(f'{column} AS "{column}"' for column in columns)])
    rows = world.rows(f"SELECT {names} FROM reporting.{view}")
    return {
        tuple(row[name] for name in key): {column: row[column] or Decimal(0) for column in columns}
        for row in rows
    }


def the_weeks(world: World, chains: dict[str, str]) -> dict[Key, Sums]:
    weeks: dict[Key, Sums] = defaultdict(lambda: dict.fromkeys(COLUMNS, Decimal(0)))
    for merchant in world.simulator.merchants():
        unit = chains[merchant.id]
        if unit == merchant.id:
            add_titles(
                weeks,
                unit,
                truth(world, "settlements", unit, "settlements_weekly"),
                RECEIVERS[trait_of(world, merchant)],
            )
        for row in truth(world, "anticipations", merchant.id, "anticipations_daily"):
            if row["item"]["status"] == "SUCCEED":
                sums = weeks[unit, monday_of(row["calculationStart"])]
                sums["anticipated"] += row["item"]["originalPaymentAmount"]
                sums["anticipation_fee"] += row["item"]["feeAmount"]
        for row in truth(world, "sales", merchant.id, "sales"):
            sums = weeks[unit, monday_of(row["localDay"])]
            sums["sales_balance"] += balance(row["item"])
    for sums in weeks.values():
        paid = max(sums["paid_by_titles"], sums["anticipated"])
        sums["difference"] = sums["to_store"] + sums["to_financer"] - paid
    return dict(weeks)


def trait_of(world: World, merchant: Any) -> str:
    """The trait of the store whose titles these are."""
    return str(world.simulator.merchants()[merchant.books].receivables)


def add_titles(weeks: dict[Key, Sums], unit: str, rows: list[Any], receivers: Any) -> None:
    for row in rows:
        item = row["item"]
        sums = weeks[unit, monday_of(row["calculationStart"])]
        column = (receivers | ALWAYS).get(item["type"])
        if column is None:
            assert item["type"] in SHOWN_ONLY
            continue
        sums[column] += item["amount"]
        if column in {"to_store", "to_financer"} and item["status"] == "SUCCEED":
            sums["paid_by_titles"] += item["amount"]


def the_days(world: World) -> dict[Key, Sums]:
    days: dict[Key, Sums] = defaultdict(lambda: dict.fromkeys(DAY_COLUMNS, Decimal(0)))
    for merchant in world.simulator.merchants():
        for row in truth(world, "sales", merchant.id, "sales"):
            item = row["item"]
            sums = days[merchant.id, date.fromisoformat(row["localDay"])]
            sums["balance"] += balance(item)
            if item["currentStatus"] == "CANCELLED":
                sums["cancelled_orders"] += 1
                sums["cancelled_bag"] += item["saleGrossValue"]["bag"]
                continue
            sums["orders"] += 1
            sums["gross"] += sum(value or 0 for value in item["saleGrossValue"].values())
            sums["benefits"] += (item["benefits"] or {"totalValue": 0})["totalValue"]
    return dict(days)


def balance(item: Any) -> Decimal:
    billing = item.get("billingSummary") or item.get("billingSumary")
    return Decimal(billing["saleBalance"]) if billing else Decimal(0)
