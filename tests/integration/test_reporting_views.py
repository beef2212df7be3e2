"""What the views of `reporting` promise as a whole: documented, exact, readable, fast enough."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from ifood_actors.migrations.comparison import differences_of

pytestmark = pytest.mark.services

PAGE = (Path(__file__).parents[2] / "docs" / "data-model.md").read_text()
SECTION = re.compile(r"^### `reporting\.(\w+)`\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| (.*) \|$", re.MULTILINE)
COLUMNS = """
    SELECT view.relname AS view, obj_description(view.oid) AS purpose, attname AS name,
      format_type(atttypid, atttypmod) AS type, col_description(view.oid, attnum) AS meaning
    FROM pg_class AS view JOIN pg_attribute ON attrelid = view.oid
    WHERE relnamespace = 'reporting'::regnamespace AND relkind = 'v'
    ORDER BY relname, attnum
"""
# 1,000 accounts, 60 days of jobs, 17 weeks of titles in the three shapes of one payout.
FILL = (
    """
    INSERT INTO accounts (name, ifood_merchant_id)
    SELECT 'Cantina ' || n, 'merchant-' || n FROM generate_series(1, 1000) AS n
    """,
    """
    INSERT INTO ifood_jobs (job_type, account_id, merchant_id, job_day, scheduled_for,
      period_start, period_end, wake_at, finished_at, event_no, status, result)
    SELECT kind, id, ifood_merchant_id, date '2026-09-21' - n, now(),
      date '2026-09-21' - n - days, date '2026-09-20' - n, NULL, now(), 1, 'success', '{}'
    FROM accounts, generate_series(0, 59) AS n,
      (VALUES ('sales', 7, 1), ('anticipations_daily', 30, 1), ('settlements_weekly', 56, 7))
        AS kinds (kind, days, every)
    WHERE n % every = 0
    """,
    """
    INSERT INTO ifood_settlements (account_id, merchant_id, job_id, first_seen_at, last_seen_at,
      changed_at, covered_from, covered_to, raw, title_id, type, amount, status,
      calculation_start, calculation_end)
    SELECT id, ifood_merchant_id, id, now(), now(), now(), monday, monday + 6, '{}',
      concat(name, monday, type), type, 100, 'SUCCEED', monday, monday + 6
    FROM accounts, unnest(ARRAY['SALDO POSITIVO', 'REPASSE', 'REGISTRO_RECEBIVEIS']) AS type,
      LATERAL (SELECT date '2026-09-14' - 7 * n FROM generate_series(0, 16) AS n) AS week (monday)
    """,
    """
    INSERT INTO ifood_sales (account_id, merchant_id, job_id, first_seen_at, last_seen_at,
      changed_at, covered_from, covered_to, raw, sale_id, sale_day, created_at,
      sale_gross_value_bag)
    SELECT id, ifood_merchant_id, id, now(), now(), now(), day, day, '{}', concat(name, day), day,
      now(), 62.90
    FROM accounts,
      LATERAL (SELECT date '2026-09-20' - n FROM generate_series(0, 59) AS n) AS days (day)
    """,
    "ANALYZE",
)


@pytest.fixture
def columns(engine):
    with engine.connect() as connection:
        return connection.execute(text(COLUMNS)).all()


def test_a_database_with_views_is_as_the_code_says(engine):
    with engine.connect() as connection:
        assert differences_of(connection) == []


def test_every_view_and_column_is_explained_in_the_database_and_alike_on_the_page(columns):
    told = {}
    for view, section in SECTION.findall(PAGE):
        purpose, table = section.strip().split("\n\n")
        told[view, None] = " ".join(purpose.splitlines())
        told |= {(view, name): meaning for name, meaning in ROW.findall(table)}

    written = {(column.view, column.name): column.meaning for column in columns}
    written |= {(column.view, None): column.purpose for column in columns}
    assert told == written
    assert all(written.values())


def test_no_money_is_a_float_and_no_amount_is_rounded(columns):
    numbers = {column.type for column in columns if "double" in column.type or "num" in column.type}

    assert numbers == {"numeric(14,2)", "numeric"}


def test_a_reader_needs_rights_on_the_views_only_and_gets_no_more(engine):
    with engine.connect() as connection:  # never committed: roles are the whole server's
        table = connection.scalar(text("SELECT CAST('ifood_settlements' AS regclass)::oid"))
        connection.execute(text("CREATE ROLE accountant"))
        connection.execute(text("GRANT USAGE ON SCHEMA reporting TO accountant"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO accountant"))
        connection.execute(text("SET ROLE accountant"))

        assert connection.execute(text("SELECT * FROM reporting.weeks")).all() == []
        assert not connection.execute(
            text("SELECT has_table_privilege(CAST(:table AS oid), 'SELECT')"), {"table": table}
        ).scalar_one()


def test_a_thousand_accounts_and_sixty_days_are_read_within_seconds(engine):
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # no history
        for statement in FILL:
            connection.execute(text(statement))
        connection.execute(text("SET LOCAL statement_timeout = '20s'"))

        assert _one(connection, "sum(to_store) FROM reporting.payouts") == 17 * 1000 * 100
        assert _one(connection, "count(*) FROM reporting.weeks") == 17 * 1000
        assert _one(connection, "sum(orders) FROM reporting.sales_days") == 60 * 1000
        assert _one(connection, "bool_and(covered) FROM reporting.coverage")
        assert _one(connection, "count(*) FROM reporting.freshness WHERE read_to IS NULL") == 0
        assert "Backward using uq_ifood_jobs" in _plan(connection, "coverage")


def _one(connection, query):
    return connection.execute(text(f"SELECT {query}")).scalar_one()


def _plan(connection, query):
    rows = connection.execute(text(f"EXPLAIN SELECT * FROM reporting.{query}"))
    return "\n".join(rows.scalars())
