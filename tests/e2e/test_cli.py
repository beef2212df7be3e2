"""What all commands have in common: help, exit codes, one clear line, no secrets."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command_table import POSTGRES, ROWS
from support.program import NOWHERE_BROKER, NOWHERE_DATABASE, PROGRAM, Program
from support.rows import M

KEY = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
HEAVY = (
    *("alembic", "apscheduler", "apprise", "cryptography", "dramatiq", "httpx", "pika", "psycopg"),
    *("pydantic", "rich", "sqlalchemy", "sqlmodel", "starlette", "structlog", "uvicorn"),
)
GROUPS = sorted({name.partition(" ")[0] for name in ROWS if " " in name})
ON_THE_DATABASE = [
    [*name.split(), *(row.works or ())]
    for name, row in ROWS.items()
    # But one that can do without, one that finds it out, and one that wants a name and a person.
    if POSTGRES in row.needs and name not in {"capacity", "doctor", "apps authorize"}
]
WRONG = ((), ("nonsense",), *((group,) for group in GROUPS), *((group, "x") for group in GROUPS))


@pytest.fixture
def command(tmp_path: Path) -> Program:
    (tmp_path / "accounts.csv").write_text(f"name,ifood_merchant_id\nA,{M}\n")
    return Program(tmp_path, {"IFOOD_ENCRYPTION_KEYS": KEY})


@pytest.mark.parametrize("asked", ["--help", "--version", "jobs requeue --help", "jobs --nonsense"])
def test_what_needs_no_work_imports_nothing_heavy(asked):
    program = [sys.executable, "-X", "importtime", PROGRAM, *asked.split()]
    imported = subprocess.run(program, capture_output=True, check=False).stderr.decode()

    modules = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert "ifood_actors.cli.main" in modules
    # Typer itself reads the words of a command by pydantic; the help of all needs none.
    assert not (set(HEAVY) - ({"pydantic"} if "jobs" in asked else set())) & modules


def test_a_command_in_a_fork_is_the_program_in_a_process_of_its_own(command):
    calls = [("--version",), ("nonsense",), ("config", "--json"), ("status",)]
    calls += [("accounts", "import", "not-there.csv")]

    forked, *by_themselves = [
        [call(*words, IFOOD_DATABASE_URL=NOWHERE_DATABASE, IFOOD_TIMEZONE="UTC") for words in calls]
        for call in (command, command.by_itself, command)
    ]

    assert [forked, forked] == by_themselves
    assert {outcome.code for outcome in forked} == {0, 2, 3}


def test_every_command_has_help(command):
    groups = command.each([[group, "--help"] for group in ("", *GROUPS) if group])
    listed = [
        (group, line.split()[0])
        for group, answer in zip(GROUPS, groups, strict=True)
        for line in answer.out.split("Commands:")[1].splitlines()
        if line.strip()
    ]

    answers = command.each([[group, name, "--help"] for group, name in listed])

    assert len(listed) >= 14
    assert all(answer.code == 0 and "--help" in answer.out for answer in answers)


def test_the_program_tells_its_version(command):
    assert command("--version").out.startswith("ifood-actors 1.")


def test_wrong_usage_is_2_and_says_so_without_a_traceback(command):
    answers = command.each(WRONG, IFOOD_DATABASE_URL=NOWHERE_DATABASE)

    for arguments, answer in zip(WRONG, answers, strict=True):
        assert (answer.code, answer.out) == (2, ""), arguments
        assert answer.err, arguments
        assert "Traceback" not in answer.err, arguments
        assert "hunter2" not in answer.err, arguments


def test_without_a_database_url_every_command_that_needs_one_says_so(command):
    answers = command.each(
        ON_THE_DATABASE, IFOOD_BROKER_URL=NOWHERE_BROKER, IFOOD_CLIENT_SECRET="hunter2"
    )

    for arguments, answer in zip(ON_THE_DATABASE, answers, strict=True):
        assert (answer.code, answer.out) == (2, ""), arguments
        assert answer.told.startswith("IFOOD_DATABASE_URL is not set"), arguments


@pytest.mark.parametrize(
    "arguments", [["scheduler"], ["worker"], ["web"], ["scheduler", "--nonsense"]]
)
def test_a_process_tells_its_end_in_a_line_as_all_its_others(command, arguments):
    event = json.loads(command(*arguments).err)

    assert (event["event"], event["level"], event["code"]) == ("process.failed", "error", 2)
    assert event["reason"]
    assert event["timestamp"]


@pytest.mark.services
def test_processes_need_a_broker_url_and_the_worker_keys(command, database_url):
    no_url = command.each([["scheduler"], ["worker"]], IFOOD_DATABASE_URL=database_url)
    no_keys = command(
        "worker",
        IFOOD_DATABASE_URL=database_url,
        IFOOD_BROKER_URL=NOWHERE_BROKER,
        IFOOD_ENCRYPTION_KEYS="",
    )

    assert {answer.code for answer in (*no_url, no_keys)} == {2}
    assert all("IFOOD_BROKER_URL is not set" in answer.err for answer in no_url)
    assert "IFOOD_ENCRYPTION_KEYS is not set" in no_keys.err


@pytest.mark.services
def test_a_database_without_migrations_is_2_and_names_the_command(command, postgres_server):
    commands = [line for line in ON_THE_DATABASE if line[0] not in ("db", "worker", "scheduler")]

    answers = command.each(
        commands, IFOOD_DATABASE_URL=postgres_server.url, IFOOD_CLIENT_SECRET="hunter2"
    )

    for arguments, answer in zip(commands, answers, strict=True):
        assert (answer.code, answer.out) == (2, ""), arguments
        assert "run `ifood-actors db upgrade`" in answer.err, arguments


def test_an_unknown_setting_is_2_and_names_the_nearest(command):
    answer = command("status", IFOOD_DATABSE_URL="hunter2")

    assert answer.code == 2
    assert "the nearest is IFOOD_DATABASE_URL" in answer.err
    assert "hunter2" not in answer.err


def test_what_nobody_foresaw_is_1_on_one_line_with_its_traceback_for_debug_only(command):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs a device that is always full")

    def run(level: str) -> subprocess.CompletedProcess[str]:
        with full.open("w") as stdout:
            return subprocess.run(
                [PROGRAM, "config"],
                env=command.environment(IFOOD_LOG_LEVEL=level),
                cwd=command.folder,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )

    usual, debugging = run("info"), run("debug")

    assert usual.returncode == debugging.returncode == 1
    assert usual.stderr.startswith("ifood-actors: unexpected OSError: ")
    assert usual.stderr.count("\n") == 1
    assert "Traceback" in debugging.stderr
