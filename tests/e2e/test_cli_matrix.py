"""
Every command: success, `--json`, wrong usage, and a service that is away.

The rows are in tests/e2e/command_table.py; a command without one fails here.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from e2e.command_table import IFOOD, POSTGRES, RABBITMQ, ROWS, UNTIL_STOPPED, commands, options
from sqlalchemy import Engine, text
from support.distributed import BOOKSHOP
from support.distributed import register as register_distributed
from support.program import NOWHERE_BROKER, NOWHERE_DATABASE, PROGRAM, Outcome, Program
from support.rows import dispatch, make_jobs, make_rejected_item, must_claim
from support.world import KEY, register

import ifood_simulator
from ifood_actors import operator_acts
from ifood_actors.db import transaction
from ifood_actors.ifood.tokens import Cipher
from ifood_actors.ledger import JobResult, Ledger
from ifood_simulator import Simulator

HERE = Path(__file__).parent
WORKING = {name: row for name, row in ROWS.items() if row.works is not None}
CHANGING = {name: row for name, row in WORKING.items() if "dry_run" in row.facts}
READING = {name: row for name, row in WORKING.items() if name not in CHANGING}
NOWHERE = {
    POSTGRES: {"IFOOD_DATABASE_URL": NOWHERE_DATABASE},
    RABBITMQ: {"IFOOD_BROKER_URL": NOWHERE_BROKER},
    IFOOD: {"IFOOD_API_BASE_URL": "http://127.0.0.1:1"},
}
NO_SUCH_HOST = {
    POSTGRES: {"IFOOD_DATABASE_URL": "postgresql://somebody:hunter2@no-such-host.invalid/x"},
    RABBITMQ: {"IFOOD_BROKER_URL": "amqp://somebody:hunter2@no-such-host.invalid/"},
    IFOOD: {
        "IFOOD_API_BASE_URL": "https://no-such-host.invalid",
        "IFOOD_API_ALLOW_HOST": "no-such-host.invalid",
    },
}
ADDRESS = {POSTGRES: "127.0.0.1:1/nowhere", RABBITMQ: "127.0.0.1:1", IFOOD: "http://127.0.0.1:1"}
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
# A name server that does not answer is asked once.
IMPATIENT = {"RES_OPTIONS": "timeout:2 attempts:1", "IFOOD_CLIENT_SECRET": "hunter2"}


@pytest.fixture(scope="module")
def ifood() -> Iterator[Simulator]:
    with ifood_simulator.running(ifood_simulator.Settings(merchants=3)) as running:
        yield running


@pytest.fixture
def nowhere(tmp_path: Path) -> Program:
    settings = {"IFOOD_DATABASE_URL": NOWHERE_DATABASE, "IFOOD_BROKER_URL": NOWHERE_BROKER}
    return Program(tmp_path, {"IFOOD_ENCRYPTION_KEYS": KEY, **settings, **IMPATIENT})


@pytest.fixture
def command(
    tmp_path: Path, engine: Engine, database_url: str, broker_url: str, ifood: Simulator
) -> Program:
    """Give the program on a small fleet: two applications and three accounts."""
    register(engine, ifood)
    register_distributed(engine, cipher=Cipher([KEY]))
    (tmp_path / "accounts.csv").write_text(
        "name,ifood_merchant_id,app\nA,00000000-0000-4000-8000-000000000001,simulated\n"
    )
    return Program(
        tmp_path,
        {
            "IFOOD_DATABASE_URL": database_url,
            "IFOOD_BROKER_URL": broker_url,
            "IFOOD_API_BASE_URL": ifood.url,
            "IFOOD_API_ALLOW_HOST": "127.0.0.1",
            "IFOOD_ENCRYPTION_KEYS": KEY,
            **IMPATIENT,
            "IFOOD_CLIENT_SECRET": ifood.settings.apps[0].client_secret,
        },
    )


@pytest.fixture
def names(engine: Engine, ifood: Simulator) -> dict[str, str]:
    """Give what the braces of the table stand for: three jobs, and what there was before."""
    done, failed, pending = make_jobs(engine, 3)
    dispatch(engine, done.id, failed.id)
    with transaction(engine) as tx:
        ledger = Ledger(tx, actor="worker")
        ledger.succeed(must_claim(engine, done.id), result=JobResult())
        ledger.fail(must_claim(engine, failed.id), error_code="server_fault", reason="503")
    merchants = [merchant.id for merchant in ifood.merchants()]
    make_rejected_item(engine, merchant_id=merchants[0])
    with transaction(engine) as tx:
        operator_acts.note(
            tx, "apps add", actor="cli maria@host", subject="simulated", replaced=False
        )
    return {
        "failed": str(failed.id),
        "pending": str(pending.id),
        "merchant": merchants[0],
        "other_merchant": merchants[1],
        "client_id": ifood.settings.apps[0].client_id,
    }


def filled(words: Sequence[str], names: dict[str, str]) -> list[str]:
    return [word.format(**names) for word in words]


def everything(engine: Engine) -> dict[str, object]:
    """Read all that a command could change, and a preview must not."""
    tables = (
        *("accounts", "ifood_apps", "ifood_runs", "ifood_jobs", "ifood_job_events"),
        "ifood_operator_acts",
    )
    with transaction(engine) as tx:
        found = {
            name: tx.execute(text(f"SELECT array_agg(t ORDER BY id) FROM {name} AS t")).scalar()
            for name in tables
        }
    assert all(found.values())
    return found


def test_every_command_has_a_row():
    assert set(ROWS) == set(commands())


def test_every_command_takes_json_and_whatever_changes_something_a_dry_run():
    for name, command in commands().items():
        assert ("--json" in options(command)) == (name not in UNTIL_STOPPED), name
        assert ("dry_run" in ROWS[name].facts) == ("--dry-run" in options(command)), name


def test_what_has_a_preview_changes_something():
    previewed = {name for name, row in ROWS.items() if "dry_run" in row.facts}

    assert previewed | {"apps authorize"} == {name for name, row in ROWS.items() if row.changes}


def test_what_a_row_says_is_shown_elsewhere_is_there():
    for name, row in ROWS.items():
        assert row.works is not None or row.shown, name
        for shown in row.shown:
            file, _, function = shown.partition("::")
            assert f"\ndef {function}(" in (HERE / file).read_text(), name


@pytest.mark.services
def test_every_command_does_its_work_and_says_so(command, names, engine):
    reading, changing = (
        [[*name.split(), *filled(row.works or (), names)] for name, row in rows.items()]
        for rows in (READING, CHANGING)
    )

    before = everything(engine)
    answers = command.each(reading)
    assert everything(engine) == before
    answers += command.each(changing)

    for (name, row), answer in zip((READING | CHANGING).items(), answers, strict=True):
        assert answer.code == row.code, (name, answer)
        assert row.says.format(**names) in answer.out, (name, answer)
        assert "Traceback" not in answer.err, (name, answer)
    assert (command.folder / "sales.csv").exists()


@pytest.mark.services
def test_every_command_tells_a_program_in_one_document_and_a_preview_changes_nothing(
    command, names, engine
):
    before = everything(engine)
    calls = [
        [
            *(*name.split(), *filled(row.works or (), names), "--json"),
            *(["--dry-run"] if "dry_run" in row.facts else []),
        ]
        for name, row in WORKING.items()
    ]

    answers = command.each(calls)

    for (name, row), answer in zip(WORKING.items(), answers, strict=True):
        assert answer.code == row.code, (name, answer)
        found = answer.document
        facts = next(iter(found), {}) if isinstance(found, list) else found
        assert set(row.facts) <= set(facts), (name, answer)
        assert facts.get("dry_run", True) is True, (name, answer)
    assert everything(engine) == before


def test_wrong_usage_is_2_and_one_clear_line(nowhere):
    unknown = [[*name.split(), "--no-such-option"] for name in ROWS]
    others = [
        [*name.split(), *words]
        for name, row in ROWS.items()
        for words in (*row.wrong, (*(row.works or ()), "--no-such-option"))
    ]

    answers = nowhere.each(unknown + others)

    for call, answer in zip(unknown + others, answers, strict=True):
        assert (answer.code, answer.out) == (2, ""), (call, answer)
        assert answer.err.startswith(("ifood-actors", "{")), (call, answer)
        assert answer.told, (call, answer)
        assert "hunter2" not in answer.err, (call, answer)


def calls_that_need(service: str, names: dict[str, str]) -> dict[str, list[str]]:
    waiting: dict[str, tuple[str, ...]] = {
        "apps authorize": (BOOKSHOP.name,)
    }  # for a person, if it came so far
    return {
        name: [*name.split(), *filled(row.works or waiting.get(name, ()), names)]
        for name, row in ROWS.items()
        # They open iFood as `discover` does, and after a fault the next one is told to wait.
        if service in row.needs
        and not (service == IFOOD and name in {"accounts check", "apps retry"})
    }


def assert_away(name: str, answer: Outcome, service: str, *, address: str) -> None:
    told = answer.err
    if name == "doctor":  # whose findings are what it is asked for
        lines = answer.out.splitlines()
        told = next(line for line in lines if line.startswith(service.lower()))
    else:
        assert (answer.out, told.count("\n")) == ("", 1), (name, answer)
    assert answer.code == 3, (name, answer)
    assert service.lower() in told.lower(), (name, answer)
    assert address in told, (name, answer)
    assert "hunter2" not in answer.out + answer.err, (name, answer)


@pytest.mark.services
@pytest.mark.parametrize("service", [POSTGRES, RABBITMQ, IFOOD])
def test_a_service_that_does_not_listen_is_3_and_named_without_its_password(
    command, names, service
):
    calls = calls_that_need(service, names)
    command.settings |= NOWHERE[service]

    answers = command.each(list(calls.values()))

    for name, answer in zip(calls, answers, strict=True):
        assert_away(name, answer, service, address=ADDRESS[service])


@pytest.mark.services
@pytest.mark.parametrize("service", [POSTGRES, RABBITMQ, IFOOD])
def test_a_host_that_nobody_knows_is_3_and_named_without_its_password(command, names, service):
    calls = calls_that_need(service, names)

    answers = command.each(list(calls.values()), **NO_SUCH_HOST[service])

    for name, answer in zip(calls, answers, strict=True):
        assert_away(name, answer, service, address="no-such-host.invalid")


@pytest.mark.services
def test_the_demo_gives_its_report_to_a_program(tmp_path):
    answer = Program(tmp_path)("demo", "--accounts", "4", "--seconds", "1", "--json")

    assert answer.code == 0, answer
    assert answer.document["problems"] == []
    assert {kind["planned"] for kind in answer.document["kinds"]} == {4}


@pytest.mark.services
@pytest.mark.usefixtures("names")
def test_a_reader_that_has_had_enough_ends_every_printing_quietly(command):
    days = ("--from", "2026-03-01", "--to", "2026-03-31")
    tables = (("jobs", "list"), ("accounts", "export"), ("export", "sales", *days))
    for words in (*tables, ("config", "--json"), ("-h",)):
        reader, writer = os.pipe()
        os.close(reader)

        ended = subprocess.run(
            [PROGRAM, *words],
            env=command.environment(),
            cwd=command.folder,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writer)

        assert (ended.returncode, ended.stderr) == (1, ""), words


@pytest.mark.services
def test_streams_that_are_closed_are_no_fault(command, names):
    closed = ["sh", "-c", 'exec "$@" <&- >&-', "sh", PROGRAM]
    for words in (("jobs", "list"), ("jobs", "cancel", names["pending"])):
        ended = subprocess.run(
            [*closed, *words],
            env=command.environment(),
            cwd=command.folder,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

        assert (ended.returncode, ended.stderr) == (0, ""), words


@pytest.mark.services
def test_who_said_yes_is_not_asked(command, names):
    person, terminal = os.openpty()  # where nobody types
    for name in ("apps add", "jobs requeue", "jobs cancel"):
        ended = subprocess.run(
            [PROGRAM, *name.split(), *filled(ROWS[name].works or (), names), "--yes"],
            env=command.environment(),
            cwd=command.folder,
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert (ended.returncode, ended.stderr) == (0, ""), name
    os.close(person)
    os.close(terminal)


@pytest.mark.services
@pytest.mark.parametrize(("settings", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_is_coloured_unless_no_color_is_set(command, settings, coloured):
    person, terminal = os.openpty()
    process = subprocess.Popen(
        [PROGRAM, "doctor"],
        env=command.environment(TERM="xterm-256color", **settings),
        cwd=command.folder,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while "ifood api" not in shown.decode(errors="replace"):
        shown += os.read(person, 10_000)
    assert process.wait(60) == 0
    os.close(person)

    assert bool(COLOUR.search(shown.decode())) == coloured


@pytest.mark.services
def test_what_is_found_wrong_only_when_it_is_used_is_wrong_usage_as_well(command):
    export = ("export", "sales", "--from", "2026-03-01", "--to", "2026-03-31")
    calls = {
        ("jobs", "list", "--account", "\udcff"): "an argument or a setting is no text",
        ("accounts", "enable", "\udcff"): "an argument or a setting is no text",
        ("accounts", "list", "--app", "none"): "no such application: 'none'",
        ("apps", "tokens", "none"): "no such application: 'none'",
        ("jobs", "show", "1a2b"): "no such job: '1a2b'",
        ("plan", "sales", "--starts-at", ""): "--starts-at: expected now, HH:MM or",
        ("plan", "sales", "--starts-at", "9999-12-31T23:59"): "more than ten years from now",
        (*export, "--output", "x" * 300): "File name too long",
        (*export, "--output", "."): ". is no file",
    }

    for (words, text_), answer in zip(calls.items(), command.each(list(calls)), strict=True):
        assert (answer.code, answer.out) == (2, ""), (words, answer)
        assert text_ in answer.err, (words, answer)
        assert answer.err.count("\n") == 1, (words, answer)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/x?nonsense=1", "IFOOD_DATABASE_URL: expected a URL"),
        (f"postgresql://u:hunter2@{'a' * 70}/x", "no host can have the name that is given"),
        ("postgresql://u:hunter2@127.0.0.1:port/x", "IFOOD_DATABASE_URL: expected a URL"),
        ("hunter2", "IFOOD_DATABASE_URL: expected a URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_wrong_configuration(nowhere, url, told):
    [answer] = nowhere.each([["status"]], IFOOD_DATABASE_URL=url)

    assert (answer.code, answer.out) == (2, "")
    assert told in answer.err
    assert answer.err.count("\n") == 1
    assert "hunter2" not in answer.err


@pytest.mark.services
@pytest.mark.usefixtures("names")
def test_the_scripts_are_told_the_same(command):
    wrong = [("requeue_failed", "--since", "soon"), ("replay_period", "sales", "2026-03-31")]
    backwards = command.script("replay_period", "sales", "2026-03-31", "2026-03-01")
    refused = [command.script(*words) for words in wrong]
    away = [
        command.script(*words, **NOWHERE[POSTGRES])
        for words in (
            ("requeue_failed", "--kind", "sales"),
            ("replay_period", "sales", "2026-03-30", "2026-03-31"),
        )
    ]
    since = command.script("requeue_failed", "--since=30d", "--dry-run")

    assert [answer.code for answer in (backwards, *refused)] == [2, 2, 2]
    assert [answer.code for answer in away] == [3, 3]
    for answer in (backwards, *refused, *away):
        assert answer.out == ""
        assert "hunter2" not in answer.err
    assert "TO, 2026-03-01, is before FROM" in backwards.err
    assert all("Postgres at 127.0.0.1:1/nowhere" in answer.err for answer in away)
    assert since.out == "would requeue 1 job\n"
    assert "--since 24h" not in since.err
