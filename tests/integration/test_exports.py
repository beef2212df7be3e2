"""Records as CSV, Parquet and XLSX: what is read back is what Postgres holds."""

import csv
import gc
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO, StringIO
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from pyarrow import parquet
from sqlalchemy import Column, Date, DateTime, Integer, Numeric, Text, Uuid, text
from support.records import DAY, store
from support.rows import make_accounts

from ifood_actors.accounts.guard import FORMULA, guarded
from ifood_actors.db import long_reading, transaction
from ifood_actors.errors import IfoodActorsError
from ifood_actors.exports import Selection, write_csv
from ifood_actors.exports.as_parquet import write_parquet
from ifood_actors.exports.as_xlsx import write_xlsx
from ifood_actors.exports.selection import guarded as guarded_in_sql

pytestmark = pytest.mark.services

ZONE = "America/Sao_Paulo"
FORMULAS = ("=1+1", "+55 11", "-x", "@SUM(A1)", "\tx", "\rx", "\nx", "'=x", "\uff1dx", ";=x", '"=x')
NUMBER = re.compile(r"-\d+(\.\d+)?")
TEXTS = (*FORMULAS, 'Ação; "aspas", vírgula', "two\nlines", "x=1", "'quoted'", "00123", None)
MONEY = (*map(Decimal, ("0.00", "-0.01", "1234567.89", "999999999999.99")), None)
RECORDS: dict[str, list[dict[str, Any]]] = {
    "sales": [
        {
            "merchant_name": TEXTS[number],
            "sale_gross_value_bag": MONEY[number % len(MONEY)],
            "created_at": datetime(2026, 3, 31, 2, 30, number, 654321, tzinfo=UTC),
        }
        for number in range(len(TEXTS))
    ],
    "settlements_weekly": [{"amount": Decimal("-12.30"), "payment_date": DAY}, {"product": "=x"}],
    "anticipations_daily": [{"fee_percentage": Decimal("1.4900000001"), "status": "@x"}, {}],
}


def selection(kind="sales", *, start=DAY, end=DAY, **chosen):
    return Selection(kind, start, end, zone=ZONE, **chosen)


def written(engine, write, *arguments, **options):
    """Give what a format's function wrote, as bytes."""
    out = BytesIO()
    with long_reading(engine) as connection:
        rows = write(connection, *arguments, out, **options)
    assert rows >= 0
    return out.getvalue()


def held(engine, chosen):
    """Give the same rows by a plain SELECT, in the order of an export."""
    names = ", ".join(column.name for column in chosen.columns)
    table = chosen.columns[0].table.name
    with transaction(engine) as tx:
        rows = tx.execute(text(f"SELECT {names} FROM {table} ORDER BY merchant_id, id"))
        return [dict(row) for row in rows.mappings()]


def by_the_clock(instant):
    return instant and instant.astimezone(ZoneInfo(ZONE)).replace(microsecond=0, tzinfo=None)


def parsed(row, chosen, *, comma=False):
    """Read the cells of a CSV line as what their columns are."""
    types = {column.name: column.type for column in chosen.columns}

    def value(name, cell):
        match types[name]:
            case _ if cell == "":
                return None
            case Numeric():
                assert ("," in cell) == comma
                return Decimal(cell.replace(",", "."))
            case DateTime():
                return datetime.fromisoformat(cell)
            case Date():
                return date.fromisoformat(cell)
            case Integer():
                return int(cell)
            case _:
                return cell

    return {name: value(name, cell) for name, cell in row.items()}


def expected(row, chosen, *, spreadsheet=True, local=True):
    types = {column.name: column.type for column in chosen.columns}

    def value(name, stored):
        match types[name]:
            case _ if stored is None:
                return None
            case Uuid():
                return str(stored)
            case DateTime():
                return by_the_clock(stored) if local else stored
            case Text() if spreadsheet:
                return guarded(stored)
            case _:
                return stored

    return {name: value(name, stored) for name, stored in row.items()}


@pytest.mark.parametrize("kind", RECORDS)
def test_csv_reads_back_equal(engine, kind):
    store(engine, kind, *RECORDS[kind])
    chosen = selection(kind)

    content = written(engine, write_csv, chosen).decode()

    rows = csv.DictReader(StringIO(content, newline=""))
    assert [parsed(row, chosen) for row in rows] == [
        expected(row, chosen, local=False) for row in held(engine, chosen)
    ]


@pytest.mark.parametrize("kind", RECORDS)
def test_brazilian_csv_has_a_bom_semicolons_and_decimal_commas(engine, kind):
    store(engine, kind, *RECORDS[kind])
    chosen = selection(kind)

    content = written(engine, write_csv, chosen, brazilian=True)

    assert content.startswith(b"\xef\xbb\xbfaccount_id;merchant_id;")
    rows = csv.DictReader(StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";")
    assert [parsed(row, chosen, comma=True) for row in rows] == [
        expected(row, chosen) for row in held(engine, chosen)
    ]


@pytest.mark.parametrize("kind", RECORDS)
def test_parquet_reads_back_equal_and_typed(engine, kind):
    store(engine, kind, *RECORDS[kind])
    chosen = selection(kind)

    found = parquet.read_table(BytesIO(written(engine, write_parquet, chosen)))

    assert found.to_pylist() == [
        expected(row, chosen, spreadsheet=False, local=False) for row in held(engine, chosen)
    ]
    types = {name: str(found.schema.field(name).type) for name in found.column_names}
    assert types["first_seen_at"] == "timestamp[us, tz=UTC]"
    money = {"sales": "sale_gross_value_bag", "settlements_weekly": "amount"}
    assert types[money.get(kind, "fee_amount")] == "decimal128(14, 2)"


@pytest.mark.parametrize("kind", RECORDS)
def test_xlsx_reads_back_equal_with_numbers_as_numbers_and_no_formula(engine, kind):
    store(engine, kind, *RECORDS[kind])
    chosen = selection(kind)

    book = openpyxl.load_workbook(BytesIO(written(engine, write_xlsx, chosen)))

    assert book.sheetnames == [kind]
    heading, *lines = book[kind].iter_rows()
    assert {cell.data_type for line in lines for cell in line} <= {"s", "n", "d"}
    names = [str(cell.value) for cell in heading]
    found = [dict(zip(names, map(value_of, line), strict=True)) for line in lines]
    assert found == [expected(row, chosen) for row in held(engine, chosen)]


def value_of(cell):
    """Give what a cell shows; a carriage return stands in the file in Excel's own way."""
    match cell.value:
        case datetime() if cell.number_format == "yyyy-mm-dd":
            return cell.value.date()
        case float():
            return Decimal(repr(cell.value))
        case str():
            return cell.value.replace("_x000D_", "\r")
        case _:
            return cell.value


def test_a_sheet_that_is_full_is_followed_by_another(engine):
    store(engine, "sales", *[{}] * 5)

    book = openpyxl.load_workbook(
        BytesIO(written(engine, write_xlsx, selection(), sheet_rows=3)), read_only=True
    )

    assert book.sheetnames == ["sales", "sales 2", "sales 3"]
    sheets = [list(sheet.iter_rows(values_only=True)) for sheet in book]
    assert [len(rows) for rows in sheets] == [3, 3, 2]
    assert len({rows[0] for rows in sheets}) == 1
    assert len({row for rows in sheets for row in rows[1:]}) == 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # open sheets
def test_a_text_that_no_cell_holds_is_refused_instead_of_cut(engine):
    store(engine, "sales", {"merchant_name": "x" * 32_768})

    with pytest.raises(IfoodActorsError, match=r"merchant_name: a cell of Excel.*32,768"):
        written(engine, write_xlsx, selection())
    gc.collect()


def test_a_percentage_that_is_too_long_for_parquet_is_rounded(engine):
    longest = Decimal(f"999999999999.{'4' * 18}5{'0' * 10}1")
    store(engine, "anticipations_daily", {"fee_percentage": longest})

    content = written(engine, write_parquet, selection("anticipations_daily"))

    found = parquet.read_table(BytesIO(content)).column("fee_percentage").to_pylist()
    assert found == [Decimal(f"999999999999.{'4' * 17}5")]


def test_parquet_comes_in_batches(engine, monkeypatch):
    monkeypatch.setattr("ifood_actors.exports.as_parquet._ROWS", 2)
    store(engine, "sales", *[{}] * 5)

    file = parquet.ParquetFile(BytesIO(written(engine, write_parquet, selection())))

    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 2, 1]


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_xlsx])
def test_no_record_is_a_file_with_columns(engine, write):
    content = written(engine, write, selection())

    if write is write_csv:
        assert content.decode().startswith("account_id,merchant_id,sale_id,")
    elif write is write_parquet:
        assert parquet.read_table(BytesIO(content)).shape[0] == 0
    else:
        assert openpyxl.load_workbook(BytesIO(content))["sales"].max_row == 1


def test_raw_and_what_only_storing_needs_stay_inside(engine):
    store(engine, "sales")

    content = written(engine, write_csv, selection()).decode()

    assert not {"id", "raw", "covered_from"} & set(content.splitlines()[0].split(","))
    assert "secret" not in content


def test_each_record_belongs_to_one_day_and_both_ends_are_in(engine):
    days = [date(2026, 3, number) for number in (1, 2, 3, 4)]
    for day in days:
        store(engine, "sales", day=day)

    content = written(engine, write_csv, selection(start=days[1], end=days[2])).decode()

    found = [row["sale_day"] for row in csv.DictReader(StringIO(content))]
    assert found == ["2026-03-02", "2026-03-03"]


@pytest.mark.parametrize("kind", ["settlements_weekly", "anticipations_daily"])
def test_a_loose_item_stays_in_the_month_in_which_it_was_first_seen(engine, kind):
    """Each pull finds it by the days of another block."""
    loose = {"calculation_start": None, "calculation_end": None}
    late = datetime(2026, 4, 1, 2, 59, tzinfo=UTC)  # still March in Sao Paulo
    store(engine, kind, {**loose, "first_seen_at": late}, day=date(2026, 2, 2))

    march = selection(kind, start=date(2026, 3, 1), end=date(2026, 3, 31))
    others = (
        selection(kind, start=date(2026, 2, 1), end=date(2026, 2, 28)),
        selection(kind, start=date(2026, 4, 1), end=date(2026, 4, 30)),
    )

    assert len(written(engine, write_csv, march).splitlines()) == 2
    assert [len(written(engine, write_csv, other).splitlines()) for other in others] == [1, 1]


def test_what_ifood_took_back_is_left_out_unless_asked_for(engine):
    store(engine, "sales", {}, {"missing_since": datetime(2026, 4, 2, tzinfo=UTC)})

    usual = written(engine, write_csv, selection()).decode()
    whole = written(engine, write_csv, selection(missing=True)).decode()

    assert [row["missing_since"] for row in csv.DictReader(StringIO(usual))] == [""]
    assert [row["missing_since"] for row in csv.DictReader(StringIO(whole))] == [
        "",
        "2026-04-02T00:00:00.000000Z",
    ]


def test_accounts_are_chosen_by_name_or_merchant(engine):
    make_accounts(engine, 3)
    with transaction(engine) as tx:
        accounts = tx.execute(text("SELECT name, ifood_merchant_id FROM accounts")).all()
    store(engine, "sales", *({"merchant_id": one.ifood_merchant_id} for one in accounts))
    [first, second, _] = accounts

    chosen = selection(accounts=[first.name, second.ifood_merchant_id])
    rows = csv.DictReader(StringIO(written(engine, write_csv, chosen).decode()))

    assert {row["merchant_id"] for row in rows} == {
        first.ifood_merchant_id,
        second.ifood_merchant_id,
    }


def test_the_same_records_are_the_same_file(engine):
    store(engine, "sales", *[{"merchant_id": name} for name in "cab"])
    before = written(engine, write_csv, selection())
    with transaction(engine) as tx:  # moves the rows within the table
        tx.execute(text("UPDATE ifood_sales SET merchant_id = merchant_id WHERE merchant_id < 'b'"))

    assert written(engine, write_csv, selection()) == before


def test_a_long_reading_has_no_limit_of_time_and_cannot_write(engine):
    with long_reading(engine) as connection:
        limit = connection.execute(text("SHOW statement_timeout")).scalar_one()
        only_reads = connection.execute(text("SHOW transaction_read_only")).scalar_one()
    with transaction(engine) as tx:
        afterwards = tx.execute(text("SHOW statement_timeout")).scalar_one()

    assert (limit, only_reads, afterwards) == ("0", "on", "1min")


@pytest.mark.parametrize("locale", ["plain", "brazilian", "xlsx"])
def test_no_cell_of_an_export_is_a_formula_by_whatever_it_is_split(engine, locale):
    """Excel splits by what its language says, and takes no notice of who wrote the file."""
    begin, ends = ("", "x"), ("", ",", ";", "\t", "\n", "\r\n", '"', '",', '";')
    unseen, signs = ("", " ", "\u00a0", "\ufeff", "'", '"'), "=+-@\uff1d\uff0b\uff0d\uff20"
    hidden = ["".join(each) + "cmd|' /C calc'!A0" for each in product(begin, ends, unseen, signs)]
    store(engine, "sales", *({"merchant_name": each} for each in hidden))

    if locale == "xlsx":  # and saved by a person, as text
        book = openpyxl.load_workbook(BytesIO(written(engine, write_xlsx, selection())))
        files = [saved(book["sales"].values, delimiter) for delimiter in ",;\t"]
    else:
        chosen = {"brazilian": locale == "brazilian"}
        files = [written(engine, write_csv, selection(), **chosen).decode("utf-8-sig")]

    for content, delimiter in product(files, ",;\t"):
        naive = [cell for line in content.splitlines() for cell in line.split(delimiter)]
        quoted = csv.reader(StringIO(content, newline=""), delimiter=delimiter)
        for cell in (*naive, *(cell for row in quoted for cell in row)):
            bare = cell.strip('" \u00a0\ufeff')  # but no "'", as the guard is
            assert not bare.startswith(tuple(signs)) or NUMBER.fullmatch(bare), cell


def saved(rows, delimiter):
    out = StringIO()
    cells = [["" if cell is None else cell for cell in row] for row in rows]
    csv.writer(out, delimiter=delimiter).writerows(cells)
    return out.getvalue()


def test_postgres_guards_the_same_texts_as_the_program(engine):
    signs = ("=", "\uff20", "\t", "\n", "'", '"', ";", ",", "a", " ", "\ufeff", "\u200b", "\u2060")
    texts = ["".join(each) for each in product(signs, repeat=3)]
    column = Column("given", Text)

    with transaction(engine) as tx:
        rows = tx.exec_driver_sql(
            f"SELECT given, {guarded_in_sql(column)} FROM unnest(%(texts)s::text[]) AS given",
            {"texts": texts, "formula": FORMULA},
        ).all()

    assert len(rows) == len(texts)
    assert [row for row in rows if row[1] != guarded(row[0])] == []
