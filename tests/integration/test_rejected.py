"""Items that cannot be read exactly, in a real Postgres and through whole deliveries."""

from contextlib import contextmanager
from datetime import date, timedelta
from io import BytesIO
from typing import get_args

import pytest
from integration.test_records import MONDAY as MORNING
from integration.test_records import TUESDAY, WEDNESDAY, Store
from support.api import a_sale, a_title, an_anticipation, closing, sales_page
from support.world import MONDAY, stand_up

from ifood_actors.db import long_reading
from ifood_actors.exports import Selection, write_csv
from ifood_actors.kinds import KINDS
from ifood_actors.spans import Period
from ifood_simulator import Fault, Settings, running
from ifood_simulator.oddities import Odd

pytestmark = pytest.mark.services

ITEMS = {
    "sales": (sales_page, a_sale("good"), a_sale("odd", saleGrossValue={})),
    "settlements_weekly": (closing, a_title("good"), a_title("odd", amount=None)),
    "anticipations_daily": (closing, an_anticipation(), an_anticipation(type=None)),
}
# Sundays, whose pulls read all days that Monday's odd items may belong to.
AGAIN = {kind: MONDAY + timedelta(days=6 if kind == "sales" else -1) for kind in KINDS}
ODD_SALE = a_sale("odd", saleGrossValue={"bag": "62.905"})


@pytest.fixture
def store(engine):
    return Store(engine)


def rejected(store):
    return store.rows("ifood_rejected_items")


@pytest.mark.parametrize("kind", ITEMS)
def test_an_odd_item_is_kept_as_it_came_and_once_however_often_it_comes(store, kind):
    envelope, good, odd = ITEMS[kind]
    answer = envelope(good, odd)

    first = store.pull(kind, answer)
    again = store.pull(kind, answer, now=TUESDAY)

    [item] = rejected(store)
    assert (first.rows, first.rejected, first.complete) == (1, 1, False)
    assert (again.unchanged, again.rejected) == (1, 1)
    assert (item.kind, item.account_id, item.merchant_id) == (kind, store.account_id, "merchant-1")
    assert (item.first_seen_at, item.last_seen_at) == (MORNING, TUESDAY)
    assert item.raw == odd
    assert item.item_key == odd.get("id", item.item_key)


def test_nothing_is_marked_missing_while_an_item_cannot_be_read(store):
    store.sales(a_sale("1"), a_sale("2"))

    stored = store.sales(a_sale("1"), a_sale("2", saleGrossValue={}), now=TUESDAY)

    assert (stored.missing, stored.vanished) == (0, 0)
    assert [row.missing_since for row in store.rows("ifood_sales")] == [None, None]


def test_an_item_leaves_when_it_is_read_though_the_pull_was_not_complete(store):
    store.sales(ODD_SALE)

    mended = ODD_SALE | {"saleGrossValue": {"bag": 62}}
    stored = store.pull("sales", sales_page(mended, pages=3), now=TUESDAY)

    assert not stored.complete
    assert rejected(store) == []


@pytest.mark.parametrize("other", [[], [a_sale("another", saleGrossValue={})]])
def test_an_item_leaves_when_a_re_read_of_its_days_no_longer_brings_it(store, other):
    store.sales(ODD_SALE)

    store.sales(*other, now=TUESDAY)

    assert [item.item_key for item in rejected(store)] == [sale["id"] for sale in other]


def test_an_item_stays_when_its_days_were_not_read_to_their_end(store):
    store.sales(ODD_SALE)

    store.sales(period=Period(date(2026, 9, 14), date(2026, 9, 19)), now=TUESDAY)
    store.pull("sales", sales_page(a_sale("1"), pages=3), now=WEDNESDAY)
    Store(store.engine, merchant_id="merchant-2").sales()
    store.pull("settlements_weekly", closing())

    [item] = rejected(store)
    assert (item.item_key, item.last_seen_at) == ("odd", MORNING)


def test_an_item_that_is_odd_in_another_way_is_the_same_row(store):
    store.sales(ODD_SALE)

    store.sales(ODD_SALE | {"saleGrossValue": {}}, now=TUESDAY)

    [item] = rejected(store)
    assert (item.first_seen_at, item.last_seen_at) == (MORNING, TUESDAY)
    assert item.reason == "Sale: saleGrossValue.bag: Field required"
    assert item.raw["saleGrossValue"] == {}


def test_what_is_no_item_at_all_is_kept_too(store):
    stored = store.sales(None, "sale\0", 7, [1], a_sale("good"))

    assert (stored.rows, stored.rejected) == (1, 4)
    assert [item.raw for item in rejected(store)] == [None, "sale\ufffd", 7, [1]]


@pytest.fixture
def start(database_url, broker_url):
    """Start a fleet before a simulator whose answers are odd in one way."""

    @contextmanager
    def start(fault):
        settings = Settings(merchants=3, today=MONDAY, no_plan_share=0)
        with running(settings) as simulator:
            simulator.add_fault(fault)
            urls = {"database_url": database_url, "broker_url": broker_url}
            with stand_up(simulator, **urls) as started, started.working():
                yield started

    return start


def exported(world, kind):
    """Count the records of an export."""
    with long_reading(world.engine) as connection:
        selection = Selection(kind, date(2026, 1, 1), date(2099, 1, 1), zone="UTC")
        return write_csv(connection, selection, BytesIO())


@pytest.mark.parametrize("odd", ["decimals", "no_amount", "null"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_item_costs_no_store_its_day_and_comes_in_once_it_is_read(start, kind, odd):
    resource, table = KINDS[kind].resource, KINDS[kind].table
    with start(Fault("odd", resource=resource, odd=odd)) as world:
        first = world.run(kind)
        set_aside = world.rows("SELECT * FROM ifood_rejected_items")
        stored = exported(world, kind)
        world.simulator.clear_faults()
        second = world.run(kind, day=AGAIN[kind])
        left = world.rows("SELECT * FROM ifood_rejected_items")
        whole = exported(world, kind)
        marked = world.rows(f"SELECT FROM {table} WHERE missing_since IS NOT NULL")

    assert {job["status"] for job in first + second} == {"success"}
    assert {job["result"]["complete"] for job in first} == {False}
    assert len(set_aside) == sum(job["result"]["rejected"] for job in first) >= 3
    assert stored == sum(job["result"]["rows"] for job in first) > 0
    assert left == marked == []
    assert whole >= stored + len(set_aside)


TOLERATED = [
    *((kind, odd) for kind in KINDS for odd in ("text", "timed_days")),
    ("settlements_weekly", "no_id"),
    ("settlements_weekly", "no_list"),
    ("anticipations_daily", "no_list"),
]


@pytest.mark.parametrize(("kind", "odd"), TOLERATED)
def test_what_is_odd_and_sure_is_read(start, kind, odd):
    resource = KINDS[kind].resource
    with start(Fault("odd", resource=resource, odd=odd)) as world:
        jobs = world.run(kind)

    assert {job["status"] for job in jobs} == {"success"}
    assert {(job["result"]["rejected"], job["result"]["complete"]) for job in jobs} == {(0, True)}
    assert all(job["result"]["rows"] for job in jobs)


def test_every_oddity_of_the_simulator_is_played_here():
    played = {odd for _, odd in TOLERATED} | {"decimals", "no_amount", "null"}

    assert played == set(get_args(Odd))


@pytest.mark.parametrize(
    ("times", "status", "code"), [(2, "success", None), (99, "failed", "schema")]
)
def test_a_list_that_announces_and_shows_nothing_is_asked_for_once_more(start, times, status, code):
    with start(Fault("hollow", resource="sales", times=times)) as world:
        jobs = world.run("sales")
        odd = world.rows("SELECT * FROM ifood_rejected_items")

    assert status in {job["status"] for job in jobs}
    assert {(job["status"], job["error_code"]) for job in jobs} == {
        (status, code),
        *([("success", None)] if times == 2 else []),
    }
    assert {2 if times == 99 else 1} <= {job["attempts"] for job in jobs}
    assert odd == []
