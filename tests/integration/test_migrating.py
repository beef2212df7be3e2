"""docs/migrating.md, word by word: its own SQL in psql, from a former database full of traps."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from support.clock import PATIENCE_SECONDS, eventually
from support.program import Program
from support.world import KEY, stand_up

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.kinds import KINDS
from ifood_actors.planning.planner import cadences
from ifood_simulator import App, running
from ifood_simulator import Settings as World

pytestmark = pytest.mark.services

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
SETTINGS = Settings()
ZONE = SETTINGS.timezone
LOOK, LOAD, ACCOUNTS, JOBS = "Look at what is there", "Load", "Accounts", "Open jobs"

_FORMER_SCHEMA = """
    CREATE TABLE accounts (id uuid PRIMARY KEY, name text, ifood_merchant_id text, priority int,
      active bool, timezone text);
    CREATE TABLE ifood_jobs (id uuid PRIMARY KEY, job_type text, account_id uuid, merchant_id text,
      job_day date, status text, scheduled_for {instant}, locked_at {instant}, locked_by text,
      attempts int, next_retry_at {instant}, last_error text,
      created_at {instant} DEFAULT now(), updated_at {instant} DEFAULT now());
"""


def blocks(heading: str, language: str = "sql") -> list[str]:
    """Give the blocks of code below a heading, without what indents them."""
    section = re.split(r"^##+ ", PAGE.split(f"\n## {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", section[0], re.MULTILINE | re.DOTALL)
    return [re.sub(f"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


@dataclass
class Operator:
    """Somebody with the two terminals of the page, in a folder of its own."""

    folder: Path
    urls: dict[str, str]
    psql: Path

    def follow(self, heading: str) -> str:
        """Paste all blocks below a heading where their first lines say; all that psql printed."""
        return "".join(self.paste(block) for block in blocks(heading))

    def paste(self, block: str) -> str:
        done = self.try_paste(block)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def try_paste(self, block: str) -> subprocess.CompletedProcess[str]:
        [where] = re.findall(r"^-- in the (\w+) database", block)
        exports, _ = blocks("Set up", "sh")
        options = ["--no-psqlrc", "--csv", "--set", "ON_ERROR_STOP=1"]
        return subprocess.run(
            [self.psql, *options, self.urls[where]],
            cwd=self.folder,
            env={"PATH": os.defpath, **dict(re.findall(r"(PG\w+)=(\w+)", exports))},
            input=block,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
        )


@dataclass
class Former:
    """The database of the former system."""

    url: str
    # Once for a test, which may go on past midnight.
    today: date = field(default_factory=lambda: datetime.now(ZONE).date())
    merchants: list[str] = field(default_factory=lambda: [str(uuid4()) for _ in range(8)])

    def add(self, table: str, **values: object) -> UUID:
        values = {"id": uuid4(), **values}
        names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
        with psycopg.connect(self.url) as connection:
            connection.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})".encode(),
                list(values.values()),
            )
        return UUID(str(values["id"]))

    def account(self, name: str | None, merchant: str | None, **values: object) -> UUID:
        usual = {"priority": 0, "active": True, "timezone": "America/Sao_Paulo"}
        return self.add("accounts", name=name, ifood_merchant_id=merchant, **usual | values)

    def job(self, account: UUID, ago: int | None, **values: object) -> UUID:
        """Add a sales job of a day some days ago, with its slot at ten by the local clock."""
        day = None if ago is None else self.today - timedelta(days=ago)
        slot = self.at_local(10, ago or 0)
        usual = {"job_type": "sales", "job_day": day, "status": "failed", "scheduled_for": slot}
        return self.add("ifood_jobs", account_id=account, **usual | values)

    def at_local(self, hour: int, ago: int) -> datetime:
        day = self.today - timedelta(days=ago)
        return datetime.combine(day, time(hour), tzinfo=ZONE).astimezone(UTC)

    def days_ago(self, day: date) -> int:
        return (self.today - day).days


@dataclass(frozen=True)
class Filled:
    """What fits, by what was made of it: accounts by name, jobs by kind and days ago."""

    accounts: dict[str, UUID]
    jobs: dict[tuple[str, int], UUID]


def fill(former: Former) -> Filled:
    """Add what fits, and everything that does not."""
    m = former.merchants
    quotes = former.account("Cantina'; DROP TABLE accounts; --", m[0], priority=5)
    lines = former.account('O "Bar",\r\n\\N e\tGrill;\n\\.\n', m[1], priority=None, timezone=None)
    nameless = former.account("", f" {{{m[2].upper()}}} ", timezone="America/Manaus")
    disabled = former.account("Disabled", m[3], active=False)
    unsaid = former.account("Unsaid", m[4], active=None)
    former.account("No merchant", None)
    former.account("Blank merchant", " ")
    former.account("Short number", "4078865")
    former.account("Wrong zone", m[5], timezone="Brasilia/DF")
    former.account("Nowhere", m[6], timezone="UTC")
    twin = former.account("Twin", m[0].upper(), active=False, priority=9)

    former.job(quotes, 1, status="pending")
    jobs = {
        ("sales", 1): former.job(
            quotes, 1, scheduled_for=former.at_local(11, 1), last_error="a'b\n;"
        ),
        ("sales", 10): former.job(quotes, 10, status="running", locked_by="pm2", attempts=3),
        ("settlements_weekly", 3): former.job(lines, 3, job_type="settlements_weekly"),
        ("anticipations_daily", 2): former.job(
            nameless, 2, job_type="anticipations_daily", merchant_id=None, scheduled_for=None
        ),
        # In UTC it was the next day already.
        ("sales", 5): former.job(lines, 4, scheduled_for=former.at_local(22, 5), merchant_id=m[1]),
    }
    former.job(quotes, 2, status="success")
    former.job(quotes, 2, status="cancelled")
    former.job(quotes, 3, job_type="payouts")
    former.job(quotes, 3, status="PENDING")
    former.job(quotes, 4, status=None)
    former.job(uuid4(), 3)
    former.job(twin, 3)
    former.job(disabled, 3)
    former.job(quotes, 100)
    former.job(quotes, -2, status="pending")
    former.job(quotes, 6, merchant_id=str(uuid4()))
    former.job(quotes, None)
    names = {
        "Cantina'; DROP TABLE accounts; --": quotes,
        'O "Bar", \\N e Grill; \\.': lines,
        m[2]: nameless,
        "Disabled": disabled,
        "Unsaid": unsaid,
    }
    return Filled(names, jobs)


@pytest.fixture(params=["timestamptz", "timestamp"])
def former(request, empty_database_url) -> Former:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(_FORMER_SCHEMA.format(instant=request.param).encode())
    # What has no zone was stored as UTC.
    return Former(f"{empty_database_url}?options=-ctimezone%3DUTC")


@pytest.fixture
def operator(tmp_path, login, former, postgres_programs) -> Operator:
    """Log in as the page says, with the least rights that do."""
    [read_only] = re.findall(r"\?(options=\S+)'", PAGE)
    former_url = f"{former.url.partition('?')[0]}?{read_only}"
    urls = {"former": former_url, "new": login("migrator")}
    return Operator(tmp_path, urls, psql=postgres_programs / "psql")


@pytest.fixture
def app(engine) -> None:
    with transaction(engine) as tx:
        tx.execute(
            text("""
                INSERT INTO ifood_apps (name, client_id, kind, client_secret_encrypted)
                VALUES ('main', 'client', 'centralized', 'sealed')
            """)
        )


def rows(engine, statement: str) -> list[dict[str, Any]]:
    with transaction(engine) as tx:
        return [dict(row) for row in tx.execute(text(statement)).mappings()]


def everything(engine) -> list[list[dict[str, Any]]]:
    tables = ("accounts", "ifood_jobs", "ifood_job_events")
    return [rows(engine, f"SELECT * FROM {table} ORDER BY id") for table in tables]


@pytest.mark.usefixtures("app")
def test_what_fits_is_there_with_its_ids_and_its_history(operator, former, engine):
    filled = fill(former)

    for heading in (LOOK, LOAD, ACCOUNTS, JOBS):
        operator.follow(heading)

    accounts = {row["name"]: row for row in rows(engine, "SELECT * FROM accounts")}
    assert {name: row["id"] for name, row in accounts.items()} == filled.accounts
    m = former.merchants
    assert {
        (row["ifood_merchant_id"], row["priority"], row["active"], row["timezone"])
        for row in accounts.values()
    } == {
        (m[0], 5, True, "America/Sao_Paulo"),
        (m[1], 0, True, "America/Sao_Paulo"),
        (m[2], 0, True, "America/Manaus"),
        (m[3], 0, False, "America/Sao_Paulo"),
        (m[4], 0, False, "America/Sao_Paulo"),
    }
    assert None not in {row["app_id"] for row in accounts.values()}

    jobs = rows(engine, "SELECT * FROM ifood_jobs ORDER BY scheduled_for")
    assert {
        (job["job_type"], former.days_ago(job["job_day"])): job["id"] for job in jobs
    } == filled.jobs
    assert {(job["status"], job["attempts"], job["last_error"]) for job in jobs} == {
        ("pending", 0, None)
    }
    assert [job["priority"] for job in jobs] == [5, 5, 0, 0, 0]
    assert jobs[4]["scheduled_for"] - jobs[0]["scheduled_for"] == timedelta(seconds=8)
    events = rows(engine, "SELECT * FROM ifood_job_events")
    assert {event["job_id"] for event in events} == set(filled.jobs.values())
    assert {(row["act"], row["to_status"], row["actor"], row["reason"]) for row in events} == {
        ("manual", "pending", "ifood_migrator", "SQL by hand, import from the former system")
    }


@pytest.mark.usefixtures("app")
def test_to_follow_it_twice_is_to_follow_it_once(operator, former, engine):
    fill(former)
    for heading in (LOAD, ACCOUNTS, JOBS):
        operator.follow(heading)
    once = everything(engine)

    again = [operator.follow(heading) for heading in (LOAD, ACCOUNTS, JOBS, ACCOUNTS, JOBS)]

    assert everything(engine) == once
    assert [len(found) for found in once] == [5, 5, 5]
    assert all("INSERT 0 0" in printed for printed in again[1:])


@pytest.mark.usefixtures("app")
def test_what_does_not_fit_is_listed_with_its_reason(operator, former):
    fill(former)
    operator.follow(LOAD)

    in_accounts, in_jobs = operator.follow(ACCOUNTS), operator.follow(JOBS)

    accounts = re.findall(r"^([a-z ]+),[\w-]{36},([\w ]+),", in_accounts, re.MULTILINE)
    jobs = re.findall(r"^([a-z :]+),[\w-]{36},\w+,[\w-]{36},", in_jobs, re.MULTILINE)
    assert sorted(accounts) == [
        ("another account with the same merchant is imported", "Twin"),
        ("no merchant id", "Blank merchant"),
        ("no merchant id", "No merchant"),
        ("no such time zone", "Nowhere"),
        ("no such time zone", "Wrong zone"),
        ("not a merchant id", "Short number"),
    ]
    assert sorted(jobs) == [
        "another job of its account and day is imported",
        "in the future: the scheduler will plan it",
        "its account is disabled",
        "its account is not here",
        "its account is not here",
        "no day",
        "no such kind",
        "not open",
        "not open",
        "of a merchant that its account no longer has",
        "too old",
    ]


@pytest.mark.usefixtures("app")
def test_until_the_switch_the_former_system_has_the_last_word(operator, former, engine):
    account = former.account("Before", former.merchants[0])
    wrong = former.account("Wrong", former.merchants[1], timezone="Manaus")
    for heading in (LOAD, ACCOUNTS):
        operator.follow(heading)
    [correction] = re.findall(r"`(UPDATE former\.accounts SET timezone[^`]+;)`", PAGE)

    former.add("accounts", name="Another id", ifood_merchant_id=former.merchants[0], timezone="")
    with psycopg.connect(former.url) as connection:
        values = ("After", former.merchants[2], account)
        update = b"UPDATE accounts SET name = %s, ifood_merchant_id = %s WHERE id = %s"
        connection.execute(update, values)
    operator.follow(LOAD)
    operator.paste(f"-- in the new database\n{correction}")
    printed = operator.follow(ACCOUNTS)

    found = {row["id"]: row for row in rows(engine, "SELECT * FROM accounts")}
    assert (found[account]["name"], found[account]["ifood_merchant_id"]) == (
        "After",
        former.merchants[2],
    )
    assert found[wrong]["timezone"] == "America/Manaus"
    assert "here its merchant belongs to another account" in printed


def test_without_the_application_nothing_is_imported(operator, former, engine):
    fill(former)
    operator.follow(LOAD)

    done = operator.try_paste(blocks(ACCOUNTS)[-1])

    assert "no rows returned for \\gset" in done.stderr
    assert rows(engine, "SELECT FROM accounts") == []


def test_nothing_on_the_page_can_change_the_former_database(operator):
    done = operator.try_paste("-- in the former database\nDELETE FROM ifood_jobs;")

    assert "read-only transaction" in done.stderr


@pytest.mark.usefixtures("app")
def test_the_periods_are_those_of_the_planner(operator, former):
    account = former.account("Cantina", former.merchants[0])
    for ago in range(9):
        for kind in cadences(SETTINGS):
            former.job(account, ago, job_type=kind)
    for heading in (LOAD, ACCOUNTS):
        operator.follow(heading)

    with psycopg.connect(operator.urls["new"]) as connection:
        found = connection.execute(
            "SELECT job_type, job_day, period_start, period_end FROM former.checked_jobs"
        ).fetchall()

    periods = {(kind, day): (start, end) for kind, day, start, end in found}
    assert len(periods) == 27
    for (kind, day), period in periods.items():
        wanted = KINDS[kind].period(day, SETTINGS)
        assert period == (wanted.start, wanted.end), (kind, day)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("former", ["timestamptz"], indirect=True)
def test_one_day_in_each_week_reads_twelve_weeks_of_sales(
    operator, former, database_url, tmp_path, engine
):
    former.account("Cantina", former.merchants[0])
    for heading in (LOAD, ACCOUNTS):
        operator.follow(heading)
    program = Program(tmp_path, {"IFOOD_DATABASE_URL": database_url})

    [loop] = blocks("Records of the former system", "sh")
    subprocess.run(["/bin/bash", "-ec", loop], env=program.environment(), check=True, timeout=180)

    read = {
        former.days_ago(job["period_start"] + timedelta(days=n))
        for job in rows(engine, "SELECT period_start, period_end FROM ifood_jobs")
        for n in range((job["period_end"] - job["period_start"]).days + 1)
    }
    assert read >= set(range(9, 84))  # the regular runs read a week; the clock here may be UTC


@pytest.mark.parametrize("former", ["timestamptz"], indirect=True)
def test_a_fleet_runs_the_imported_jobs_to_success(
    operator, former, database_url, broker_url, tmp_path
):
    world = World(merchants=8, today=former.today, revoked_share=0, apps=(App(name="main"),))
    with (
        running(world) as simulator,
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as ours,
    ):
        ours.rows("DELETE FROM accounts RETURNING id")  # they come from the former system instead
        former.merchants = [merchant.id for merchant in simulator.merchants()]
        filled = fill(former)
        for heading in (LOAD, ACCOUNTS, JOBS):
            operator.follow(heading)

        with ours.working():
            eventually(ours.idle)

        assert {row["id"] for row in ours.rows("SELECT id FROM ifood_jobs")} == set(
            filled.jobs.values()
        )
        assert {ours.acts(job)[0] for job in filled.jobs.values()} == {"manual"}
        assert {ours.acts(job)[-1] for job in filled.jobs.values()} == {"succeed"}
        for table in ("ifood_sales", "ifood_settlements"):
            assert ours.rows(f"SELECT FROM {table} LIMIT 1")
        assert "Cantina'" in operator.follow("Compare a day before the switch")

        command = Program(
            tmp_path, {"IFOOD_DATABASE_URL": database_url, "IFOOD_ENCRYPTION_KEYS": KEY}
        )
        shown = command("jobs", "show", str(filled.jobs["sales", 10]))
        assert "SQL by hand, import from the former system" in shown.out
        assert command("report", "--day", str(former.today - timedelta(days=10))).code == 0
        assert command("db", "check").code == 0
        operator.follow("The switch")
        assert ours.rows("SELECT to_regnamespace('former') AS former") == [{"former": None}]
