"""Rows that did not change are not written, and every reader finds what the release before left."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, TextClause, text
from support.api import (
    ScriptedApi,
    a_sale,
    a_title,
    a_week,
    an_anticipation,
    closing,
    sales_page,
)
from support.former_storing import store_as_before
from support.records import store_many_sales

from ifood_actors.db import driver, transaction
from ifood_actors.feeds import FEEDS, Origin, as_seen_last
from ifood_actors.feeds.row_writing import known_keys_statement, upsert_statement
from ifood_actors.feeds.storing import known_statement, mark_statements
from ifood_actors.ledger import JobResult
from ifood_actors.spans import Period

pytestmark = pytest.mark.services

MONDAY = datetime(2026, 9, 21, 4, tzinfo=UTC)
FIRST, MIDDLE = date(2026, 9, 14), date(2026, 9, 17)
WEEK = Period(FIRST, date(2026, 9, 20))
ACCOUNT, OTHER = UUID(int=1), UUID(int=2)
NUMBERS = count()


@dataclass(frozen=True)
class Pull:
    """An answer of a kind, for a period, and the moment at which it is stored."""

    kind: str
    answer: Any
    period: Period = WEEK
    hour: int = 0
    day: int = 0
    account_id: UUID = ACCOUNT
    job_id: UUID = field(default_factory=uuid4)

    @property
    def now(self) -> datetime:
        return MONDAY + timedelta(hours=self.hour)

    def store(self, engine: Engine, merchant: str, *, former: bool = False) -> JobResult:
        feed = FEEDS[self.kind]
        api = ScriptedApi(self.answer)
        fetched = feed.fetch(api, self.period, timezone=ZoneInfo("UTC"))
        origin = Origin(
            account_id=self.account_id,
            merchant_id=merchant,
            job_id=self.job_id,
            job_day=MONDAY.date() + timedelta(days=self.day),
        )
        with transaction(engine) as tx:
            if former:
                return store_as_before(
                    tx,
                    fetched,
                    table=feed.table,
                    period=self.period,
                    block_days=feed.kind.block_days,
                    origin=origin,
                    now=self.now,
                )
            return feed.store(tx, fetched, period=self.period, origin=origin, now=self.now)


@pytest.fixture
def merchant():
    return f"merchant-{next(NUMBERS)}"


def rows_of(engine: Engine, kind: str, merchant: str, *, seen: bool = True) -> list[Any]:
    """
    Give a merchant's records as a reader finds them, without what is ours alone.

    What exports read must say the same of the pull that saw them last as the view.
    """
    table = FEEDS[kind].table.__tablename__
    last = "seen.job_id, seen.last_seen_at," if seen else ""
    query = text(f"""
        SELECT {last} to_jsonb(record)
          - '{{id, merchant_id, job_id, last_seen_at, digest, digested_at}}'::text[] AS columns,
          record.raw::text
        FROM {table} AS record
        JOIN reporting.last_seen AS seen
          ON seen.record_table = '{table}' AND seen.record_id = record.id
        WHERE record.merchant_id = :merchant ORDER BY record.first_seen_at, record.raw, record.id
    """)
    with engine.connect() as connection:
        exported, viewed = (
            connection.execute(text(ids), {"merchant": merchant}).all()
            for ids in (
                f"""
                SELECT id, job_id, last_seen_at FROM ({as_seen_last(FEEDS[kind].table)}) AS record
                WHERE merchant_id = :merchant ORDER BY id
                """,
                f"""
                SELECT record_id, job_id, last_seen_at FROM reporting.last_seen
                WHERE record_table = '{table}' AND merchant_id = :merchant ORDER BY record_id
                """,
            )
        )
        assert exported == viewed
        return [tuple(row) for row in connection.execute(query, {"merchant": merchant})]


def versions_of(engine: Engine, kind: str, merchant: str) -> Counter[Any]:
    table = FEEDS[kind].table.__tablename__
    query = text(f"""
        SELECT version.job_id, version.raw::text, valid_from, valid_to
        FROM ifood_record_versions AS version JOIN {table} AS record
          ON record_table = '{table}' AND record_id = record.id
        WHERE record.merchant_id = :merchant
    """)
    with engine.connect() as connection:
        return Counter(tuple(row) for row in connection.execute(query, {"merchant": merchant}))


def places(engine: Engine, merchant: str, table: str = "ifood_sales") -> dict[str, Any]:
    """Tell where Postgres keeps each row, and which transaction wrote it."""
    query = text(f"""
        SELECT raw ->> 'id', ctid::text || ' ' || xmin::text FROM {table}
        WHERE merchant_id = :merchant
    """)
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query, {"merchant": merchant})}


def sales(*items: Any, pages: int = 1, **pull: Any) -> Pull:
    return Pull("sales", sales_page(*items, pages=pages), **pull)


def test_rows_that_did_not_change_are_not_written(engine, merchant):
    sales(a_sale("1"), a_sale("2")).store(engine, merchant)
    before = places(engine, merchant)

    stored = sales(a_sale("1"), a_sale("2", currentStatus="X"), a_sale("3"), hour=1).store(
        engine, merchant
    )

    after = places(engine, merchant)
    assert (stored.new, stored.changed, stored.unchanged) == (1, 1, 1)
    assert {key for key in before if before[key] == after[key]} == {"1"}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("sales", sales_page(a_sale("1"), a_sale("2"))),
        ("settlements_weekly", closing(a_week(a_title()), a_title("loose"))),
        ("anticipations_daily", closing(a_week(an_anticipation(), an_anticipation()))),
    ],
)
def test_the_second_pull_writes_no_row_and_every_row_was_seen_by_it(engine, merchant, kind, answer):
    table = str(FEEDS[kind].table.__tablename__)
    Pull(kind, answer).store(engine, merchant)
    before = places(engine, merchant, table)
    again = Pull(kind, answer, hour=1)

    stored = again.store(engine, merchant)

    assert stored.unchanged == stored.rows == 2
    assert places(engine, merchant, table) == before
    seen = {row[:2] for row in rows_of(engine, kind, merchant)}
    assert seen == {(again.job_id, again.now)}


def test_a_pull_says_nothing_of_rows_whose_days_it_did_not_read(engine, merchant):
    early, late = (a_sale(day, createdAt=f"2026-09-{day}T15:00:00Z") for day in ("14", "20"))
    first = sales(early, late)
    first.store(engine, merchant)
    half = sales(late, period=Period(date(2026, 9, 18), WEEK.end), hour=1)

    half.store(engine, merchant)

    assert [row[0] for row in rows_of(engine, "sales", merchant)] == [first.job_id, half.job_id]


def test_pulls_that_later_ones_outdo_are_not_kept(engine, merchant):
    short = Period(date(2026, 9, 18), WEEK.end)
    for hour, period in enumerate([short, WEEK, short, WEEK, short]):
        sales(a_sale(), period=period, hour=hour).store(engine, merchant)

    with engine.connect() as connection:
        query = "SELECT period_start FROM ifood_complete_pulls WHERE merchant_id = :merchant"
        kept = connection.execute(text(query), {"merchant": merchant}).scalars().all()
    assert sorted(kept) == [WEEK.start, short.start]


def test_what_goes_missing_keeps_when_it_was_last_seen(engine, merchant):
    pulls = [sales(a_sale("1"), a_sale("2"), hour=hour) for hour in range(2)]
    for pull in pulls:
        pull.store(engine, merchant)
    for hour in (2, 3):
        sales(a_sale("1"), hour=hour).store(engine, merchant)

    [_, gone] = rows_of(engine, "sales", merchant)

    assert gone[:2] == (pulls[1].job_id, pulls[1].now)
    assert gone[2]["missing_since"] is not None


def test_what_a_former_release_wrote_is_written_once(engine, merchant):
    sales(a_sale()).store(engine, merchant, former=True)
    written = places(engine, merchant)

    first = sales(a_sale(), hour=1).store(engine, merchant)
    digested = places(engine, merchant)
    second = sales(a_sale(), hour=2).store(engine, merchant)

    assert (first.unchanged, second.unchanged) == (1, 1)
    assert written != digested == places(engine, merchant)


def test_what_a_former_release_changed_since_is_compared_with_what_it_wrote(engine, merchant):
    placed, cancelled = (a_sale(currentStatus=word) for word in ("PLACED", "CANCELLED"))
    sales(placed).store(engine, merchant)
    sales(cancelled, hour=1).store(engine, merchant, former=True)

    stored = sales(placed, hour=2).store(engine, merchant)

    [row] = rows_of(engine, "sales", merchant)
    assert stored.changed == 1
    assert row[2]["current_status"] == row[2]["raw"]["currentStatus"] == "PLACED"


def test_a_pull_that_reads_more_out_of_the_same_item_writes_it(engine, merchant):
    sales(a_sale(shortId=1)).store(engine, merchant)
    with transaction(engine) as tx:  # as if the release before had not known the column
        tx.execute(
            text("UPDATE ifood_sales SET short_id = NULL, digest = 'x' WHERE merchant_id = :m"),
            {"m": merchant},
        )

    stored = sales(a_sale(shortId=1), hour=1).store(engine, merchant)

    [row] = rows_of(engine, "sales", merchant)
    assert (stored.changed, stored.unchanged, row[2]["short_id"]) == (0, 1, "1")


def test_another_account_of_the_merchant_takes_its_rows_over(engine, merchant):
    sales(a_sale()).store(engine, merchant)

    sales(a_sale(), account_id=OTHER, hour=1).store(engine, merchant)

    [row] = rows_of(engine, "sales", merchant)
    assert row[2]["account_id"] == str(OTHER)


def test_raw_is_compressed_by_lz4_where_the_server_offers_it(engine):
    tables = [str(feed.table.__tablename__) for feed in FEEDS.values()]
    with engine.connect() as connection:
        offered = connection.execute(
            text("""
                SELECT 'lz4' = ANY(enumvals) FROM pg_settings
                WHERE name = 'default_toast_compression'
            """)
        ).scalar_one()
        found = connection.execute(
            text("""
                SELECT attcompression FROM pg_attribute
                WHERE attname = 'raw' AND attrelid = ANY(CAST(:tables AS regclass[]))
            """),
            {"tables": [*tables, "ifood_record_versions"]},
        ).scalars()
        assert set(found) == {"l" if offered else ""}


def test_what_a_pull_does_reads_no_table_from_end_to_end(engine):
    """A store has thousands of records among millions, and a pull touches few of them."""
    store_many_sales(engine, 20_000)
    table = FEEDS["sales"].table
    statements = {
        "known": known_statement(table),
        "known keys": known_keys_statement(table),
        "upsert": upsert_statement(table),
        "missing": mark_statements(table).missing,
        "suspected": mark_statements(table).suspected,
    }
    with transaction(engine) as tx:
        tx.execute(text("ANALYZE ifood_sales"))
        # As for the values of whoever comes: a statement is planned once for many.
        tx.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        scans = {name: scans_of(tx, statement) for name, statement in statements.items()}

    assert not [line for lines in scans.values() for line in lines], scans


def scans_of(connection: Connection, statement: TextClause) -> list[str]:
    """Give the lines of a statement's generic plan that read the whole table."""
    with driver(connection) as link:
        names: list[str] = []

        def placed(match: re.Match[str]) -> str:
            names.extend({match[1]}.difference(names))
            return f"${names.index(match[1]) + 1}"

        prepared = re.sub(r"(?<!:):(\w+)", placed, statement.text)
        nothing = ", ".join(["NULL"] * len(names))
        link.execute(f"PREPARE wanted AS {prepared}".encode())
        plan = link.execute(f"EXPLAIN EXECUTE wanted({nothing})".encode()).fetchall()
        link.execute("DEALLOCATE wanted")
    return [line for (line,) in plan if "Seq Scan on ifood_sales" in line]


# Any pulls in any order: what is stored must be what the release before would have stored.

WORDS = st.sampled_from(["PLACED", "CANCELLED"])
AMOUNTS = st.sampled_from([Decimal("62.9"), Decimal("62.90"), Decimal(10)])
PERIODS = st.sampled_from(
    [WEEK, Period(FIRST, date(2026, 9, 17)), Period(date(2026, 9, 17), WEEK.end)]
)


@st.composite
def some_sales(draw: st.DrawFn, period: Period) -> Any:
    """Give some of the period's sales, and of the days beside it, whose zone may be unknown."""
    items = [
        a_sale(
            str(number),
            createdAt=f"{FIRST + timedelta(days=day)}T15:00:00Z",
            currentStatus=draw(WORDS),
            saleGrossValue={"bag": draw(AMOUNTS)},
        )
        for number, day in draw(st.dictionaries(st.integers(0, 5), st.integers(0, 6))).items()
        if period.start <= FIRST + timedelta(days=day) <= period.end + timedelta(days=1)
    ]
    odd = a_sale("odd", createdAt=f"{period.start}T15:00:00Z", saleGrossValue={"bag": "x"})
    broken = draw(st.sampled_from([[], [], [], [odd]]))
    return sales_page(*items, *broken, pages=draw(st.sampled_from([1, 1, 1, 2])))


def a_closing(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> Any:
    """Give a closing of half a week, and some loose items."""
    half = a_week(*draw(st.lists(items, max_size=3)), start=str(FIRST), end=str(MIDDLE))
    return closing(half, *draw(st.lists(items, max_size=2)))


@st.composite
def some_titles(draw: st.DrawFn, _: Period) -> Any:
    ids = st.sampled_from(["1", "2", None])
    return a_closing(draw, st.builds(a_title, ids, amount=AMOUNTS, status=WORDS))


@st.composite
def some_anticipations(draw: st.DrawFn, _: Period) -> Any:
    fields = {
        "originalPaymentAmount": AMOUNTS,
        "status": WORDS,
        "originalPaymentDate": st.sampled_from(["2026-10-14", None]),
    }
    return a_closing(draw, st.fixed_dictionaries(fields).map(lambda each: an_anticipation(**each)))


SOME: dict[str, Callable[..., st.SearchStrategy[Any]]] = {
    "sales": some_sales,
    "settlements_weekly": some_titles,
    "anticipations_daily": some_anticipations,
}


@st.composite
def some_pulls(draw: st.DrawFn, kind: str) -> list[Pull]:
    """Give pulls in order, many of which bring what an earlier one brought."""
    pulls: list[Pull] = []
    for hour in range(draw(st.integers(2, 8))):
        if pulls and draw(st.sampled_from([True, False])):
            known: Pull = draw(st.sampled_from(pulls))
            answer, period = known.answer, draw(st.sampled_from([known.period, WEEK]))
        else:
            period = draw(PERIODS)
            answer = draw(SOME[kind](period))
        account_id = draw(st.sampled_from([ACCOUNT, ACCOUNT, ACCOUNT, OTHER]))
        day = draw(st.integers(0, 2))
        pulls.append(Pull(kind, answer, period, hour=hour, day=day, account_id=account_id))
    return pulls


@pytest.mark.parametrize("kind", SOME)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_pulls_leave_what_the_release_before_left(engine, kind, data):
    ours, theirs = f"ours-{next(NUMBERS)}", f"theirs-{next(NUMBERS)}"
    for pull in data.draw(some_pulls(kind)):
        assert pull.store(engine, ours) == pull.store(engine, theirs, former=True)

        assert rows_of(engine, kind, ours) == rows_of(engine, kind, theirs)
        assert versions_of(engine, kind, ours) == versions_of(engine, kind, theirs)


@pytest.mark.parametrize("kind", SOME)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_two_releases_side_by_side_leave_what_one_would_have(engine, kind, data):
    """But for when a row that the former one marks was last seen: it does not look that up."""
    mixed, theirs = f"mixed-{next(NUMBERS)}", f"theirs-{next(NUMBERS)}"
    for pull in data.draw(some_pulls(kind)):
        former = data.draw(st.booleans())
        assert pull.store(engine, mixed, former=former) == pull.store(engine, theirs, former=True)

        found, expected = (rows_of(engine, kind, each, seen=False) for each in (mixed, theirs))
        assert found == expected
