"""`export` by the real binary: files that are whole or not there, speed, memory."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from time import monotonic

import openpyxl
import psycopg
import pytest
from pyarrow import parquet
from sqlalchemy import text
from support.clock import PATIENCE_SECONDS, eventually
from support.program import PROGRAM, Program
from support.records import store, store_many_sales
from support.rows import make_accounts

from ifood_actors.db import transaction

pytestmark = pytest.mark.services

MARCH = ("--from", "2026-03-01", "--to", "2026-03-31")
_MIB = 1024  # ru_maxrss counts in KiB


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> Program:
    return Program(tmp_path, {"IFOOD_DATABASE_URL": database_url})


def test_records_go_to_stdout_or_to_a_file_of_the_format_that_its_ending_says(command, engine):
    store(engine, "sales", {"sale_gross_value_bag": "12.34"}, {})

    plain, brazilian, *files = command.each(
        [
            ["export", "sales", *MARCH],
            ["export", "sales", *MARCH, "--locale", "pt-BR"],
            ["export", "sales", *MARCH, "--output", "a.xlsx"],
            ["export", "sales", *MARCH, "-o", "b.parquet", "--json"],
            ["export", "sales", *MARCH, "-o", "c.txt"],
            ["export", "sales", *MARCH, "-o", "d.xlsx", "--format", "csv", "--account", "nobody"],
        ]
    )

    assert len(list(csv.DictReader(StringIO(plain.out)))) == 2
    assert plain.err == "exported 2 records of sales\n"
    assert ",12.34," in plain.out
    assert brazilian.out.startswith("\ufeffaccount_id;")
    assert ";12,34;" in brazilian.out
    assert [answer.code for answer in files] == [0, 0, 0, 2]
    assert files[0].err == "exported 2 records of sales to a.xlsx\n"
    assert openpyxl.load_workbook(command.folder / "a.xlsx")["sales"].max_row == 3
    assert files[1].document == {
        "kind": "sales",
        "rows": 2,
        "format": "parquet",
        "file": "b.parquet",
    }
    assert parquet.read_table(command.folder / "b.parquet").num_rows == 2
    assert (command.folder / "c.txt").read_text() == plain.out
    assert "nobody" in files[3].err
    assert sorted(path.name for path in command.folder.iterdir()) == [
        "a.xlsx",
        "b.parquet",
        "c.txt",
    ]


def test_days_accounts_and_missing_records_are_chosen(command, engine):
    make_accounts(engine, 2)
    with transaction(engine) as tx:
        name, merchant = tx.execute(
            text("SELECT name, ifood_merchant_id FROM accounts LIMIT 1")
        ).one()
    store(engine, "sales", {"merchant_id": merchant}, {}, {"missing_since": "2026-04-02"})

    of_one, none, whole = command.each(
        [
            ["export", "sales", *MARCH, "--account", name],
            ["export", "sales", "--from", "2026-03-01", "--to", "2026-03-30"],
            ["export", "sales", *MARCH, "--missing"],
        ]
    )

    assert [len(answer.out.splitlines()) for answer in (of_one, none, whole)] == [2, 1, 4]


def test_the_accounts_of_a_company_or_a_group_are_chosen(command, engine):
    make_accounts(engine, 3)
    with transaction(engine) as tx:
        tx.execute(
            text("""
                UPDATE accounts SET group_name = 'Sul', cnpj = CASE number WHEN 1 THEN :cnpj END
                FROM (SELECT id, row_number() OVER () AS number FROM accounts) AS counted
                WHERE counted.id = accounts.id AND number < 3
            """),
            {"cnpj": "14380200000121"},
        )
        merchants = list(tx.execute(text("SELECT ifood_merchant_id FROM accounts")).scalars())
    store(engine, "sales", *({"merchant_id": merchant} for merchant in merchants))

    of_group, of_company, of_one, of_nobody, of_both = command.each(
        [
            ["export", "sales", *MARCH, "--group", "Sul"],
            ["export", "sales", *MARCH, "--group", "Sul", "--cnpj", "14.380.200/0001-21"],
            ["export", "sales", *MARCH, "--account", merchants[0].upper()],
            ["export", "sales", *MARCH, "--group", "sul"],
            ["export", "sales", *MARCH, "--group", "Sul", "--account", merchants[0]],
        ]
    )

    exports = (of_group, of_company, of_one)
    assert [len(answer.out.splitlines()) for answer in exports] == [3, 2, 2]
    assert [(answer.code, answer.out) for answer in (of_nobody, of_both)] == [(2, "")] * 2
    assert "no account has this --cnpj or --group" in of_nobody.err


def test_what_makes_no_sense_is_2_and_leaves_nothing(command):
    (command.folder / "folder").mkdir()
    wrong = [
        ["export", "sales", "--from", "2026-03-02", "--to", "2026-03-01"],
        ["export", "sales", *MARCH, "--format", "xlsx"],
        ["export", "sales", *MARCH, "--json"],
        ["export", "sales", *MARCH, "--locale", "pt-BR", "-o", "a.xlsx"],
        ["export", "sales", *MARCH, "-o", "no/such/folder/a.csv"],
        ["export", "sales", *MARCH, "-o", "folder"],
        ["export", "sales", *MARCH, "-o", "/dev/null"],
    ]

    answers = command.each(wrong)

    assert [(answer.code, answer.out) for answer in answers] == [(2, "")] * len(wrong)
    assert all(answer.err.count("\n") == 1 for answer in answers)
    assert [path.name for path in command.folder.iterdir()] == ["folder"]
    assert Path("/dev/null").is_char_device()


def test_a_format_whose_package_is_missing_names_the_extra(command):
    without = "import sys; sys.modules['xlsxwriter'] = None; from ifood_actors.cli import main; "

    ran = subprocess.run(
        [sys.executable, "-c", f"{without} main()", "export", "sales", *MARCH, "-o", "a.xlsx"],
        env=command.environment(),
        cwd=command.folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "xlsxwriter not installed: the extra `export` brings it" in ran.stderr


@contextmanager
def stuck_export(command, database_url) -> Iterator[subprocess.Popen[str]]:
    """Give an export that has begun its file and waits for the table."""
    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE ifood_sales")
        process = command.piped("export", "sales", *MARCH, "-o", "a.csv")
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'ifood_sales'::regclass"
        eventually(lambda: blocker.execute(waiting).fetchone() is not None)
        assert len(list(command.folder.iterdir())) == 2
        yield process
        process.communicate(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_export_that_is_stopped_leaves_the_former_file(command, database_url, number, code):
    (command.folder / "a.csv").write_text("former")

    with stuck_export(command, database_url) as process:
        process.send_signal(number)

    assert process.returncode == code
    assert [path.name for path in command.folder.iterdir()] == ["a.csv"]
    assert (command.folder / "a.csv").read_text() == "former"


def test_an_export_whose_server_goes_away_is_3_and_leaves_the_former_file(
    command, database_url, engine
):
    (command.folder / "a.csv").write_text("former")

    with stuck_export(command, database_url) as process, transaction(engine) as tx:
        tx.execute(
            text("""
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'ifood-actors cli' AND datname = current_database()
            """)
        )

    assert process.returncode == 3
    assert [path.name for path in command.folder.iterdir()] == ["a.csv"]
    assert (command.folder / "a.csv").read_text() == "former"


@pytest.mark.alone
def test_200_000_sales_take_seconds_and_no_more_memory_than_a_few(command, engine):
    store_many_sales(engine, 200_000)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE ifood_sales"))

    _, few_kib = measured(command, "--to", "2026-03-01")
    seconds, many_kib = min(measured(command, "--to", "2026-03-31") for _ in range(2))

    with (command.folder / "a.csv").open(newline="") as file:
        assert sum(1 for _ in csv.reader(file)) == 200_001
    assert seconds < 30
    assert many_kib - few_kib < 10 * _MIB


def measured(command, *last_day) -> tuple[float, int]:
    """Export to a.csv; give the seconds of the whole command, and its peak memory in KiB."""
    started = monotonic()
    arguments = [PROGRAM, "export", "sales", "--from", "2026-03-01", *last_day, "-o", "a.csv"]
    process = subprocess.Popen(arguments, cwd=command.folder, env=command.environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return monotonic() - started, usage.ru_maxrss
