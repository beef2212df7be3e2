"""
Whatever JSON an item holds, what is stored of it can be backed up and read.

The items are text, as they come: no library here would write such numbers, depths and surrogates.
"""

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from datetime import date
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.test_records import Store
from psycopg.rows import dict_row

from ifood_actors.cli.output import document
from ifood_actors.db import long_reading, transaction
from ifood_actors.exports import Selection, write_csv
from ifood_actors.exports.as_parquet import write_parquet
from ifood_actors.exports.as_xlsx import write_xlsx
from ifood_actors.feeds.rejected import rejected_items

pytestmark = pytest.mark.services

OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
TABLES = {
    "sales": "ifood_sales",
    "settlements_weekly": "ifood_settlements",
    "anticipations_daily": "ifood_anticipations",
}
# What makes an item a good one; the hostile value goes beside it, or in the place of a field.
FIELDS = {
    "sales": {"createdAt": '"2026-09-16T15:00:00Z"', "saleGrossValue": '{"bag": 62.90}'},
    "settlements_weekly": {"type": '"REPASSE"', "amount": "10", "paymentDate": '"2026-09-16"'},
    "anticipations_daily": {
        "type": '"REPASSE_ANTECIPADO_DIARIO"',
        "originalPaymentAmount": "100",
        "anticipatedPaymentAmount": "98.50",
        "feePercentage": "1.4875",
    },
}
WEEK = '"startDateCalculation": "2026-09-14", "endDateCalculation": "2026-09-20"'


def json_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"


def json_object(fields: Mapping[str, str]) -> str:
    return json_pairs((json.dumps(name), value) for name, value in fields.items())


digits = st.integers(1, 30_000).map("7".__mul__)
exponents = st.integers(-140_000, 140_000).map("e{}".format) | st.just("")
numbers = st.one_of(
    st.builds("{}{}{}".format, st.integers(), st.just(".0") | st.just(""), exponents),
    digits,
    digits.map("-0.{}".format),
    st.sampled_from(["1e131000", "-1e131000", "1e-131000", "0e-131000", "1e-16383", "1e400"]),
)
texts = st.text(st.characters() | st.sampled_from("\0\ud800\udfff\\\"'\ufeff"), max_size=20)
strings = st.one_of(
    texts.map(json.dumps), st.sampled_from([r'"\u0000"', r'"\ud800"', r'"\\u0000"', '"\x7f"'])
)
deep = st.builds(
    lambda depth, ends: ends[0] * depth + "1e3" + ends[1] * depth,
    st.integers(1, 400),
    st.sampled_from([("[", "]"), ('{"a":', "}")]),
)
values = st.recursive(
    st.one_of(numbers, strings, deep, st.sampled_from(["null", "true", "{}", "[]"])),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(strings, inner), max_size=4).map(json_pairs)
    ),
    max_leaves=8,
)


@st.composite
def items(draw: st.DrawFn, kind: str) -> str:
    fields = dict(FIELDS[kind])
    names = st.sampled_from(["novelty", "id", *fields])
    fields |= draw(st.dictionaries(names, values, min_size=1, max_size=2))
    fields.setdefault("id", json.dumps(str(draw(st.uuids()))))
    return json_object(fields)


def answer(kind: str, *given_items: str) -> bytes:
    listed = ",".join(given_items)
    if kind == "sales":
        return f'{{"pageCount": 1, "sales": [{listed}]}}'.encode()
    return f'{{"settlements": [{{{WEEK}, "closingItems": [{listed}]}}]}}'.encode()


@pytest.fixture
def stores(engine):
    """Give a new store of the one database; each answer is pulled for a store of its own."""
    return (Store(engine, f"merchant-{number}") for number in range(10**9))


@pytest.fixture
def backed_up(database_url, empty_database_url, postgres_programs):
    """Back up and restore; what cannot be written or read again raises."""

    def backed_up():
        dump = subprocess.run(
            [postgres_programs / "pg_dump", "--no-privileges", database_url],
            check=True,
            capture_output=True,
        )
        psql = [postgres_programs / "psql", "-qX", "-v", "ON_ERROR_STOP=1", empty_database_url]
        subprocess.run(psql, input=dump.stdout, check=True, capture_output=True)
        return empty_database_url

    return backed_up


def read_everything(url, engine):
    """Read all that is stored as its readers do: any one that cannot raises."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        tables = [*TABLES.values(), "ifood_record_versions", "ifood_rejected_items"]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
        views = connection.execute(
            "SELECT viewname AS name FROM pg_views WHERE schemaname = 'reporting'"
        ).fetchall()
        for view in views:
            connection.execute(f"SELECT * FROM reporting.{view['name']}").fetchall()
    with transaction(engine) as tx:
        document(rejected_items(tx, limit=100_000))
    for kind in TABLES:
        chosen = Selection(kind, date(2026, 9, 1), date(2026, 9, 30), zone="America/Sao_Paulo")
        for write in (write_csv, write_parquet, write_xlsx):
            with long_reading(engine) as connection:
                write(connection, chosen, BytesIO())
    return rows


def raws(rows):
    return [row["raw"] for table in rows.values() for row in table]


def test_what_is_stored_can_be_backed_up_restored_and_read_whatever_an_item_holds(
    stores, engine, backed_up, capsys
):
    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def pulled(data):
        store = next(stores)
        for kind in TABLES:
            store.pull(kind, answer(kind, *data.draw(st.lists(items(kind), max_size=5))))

    pulled()

    rows = read_everything(backed_up(), engine)
    assert json.loads(capsys.readouterr().out)
    assert raws(rows)
    for raw in raws(rows):
        assert "Infinity" not in json.dumps(raw)  # as a program without decimals reads it


@pytest.mark.parametrize(
    "value",
    [
        f"[{','.join(['1e131000'] * 10_000)}]",
        f"[{','.join(['1e-16000'] * 80_000)}]",
        "9" * 100_000,
        "[" * 200 + "1" + "]" * 200,
        "[" * 900 + "1" + "]" * 900,
    ],
    ids=["huge numbers", "tiny numbers", "endless digits", "deep", "deeper"],
)
def test_an_item_that_other_readers_cannot_read_is_set_aside_and_costs_no_other_its_day(
    stores, engine, backed_up, value
):
    store = next(stores)
    for kind, fields in FIELDS.items():
        good, odd = fields | {"id": '"good"'}, fields | {"id": '"odd"', "novelty": value}

        stored = store.pull(kind, answer(kind, json_object(odd), json_object(good)))

        assert (stored.rows, stored.rejected, stored.complete) == (1, 1, False)
    rows = read_everything(backed_up(), engine)
    for table in TABLES.values():
        assert [row["raw"]["id"] for row in rows[table]] == ["good"]
    assert len(rows["ifood_rejected_items"]) == len(TABLES)
    for rejected in rows["ifood_rejected_items"]:
        assert re.search("digits before or after|levels deep", rejected["reason"])
        assert value.strip("[]").split(",")[0] in json.dumps(rejected["raw"])


UNREADABLE = ["1e131000", "-1e60", "1e-16000"]
READABLE = ["0", "62.90", "-1e59", "1e-60", '"1e131000"']
# As the releases before this one stored them.
COPIES = """
INSERT INTO ifood_record_versions (record_table, record_id, job_id, raw, valid_from, valid_to)
  SELECT 'ifood_sales', id, job_id, raw, changed_at, changed_at FROM ifood_sales;
INSERT INTO ifood_rejected_items (kind, account_id, merchant_id, job_id, item_key, reason, raw,
    covered_from, covered_to, first_seen_at, last_seen_at)
  SELECT 'sales', account_id, merchant_id, job_id, sale_id, '', raw,
    covered_from, covered_to, first_seen_at, last_seen_at FROM ifood_sales;
"""


def test_rows_that_were_stored_before_are_made_readable_by_the_statements_of_the_manual(
    stores, engine, database_url
):
    repair = re.findall("^(?:UPDATE|DELETE) .*raw @[?].*;$", OPERATIONS.read_text(), re.MULTILINE)
    store = next(stores)
    numbers = dict(enumerate([*UNREADABLE, *READABLE], start=1))
    for kind, fields in FIELDS.items():
        own = [{"id": f'"{place}"', "originalPaymentAmount": str(place)} for place in numbers]
        store.pull(kind, answer(kind, *(json_object(fields | each) for each in own)))
    with psycopg.connect(database_url) as connection:
        for table in TABLES.values():
            change = f"UPDATE {table} SET raw = raw || %s::jsonb WHERE raw->>'id' = %s"
            for place, number in numbers.items():
                connection.execute(change, [f'{{"a": [{{"b": {number}}}]}}', str(place)])
        connection.execute(COPIES)

    with psycopg.connect(database_url) as connection:
        for statement in repair:
            connection.execute(statement)

    rows = read_everything(database_url, engine)
    assert len(repair) == len(rows)
    assert len(rows["ifood_rejected_items"]) == len(READABLE)
    for table in (*TABLES.values(), "ifood_record_versions"):
        kept = [row["raw"] for row in rows[table] if row["raw"] is not None]
        assert len(rows[table]) == len(numbers)
        assert sorted(raw["id"] for raw in kept) == ["4", "5", "6", "7", "8"]


def test_a_number_beyond_the_bounds_in_an_envelope_breaks_no_store(stores):
    for number in ("1e131000", "9" * 5_000):
        page = f'{{"pageCount": 1, "total": {number}, "sales": []}}'.encode()

        assert next(stores).pull("sales", page).rows == 0
