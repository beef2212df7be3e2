"""docs/adding_a_feed.md: a copy of the project that is changed as the page says works."""

import csv
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import simplejson
from support.clock import PATIENCE_SECONDS, eventually
from support.logins import execute
from support.program import Program
from support.world import KEY

from ifood_simulator import App

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding_a_feed.md").read_text()
COPIED = ("src", "tests", "infra", "docs", "scripts", "pyproject.toml", "README.md")
KIND = "financial_events"
MONDAY = date(2026, 9, 21)
ASKED = {"begin": "2026-08-22", "end": "2026-09-20"}

Totals = dict[str, tuple[int, Decimal]]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what git knows, and change the copy as the page says."""
    folder = tmp_path_factory.mktemp("copy")
    files = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *COPIED],  # noqa: S607 - of whoever develops
        cwd=ROOT,
        text=True,
    )
    for name in files.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    for language, path, text in re.findall(
        r"^```(\w+)(?: (\S+))?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    ):
        if language == "diff":
            apply(text, folder)
        else:
            assert not (folder / path).exists()
            (folder / path).write_text(text)
    return folder


def apply(diff: str, folder: Path) -> None:
    """Apply a diff of one file, each of whose hunks fits in exactly one place."""
    header, *hunks = re.split(r"^@@\n", diff, flags=re.MULTILINE)
    file = folder / header.splitlines()[1].removeprefix("+++ ")
    text = file.read_text()
    for hunk in hunks:
        lines = hunk.splitlines(keepends=True)
        former, new = (
            "".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +")
        )
        assert text.count(former) == 1, f"{file.name} has no one place for {hunk}"
        text = text.replace(former, new)
    file.write_text(text)


@pytest.fixture
def command(copy: Path, tmp_path: Path) -> Program:
    return Program(tmp_path, {"PYTHONPATH": str(copy / "src")})


def test_the_files_of_the_page_are_as_all_others(copy):
    files = re.findall(r"^```python (src/\S+)", PAGE, re.MULTILINE)
    python = [sys.executable, "-m"]

    subprocess.run(
        [*python, "ruff", "check", "--force-exclude", *files, "src/ifood_actors/kinds.py"],
        cwd=copy,
        check=True,
    )
    subprocess.run([*python, "ruff", "format", "--check", *files], cwd=copy, check=True)


def test_the_test_of_the_page_passes(copy):
    [file] = re.findall(r"^```python (tests/\S+)", PAGE, re.MULTILINE)
    environment = os.environ | {"PYTHONPATH": str(copy / "src")}

    subprocess.run(
        [sys.executable, "-m", "pytest", file, "-q", "-p", "no:cacheprovider"],
        cwd=copy,
        env=environment,
        check=True,
    )


@pytest.mark.services
def test_the_new_kind_goes_all_the_way(command, copy, database_url, broker_url):
    with simulator(command) as api:
        command.settings |= settings(api, database_url, broker_url)
        prepare(command, copy, api, database_url)

        plan = ("plan", KIND, "--day", str(MONDAY), "--over", "1s")
        foretold = command(*plan, "--dry-run", "--json").document
        planned = command(*plan)
        with process(command, "scheduler"), process(command, "worker"):
            eventually(lambda: not jobs(database_url, "pending", "running"))
        status, capacity, report, config, records = command.each(
            [
                ["status", "--json"],
                ["capacity", "--kind", KIND, "--json"],
                ["report", "--day", str(MONDAY), "--json"],
                ["config", "--json"],
                ["export", KIND, "--from", ASKED["begin"], "--to", ASKED["end"]],
            ]
        )
        served = truth(api)

    assert foretold["new"] == 4
    assert planned.code == 0, planned.err
    assert jobs(database_url, "success") == 4
    assert KIND in status.out
    assert [run["kind"] for run in capacity.document["runs"]] == [KIND]
    assert KIND in report.out
    assert "IFOOD_FINANCIAL_EVENTS_WINDOW" in config.out
    assert exported(records.out) == served
    assert sum(rows for rows, _ in served.values()) > 0
    assert covered(database_url) == {(4 * 30, True)}


def test_the_demo_shows_the_new_kind(command):
    shown = command(
        "demo", "--accounts", "20", "--seconds", "3", "--json", HOME=str(command.folder)
    )

    assert shown.code == 0, shown.err
    kinds = {kind["kind"]: kind for kind in shown.document["kinds"]}
    assert kinds[KIND]["rows"] > 0
    assert shown.document["problems"] == []


@contextmanager
def simulator(command: Program) -> Iterator[str]:
    arguments = ("--accounts", "4", "--port", "0", "--today", str(MONDAY))
    process = command.piped("simulator", *arguments)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


@contextmanager
def process(command: Program, name: str) -> Iterator[None]:
    running = command.start(name)
    try:
        yield
    finally:
        ended = running.stop()
    assert ended == 0, command.logs()


def settings(api: str, database_url: str, broker_url: str) -> dict[str, str]:
    return {
        "IFOOD_DATABASE_URL": database_url,
        "IFOOD_BROKER_URL": broker_url,
        "IFOOD_API_BASE_URL": api,
        "IFOOD_API_ALLOW_HOST": "127.0.0.1",
        "IFOOD_ENCRYPTION_KEYS": KEY,
        "IFOOD_RATE_LIMIT_PER_MINUTE": "60000",
        "IFOOD_WORKER_POLL_INTERVAL_MS": "200",
        "IFOOD_WORKER_PROCESSES": "1",
    }


def prepare(command: Program, copy: Path, api: str, database_url: str) -> None:
    """Migrate as the release before would be, and add the application and its accounts."""
    app = App()
    (command.folder / "accounts.csv").write_text(httpx.get(f"{api}/_simulator/accounts.csv").text)
    upgraded, checked = command.each([["db", "upgrade"], ["db", "check"]])
    execute(database_url, (copy / "infra" / "postgres" / "roles.sql").read_text())
    added, imported = command.each(
        [
            ["apps", "add", app.name, "--client-id", app.client_id, "--kind", app.kind],
            ["accounts", "import", "accounts.csv"],
        ],
        IFOOD_CLIENT_SECRET=app.client_secret,
    )
    for done in (upgraded, checked, added, imported):
        assert done.code == 0, done.err


def jobs(database_url: str, *statuses: str) -> int:
    with psycopg.connect(database_url) as connection:
        statement = "SELECT count(*) FROM ifood_jobs WHERE job_type = %s AND status = ANY(%s)"
        [(found,)] = connection.execute(statement, (KIND, list(statuses)))
        return int(found)


def covered(database_url: str) -> set[tuple[int, bool]]:
    """Give how many days of accounts were read, and how many were not."""
    with psycopg.connect(database_url) as connection:
        statement = """
            SELECT count(*), covered FROM reporting.coverage WHERE kind = %s GROUP BY covered
        """
        return set(connection.execute(statement, (KIND,)))


def truth(api: str) -> Totals:
    answer = httpx.get(f"{api}/_simulator/truth-summary/financial-events", params=ASKED)
    lines: list[dict[str, Any]] = simplejson.loads(answer.text, use_decimal=True)
    return {line["merchant"]: (line["rows"], line["amount"]) for line in lines if line["rows"]}


def exported(text: str) -> Totals:
    amounts: dict[str, list[Decimal]] = defaultdict(list)
    for row in csv.DictReader(StringIO(text)):
        amounts[row["merchant_id"]].append(Decimal(row["amount_value"]))
    return {merchant: (len(each), sum(each, Decimal(0))) for merchant, each in amounts.items()}
