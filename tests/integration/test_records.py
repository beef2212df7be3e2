"""How fetched items become rows in a real Postgres."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text
from sqlmodel import SQLModel
from support.api import (
    ScriptedApi,
    a_sale,
    a_title,
    a_week,
    an_anticipation,
    closing,
    sales_page,
)

from ifood_actors.db import transaction
from ifood_actors.feeds import FEEDS, Origin
from ifood_actors.ledger import JobResult
from ifood_actors.spans import Period

pytestmark = pytest.mark.services

WEEK = Period(date(2026, 9, 14), date(2026, 9, 20))
MONDAY = datetime(2026, 9, 21, 4, tzinfo=UTC)
TUESDAY, WEDNESDAY = (MONDAY + timedelta(days=n) for n in (1, 2))


@dataclass
class Store:
    """One store whose pulls are scripted."""

    engine: Engine
    merchant_id: str = "merchant-1"
    account_id: UUID = field(default_factory=uuid4)

    def pull(
        self,
        kind: str,
        *answers: Any,
        period: Period = WEEK,
        now: datetime = MONDAY,
        job_id: UUID | None = None,
        job_day: date | None = None,
    ) -> JobResult:
        feed = FEEDS[kind]
        fetched = feed.fetch(ScriptedApi(*answers), period, timezone=ZoneInfo("UTC"))
        with transaction(self.engine) as tx:
            return feed.store(
                tx,
                fetched,
                period=period,
                origin=Origin(
                    account_id=self.account_id,
                    merchant_id=self.merchant_id,
                    job_id=job_id or uuid4(),
                    job_day=job_day or now.date(),
                ),
                now=now,
            )

    def sales(self, *sales: Any, **pull: Any) -> JobResult:
        return self.pull("sales", sales_page(*sales), **pull)

    def rows(self, table: str, order: str = "id") -> list[Any]:
        """Give the rows, and of records who saw them last, as others read it."""
        columns, seen = "*", ""
        if table in {feed.table.__tablename__ for feed in FEEDS.values()}:
            names = SQLModel.metadata.tables[table].columns.keys()
            own = [f"record.{name}" for name in names if name not in {"job_id", "last_seen_at"}]
            columns = ", ".join([*own, "seen.job_id", "seen.last_seen_at"])
            seen = f"""
                JOIN reporting.last_seen AS seen
                  ON seen.record_table = '{table}' AND seen.record_id = record.id
            """
        with self.engine.connect() as connection:
            query = f"SELECT {columns}, raw::text AS raw_text FROM {table} AS record {seen}"
            return list(connection.execute(text(f"{query} ORDER BY {order}")))


@pytest.fixture
def store(engine):
    return Store(engine)


def test_a_sale_is_stored_with_its_columns_and_its_whole_item(store):
    sale = a_sale(
        shortId=4821,
        saleGrossValue={"bag": Decimal("62.90"), "deliveryFee": Decimal("0.10")},
        somethingNew=[Decimal("0.30")],
    )
    job_id = uuid4()

    stored = store.sales(sale, job_id=job_id)

    [row] = store.rows("ifood_sales")
    assert stored == JobResult(
        rows=1,
        new=1,
        changed=0,
        unchanged=0,
        missing=0,
        vanished=0,
        amount=Decimal("62.90"),
        complete=True,
    )
    assert (row.account_id, row.merchant_id, row.job_id) == (
        store.account_id,
        store.merchant_id,
        job_id,
    )
    assert row.first_seen_at == row.last_seen_at == row.changed_at == MONDAY
    assert (row.sale_id, row.short_id, row.sale_day) == ("sale-1", "4821", WEEK.end)
    assert row.created_at == datetime(2026, 9, 20, 15, tzinfo=UTC)
    assert str(row.sale_gross_value_bag) == "62.90"
    assert row.delivery_prices_net_value is None
    assert '"bag": 62.90' in row.raw_text
    assert '"somethingNew": [0.30]' in row.raw_text


def test_an_unchanged_item_writes_only_who_saw_it_last(store):
    store.sales(a_sale())
    [before] = store.rows("ifood_sales")
    job_id = uuid4()

    stored = store.sales(a_sale(), now=TUESDAY, job_id=job_id)

    [after] = store.rows("ifood_sales")
    changed = {name for name in before._fields if getattr(before, name) != getattr(after, name)}
    assert (stored.new, stored.changed, stored.unchanged) == (0, 0, 1)
    assert changed == {"last_seen_at", "job_id"}
    assert (after.last_seen_at, after.job_id) == (TUESDAY, job_id)
    assert store.rows("ifood_record_versions") == []


def test_a_number_that_is_only_written_otherwise_is_no_change(store):
    store.sales(a_sale(saleGrossValue={"bag": Decimal("62.9"), "serviceFee": 0}))

    stored = store.sales(
        {"saleGrossValue": {"serviceFee": Decimal("0.00"), "bag": Decimal("62.90")}} | a_sale()
    )

    assert stored.unchanged == 1


def test_a_changed_item_keeps_its_former_versions(store):
    jobs = [uuid4(), uuid4(), uuid4()]
    words = ["PLACED", "CONCLUDED", "CANCELLED"]
    days = [MONDAY, TUESDAY, WEDNESDAY]
    for word, job_id, now in zip(words, jobs, days, strict=True):
        stored = store.sales(a_sale(currentStatus=word), job_id=job_id, now=now)

    [row] = store.rows("ifood_sales")
    assert stored.changed == 1
    assert (row.current_status, row.first_seen_at, row.changed_at) == (
        "CANCELLED",
        MONDAY,
        WEDNESDAY,
    )
    versions = store.rows("ifood_record_versions")
    assert [(v.raw["currentStatus"], v.job_id, v.valid_from, v.valid_to) for v in versions] == [
        ("PLACED", jobs[0], MONDAY, TUESDAY),
        ("CONCLUDED", jobs[1], TUESDAY, WEDNESDAY),
    ]
    assert {(v.record_table, v.record_id) for v in versions} == {("ifood_sales", row.id)}


def test_what_a_complete_re_read_no_longer_brings_is_marked_once_and_kept(store):
    store.sales(a_sale("1"), a_sale("2"))

    first = store.sales(a_sale("1"), now=TUESDAY)
    second = store.sales(a_sale("1"), now=WEDNESDAY)

    rows = {row.sale_id: row.missing_since for row in store.rows("ifood_sales")}
    assert (first.missing, second.missing) == (1, 0)
    assert rows == {"1": None, "2": TUESDAY}


def test_what_comes_back_is_unmarked(store):
    store.sales(a_sale("1"), a_sale("2"))
    assert store.sales(a_sale("2"), now=TUESDAY).missing == 1

    stored = store.sales(a_sale("1"), a_sale("2"), now=WEDNESDAY)

    assert {row.missing_since for row in store.rows("ifood_sales")} == {None}
    assert stored.unchanged == 2


def test_what_is_gone_all_at_once_is_marked_by_the_run_of_another_day(store):
    store.sales(a_sale("1"), a_sale("2"))

    first = store.pull("sales", None, now=TUESDAY)
    between = standing(store)
    second = store.pull("sales", None, now=WEDNESDAY)

    assert (first.missing, first.vanished) == (0, 2)
    assert between == {"1": (None, TUESDAY.date()), "2": (None, TUESDAY.date())}
    assert (second.missing, second.vanished) == (2, 0)
    assert standing(store) == {"1": (WEDNESDAY, None), "2": (WEDNESDAY, None)}


def test_a_run_of_the_same_day_is_no_second_witness(store):
    store.sales(a_sale())
    store.pull("sales", None, now=TUESDAY)

    again = store.pull("sales", None, now=WEDNESDAY, job_day=TUESDAY.date())

    assert (again.missing, again.vanished) == (0, 1)
    assert standing(store) == {"sale-1": (None, TUESDAY.date())}


def test_what_came_back_in_between_needs_two_witnesses_again(store):
    store.sales(a_sale())
    store.pull("sales", None, now=TUESDAY)
    store.sales(a_sale(), now=WEDNESDAY)
    assert standing(store) == {"sale-1": (None, None)}

    again = store.pull("sales", None, now=WEDNESDAY + timedelta(days=1))

    assert (again.missing, again.vanished) == (0, 1)


def test_what_is_still_gone_when_the_rest_is_back_is_gone(store):
    store.sales(*(a_sale(str(number)) for number in range(4)))
    store.pull("sales", None, now=TUESDAY)
    later = TUESDAY + timedelta(hours=1)

    repaired = store.sales(
        *(a_sale(str(number)) for number in range(3)), now=later, job_day=TUESDAY.date()
    )

    assert (repaired.missing, repaired.vanished) == (1, 0)


def test_an_empty_block_of_a_long_reading_is_not_believed_at_once(store):
    two_weeks = Period(date(2026, 9, 7), WEEK.end)
    former = a_sale("former week", createdAt="2026-09-09T15:00:00Z")
    store.pull("sales", sales_page(former), sales_page(a_sale()), period=two_weeks)

    stored = store.pull("sales", sales_page(former), None, period=two_weeks, now=TUESDAY)

    assert (stored.missing, stored.vanished) == (0, 1)


def standing(store, table="ifood_sales", key="sale_id"):
    """Give each row's mark, and the day of the run that suspected it."""
    return {getattr(row, key): (row.missing_since, row.suspected_day) for row in store.rows(table)}


def test_only_days_that_were_read_can_miss_something(store):
    store.sales(
        a_sale("inside", createdAt="2026-09-16T15:00:00Z"),
        a_sale("before", createdAt="2026-09-14T15:00:00Z"),
        a_sale("after", createdAt="2026-09-20T15:00:00Z"),
    )
    Store(store.engine, merchant_id="merchant-2").sales(
        a_sale("other store", createdAt="2026-09-16T15:00:00Z")
    )

    still = a_sale("still there", createdAt="2026-09-16T18:00:00Z")
    store.sales(still, period=Period(date(2026, 9, 15), date(2026, 9, 19)), now=TUESDAY)

    missing = [row.sale_id for row in store.rows("ifood_sales") if row.missing_since]
    assert missing == ["inside"]


def test_an_incomplete_pull_calls_nothing_missing(store):
    store.sales(a_sale("1"), a_sale("2"))

    stored = store.pull("sales", sales_page(a_sale("1"), pages=3), None, now=TUESDAY)

    assert (stored.complete, stored.missing) == (False, 0)


def test_a_loose_title_is_missed_only_when_its_whole_block_was_read(store):
    four_weeks = Period(date(2026, 8, 24), date(2026, 9, 20))
    store.pull("settlements_weekly", closing(a_title()), period=four_weeks)

    one_week = store.pull("settlements_weekly", closing(), period=WEEK)
    other = a_title("other")
    all_weeks = store.pull("settlements_weekly", closing(other), period=four_weeks)

    assert (one_week.missing, one_week.vanished) == (0, 0)
    assert all_weeks.missing == 1


def test_a_paid_title_without_id_is_the_same_row(store):
    title = a_title(None, amount=Decimal("3406.90"))
    paid = title | {"status": "SUCCEED", "paymentDate": "2026-09-23", "transactionId": "88"}
    store.pull("settlements_weekly", closing(a_week(title)))

    stored = store.pull("settlements_weekly", closing(a_week(paid)), now=TUESDAY)

    [row] = store.rows("ifood_settlements")
    assert stored.changed == 1
    assert (row.status, row.payment_date) == ("SUCCEED", date(2026, 9, 23))


def test_twins_and_items_without_dates_keep_their_rows(store):
    dateless = an_anticipation(originalPaymentDate=None, anticipatedPaymentDate=None)
    answer = closing(a_week(an_anticipation(), an_anticipation()), dateless, dateless)
    store.pull("anticipations_daily", answer)

    stored = store.pull("anticipations_daily", answer, now=TUESDAY)

    assert (stored.rows, stored.unchanged, stored.missing) == (4, 4, 0)
    assert [row.ordinal for row in store.rows("ifood_anticipations", "ordinal")] == [1, 1, 2, 2]


def test_a_corrected_amount_is_a_new_row_and_the_old_one_goes_missing(store):
    store.pull("anticipations_daily", closing(a_week(an_anticipation())))

    corrected = closing(a_week(an_anticipation(originalPaymentAmount=90)))
    stored = store.pull("anticipations_daily", corrected, now=TUESDAY)

    assert (stored.new, stored.missing) == (1, 1)


def test_all_anticipations_of_a_small_store_corrected_at_once_are_replaced_at_once(store):
    amounts = (100, 200, 300)
    answers = [
        closing(a_week(*(an_anticipation(originalPaymentAmount=n + less) for n in amounts)))
        for less in (0, -10)
    ]
    store.pull("anticipations_daily", answers[0])

    stored = store.pull("anticipations_daily", answers[1], now=TUESDAY)

    assert (stored.new, stored.missing, stored.vanished) == (3, 3, 0)


def test_text_that_postgres_cannot_hold_is_replaced(store):
    sale = a_sale("a\0", merchant={"name": "Zé\0\ud800" + "é" * 10_000}, note={"\0": "\0"})
    store.sales(sale)
    stored = store.sales(sale)

    [row] = store.rows("ifood_sales")
    assert stored.unchanged == 1
    assert (row.sale_id, row.merchant_name) == ("a\ufffd", "Zé\ufffd\ufffd" + "é" * 10_000)
    assert row.raw["note"] == {"\ufffd": "\ufffd"}


def test_an_escaped_escape_is_no_nul(store):
    store.sales(a_sale(merchant={"name": r"\u0000"}))

    [row] = store.rows("ifood_sales")
    assert row.merchant_name == row.raw["merchant"]["name"] == r"\u0000"


def test_a_number_beyond_all_reason_costs_no_other_item_its_row(store):
    stored = store.sales(a_sale("1"), a_sale("2", odd=Decimal("1E+200000")))

    assert (stored.rows, stored.rejected) == (1, 1)
    assert [row.sale_id for row in store.rows("ifood_sales")] == ["1"]


def test_a_large_store_is_stored_in_batches(store):
    sales = [a_sale(str(number)) for number in range(1201)]

    first = store.sales(*sales)
    second = store.sales(*sales[1:], now=TUESDAY)

    assert first.new == 1201
    assert (second.unchanged, second.missing) == (1200, 1)


def test_one_sale_in_two_stores_is_two_rows(store):
    other = Store(store.engine, merchant_id="merchant-2")
    store.sales(a_sale())

    assert other.sales(a_sale()).new == 1


def test_two_pulls_of_one_store_at_once_lose_no_version(store):
    threads = 4
    barrier = Barrier(threads)

    def pull(number):
        barrier.wait()
        return store.sales(a_sale(currentStatus=str(number)))

    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(pool.map(pull, range(threads)))

    [row] = store.rows("ifood_sales")
    versions = [version.raw["currentStatus"] for version in store.rows("ifood_record_versions")]
    assert sorted([row.current_status, *versions]) == ["0", "1", "2", "3"]
    assert sum(stored.new for stored in outcomes) == 1
    assert sum(stored.changed for stored in outcomes) == 3


def test_an_item_that_comes_again_after_its_raw_was_forgotten_has_not_changed(store):
    store.sales(a_sale())
    with transaction(store.engine) as tx:
        tx.execute(text("UPDATE ifood_sales SET raw = NULL"))

    stored = store.sales(a_sale(shortId=4821), now=TUESDAY)

    [row] = store.rows("ifood_sales")
    assert (stored.changed, stored.unchanged) == (0, 1)
    assert (row.changed_at, row.short_id) == (MONDAY, "4821")
    assert row.raw["shortId"] == 4821
    assert store.rows("ifood_record_versions") == []
